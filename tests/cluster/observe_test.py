#!/usr/bin/env python3
"""Traces and histograms of a running program, as `ebb trace` and `ebb methods` show them.

    observe_test.py PROGRAM EBB
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM, EBB = sys.argv[1:3]
LIMIT = 30


class Observe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.environment = dict(os.environ, XDG_RUNTIME_DIR=cls.folder.name)
        cls.program = subprocess.Popen([PROGRAM, "--ebb-backends=2", "--ebb-cores=2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True, env=cls.environment)
        cls.ready = cls.program.stdout.readline()

    @classmethod
    def tearDownClass(cls):
        cls.program.stdin.close()
        status = cls.program.wait(LIMIT)
        cls.program.stdout.close()
        cls.folder.cleanup()
        assert status == 0, status

    def ebb(self, *arguments, status=0):
        done = subprocess.run([EBB, *arguments], capture_output=True, text=True, timeout=LIMIT, env=self.environment)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout if status == 0 else done.stderr

    def trace_of(self, name):
        traces = json.loads(self.ebb("trace", "--json"))["traces"]
        return next(trace for trace in traces if trace["name"] == name)

    def test_a_call_over_three_nodes_is_one_tree(self):
        self.assertEqual(self.ready, "ready: 2 application_error\n")
        trace = self.trace_of("test.Chain/1.follow")
        self.assertEqual((trace["spans"], trace["errors"]), (4, 0))
        spans = json.loads(self.ebb("trace", trace["id"][:12], "--json"))["spans"]
        path = []
        parent = ""
        while True:
            child = [span for span in spans if span["parent"] == parent]
            if not child:
                break
            self.assertEqual(len(child), 1)
            path.append((child[0]["node"], child[0]["kind"]))
            parent = child[0]["id"]
        self.assertEqual(path, [(0, "calls"), (1, "runs"), (1, "calls"), (2, "runs")])
        # One machine: clocks that were corrected agree to a fraction of a round trip.
        starts = [span["start_unix_nanos"] for span in spans]
        self.assertLess(max(starts) - min(starts), 10_000_000_000)

    def test_the_tree_is_printed_with_its_nodes(self):
        lines = self.ebb("trace", self.trace_of("test.Chain/1.follow")["id"]).splitlines()
        self.assertEqual(len(lines), 5)
        self.assertTrue(lines[1].startswith("calls test.Chain/1.follow"), lines[1])
        self.assertTrue(lines[4].startswith("      runs test.Chain/1.follow"), lines[4])
        self.assertIn("2.", lines[4])

    def test_a_failed_call_says_how(self):
        trace = self.trace_of("test.Chain/1.fail")
        self.assertEqual((trace["spans"], trace["errors"]), (2, 2))
        self.assertIn("application_error", self.ebb("trace", trace["id"]))

    def test_methods_are_counted_and_timed(self):
        methods = {method["method"]: method for method in json.loads(self.ebb("methods", "--json"))["methods"]
                   if method["interface"] == "test.Chain/1"}
        self.assertEqual(methods["count"]["calls"], 1000)
        self.assertEqual(methods["fail"]["errors"], 1)
        count = methods["count"]
        self.assertLessEqual(count["p50_nanos"], count["p99_nanos"])
        self.assertLessEqual(count["p99_nanos"], count["maximum_nanos"])
        self.assertGreater(count["maximum_nanos"], 0)
        self.assertIn("test.Chain/1.count", self.ebb("methods"))

    def test_sampling_is_set_and_bounded(self):
        self.ebb("trace", "--sample", "1000")
        self.ebb("trace", "--sample", "0")
        self.assertIn("--sample", self.ebb("trace", "--sample", "2000000", status=105))

    def test_what_is_not_there_is_said_in_one_line(self):
        unknown = self.ebb("trace", "ffffffffffffffffffffffffffffffff", status=1)
        self.assertIn("no trace", unknown)
        self.assertEqual(unknown.count("\n"), 1)
        self.assertIn("no id of a trace", self.ebb("trace", "xyz", status=1))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
