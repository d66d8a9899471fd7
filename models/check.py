#!/usr/bin/env python3
"""Checks one model exhaustively with spin: check.py MODEL.pml FOLDER CC [--bug NAME] [--seconds LIMIT].

Without --bug the model must hold in every state that can be reached; with it (the macro NAME defined) spin must find the
violation, so that a model which can prove nothing wrong is noticed. Generates, compiles and runs the verifier in FOLDER.
"""
import argparse
import pathlib
import re
import resource
import subprocess
import sys
import time

MEBIBYTES = 1000
DEPTH = 2_000_000  # steps of one path; spin says so when a path was cut, and then this check fails


def run(command, folder, give_up):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=max(give_up - time.monotonic(), 0.1))
    return done.returncode, done.stdout + done.stderr


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found.group(1))) if found else None


def verify(model, folder, compiler, bug, give_up):
    folder.mkdir(parents=True, exist_ok=True)
    defines = [f"-D{bug}"] if bug else []
    status, text = run(["spin", *defines, "-a", str(model)], folder, give_up)
    if status != 0:
        return f"spin does not take the model:\n{text}"
    status, text = run([compiler, "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={MEBIBYTES}",
                        "-o", "pan", "pan.c"], folder, give_up)
    if status != 0:
        return f"the verifier does not compile:\n{text}"
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
    status, text = run(["./pan", f"-m{DEPTH}"], folder, give_up)
    errors = number(r"errors: (\d+)", text)
    states = number(r"([\d.e+]+) states, stored", text)
    memory = re.search(r"([\d.]+)\s+total actual memory usage", text)
    print(f"{model.stem}{' with ' + bug if bug else ''}: {states} states, {memory.group(1) if memory else '?'} MiB, "
          f"{errors} errors")
    if errors is None or states is None:
        return f"the verifier gave no verdict:\n{text}"
    if bug:
        violated = re.search(r"pan:1: (.*)", text)
        print(violated.group(1) if violated else "no violation")
        return None if violated and "assertion violated" in violated.group(1) else f"{bug} was not found:\n{text}"
    if errors != 0:
        _, trail = run(["spin", *defines, "-k", f"{model.name}.trail", "-p", "-l", str(model)], folder, give_up)
        return f"the model does not hold:\n{text}\n{trail[-8000:]}"
    for cut in ("max search depth too small", "Search not completed", "pan: reached -DMEMLIM bound", "out of memory"):
        if cut in text:
            return f"the search was not exhaustive ({cut}):\n{text}"
    # A statement that no path reaches proves nothing: each must be reached, but for the ends of endless processes.
    dead = [line.strip() for line in text.splitlines()
            if re.match(r"\s+\S+\.pml:\d+, state \d+, \"", line) and '"-end-"' not in line]
    if dead:
        return "statements that no path reaches:\n" + "\n".join(dead)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("compiler")
    parser.add_argument("--bug", default="")
    # Of all steps together, on the wall. A loaded machine needs a multiple of what README.md says.
    parser.add_argument("--seconds", type=float, default=270)
    arguments = parser.parse_args()
    try:
        problem = verify(arguments.model.resolve(), arguments.folder, arguments.compiler, arguments.bug,
                         time.monotonic() + arguments.seconds)
    except subprocess.TimeoutExpired as expired:
        problem = (f"no verdict on {arguments.model.name}: {pathlib.Path(expired.cmd[0]).name} had not ended when the limit of "
                   f"{arguments.seconds:.0f} s for the whole check was over; the machine is busy, or the model has grown")
    if problem:
        print(problem)
    sys.exit(1 if problem else 0)


if __name__ == "__main__":
    main()
