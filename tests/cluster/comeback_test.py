"""A node that stands still until it is declared gone, and goes on then. usage: comeback_test.py APPLICATION DRIVER EBB"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from front_end import FrontEnd, runs, wait_until
from held_libvirt import HeldLibvirt

APPLICATION, DRIVER, EBB = sys.argv[1:4]
LIMIT_S = 150

# A node in a session of its own: what its driver ends is this script, and not the node. Its words and its status go to a file.
OUT_OF_REACH = """#!/bin/sh
setsid sh -c '"$0" "$@" >>"{log}" 2>&1; echo "ended $?" >>"{log}"' "{program}" "$@"
exit $?
"""


def ended(front_end):
    return front_end.process.poll() is not None


class Comeback(unittest.TestCase):
    def run_application(self, *words, beside=lambda front_end: None):
        with FrontEnd([APPLICATION, f"--ebb-driver={DRIVER}", *words], libvirt=DRIVER == "libvirt") as front_end:
            try:
                beside(front_end)
                self.assertTrue(wait_until(lambda: ended(front_end), LIMIT_S), front_end.errors)
                self.assertEqual((front_end.wait(), front_end.lines[-1:]), (0, ["all promises hold"]), front_end.errors)
                self.assertEqual(len(front_end.nodes), 2)
                self.assertEqual(front_end.leftovers(), [])
                about = [line for line in front_end.errors if line.startswith("ebb: node 1 is gone: ")]
                self.assertEqual(len(about), 1, front_end.errors)
            finally:
                for process in front_end.nodes.values():
                    if runs(process):
                        os.kill(process, signal.SIGKILL)
            return front_end

    def test_is_ended_by_whoever_started_it(self):
        front_end = self.run_application("late")
        # A machine goes on for a moment before its QEMU ends, whose guest may come to its own end.
        told = [line for line in front_end.errors if line.startswith("[node 1] at the end: ")]
        self.assertTrue(all("older answers 0, late answers 0," in line for line in told), told)

    @unittest.skipUnless(DRIVER == "process", "of processes")
    def test_ends_by_itself_where_nobody_can_end_it(self):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            image = Path(folder) / "image"
            image.write_text(OUT_OF_REACH.format(program=APPLICATION, log=log))
            image.chmod(0o700)
            front_end = self.run_application(f"--ebb-image={image}")
            self.assertIn("it has come back", front_end.lines)
            # The status is written a moment after the process has ended.
            wait_until(lambda: log.read_text().count("ended ") == 2)
            words = log.read_text()
            self.assertEqual(sorted(re.findall(r"(?m)^ended (\d+)$", words)), ["0", "72"], words)
            self.assertRegex(words, r"(?m)^node 1: node_gone: ")

    @unittest.skipUnless(DRIVER == "libvirt", "of machines")
    def test_a_machine_powers_itself_off_where_libvirt_does_not(self):
        with tempfile.TemporaryDirectory() as folder, HeldLibvirt(folder) as libvirt:
            asked = Path(folder) / "asked"

            def end_it_too_late(front_end):
                self.assertTrue(wait_until(lambda: libvirt.held or ended(front_end), LIMIT_S), front_end.errors)
                asked.touch()
                self.assertTrue(wait_until(lambda: "it has ended" in front_end.lines or ended(front_end), LIMIT_S), front_end.errors)
                libvirt.release()

            front_end = self.run_application(asked, f"--ebb-uri={libvirt.uri}", beside=end_it_too_late)
            self.assertGreater(libvirt.held, 0)
        self.assertIn("it has come back", front_end.lines)
        errors = "\n".join(front_end.errors)
        self.assertRegex(errors, r"(?m)^\[node 1\] node 1: node_gone: ")
        told = re.findall(r"(?m)^\[node 1\] at the end: older answers (\d+), late answers (\d+), old reads (\d+)$", errors)
        self.assertEqual([told[0][:2]] if told else told, [("0", "0")], errors)
        # As many for each of the two cores as docs/objects.md has it.
        self.assertLessEqual(int(told[0][2]), 2 * 64)


def tearDownModule():
    if DRIVER == "libvirt":
        # Of front ends that were killed, where no other has followed.
        subprocess.run([EBB, "host-clean"], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=1)
