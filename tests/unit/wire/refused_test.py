"""Arguments and results that cannot travel do not compile, and the compiler's message names position and type.

usage: refused_test.py COMPILER INCLUDE-FOLDER...
"""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PROGRAM = """
#include <memory>
#include "ebb/object/interface.h"
{declarations}
struct Target {{
  {result} method({parameters});
  using interface = ebb::interface<"test.Target/1", ebb::method<"method", &Target::method>>;
}};
constexpr bool checked = ebb::detail::SignatureOf<&Target::method>::must_travel();
"""

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
    ("struct Rows { int cells[3]; };", "void", "Rows", "ArgumentTravels<1, Rows>"),
    ("", "void", "std::shared_ptr<int>", "ArgumentTravels<1, std::shared_ptr<int>>"),
    ("", "void", "std::span<int>", "ArgumentTravels<1, std::span<int"),
    ("", "void", "std::vector<std::string_view>", "ArgumentTravels<1, std::vector<"),
    ("", "std::string_view", "", "ResultTravels<std::"),
    ("", "std::span<const std::byte>", "", "ResultTravels<std::span<"),
    ("", "ebb::Result<int*>", "", "ResultTravels<int*>"),
]


def message_of(compiler, folders, case):
    declarations, result, parameters, _ = case
    source = PROGRAM.format(declarations=declarations, result=result, parameters=parameters)
    flags = [f"-I{folder}" for folder in folders]
    done = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", *flags, "-x", "c++", "-"], input=source, text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stderr


def normal(text):
    """Compilers write `int *`, `std::__cxx11::basic_string<char>` and `> >`."""
    for old, new in (("std::__cxx11::basic_string<char>", "std::string"), ("basic_string<char>", "string"),
                     ("std::__cxx11::", "std::"), (" *", "*"), (" &", "&"), ("> >", ">>")):
        text = text.replace(old, new)
    return text


def main():
    compiler, folders = sys.argv[1], sys.argv[2:]
    bad = 0
    with ThreadPoolExecutor(2) as pool:
        for case, (status, text) in zip(CASES, pool.map(lambda each: message_of(compiler, folders, each), CASES)):
            wanted = case[3]
            right = status == 0 if wanted is None else status != 0 and wanted in normal(text)
            if not right:
                bad += 1
                print(f"{case[1]} method({case[2]}): expected {wanted or 'no error'}, got {status}:\n{text[:3000]}")
    sys.exit(1 if bad else 0)


main()
