"""Holds the tree to its rules. usage: tidy.py CHECK ROOT [ARGUMENT ...]

  include_arrows ROOT                     which folder includes from which
  assembly ROOT                           where instructions are written by hand
  long_files ROOT                         no file is too long
  lone_headers ROOT COMPILER MEMORY       every public header compiles alone
  kernel_initializers ROOT NM LIBRARY     the kernel library needs no constructor to have run
"""
import pathlib
import sys

import assembly
import include_arrows
import kernel_initializers
import lone_headers
import long_files

CHECKS = {
    "include_arrows": lambda root: include_arrows.violations(root),
    "assembly": lambda root: assembly.violations(root),
    "long_files": lambda root: long_files.violations(root),
    "lone_headers": lambda root, compiler, memory: lone_headers.violations(root, compiler, pathlib.Path(memory)),
    "kernel_initializers": lambda root, nm, library: kernel_initializers.violations(nm, pathlib.Path(library)),
}


def main(arguments):
    if len(arguments) < 2 or arguments[0] not in CHECKS:
        sys.exit(__doc__)
    found = list(CHECKS[arguments[0]](pathlib.Path(arguments[1]).resolve(), *arguments[2:]))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
