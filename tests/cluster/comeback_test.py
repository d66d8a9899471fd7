"""A node that stands still until it is declared gone, and goes on then. usage: comeback_test.py APPLICATION"""
import os
import re
import signal
import sys
import tempfile
import unittest
from pathlib import Path

from front_end import FrontEnd, runs, wait_until

APPLICATION = sys.argv[1]
LIMIT_S = 150

# A node in a session of its own: what its driver ends is this script, and not the node. Its words and its status go to a file.
OUT_OF_REACH = """#!/bin/sh
setsid sh -c '"$0" "$@" >>"{log}" 2>&1; echo "ended $?" >>"{log}"' "{program}" "$@"
exit $?
"""


class Comeback(unittest.TestCase):
    def run_application(self, *words):
        with FrontEnd([APPLICATION, *words]) as front_end:
            try:
                self.assertTrue(wait_until(lambda: front_end.process.poll() is not None, LIMIT_S), front_end.errors)
                self.assertEqual((front_end.wait(), front_end.lines[-1]), (0, "all promises hold"), front_end.errors)
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
        self.run_application()

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


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=1)
