"""The front end with bare-metal nodes through libvirt, as a user meets it.
usage: bare_metal_test.py APPLICATION EBB SERVICE_CLIENT; APPLICATION.elf is the image."""
import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from front_end import LIMIT_S, FrontEnd, domains, key_files, wait_until

APPLICATION, EBB, CLIENT = sys.argv[1:4]


def call(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=2 * LIMIT_S)
    return done.returncode, done.stdout, done.stderr


def start(*words):
    return FrontEnd([APPLICATION, *words, "--ebb-driver=libvirt"], libvirt=True)


def machine_of(front_end, node):
    """The process of a node's QEMU."""
    name = f"guest=multilibos-{front_end.process.pid}-{node},".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if name in (folder / "cmdline").read_bytes():
                    return int(folder.name)
            except (FileNotFoundError, ProcessLookupError):
                pass
    raise AssertionError(f"node {node} has no machine")


class Work(unittest.TestCase):
    def test_calls_every_core_of_every_node_and_sums_over_them(self):
        for nodes, cores, total in ((2, 2, 1_000_062), (1, 4, 1_000_046), (3, 1, 1_000_060)):
            with self.subTest(nodes=nodes, cores=cores), start("sum", f"--ebb-backends={nodes}", f"--ebb-cores={cores}") as front_end:
                self.assertEqual(front_end.wait(), 0, front_end.errors)
                self.assertEqual(front_end.lines, [f"sum {total}"])
                self.assertEqual(front_end.leftovers(), [])

    def test_the_service_adds_and_removes_machines(self):
        with start("hold", "--ebb-backends=1") as front_end:
            front_end.wait_ready()
            self.assertEqual(call(CLIENT, front_end.address, "add", 1)[:2], (0, "node 2\n"))
            self.assertEqual(call(CLIENT, front_end.address, "remove", 1)[:2], (0, ""))
            nodes = json.loads(call(EBB, "nodes", "--json", "--frontend", front_end.address)[1])["nodes"]
            self.assertEqual([(node["id"], node["driver"], node["cores"]) for node in nodes[1:]], [(2, "libvirt", 2)])
            self.assertTrue(nodes[1]["endpoint"].startswith("10.88.0."), nodes)
            self.assertNotIn(f"multilibos-{front_end.process.pid}-1", domains())

    def test_the_network_lasts_as_long_as_somebody_may_use_it(self):
        with start("hold", "--ebb-backends=1") as maker, start("hold", "--ebb-backends=0") as user:
            maker.wait_ready().process.send_signal(signal.SIGTERM)
            user.wait_ready()
            self.assertEqual(maker.wait(), 143)
            self.assertIn("a front end uses it", call(EBB, "host-clean")[1])
            self.assertEqual(call(CLIENT, user.address, "add", 1)[:2], (0, "node 1\n"))
            user.process.send_signal(signal.SIGTERM)
            self.assertEqual(user.wait(), 143)
        self.assertFalse(Path("/sys/class/net/mlbos0").exists())

    def test_ebb_run_runs_it(self):
        status, output, errors = call(EBB, "run", APPLICATION, "--backends", 2, "--driver", "libvirt", "--", "sum")
        self.assertEqual((status, output), (0, "sum 1000062\n"), errors)


class Trouble(unittest.TestCase):
    def test_a_machine_that_dies_reaches_the_application(self):
        with start("call", "--ebb-backends=2") as front_end:
            os.kill(machine_of(front_end.wait_ready(), 1), signal.SIGKILL)
            self.assertEqual(front_end.wait(), 1)
            about = [line for line in front_end.errors if line.startswith("ebb: node 1 is gone") or "node_gone" in line]
            self.assertEqual(len(about), 1, front_end.errors)
            self.assertTrue(about[0].startswith("ebb: node 1 is gone"), about)
            self.assertEqual(front_end.leftovers(), [])

    def test_a_machine_that_faults_says_what_where_and_on_which_core(self):
        with start("fault", "--ebb-backends=2") as front_end:
            self.assertEqual(front_end.wait(), 1)
            errors = "\n".join(front_end.errors)
            self.assertRegex(errors, r"\[node 1\] ebb-panic: .*core \d")
            self.assertRegex(errors, r"ebb: node 1 is gone: ebb-panic: ")
            self.assertIn("Counter::fault", errors)
            self.assertEqual(front_end.leftovers(), [])

    def assert_fails(self, text, *words):
        with start("sum", "--ebb-backends=1", *words) as front_end:
            self.assertEqual(front_end.wait(), 1, front_end.errors)
            self.assertEqual(len(front_end.errors), 1, front_end.errors)
            self.assertIn(text, front_end.errors[0])
            self.assertEqual(front_end.leftovers(), [])

    def test_a_missing_image_is_named(self):
        self.assert_fails("/no/such/image.elf", "--ebb-image=/no/such/image.elf")

    def test_a_libvirt_that_does_not_answer_is_named(self):
        self.assert_fails("libvirt", "--ebb-uri=qemu+unix:///system?socket=/no/such/socket")

    def test_a_host_without_memory_for_the_nodes_is_noticed(self):
        self.assert_fails("MiB free", "--ebb-memory=1000000")

    def test_machines_end_with_a_killed_front_end_and_the_next_one_clears_its_files(self):
        with start("hold", "--ebb-backends=2") as front_end:
            front_end.wait_ready().process.kill()
            front_end.wait()
            mine = f"multilibos-{front_end.process.pid}-"
            self.assertTrue(wait_until(lambda: not any(name.startswith(mine) for name in domains())))
            self.assertEqual(len(key_files(front_end.process.pid)), 2)
            with start("arguments") as next_one:
                self.assertEqual(next_one.wait(), 0)
            self.assertEqual(front_end.leftovers(), [])
        self.assertEqual(call(EBB, "host-clean")[0], 0)


class Ending(unittest.TestCase):
    def test_signals_end_everything_in_order(self):
        with start("call", "--ebb-backends=2") as front_end:
            front_end.wait_ready().process.send_signal(signal.SIGINT)
            self.assertEqual(front_end.wait(), 130)
            self.assertEqual(front_end.leftovers(), [])

    def test_a_second_signal_ends_at_once(self):
        with start("spin", "--ebb-backends=1") as front_end:
            front_end.wait_ready().process.send_signal(signal.SIGINT)
            with self.assertRaises(subprocess.TimeoutExpired):
                front_end.process.wait(0.5)
            front_end.process.send_signal(signal.SIGINT)
            self.assertEqual(front_end.wait(), 130)
            self.assertEqual(front_end.leftovers(), [])


def tearDownModule():
    # Killed front ends, and those that a second signal ended, leave the network where no other has followed.
    call(EBB, "host-clean")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=1)
