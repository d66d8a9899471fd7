#!/usr/bin/env python3
"""Writes an image's functions as an assembler file that its second link puts into it: usage: symbol_table.py NM IMAGE OUT.

The table comes behind all code, so that the second link leaves every function where the first one put it.
"""
import subprocess
import sys

LONGEST_NAME = 96


def functions(nm, image):
    listing = subprocess.run([nm, "-C", "-n", "--defined-only", image], check=True, capture_output=True, text=True).stdout
    last = None
    for line in listing.splitlines():
        address, kind, name = line.split(" ", 2)
        if kind not in "tTwW" or address == last:
            continue
        last = address
        # Without its parameters, which begin at the first parenthesis that is no part of a name.
        name = name.replace("(anonymous namespace)", "{anonymous}").replace("operator()", "operator{}")
        yield int(address, 16), name.split("(", 1)[0][:LONGEST_NAME]


def main():
    nm, image, out = sys.argv[1:]
    places = {}
    text = []
    rows = []
    size = 0
    for address, name in functions(nm, image):
        if name not in places:
            places[name] = size
            text.append(name)
            size += len(name.encode()) + 1
        rows.append((address, places[name]))
    with open(out, "w") as file:
        file.write('.section .ebb_symbols, "a", @progbits\n.p2align 2\n')
        file.write(".globl ebb_symbol_count, ebb_symbol_addresses, ebb_symbol_names, ebb_symbol_text\n")
        file.write(f"ebb_symbol_count: .long {len(rows)}\n")
        file.write("ebb_symbol_addresses:\n" + "".join(f".long {address}\n" for address, _ in rows))
        file.write("ebb_symbol_names:\n" + "".join(f".long {place}\n" for _, place in rows))
        escaped = (name.replace("\\", "\\\\").replace('"', '\\"') for name in text)
        file.write("ebb_symbol_text:\n" + "".join(f'.asciz "{name}"\n' for name in escaped))
        file.write('.section .note.GNU-stack, "", @progbits\n')


main()
