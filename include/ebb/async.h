// Everything of include/ebb/async that applications need: event loops, contexts, coroutines.
#pragma once

#include "ebb/async/cancellation.h"
#include "ebb/async/completion.h"
#include "ebb/async/context.h"
#include "ebb/async/core.h"
#include "ebb/async/event.h"
#include "ebb/async/generator.h"
#include "ebb/async/on_core.h"
#include "ebb/async/runtime.h"
#include "ebb/async/scope.h"
#include "ebb/async/semaphore.h"
#include "ebb/async/sleep.h"
#include "ebb/async/task.h"
#include "ebb/async/when_all.h"
