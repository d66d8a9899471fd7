"""No file has more than 600 lines; one that passes 300 is asked why by its readers."""
import tree

LONGEST = 600
TEXT = tree.CODE + (".py", ".cmake", ".txt", ".proto", ".md", ".in", ".sh", "")


def violations(root):
    for file in tree.files(root, TEXT):
        count = (root / file).read_bytes().count(b"\n")
        if count > LONGEST:
            yield f"{file}:1: has {count} lines, more than {LONGEST}; give each of its jobs a file"
