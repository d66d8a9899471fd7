"""Each C++ snippet of the documents stands, line by line, in a source that is compiled. usage: snippets_test.py FILE..."""
import pathlib
import re
import sys


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def stands_in(snippet, source):
    return any(source[at:at + len(snippet)] == snippet for at in range(len(source) - len(snippet) + 1))


def main(paths):
    sources = [lines_of(path.read_text()) for path in paths if path.suffix != ".md"]
    count = 0
    missing = []
    for path in (path for path in paths if path.suffix == ".md"):
        text = path.read_text()
        for found in re.finditer(r"^```cpp\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            count += 1
            if not any(stands_in(lines_of(found[1]), source) for source in sources):
                missing.append(f"{path}:{text.count(chr(10), 0, found.start()) + 1}: this snippet is in no source that is compiled")
    print("\n".join(missing) or f"{count} snippets are compiled")
    return 1 if missing or not count else 0


sys.exit(main([pathlib.Path(argument) for argument in sys.argv[1:]]))
