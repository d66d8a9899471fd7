"""word_count must say what a pipeline of standard tools says, and refuse what is not a text.

usage: word_count_test.py WORD_COUNT DRIVER
"""
import json
import os
import subprocess
import sys
import tempfile

TEXT = "/usr/share/common-licenses/GPL-3"
LARGE_BYTES = 100_000_000


def by_standard_tools(path):
    counts = subprocess.run(
        ["sh", "-c", "LC_ALL=C tr -cs 'A-Za-z' '\\n' < \"$1\" | LC_ALL=C tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c", "sh", path],
        check=False, capture_output=True, text=True).stdout.split("\n")
    table = {word: int(count) for count, word in (line.split() for line in counts if line)}
    top = sorted(table.items(), key=lambda item: (-item[1], item[0]))[:10]
    return {"words": sum(table.values()), "distinct": len(table), "top": [list(item) for item in top]}


def count(program, path, folder, *options):
    out = os.path.join(folder, "out.json")
    subprocess.run([program, *options, "--json", out, path], check=True, stdout=subprocess.DEVNULL, timeout=200)
    with open(out, encoding="utf-8") as file:
        return json.load(file)


def main(program, driver):
    with tempfile.TemporaryDirectory() as folder:
        def write(name, data):
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(data)
            return path

        with open(TEXT, "rb") as file:
            text = file.read()
        large = write("large", (text * (LARGE_BYTES // len(text) + 1))[:LARGE_BYTES])
        cases = {"text": TEXT, "large": large}
        clusters = [(2, 2)]
        if driver == "process":
            cases |= {"empty": write("empty", b""), "no letters": write("digits", b"12 34\n" * 50_000),
                      "one long word": write("word", b"aB" * 100_000), "every byte": write("bytes", bytes(range(256)) * 1000)}
            clusters = [(0, 2), (2, 2), (3, 1)]
        for name, path in cases.items():
            wanted = by_standard_tools(path)
            for backends, cores in clusters if name != "large" else [(2, 2)]:
                got = count(program, path, folder, f"--ebb-backends={backends}", f"--ebb-cores={cores}", f"--ebb-driver={driver}")
                assert {key: got[key] for key in wanted} == wanted, f"{name}, {backends} * {cores}: {got} instead of {wanted}"
                assert len(got["nodes"]) == max(backends, 1) and set(got["seconds"]) == {"launch", "join", "work", "stop"}
                if backends:
                    assert all(node["driver"] == driver and len(node["cores"]) == cores for node in got["nodes"]), got["nodes"]
                if name == "large":
                    assert all(core["pieces"] > 50 for node in got["nodes"] for core in node["cores"]), got["nodes"]
        if driver != "process":
            return

        refusals = {(os.path.join(folder, "missing"),): 1, (folder,): 1, (): 2, ("--ebb-cores=0", TEXT): 2,
                    ("--nonsense",): 2, ("--json", os.path.join(folder, "no", "folder"), TEXT): 1}
        for arguments, status in refusals.items():
            run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30)
            assert run.returncode == status, f"{arguments}: status {run.returncode}, {run.stderr}"
            assert run.stderr.strip(), f"{arguments}: no word said"
        unwritable = subprocess.run([program, "--json", os.path.join(folder, "no", "folder"), TEXT], capture_output=True, text=True,
                                    timeout=30)
        assert not unwritable.stdout and "No such file or directory" in unwritable.stderr, unwritable
        with open("/dev/full", "wb") as full:
            run = subprocess.run([program, TEXT], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
        assert run.returncode == 1 and "standard output" in run.stderr, run


if __name__ == "__main__":
    main(*sys.argv[1:])
