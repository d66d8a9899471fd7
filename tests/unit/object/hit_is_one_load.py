"""Fails unless a local call hits with one load from the translation table, a test and a branch.

usage: hit_is_one_load.py OBJECT_FILE
"""
import re
import subprocess
import sys


def main(path):
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=local_hit", path],
                             check=True, capture_output=True, text=True).stdout
    code = [re.sub(r"\s+", " ", line.split(":", 1)[1]).split("#")[0].split("<")[0].strip()
            for line in listing.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
    if not code:
        return f"{path} has no function local_hit"
    shown = "\n  ".join(code)
    # The path of a hit: everything up to its ret. Moving the arguments about is not part of reaching the object: register
    # moves, and the push and pop by which clang keeps one for the way of a miss.
    hit = []
    for line in code:
        hit.append(line)
        if line.startswith("ret"):
            break
    hit = [line for line in hit if not re.match(r"(endbr64|nop|push %|pop %|mov %\w+,%\w+$)", line)]
    wanted = [r"mov %gs:(?:0x0)?\(,%\w+,8\),(%\w+)", r"test (%\w+),\1", r"je ", r"add %\w+,\(%\w+\)", r"ret"]
    if len(hit) != len(wanted) or not all(re.match(want, got) for want, got in zip(wanted, hit)):
        return f"a hit is not load, test, branch, body:\n  {shown}"
    print("a hit is:\n  " + "\n  ".join(hit))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
