"""Inline assembly is in few places, and privileged instructions in kernel/cpu and kernel/boot only."""
import re

import include_arrows
import tree

# The translation table is reached through %gs, on Linux too (docs/adr/0001).
INLINE = ("kernel/cpu", "kernel/boot", "include/ebb/platform/translation_table.h")
PRIVILEGED_PLACES = ("kernel/cpu", "kernel/boot")
# SDM vol. 3, 5.9, and those that I/O privilege or the descriptor tables guard.
PRIVILEGED = re.compile(r"""\b(cli|sti|hlt|(in|out)s?[bwl]|l[gil]dt[qlw]?|ltr|lmsw|clts|invd|wbinvd|invlpg|invpcid|rdmsr|wrmsr
    |xsetbv|swapgs|iretq?|sysretq?|sysexit|rdpmc)\b|%%?(cr[0-8]|dr[0-7])\b""", re.VERBOSE)


def statements(text):
    """(line number, text) of each asm statement."""
    for found in re.finditer(r"\b(?:asm|__asm__|__asm)\b[\s\w]*(?=\()", text):
        depth = 0
        for end in range(found.end(), len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if not depth:
                break
        yield text.count("\n", 0, found.start()) + 1, text[found.start():end]


def in_any(path, places):
    return any(include_arrows.below(path, place) for place in places)


def violations(root):
    for file in tree.files(root, tree.CODE, ("include", "src", "kernel", "frontend", "examples")):
        path = file.as_posix()
        text = tree.without_comments((root / file).read_text())
        if file.suffix == ".S":
            found = enumerate(text.splitlines(), 1)
        else:
            found = list(statements(text))
            if not in_any(path, INLINE):
                for number, _ in found:
                    yield f"{path}:{number}: has inline assembly; instructions have functions in kernel/cpu/instructions.h"
        if not in_any(path, PRIVILEGED_PLACES):
            for number, words in found:
                match = PRIVILEGED.search(words)
                if match:
                    yield f"{path}:{number}: issues {match[0]}; privileged instructions are for {' and '.join(PRIVILEGED_PLACES)}"
