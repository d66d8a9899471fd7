"""deploy/prepare-host --undo with daemons and a virsh that are played. usage: prepare_host_test.py PREPARE_HOST"""
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SCRIPT = sys.argv[1]
VIRSH = """#!/bin/sh
echo "$@" >> "$EBB_HOST_STATE/../asked"
case " $* " in *" list "*) cat "$EBB_HOST_STATE/../domains" 2>/dev/null ;; esac
"""


class Undo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name, text in (("virsh", VIRSH), ("libvirtd", "#!/bin/sh\nexec sleep 60\n")):
            (self.folder / name).write_text(text, encoding="ascii")
            (self.folder / name).chmod(0o755)
        state = self.folder / "state"
        state.mkdir()
        self.environment = dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}", EBB_HOST_STATE=str(state))
        # With no output of this test, which whoever runs it reads to its end.
        self.daemon = subprocess.Popen(["tini", "-s", "--", "libvirtd"], env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_daemon)
        (state / "libvirtd.pid").write_text(f"{self.daemon.pid}\n", encoding="ascii")
        command = Path(f"/proc/{self.daemon.pid}/cmdline")
        while not command.read_bytes().startswith(b"tini"):
            time.sleep(0.01)

    def end_daemon(self):
        self.daemon.terminate()  # tini hands it on; killed, it would leave the other behind
        self.daemon.wait(10)

    def undo(self):
        return subprocess.run([SCRIPT, "--undo"], env=self.environment, capture_output=True, text=True, timeout=30)

    def test_leaves_everything_while_nodes_run(self):
        (self.folder / "domains").write_text("somebody-elses\nmultilibos-42-1\n", encoding="ascii")
        done = self.undo()
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("multilibos-42-1", done.stderr)
        self.assertNotIn("somebody-elses", done.stderr)
        self.assertIsNone(self.daemon.poll())

    def test_removes_the_network_and_ends_the_daemons(self):
        collector = threading.Thread(target=self.daemon.wait)  # or it would seem to live on, as a zombie of this process
        collector.start()
        done = self.undo()
        collector.join(10)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("net-destroy multilibos", (self.folder / "asked").read_text(encoding="ascii"))
        self.assertIsNotNone(self.daemon.poll())
        self.assertFalse((self.folder / "state").exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=1)
