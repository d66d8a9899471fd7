#include "frontend/program/application.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <typeinfo>

#include "ebb/async/core.h"
#include "ebb/base/result.h"

namespace ebb::frontend {
namespace {

std::string type_name(const std::exception& error) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable(
      abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? readable.get() : typeid(error).name();
}

}  // namespace

ApplicationRun::Frame ApplicationRun::run(application* app, std::function<void(Ending)> ended) {
  Ending ending;
  try {
    ending.status = co_await ebb_main(*app);
  } catch (const ErrorException& error) {
    ending = {1, error.what(), error.error().code() == Errc::node_gone};
  } catch (const std::exception& error) {
    ending = {Core::kUncaughtStatus, "the application threw " + type_name(error) + ": " + detail::text_of(error), false};
  } catch (...) {
    ending = {Core::kUncaughtStatus, "the application threw something that is no std::exception", false};
  }
  ended(std::move(ending));
}

}  // namespace ebb::frontend
