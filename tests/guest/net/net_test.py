#!/usr/bin/env python3
"""A node with a network device against Linux: DHCP, ping, TCP in both directions, and how connections end.

usage: net_test.py RUN_IMAGE ECHO_NODE.elf [--cores N] [--queues N] [--memory MIB] [--device OPTIONS]

Runs in a network namespace of its own with a bridge, a tap and dnsmasq; nothing of it is left when the test ends.
"""
import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HOST = "10.99.0.1"
ECHO, CONNECT, END, RESET, CORE = 7000, 7001, 7002, 7003, 7004
PATIENCE = 60  # seconds; a busy machine without hardware virtualization is slow
options = None


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def in_own_namespace():
    """Runs this program again in its own network (and, if need be, user) namespace, which ends with it."""
    for tool in ("unshare", "ip", "dnsmasq", "qemu-system-x86_64"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            sys.exit(f"net_test: {tool} is missing; run ./dev setup")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ["EBB_NET_TEST"] = "1"
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    os.execvp(own[0], own + ["--kill-child=KILL", "--fork", "--pid", sys.executable] + sys.argv)


class Link:
    """The bridge, the tap and the DHCP server."""

    def __init__(self, folder):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
        run("ip", "addr", "add", f"{HOST}/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        run("ip", "tuntap", "add", "tap0", "mode", "tap", *(["multi_queue"] if options.queues > 1 else []))
        run("ip", "link", "set", "tap0", "master", "br0", "up")
        # no-ping: dnsmasq would look for three seconds whether somebody has the address.
        self.dnsmasq = subprocess.Popen(
            ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--interface=br0", "--bind-interfaces", "--port=0", "--user=root",
             "--no-ping", "--dhcp-range=10.99.0.10,10.99.0.20,255.255.255.0,1h", f"--dhcp-leasefile={folder}/leases"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.dnsmasq.terminate()
        self.dnsmasq.wait()


class Node:
    """The image under QEMU."""

    def __init__(self):
        queues = options.queues
        device = "virtio-net-pci,netdev=n0,disable-legacy=on,romfile=,mac=52:54:00:12:34:56" + options.device
        netdev = "tap,id=n0,ifname=tap0,script=no,downscript=no"
        if queues > 1:
            netdev += f",queues={queues}"
            device += f",mq=on,vectors={2 * queues + 2}"
        self.qemu = subprocess.Popen(
            [options.run_image, "--cores", str(options.cores), "--memory", str(options.memory), "--timeout", "150",
             "--qemu", f"-netdev {netdev} -device {device}", options.image], stdout=subprocess.PIPE, text=True)
        self.address = None
        self.output = []
        self.found = threading.Event()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        if not self.found.wait(PATIENCE) or not self.address:
            raise RuntimeError("the node got no address: " + "".join(self.output))

    def read(self):
        for line in self.qemu.stdout:
            self.output.append(line)
            match = re.match(r"address ([\d.]+):0 cores (\d+)", line)
            if match:
                self.address = match[1]
                self.cores = int(match[2])
                self.found.set()
        self.found.set()

    def connect(self, port):
        return socket.create_connection((self.address, port), timeout=PATIENCE)

    def close(self):
        if self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGTERM)
        status = self.qemu.wait()
        self.reader.join()
        if status != 0:
            sys.stderr.write(f"the node ended with status {status} after saying:\n" + "".join(self.output))


def receive_all(connection):
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def exchange(connection, data):
    """Sends `data` and closes that direction; what comes back."""
    failures = []

    def send():
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            failures.append(error)
    sender = threading.Thread(target=send)
    sender.start()
    received = bytearray()
    # The node ends its side as soon as ours has ended, so the last bytes are read before.
    while len(received) < len(data):
        part = connection.recv(1 << 16)
        if not part:
            break
        received += part
    sender.join()
    if failures:
        raise failures[0]
    return bytes(received)


def noise(size, seed):
    block = hashlib.shake_128(str(seed).encode()).digest(min(size, 1 << 20))
    return (block * (size // max(len(block), 1) + 1))[:size]


def internet_checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


class NodeOnTheNetwork(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.link = Link(cls.folder.name)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.link.close)
        cls.node = Node()
        cls.addClassCleanup(cls.node.close)

    def test_has_an_address_of_the_server(self):
        self.assertRegex(self.node.address, r"^10\.99\.0\.(1\d|20)$")
        self.assertEqual(self.node.cores, options.cores)

    def test_answers_pings_of_all_sizes(self):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            raw.settimeout(PATIENCE)
            for number, size in enumerate([0, 2, 56, 512, 1472]):
                body = noise(size, number)
                packet = struct.pack("!BBHHH", 8, 0, 0, 77, number) + body
                packet = packet[:2] + struct.pack("!H", internet_checksum(packet)) + packet[4:]
                raw.sendto(packet, (self.node.address, 0))
                while True:
                    reply = raw.recv(65536)[20:]
                    if reply[0] == 0 and struct.unpack("!HH", reply[4:8]) == (77, number):
                        break
                self.assertEqual(reply[8:], body)

    def test_echoes_a_byte_at_a_time(self):
        with self.node.connect(ECHO) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(200):
                connection.sendall(bytes([i]))
                self.assertEqual(connection.recv(10), bytes([i]))

    def test_echoes_ten_megabytes(self):
        data = noise(10_000_000, 1)
        began = time.monotonic()
        with self.node.connect(ECHO) as connection:
            received = exchange(connection, data)
        took = time.monotonic() - began
        print(f"10 MB both ways: {took:.2f} s")
        self.assertEqual(len(received), len(data))
        self.assertEqual(hashlib.sha256(received).digest(), hashlib.sha256(data).digest())

    def test_echoes_four_streams_at_once(self):
        results = {}

        def one(number):
            data = noise(2_000_000 + number, number)
            with self.node.connect(ECHO) as connection:
                results[number] = exchange(connection, data) == data
        threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, {number: True for number in range(4)})

    def test_holds_back_a_peer_that_does_not_read(self):
        with self.node.connect(ECHO) as connection:
            connection.setblocking(False)
            sent = 0
            quiet_since = time.monotonic()
            while time.monotonic() - quiet_since < 2 and sent < 200_000_000:
                try:
                    sent += connection.send(bytes(1 << 16))
                    quiet_since = time.monotonic()
                except BlockingIOError:
                    time.sleep(0.01)
            self.assertLess(sent, 200_000_000)
            connection.settimeout(PATIENCE)
            received = 0
            while received < sent:
                received += len(connection.recv(1 << 20))
            self.assertEqual(received, sent)

    def test_survives_more_peers_that_do_not_read_than_it_has_memory_for(self):
        # Each keeps up to 512 KiB of buffers in the node; with 256 MiB that is too much, and some are reset.
        connections = []
        for _ in range(500):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
            connection.settimeout(PATIENCE)
            connection.connect((self.node.address, ECHO))
            connection.setblocking(False)
            connections.append(connection)
        block = bytes(1 << 16)
        moved = time.monotonic()
        while time.monotonic() - moved < 0.5:
            for connection in connections:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    connection.send(block)
                    moved = time.monotonic()
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.test_echoes_a_byte_at_a_time()

    def test_takes_many_connections(self):
        connections = [self.node.connect(ECHO) for _ in range(200)]
        for number, connection in enumerate(connections):
            connection.sendall(str(number).encode())
        for number, connection in enumerate(connections):
            self.assertEqual(connection.recv(100), str(number).encode())
        for connection in connections:
            connection.close()

    def test_takes_connections_one_after_another(self):
        for number in range(300):
            with self.node.connect(ECHO) as connection:
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")

    def test_spreads_connections_over_its_cores(self):
        cores = set()
        for _ in range(64):
            with self.node.connect(CORE) as connection:
                cores.add(int(receive_all(connection)))
        self.assertEqual(cores, set(range(options.cores)))

    def test_refuses_a_port_nobody_listens_on(self):
        with self.assertRaises(ConnectionRefusedError):
            self.node.connect(9)

    def test_resets_a_connection_it_gives_up(self):
        with self.node.connect(RESET) as connection:
            connection.sendall(b"x")
            with self.assertRaises(ConnectionResetError):
                while connection.recv(1):
                    pass

    def test_survives_a_peer_that_resets(self):
        for _ in range(20):
            connection = self.node.connect(ECHO)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(bytes(1000))
            connection.close()
        self.test_echoes_a_byte_at_a_time()

    def test_survives_frames_that_make_no_sense(self):
        chance = random.Random(5)
        target = bytes.fromhex("525400123456")
        address = socket.inet_aton(self.node.address)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("br0", 0))
            source = raw.getsockname()[4]
            for _ in range(20_000):
                protocol = chance.choice([1, 6, 6, 6, 17, 255])
                body = chance.randbytes(chance.choice([0, 3, 8, 19, 20, 40, 100, 1400]))
                if protocol == 6 and len(body) >= 20:
                    body = body[:2] + struct.pack("!H", chance.choice([ECHO, CONNECT, 9])) + body[4:]
                length = chance.choice([20 + len(body)] * 3 + [chance.randrange(65536)])
                header = struct.pack("!BBHHHBBH4s4s", chance.choice([0x45, 0x45, 0x45, 0x46, 0x4F, 0x41, 0x60]), 0, length, 1,
                                     chance.choice([0, 0, 0, 0x2000, 0x1FFF]), 64, protocol, 0, socket.inet_aton("10.99.0.77"), address)
                checksum = internet_checksum(header) if chance.random() < 0.9 else 0
                header = header[:10] + struct.pack("!H", checksum) + header[12:]
                kind = chance.choice([b"\x08\x00"] * 4 + [b"\x08\x06", chance.randbytes(2)])
                raw.send((target if chance.random() < 0.9 else b"\xff" * 6) + source + kind + header + body)
        self.test_echoes_a_byte_at_a_time()
        self.test_answers_pings_of_all_sizes()

    def tell_to_connect(self, target):
        with self.node.connect(CONNECT) as connection:
            connection.sendall(target.encode() + b"\n")
            return receive_all(connection).decode()

    def test_connects_out(self):
        with socket.create_server((HOST, 0)) as server:
            server.settimeout(PATIENCE)
            heard = []

            def serve():
                for _ in range(20):
                    connection, _ = server.accept()
                    with connection:
                        heard.append(receive_all(connection))
                        connection.sendall(b"good day")
            thread = threading.Thread(target=serve)
            thread.start()
            answers = {self.tell_to_connect(f"{HOST}:{server.getsockname()[1]}") for _ in range(20)}
            thread.join()
        self.assertEqual(heard, [b"hello"] * 20)
        self.assertEqual(answers, {"ended after good day"})

    def test_says_that_a_connection_is_refused(self):
        self.assertEqual(self.tell_to_connect(f"{HOST}:9"), "unavailable")

    def test_says_that_there_is_no_way_to_an_address(self):
        # Nobody answers ARP there.
        self.assertEqual(self.tell_to_connect("10.99.0.99:80"), "unavailable")

    def test_zz_ends_with_its_status(self):
        with contextlib.suppress(ConnectionResetError):  # the node drops this connection, perhaps before we have seen it
            self.node.connect(END).close()
        self.assertEqual(self.node.qemu.wait(timeout=PATIENCE), 0)


def main():
    global options
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("run_image")
    parser.add_argument("image")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--queues", type=int, default=1)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    parser.add_argument("--device", default="", help="further options of the device, each with a comma before it")
    options, rest = parser.parse_known_args()
    if "EBB_NET_TEST" not in os.environ:
        in_own_namespace()
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)


main()
