"""The kernel library has no dynamic initializer: it would run after the kernel has begun to use what it initializes."""
import re
import subprocess

# What the compiler makes of a namespace-scope object without a constant value, and of such a static in a function.
SYMBOL = re.compile(r"\b(_GLOBAL__sub_I_\S+|_GLOBAL__I_\S+|__cxa_guard_acquire|__cxa_atexit)")


def violations(nm, library):
    listing = subprocess.run([nm, library], check=True, capture_output=True, text=True).stdout
    member = library.name
    for line in listing.splitlines():
        if line.endswith(".o:"):
            member = line[:-1]
        found = SYMBOL.search(line)
        if found:
            yield f"{library.name}({member}): has {found[1]}; give the object a constant initial value (constinit) or make it in a function that start-up calls"
