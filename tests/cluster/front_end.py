"""A front end under test: starts it, reads what it prints, and says what it has left behind."""
import os
import subprocess
import threading
import time
from pathlib import Path

LIMIT_S = 30
# An application that is interrupted in the middle keeps its objects to the end: no leak to a sanitizer's mind.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS=f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0")


def socket_folder():
    if os.geteuid() == 0:
        return Path("/run/multilibos/sockets")
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(own) / "multilibos" if own.startswith("/") else Path(f"/tmp/multilibos-{os.geteuid()}")


def runs(process):
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, limit_s=LIMIT_S):
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def domains():
    """The names of all running libvirt domains."""
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", "list", "--name"], capture_output=True, text=True,
                          timeout=LIMIT_S, check=True)
    return done.stdout.split()


def key_files(process):
    folder = Path("/run/multilibos/keys" if os.geteuid() == 0 else f"/var/tmp/multilibos-{os.geteuid()}")
    return [str(file) for file in folder.glob(f"key-{process}-*")]


class FrontEnd:
    """`with FrontEnd([program, ...]) as front_end:`; the process is killed at the end if it still runs."""

    def __init__(self, words, libvirt=False):
        self.libvirt = libvirt
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.lines = []
        self.errors = []
        self.nodes = {}  # id -> process id, of the application's "node ID PROCESS" lines
        self._ready = threading.Event()
        self._readers = [threading.Thread(target=self._read_output), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_output(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            self.lines.append(line)
            if line.startswith("node "):
                _, node, process = line.split()
                self.nodes[int(node)] = int(process)
            if line == "ready":
                self._ready.set()
        self._ready.set()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip("\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def wait_ready(self):
        assert self._ready.wait(LIMIT_S) and "ready" in self.lines, f"not ready: {self.lines} {self.errors}"
        return self

    def wait(self):
        """The exit status, once everything it printed has been read."""
        status = self.process.wait(LIMIT_S)
        for reader in self._readers:
            reader.join(LIMIT_S)
        return status

    @property
    def socket(self):
        return socket_folder() / f"{self.process.pid}.sock"

    @property
    def address(self):
        return f"unix:{self.socket}"

    def leftovers(self):
        """What should be gone after the end, and is not a moment later."""
        def still_there():
            if self.libvirt:
                left = [name for name in domains() if name.startswith(f"multilibos-{self.process.pid}-")]
                left += key_files(self.process.pid)
            else:
                left = [f"process {process} of node {node}" for node, process in self.nodes.items() if runs(process)]
            return left + ([f"socket {self.socket}"] if self.socket.exists() else [])
        wait_until(lambda: not still_there(), 5)
        return still_there()
