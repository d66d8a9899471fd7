"""The tree's own files, and what each includes: what the other checks of this folder start from."""
import os
import pathlib
import re

PARTS = ("benchmarks", "cmake", "deploy", "docs", "examples", "frontend", "include", "kernel", "models", "src",
         "tests")
CODE = (".cc", ".h", ".S")


def files(root, suffixes=None, parts=PARTS):
    """Every file below the parts of `root` whose name ends with one of `suffixes`, as a path relative to `root`."""
    for part in parts:
        for folder, folders, names in os.walk(root / part):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if suffixes is None or path.suffix in suffixes:
                    yield path.relative_to(root)


def includes(root, path):
    """(line number, name, whether it is quoted) of each include directive, also of those in conditions."""
    for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if found:
            yield number, found[1] or found[2], found[1] is not None


def without_comments(text):
    """C++ or assembler text without its comments; line breaks stay, strings stay."""
    def replacement(match):
        return match[0] if match[0].startswith('"') else "\n" * match[0].count("\n")
    return re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', replacement, text, flags=re.DOTALL)
