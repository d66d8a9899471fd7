#!/usr/bin/env python3
"""Traces and histograms of a running program, as `ebb trace` and `ebb methods` show them.

    observe_test.py PROGRAM EBB DRIVER
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

import front_end

PROGRAM, EBB, DRIVER = sys.argv[1:4]
LIMIT = 60


class Observe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        # Where the sockets of an ordinary user's programs are; the superuser's are in one place for all of them.
        os.environ["XDG_RUNTIME_DIR"] = cls.folder.name
        cls.program = subprocess.Popen([PROGRAM, "--ebb-backends=3", "--ebb-cores=2", f"--ebb-driver={DRIVER}"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        cls.ready = cls.program.stdout.readline()
        cls.address = f"unix:{front_end.socket_folder() / str(cls.program.pid)}.sock"

    @classmethod
    def tearDownClass(cls):
        cls.program.stdin.close()
        status = cls.program.wait(LIMIT)
        cls.program.stdout.close()
        cls.folder.cleanup()
        assert status == 0, status

    def ebb(self, command, *arguments, status=0, address=None):
        """What the command prints; where it fails, its one line on stderr."""
        done = subprocess.run([EBB, command, "--frontend", address or self.address, *arguments], capture_output=True, timeout=LIMIT)
        self.assertEqual(done.returncode, status, done.stderr)
        if status == 0:
            return done.stdout.decode()
        self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)
        return done.stderr.decode(errors="replace")

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

    def test_what_a_node_had_is_there_when_it_was_removed(self):
        trace = self.trace_of("test.Chain/1.part")
        self.assertEqual((trace["spans"], trace["errors"]), (2, 0))

    def test_methods_are_counted_and_timed(self):
        methods = {method["method"]: method for method in json.loads(self.ebb("methods", "--json"))["methods"]
                   if method["interface"] == "test.Chain/1"}
        self.assertEqual(methods["count"]["calls"], 1000)
        self.assertEqual(methods["fail"]["errors"], 1)
        self.assertEqual(methods["count"]["errors"], 0)
        count = methods["count"]
        self.assertLessEqual(count["p50_nanos"], count["p99_nanos"])
        self.assertLessEqual(count["p99_nanos"], count["maximum_nanos"])
        self.assertGreater(count["maximum_nanos"], 0)
        self.assertIn("test.Chain/1.count", self.ebb("methods"))

    def test_sampling_is_set_and_bounded(self):
        self.ebb("trace", "--sample", "1000")
        self.ebb("trace", "--sample", "0")
        for wrong in ("2000000", "-1", "often", ""):
            self.assertIn("--sample", self.ebb("trace", "--sample", wrong, status=2))
        self.assertIn("excludes", self.ebb("trace", "12", "--sample", "5", status=2))

    def test_a_trace_that_is_not_there_is_said_in_one_line(self):
        self.assertIn("no trace ffff", self.ebb("trace", "f" * 32, status=1))

    def test_digits_that_several_traces_begin_with_are_too_few(self):
        first = [trace["id"][0] for trace in json.loads(self.ebb("trace", "--json"))["traces"]]
        several = next(digit for digit in first if first.count(digit) > 1)
        self.assertIn(f"several traces begin with {several}; give more digits", self.ebb("trace", several, status=1))

    def test_what_is_no_id_of_a_trace_is_wrong_usage(self):
        for wrong in ("xyz", "12 34", "0" * 33, b"\xff\xfe"):
            self.assertIn("hexadecimal digits", self.ebb("trace", wrong, status=2))
        self.assertIn("not expected", self.ebb("trace", "12", "34", status=2))
        self.assertIn("not expected", self.ebb("methods", "test.Chain/1", status=2))

    def test_a_front_end_that_does_not_run_is_said_in_one_line(self):
        for address in (f"unix:{self.folder.name}/nobody.sock", "127.0.0.1:1", "no address"):
            for command in (["trace"], ["trace", "12"], ["trace", "--sample", "1"], ["methods"]):
                self.assertIn(f"the front end at {address} does not answer", self.ebb(*command, status=1, address=address))


class HangingCollector(unittest.TestCase):
    def test_does_not_hold_up_the_end(self):
        with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
            collector = f"127.0.0.1:{listener.getsockname()[1]}"
            done = subprocess.run([PROGRAM, "--ebb-backends=3", f"--ebb-driver={DRIVER}", f"--ebb-otlp={collector}"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, env=dict(os.environ, XDG_RUNTIME_DIR=folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line for line in done.stderr.splitlines() if collector in line]
        # 4 + 2 + 2 * 17 + 2: all that the program recorded.
        self.assertEqual([line for line in lines if "spans did not reach" in line], [f"ebb: 42 spans did not reach the collector {collector}"])
        self.assertLessEqual(len([line for line in lines if "takes no spans" in line]), 1, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
