"""What an image that cannot go on says, and what run-image makes of it: usage fault_test.py RUN_IMAGE IMAGE."""
import resource
import subprocess
import sys

runner, image = sys.argv[1:]


def run(way, *options):
    done = subprocess.run([runner, "--cores", "2", "--memory", "128", "--timeout", "20", *options, image, way],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def expect(way, status, *phrases, options=(), stderr=""):
    code, out, err = run(way, *options)
    missing = [phrase for phrase in phrases if phrase not in out]
    assert code == status and not missing and stderr in err, f"{way}: status {code}, missing {missing}\n{out}\n{err}"
    if status == 70:
        first = next(line for line in out.splitlines() if line.startswith("ebb-panic: "))
        assert "ebb-panic: end" in out and " on core " in first, f"{way}: {out}"


expect("null", 70, "page fault writing 0x0 (a null pointer)", "write_through+0x", "on core 0", "from main+0x", stderr="panicked")
expect("core", 70, "page fault writing 0x8 (a null pointer)", "write_through+0x", "on core 1")
expect("stack", 70, "overflow_stack+0x", "from ")
expect("throw", 70, "aborted", "nobody catches this", "on core 1")
expect("illegal", 70, "invalid opcode", "main+0x")
expect("memory", 70, "out of memory")
expect("nothing", 5, "nothing happened")
expect("hang", 124, stderr="did not end within 2 s", options=("--timeout", "2"))
# QEMU's exit code has seven bits for it: what does not fit is still a failure.
expect("status", 127)

# Two cores with nothing to do for 3 s halt: polling, they would take up to 6 s of the host's processors.
before = resource.getrusage(resource.RUSAGE_CHILDREN)
expect("idle", 6)
after = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
assert seconds < 1.5, f"an idle image took {seconds:.2f} s of processor time"
