"""Every public header compiles alone. What compiled is remembered by its text and the text of what it includes."""
import concurrent.futures
import hashlib
import pathlib
import subprocess

import tree

AT_ONCE = 2
LIMIT_S = 60
OPTIONS = ("-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-x", "c++", "-")


def key(root, compiler, header):
    """Changes with whatever of the tree the header sees, and with the compiler."""
    seen, waiting = set(), [header]
    while waiting:
        path = waiting.pop()
        if path in seen or not (root / path).is_file():
            continue
        seen.add(path)
        waiting += [pathlib.Path("include") / name for _, name, _ in tree.includes(root, path)]
    digest = hashlib.sha256(f"{header} {compiler} {OPTIONS}".encode())
    for path in sorted(seen):
        digest.update((root / path).read_bytes())
    return digest.hexdigest()


def complaint(root, compiler, header, memory):
    stamp = memory / key(root, compiler[1], header)
    if stamp.exists():
        return None
    # Twice: it also needs its include guard.
    text = f'#include "{header.relative_to("include")}"\n' * 2
    done = subprocess.run([compiler[0], "-I", root / "include", *OPTIONS], input=text, capture_output=True, text=True,
                          timeout=LIMIT_S)
    if done.returncode == 0:
        stamp.touch()
        return None
    error = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip())
    return f"{header}:1: does not compile alone: {error}"


def violations(root, command, memory):
    """`memory` is a folder for what is known to compile; it may be removed at any time."""
    memory.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(complaint, root, (command, version), header, memory)
                for header in tree.files(root, (".h",), ("include",))]
        yield from filter(None, (job.result() for job in jobs))
