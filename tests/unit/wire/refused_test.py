"""Arguments and results that cannot travel do not compile; the compiler's first error says so, and names position and type.

usage: refused_test.py COMPILER INCLUDE-FOLDER...
"""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

# clang 14 knows them but not yet the macro that libstdc++ asks for.
COROUTINES = ["-Wno-builtin-macro-redefined", "-Wno-macro-redefined", "-D__cpp_impl_coroutine=201902L"]

# Compiled once.
HEADER = """
#include <memory>
#include "ebb/object.h"
"""

PROGRAM = """
{declarations}
struct Target {{
  {result} method({parameters});
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
}};
constexpr bool checked = ebb::detail::SignatureOf<&Target::method>::must_travel();
"""

# What an application writes.
CALL = """
struct Target {
  void method(int*) {}
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
};
ebb::task<void> use(ebb::ref<Target> object) {
  auto called = object.on(ebb::NodeId{1}).call<&Target::method>(nullptr);
  static_cast<void>(co_await std::move(called));
}
"""

QUALIFIED = """
struct Target {
  void method(int) &;
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
};
constexpr auto id = Target::interface::method_id<&Target::method>();
"""

# What an object's class must have, and what its kind has not.
OBJECT = """
struct Target {{
  {members}
  void method() {{}}
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
}};
ebb::task<void> use(ebb::ref<Target> object) {{
  auto called = {call};
  static_cast<void>(co_await std::move(called));
}}
"""
OBJECTS = [
    ("Target(int);", "object.call<&Target::method>()", "is made without arguments"),
    ("Target(int); using policy = ebb::per_node;", "object.call<&Target::method>()", "is made without arguments"),
    ("Target(int); using policy = ebb::single_home;", "object.call<&Target::method>()", "is made without arguments"),
    ("~Target() noexcept(false);", "object.call<&Target::method>()", "must not throw"),
    ("struct root { ~root() noexcept(false); };", "object.call<&Target::method>()", "must not throw"),
    ("", "object.on_key(1).call<&Target::method>()", "objects of this kind have no keys"),
    ("", "object.every_partition().call<&Target::method>()", "objects of this kind have no partitions"),
    ("using policy = ebb::single_home;", "object.everywhere().call<&Target::method>()", "there is nothing to call everywhere"),
    ("using policy = ebb::replicated; int save() const; void restore(int);", "object.on(ebb::CoreIndex{1}).call<&Target::method>()",
     "representatives of this kind are only read where they are"),
    ("", "object.call<&Target::method>(1)", "a call has more or fewer arguments than its method takes"),
    ("", "object.on(ebb::NodeId{1}).call<&Target::method>(1)", "a call has more or fewer arguments than its method takes"),
]

# A move-only argument, of what may have to be called again.
MOVED = """
struct Only {{
  Only() = default;
  Only(Only&&) = default;
  Only& operator=(Only&&) = default;
  std::vector<int> items;
  using fields = ebb::fields<&Only::items>;
}};
struct Target {{
  using policy = {policy};
  int save() const {{ return 0; }}
  void restore(int) {{}}
  void method(Only) {{}}
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
}};
ebb::task<void> use(ebb::ref<Target> object) {{
  auto called = {target}.call<&Target::method>(Only());
  static_cast<void>(co_await std::move(called));
}}
"""
MOVES = [
    ("ebb::per_core", "object.on(ebb::NodeId{1})", None),
    ("ebb::per_core", "object", None),
    ("ebb::single_home", "object", "calls of homes may be made again"),
    ("ebb::per_core", "object.on_home()", "calls of homes may be made again"),
    ("ebb::partitioned", "object.on_key(1)", "calls by key may be made again"),
]

# What stands before the class, the result, the parameters, and what the message must say: nothing if it compiles.
CASES = [
    ("", "void", "int, const std::string&, std::string_view, std::span<const int>", None),
    ("", "ebb::Result<std::string>", "const ebb::call_context&, int", None),
    ("", "void", "int, int*", "ArgumentTravels<2, int*>"),
    ("", "void", "std::string&", "ArgumentTravels<1, std::string&>"),
    ("", "void", "long double", "ArgumentTravels<1, long double>"),
    ("", "void", "wchar_t", "ArgumentTravels<1, wchar_t>"),
    ("", "void", "const ebb::call_context&, int, int*", "ArgumentTravels<2, int*>"),
    ("enum Loose { one };", "void", "Loose", "ArgumentTravels<1, Loose>"),
    ("union Either { int a; float b; };", "void", "Either", "ArgumentTravels<1, Either>"),
    ("struct Holder { std::unique_ptr<int> owned; };", "void", "Holder", "ArgumentTravels<1, Holder>"),
    ("struct Block { std::string_view text; };", "void", "Block", "ArgumentTravels<1, Block>"),
    ("", "void", "std::shared_ptr<int>", "ArgumentTravels<1, std::shared_ptr<int>>"),
    ("", "void", "std::span<int>", "ArgumentTravels<1, std::span<int"),
    ("", "void", "std::vector<std::string_view>", "ArgumentTravels<1, std::vector<"),
    ("", "void", "char*", "ArgumentTravels<1, char*>"),
    ("", "void", "std::span<const bool>", "ArgumentTravels<1, std::span<const bool"),
    ("", "void", "std::chrono::steady_clock::time_point", "ArgumentTravels<1, std::chrono::time_point<std::chrono::steady_clock"),
    ("struct Empty {};", "void", "Empty", "ArgumentTravels<1, Empty>"),
    ("struct Shape { virtual ~Shape() = default; int a; };", "void", "Shape", "ArgumentTravels<1, Shape>"),
    ("struct Fixed { Fixed(int); };", "void", "Fixed", "ArgumentTravels<1, Fixed>"),
    ("struct Partly { int a; int& b; };", "void", "Partly", "ArgumentTravels<1, Partly>"),
    ("struct Listed { int* a; using fields = ebb::fields<&Listed::a>; };", "void", "Listed", "ArgumentTravels<1, Listed>"),
    ("struct Listed { const int a = 1; using fields = ebb::fields<&Listed::a>; };", "void", "Listed", "ArgumentTravels<1, Listed>"),
    ("struct Constant { int a; const int b = 1; };", "void", "Constant", "ArgumentTravels<1, Constant>"),
    ("struct Base { int a; }; struct Derived : Base { int b; };", "void", "Derived", "ArgumentTravels<1, Derived>"),
    ("enum Wide : wchar_t { one };", "void", "Wide", "ArgumentTravels<1, Wide>"),
    ("struct Tree { int a; std::vector<Tree> branches; };", "void", "Tree", "ArgumentTravels<1, Tree>"),
    ("struct Tree { int a; std::vector<Tree> branches; };", "Tree", "", "ResultTravels<Tree>"),
    ("struct Tree { std::vector<Tree> all; using fields = ebb::fields<&Tree::all>; };", "void", "Tree", "ArgumentTravels<1, Tree>"),
    ("", "std::string_view", "", "ResultTravels<std::"),
    ("", "std::span<const std::byte>", "", "ResultTravels<std::span<"),
    ("", "ebb::Result<int*>", "", "ResultTravels<int*>"),
]


# Where the compiler does not know that parentheses initialize structs (clang before 16), Boost.PFR complains first.
ARRAYS_AND_UNIONS = [
    ("struct Rows { int cells[3]; };", "void", "Rows", "ArgumentTravels<1, Rows>"),
    ("struct Row { int a; int cells[3]; };", "void", "int, Row", "ArgumentTravels<2, Row>"),
    ("struct Row { std::string a; std::optional<int> b; int cells[3]; int c; };", "void", "Row", "ArgumentTravels<1, Row>"),
    ("struct Either { int a; union { int b; float c; }; };", "void", "Either", "ArgumentTravels<1, Either>"),
]

OURS = ("calls of homes may be made again", "calls by key may be made again", "cannot travel between nodes", "this is no method of an interface", *(message for _, _, message in OBJECTS))


def options(compiler, folders):
    return [compiler, "-std=c++20", *COROUTINES, *(f"-I{folder}" for folder in folders)]


def message_of(command, header, case):
    if len(case) == 2:
        source = case[0]
    else:
        declarations, result, parameters, _ = case
        source = PROGRAM.format(declarations=declarations, result=result, parameters=parameters)
    done = subprocess.run([*command, "-fsyntax-only", "-include", header, "-x", "c++", "-"], input=source, text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stderr


def normal(text):
    """Compilers write `int *`, `std::__cxx11::basic_string<char>` and `> >`."""
    for old, new in (("std::__cxx11::basic_string<char>", "std::string"), ("basic_string<char>", "string"),
                     ("std::__cxx11::", "std::"), ("std::chrono::_V2::", "std::chrono::"), (" *", "*"), (" &", "&"), ("> >", ">>")):
        text = text.replace(old, new)
    return text


def is_right(wanted, status, text):
    if wanted is None:
        return status == 0
    first = next((line for line in text.splitlines() if "error:" in line), "")
    return status != 0 and wanted in normal(text) and any(each in first for each in OURS)


def main():
    compiler, folders = sys.argv[1], sys.argv[2:]
    objects = [(OBJECT.format(members=members, call=call), message) for members, call, message in OBJECTS]
    moves = [(MOVED.format(policy=policy, target=target), message) for policy, target, message in MOVES]
    cases = objects + moves + CASES + [(CALL, "ArgumentTravels<1, int*>"), (QUALIFIED, "Signature<void (Target::*)(int)&>")]
    if "clang" not in compiler:
        cases += ARRAYS_AND_UNIONS
    bad = 0
    command = options(compiler, folders)
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(2) as pool:
        header = os.path.join(place, "all.h")
        with open(header, "w", encoding="utf-8") as file:
            file.write(HEADER)
        subprocess.run([*command, "-x", "c++-header", header, "-o", header + ".gch"], check=True)
        for case, (status, text) in zip(cases, pool.map(lambda each: message_of(command, header, each), cases)):
            if not is_right(case[-1], status, text):
                bad += 1
                print(f"{case[:-1]}: expected {case[-1] or 'no error'}, got {status}:\n{text[:3000]}")
    sys.exit(1 if bad else 0)


main()
