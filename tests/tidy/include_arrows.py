"""Which folder may include from which: the arrows of the tree point down only (docs/architecture.md)."""
import re

import tree

# A folder and what it may include from besides itself. The longest matching folder counts.
EVERYTHING_PUBLIC = ("ebb",)
ARROWS = {
    "include/ebb": EVERYTHING_PUBLIC,
    "include/ebb/base": (),
    "include/ebb/platform": ("ebb/base",),
    "include/ebb/wire": ("ebb/base",),
    "include/ebb/async": ("ebb/base", "ebb/platform"),
    "include/ebb/messenger": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async"),
    "include/ebb/observe": ("ebb/base", "ebb/platform"),
    "include/ebb/object": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async", "ebb/wire", "ebb/observe.h", "ebb/observe"),
    "src/base": ("ebb/base", "ebb/platform"),
    "src/async": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async"),
    "src/messenger": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async", "ebb/messenger"),
    "src/object": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async", "ebb/wire", "ebb/object.h", "ebb/object", "ebb/observe.h",
                   "ebb/observe", "src/async/contexts_left.h"),
    "src/observe": ("ebb/base", "ebb/platform", "ebb/async.h", "ebb/async", "ebb/wire", "ebb/object.h", "ebb/object", "ebb/observe.h",
                    "ebb/observe"),
    "src/node": EVERYTHING_PUBLIC + ("src/object", "src/observe"),
    "src/hosted": ("ebb/base", "ebb/platform"),
    "kernel/cpu": ("ebb/base", "kernel/memory"),
    "kernel/memory": ("ebb/base", "kernel/cpu"),
    "kernel/libc": ("ebb/base", "kernel/cpu", "kernel/memory"),
    "kernel/boot": ("ebb/base", "kernel/cpu", "kernel/memory", "kernel/libc"),
    "kernel/pci": ("ebb/base", "kernel/cpu"),
    "kernel/net": ("ebb/base", "ebb/platform"),
    "kernel/virtio": ("ebb/base", "kernel/net", "kernel/pci"),
    "kernel/platform": ("ebb/base", "ebb/platform", "kernel"),
    "frontend": EVERYTHING_PUBLIC + ("frontend",),
    "frontend/nodes": ("ebb/base", "ebb/platform"),
    "frontend/directory": ("ebb/base", "ebb/async.h", "ebb/async", "ebb/object"),
    "frontend/service": ("ebb/base", "multilibos/v1"),
    "frontend/otlp": ("ebb/base", "frontend/service", "multilibos/otlp"),
    "frontend/observe": EVERYTHING_PUBLIC + ("frontend/cluster", "frontend/service", "src/observe"),
    "frontend/cluster": EVERYTHING_PUBLIC + ("frontend/nodes", "frontend/service"),
    # `ebb run` checks the options that it hands on as the program will.
    "frontend/cli": ("ebb/base", "frontend/nodes", "frontend/program/options.h", "frontend/service", "multilibos/v1"),
    "examples": EVERYTHING_PUBLIC,
}

# Portable code and the kernel see the C++ standard library and these; the reasons are beside them.
PORTABLE = ("include/ebb", "src", "kernel")
EXEMPT = ("include/ebb/platform/hosted.h", "src/hosted")  # Linux, on purpose
SYSTEM_HEADERS = {
    "cxxabi.h": "",            # exceptions across contexts, names of types
    "boost/pfr.hpp": "include/ebb/wire",
    "google/protobuf/message_lite.h": "include/ebb/wire",  # by who includes ebb/wire/protobuf.h only
    "boost/context/detail/fcontext.hpp": "src/async",
    "sodium.h": "src/messenger",
    "xmmintrin.h": "src/async",
    "sys/mman.h": "src/async/context_stack.cc kernel/libc",  # a stack's pages: a call that the kernel answers too
    "pthread.h": "src/async/context_stack.cc",  # this and the next three only under a sanitizer, on Linux
    "sanitizer/asan_interface.h": "src/async/context_stack.cc",
    "sanitizer/common_interface_defs.h": "src/async/context_stack.cc",
    "sanitizer/tsan_interface.h": "src/async/context_stack.cc",
    # The kernel speaks Linux' system-call ABI to the C library above it.
    "errno.h": "kernel/libc",
    "elf.h": "kernel/boot",
    "sys/syscall.h": "kernel/libc",
    "time.h": "kernel/libc",
}
# Heavy dependencies are seen by their own folder only.
ADAPTERS = {
    r"(grpc|grpcpp|google)/": ("frontend/service", "frontend/otlp", "frontend/cli", "include/ebb/wire/protobuf.h"),
    r"libvirt/": ("frontend/nodes/libvirt",),
    r"sqlite3\.h": ("frontend/directory/embedded",),
    r"nlohmann/": ("frontend/cli", "examples"),
    r"CLI/": ("frontend/cli",),
}


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


def allowed_system_header(path, name):
    if re.fullmatch(r"[a-z_]+", name):
        return True
    places = SYSTEM_HEADERS.get(name)
    return places is not None and (not places or any(below(path, place) for place in places.split()))


def violations(root):
    for file in tree.files(root, tree.CODE, ("include", "src", "kernel", "frontend", "examples")):
        path = file.as_posix()
        home = max((folder for folder in ARROWS if below(path, folder)), key=len, default=None)
        for number, name, quoted in tree.includes(root, file):
            where = f"{path}:{number}: includes {name}"
            for pattern, places in ADAPTERS.items():
                if re.match(pattern, name) and not any(below(path, place) for place in places):
                    yield f"{where}, which only {' and '.join(places)} may"
            own = re.match(r"(ebb|src|kernel|frontend|multilibos|examples|benchmarks|tests)/", name)
            if own:
                target = "include/" + name if own[1] == "ebb" else name
                if home is not None and not below(target, home) and not any(below(name, to) for to in ARROWS[home]):
                    yield f"{where}; {home} may include from {', '.join(ARROWS[home]) or 'nothing but itself'} only"
            elif quoted and (root / file.parent / name).is_file():
                continue
            elif (any(below(path, part) for part in PORTABLE) and not any(below(path, part) for part in EXEMPT)
                  and not allowed_system_header(path, name)):
                yield f"{where}; this code runs without Linux: if it must, add it with its reason to {__name__}.py"
            if home is None and own:
                yield f"{where}, but the folder has no row among the arrows of {__name__}.py"
