"""The front end with process nodes, as a user meets it. usage: front_end_test.py APPLICATION EBB SERVICE_CLIENT COLLISION"""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from front_end import LIMIT_S, FrontEnd, runs, socket_folder, wait_until

APPLICATION, EBB, CLIENT, COLLISION = sys.argv[1:5]


def call(*words):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT_S)
    return done.returncode, done.stdout, done.stderr


class Work(unittest.TestCase):
    def test_calls_every_core_of_every_node_and_sums_over_them(self):
        with FrontEnd([APPLICATION, "sum", "--ebb-backends=2"]) as front_end:
            self.assertEqual(front_end.wait(), 0, front_end.errors)
            self.assertEqual(front_end.lines, ["sum 1000062"])
            self.assertRegex("\n".join(front_end.errors), r"2 nodes have joined[^\n]*\n[^\n]*2 nodes have stopped")
            self.assertEqual(front_end.leftovers(), [])

    def test_works_with_one_core_and_more_nodes(self):
        with FrontEnd([APPLICATION, "sum", "--ebb-backends=5", "--ebb-cores=1", "--ebb-frontend-cores=1", "--ebb-quiet"]) as front_end:
            self.assertEqual(front_end.wait(), 0, front_end.errors)
            self.assertEqual(front_end.lines, ["sum 1000150"])
            self.assertEqual(front_end.errors, [])

    def test_keeps_the_directory_in_a_file(self):
        file = f"/tmp/front_end_test-{os.getpid()}.sqlite"
        try:
            for _ in range(2):
                self.assertEqual(call(APPLICATION, "sum", f"--ebb-directory={file}", "--ebb-quiet"), (0, "sum 1000000\n", ""))
            self.assertTrue(os.path.exists(file))
        finally:
            os.unlink(file)

    def test_leaves_the_application_its_arguments(self):
        self.assertEqual(call(APPLICATION, "arguments", "--json", "--ebb-quiet", "--", "--ebb-x")[:2],
                         (0, "arguments\n--json\n--\n--ebb-x\n"))


class Service(unittest.TestCase):
    def setUp(self):
        front_end = FrontEnd([APPLICATION, "hold", "--ebb-backends=2"])
        self.addCleanup(front_end.__exit__)
        self.front_end = front_end.wait_ready()

    def nodes(self):
        return json.loads(call(EBB, "nodes", "--json", "--frontend", self.front_end.address)[1])["nodes"]

    def test_is_healthy_and_describes_itself(self):
        self.assertEqual(call(CLIENT, self.front_end.address, "health")[1], "serving\n")
        self.assertIn("multilibos.v1.Cluster", call(CLIENT, self.front_end.address, "services")[1])

    def test_lists_nodes_with_their_times(self):
        nodes = self.nodes()
        self.assertEqual([(node["id"], node["driver"], node["cores"]) for node in nodes[1:]],
                         [(1, "process", 2), (2, "process", 2)])
        self.assertEqual(nodes[0]["driver"], "frontend")
        self.assertTrue(all(node["launch_seconds"] > 0 and node["join_seconds"] > 0 for node in nodes[1:]))

    def test_lists_objects(self):
        answer = json.loads(call(EBB, "objects", "--json", "--frontend", self.front_end.address)[1])
        shown = [(each["interface"], each["kind"], each["home"], each["home_core"], each["name"], each["state"])
                 for each in answer["objects"]]
        self.assertEqual(shown, [("test.Counter/1", "per_core", 0, 0, "", "live"), ("test.Counter/1", "per_core", 0, 0, "", "live"),
                                 ("test.Till/1", "single_home", 2, 1, "the till", "live")])
        self.assertEqual(answer["objects"][0]["id"], 100)
        self.assertEqual([node["node"] for node in answer["nodes"]], [0, 1, 2])
        for node in answer["nodes"]:
            self.assertGreater(node["known"], 0)
            self.assertGreater(node["representatives"], 0)
            self.assertGreaterEqual(node["misses"], node["representatives"])
            self.assertGreater(node["mean_nanos"], 0)
        self.assertGreater(answer["nodes"][2]["asked"], 0)

    def test_adds_and_removes_nodes_and_tells_watchers(self):
        with FrontEnd([EBB, "watch", "--json", "--frontend", self.front_end.address]) as watch:
            self.assertTrue(wait_until(lambda: len(watch.lines) == 3), watch.errors)
            self.assertEqual(call(CLIENT, self.front_end.address, "add", 1)[:2], (0, "node 3\n"))
            self.assertEqual([node["id"] for node in self.nodes()], [0, 1, 2, 3])
            self.assertEqual(call(CLIENT, self.front_end.address, "remove", 1)[:2], (0, ""))
            self.assertTrue(wait_until(lambda: not runs(self.front_end.nodes[1])))
            self.assertEqual([node["id"] for node in self.nodes()], [0, 2, 3])
            self.assertTrue(wait_until(lambda: len(watch.lines) == 5), watch.lines)
            events = [json.loads(line) for line in watch.lines[3:]]
            self.assertEqual([(each["event"], each["node"]["id"]) for each in events], [("joined", 3), ("gone", 1)])
        status, line, _ = call(CLIENT, self.front_end.address, "remove", 1)
        self.assertEqual(status, 1)
        self.assertIn("no node 1", line)

    def test_refuses_a_node_with_the_wrong_key(self):
        endpoint = self.nodes()[0]["endpoint"]
        reading, writing = os.pipe()
        os.write(writing, b"x" * 32)
        os.close(writing)
        done = subprocess.run([APPLICATION, "--ebb-role=node", "--ebb-node=9", f"--ebb-frontend={endpoint}", "--ebb-cores=1"],
                              env=dict(os.environ, EBB_SECRET_FD=str(reading)), pass_fds=[reading], capture_output=True,
                              text=True, timeout=LIMIT_S)
        os.close(reading)
        self.assertEqual(done.returncode, 72)
        self.assertRegex(done.stderr, r"(?m)^node 9: unauthenticated: .*key")
        self.assertEqual(len(self.nodes()), 3)


class Trouble(unittest.TestCase):
    def assert_fails(self, words, status, text):
        """One line says why, and nothing is left."""
        with FrontEnd(words) as front_end:
            self.assertEqual(front_end.wait(), status, front_end.errors)
            self.assertEqual(len(front_end.errors), 1, front_end.errors)
            self.assertIn(text, front_end.errors[0])
            self.assertEqual(front_end.lines, [])
            self.assertEqual(front_end.leftovers(), [])

    def test_a_node_that_dies_reaches_the_application(self):
        with FrontEnd([APPLICATION, "call", "--ebb-backends=2"]) as front_end:
            os.kill(front_end.wait_ready().nodes[1], signal.SIGKILL)
            self.assertEqual(front_end.wait(), 1)
            about = [line for line in front_end.errors if "node 1" in line or "node_gone" in line]
            self.assertEqual(about, ["ebb: node 1 is gone: killed by signal 9"], front_end.errors)
            self.assertRegex(front_end.errors[-1], "ebb: 1 node has stopped")
            self.assertEqual(front_end.leftovers(), [])

    def test_a_node_that_faults_reaches_the_application(self):
        with FrontEnd([APPLICATION, "fault", "--ebb-backends=2"]) as front_end:
            self.assertEqual(front_end.wait(), 1)
            # An address sanitizer turns the signal into an exit status.
            self.assertRegex("\n".join(front_end.errors), r"ebb: node 1 is gone: (killed by signal 11|exit status 1)(\n|$)")
            self.assertEqual(front_end.leftovers(), [])

    def test_a_node_that_dies_while_nobody_calls_it_is_reported(self):
        with FrontEnd([APPLICATION, "hold", "--ebb-backends=2"]) as front_end:
            os.kill(front_end.wait_ready().nodes[2], signal.SIGKILL)
            self.assertTrue(wait_until(lambda: "ebb: node 2 is gone: killed by signal 9" in front_end.errors), front_end.errors)
            nodes = json.loads(call(EBB, "nodes", "--json", "--frontend", front_end.address)[1])["nodes"]
            self.assertEqual([node["id"] for node in nodes], [0, 1])
            answer = json.loads(call(EBB, "objects", "--json", "--frontend", front_end.address)[1])
            till = next(each for each in answer["objects"] if each["name"] == "the till")
            self.assertEqual((till["state"], till["home"], till["epoch"]), ("lost", 2, 1))
            self.assertEqual([node["node"] for node in answer["nodes"]], [0, 1])

    def test_nodes_end_with_a_killed_front_end_and_the_next_one_clears_its_socket(self):
        with FrontEnd([APPLICATION, "hold", "--ebb-backends=2"]) as front_end:
            front_end.wait_ready().process.kill()
            front_end.wait()
            self.assertTrue(wait_until(lambda: not any(runs(process) for process in front_end.nodes.values())))
            self.assertTrue(front_end.socket.exists())
            self.assertEqual(call(APPLICATION, "arguments")[0], 0)
            self.assertEqual(front_end.leftovers(), [])

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.assert_fails([APPLICATION, "sum", f"--ebb-grpc={address}"], 1, address)

    def test_a_missing_image_is_named(self):
        self.assert_fails([APPLICATION, "sum", "--ebb-image=/no/such/image"], 1, "/no/such/image")

    def test_a_program_that_is_no_node_is_noticed(self):
        self.assert_fails([APPLICATION, "sum", "--ebb-backends=1", "--ebb-image=/bin/true"], 1,
                          "node 1 ended before it had joined: exit status 0")

    def test_two_static_objects_with_one_id_keep_a_node_from_starting(self):
        text = "have the id 100; give one of them another id"
        self.assert_fails([COLLISION], 1, text)
        self.assert_fails([COLLISION, "--ebb-backends=2"], 1, text)
        self.assert_fails([APPLICATION, "sum", "--ebb-backends=1", f"--ebb-image={COLLISION}", "--ebb-quiet"], 1, text)

    def test_a_directory_that_cannot_be_opened_is_named(self):
        self.assert_fails([APPLICATION, "sum", "--ebb-directory=/no/such/folder/file"], 1,
                          "'/no/such/folder/file' cannot be opened: No such file or directory; ")

    def test_a_wrong_image_is_named(self):
        self.assert_fails([APPLICATION, "sum", f"--ebb-image={APPLICATION}", "--ebb-driver=libvirt"], 1, "is no bare-metal image")
        self.assert_fails([APPLICATION, "sum", f"--ebb-image={APPLICATION}.elf"], 1, "is a bare-metal image")

    def test_output_that_is_lost_is_no_success(self):
        with open("/dev/full", "wb") as full, FrontEnd([APPLICATION, "hold"]) as front_end:
            front_end.wait_ready()
            for words in ([APPLICATION, "arguments", "x"], [EBB, "nodes", "--frontend", front_end.address],
                          [EBB, "watch", "--frontend", front_end.address]):
                done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn("standard output", done.stderr)

    def test_a_wrong_option_is_named(self):
        self.assert_fails([APPLICATION, "sum", "--ebb-grpc=127.0.0.1:99999"], 2, "--ebb-grpc=127.0.0.1:99999")
        self.assert_fails([APPLICATION, "sum", "--ebb-cores=many"], 2, "--ebb-cores=many")

    def test_what_the_application_throws_is_shown(self):
        self.assert_fails([APPLICATION, "throw"], 70, "std::runtime_error: thrown on purpose?[2J?")


class Ending(unittest.TestCase):
    def test_signals_end_everything_in_order(self):
        for number, command in ((signal.SIGINT, "call"), (signal.SIGTERM, "hold"), (signal.SIGHUP, "hold")):
            with self.subTest(number), FrontEnd([APPLICATION, command, "--ebb-backends=2"]) as front_end:
                front_end.wait_ready().process.send_signal(number)
                self.assertEqual(front_end.wait(), 128 + number)
                self.assertRegex(front_end.errors[-1], "2 nodes have stopped")
                self.assertEqual(front_end.leftovers(), [])

    def test_a_second_signal_ends_at_once_although_the_application_does_not_yield(self):
        with FrontEnd([APPLICATION, "spin", "--ebb-backends=1"]) as front_end:
            front_end.wait_ready().process.send_signal(signal.SIGINT)
            with self.assertRaises(subprocess.TimeoutExpired):
                front_end.process.wait(0.5)
            front_end.process.send_signal(signal.SIGINT)
            self.assertEqual(front_end.wait(), 130)
            self.assertEqual(front_end.leftovers(), [])


class Run(unittest.TestCase):
    def test_runs_a_program_with_its_options_and_gives_its_status(self):
        status, output, _ = call(EBB, "run", APPLICATION, "--backends", "2", "--cores", "1", "--", "sum")
        self.assertEqual((status, output), (0, "sum 1000030\n"))
        self.assertEqual(call(EBB, "run", APPLICATION, "--", "no such command")[0], 64)

    def test_passes_signals_on(self):
        with FrontEnd([EBB, "run", APPLICATION, "--backends", "1", "--", "hold"]) as run:
            run.wait_ready().process.send_signal(signal.SIGTERM)
            self.assertEqual(run.wait(), 143)
            self.assertEqual(run.leftovers(), [])

    def test_takes_a_signal_to_its_whole_group_for_one(self):
        with FrontEnd(["setsid", EBB, "run", APPLICATION, "--backends", "1", "--", "spin"]) as run:
            group = run.wait_ready().process.pid
            for _ in range(2):
                os.killpg(group, signal.SIGTERM)
                time.sleep(0.05)  # or the two would be one to the kernel already
            with self.assertRaises(subprocess.TimeoutExpired):
                run.process.wait(0.5)
            os.killpg(group, signal.SIGTERM)
            self.assertEqual(run.wait(), 143)
            self.assertEqual(run.leftovers(), [])

    def test_says_in_its_own_words_which_option_is_wrong(self):
        status, _, errors = call(EBB, "run", APPLICATION, "--backends", "-1")
        self.assertEqual((status, errors.count("\n")), (2, 1))
        self.assertIn("--backends=-1", errors)
        self.assertNotIn("--ebb-", errors)

    def test_removes_what_a_killed_program_leaves(self):
        with FrontEnd([EBB, "run", APPLICATION, "--backends", "1", "--", "hold"]) as run:
            process = run.wait_ready().process.pid
            with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as children:
                program = int(children.read().split()[0])
            os.kill(program, signal.SIGKILL)
            self.assertEqual(run.wait(), 137)
            self.assertRegex(run.errors[-1], "was ended by signal 9")
            self.assertFalse((socket_folder() / f"{program}.sock").exists())
            self.assertEqual(run.leftovers(), [])

    def test_names_a_program_that_it_cannot_run(self):
        for program in ("/no/such/program", "/etc/hostname", "/"):
            status, _, errors = call(EBB, "run", program)
            self.assertEqual((status, errors.count("\n")), (1, 1))
            self.assertIn(program, errors)
        self.assertIn("path", call(EBB, "run", "hello")[2])
        self.assertIn("bare-metal", call(EBB, "run", f"{APPLICATION}.elf")[2])


class Usage(unittest.TestCase):
    def test_names_a_command_that_there_is_not_and_those_there_are(self):
        status, _, errors = call(EBB, "frob")
        self.assertEqual((status, errors.count("\n")), (2, 1))
        self.assertRegex(errors, "no command 'frob'.*run.*nodes.*host-clean")

    def test_refers_to_the_help_of_the_command(self):
        self.assertIn("`ebb nodes --help`", call(EBB, "nodes", "--nonsense")[2])

    def test_tells_its_version_and_its_commands(self):
        self.assertRegex(call(EBB, "--version")[1], r"^ebb \d+\.\d+\.\d+\n$")
        self.assertIn("host-clean", call(EBB, "help")[1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[5:], verbosity=1)
