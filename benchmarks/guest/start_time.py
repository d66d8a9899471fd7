#!/usr/bin/env python3
"""Prints how long it takes from QEMU's start to the first byte that an image's main writes: median and best of some runs."""
import argparse
import os
import statistics
import subprocess
import sys
import time

LIMIT = 30  # seconds for one start


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("image", help="one that says something at once, such as object_benchmark.elf")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs takes a number above zero (got {options.runs})")
    return options


def start(command):
    """Milliseconds until the first byte; then the machine is ended."""
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as qemu:
        os.set_blocking(qemu.stdout.fileno(), False)
        first = None
        while first is None and qemu.poll() is None and time.monotonic() < began + LIMIT:
            first = qemu.stdout.read(1)
            time.sleep(0.0002)
        took = time.monotonic() - began
        qemu.kill()
    if not first:
        sys.exit(f"start_time: the image wrote nothing within {LIMIT} s, or QEMU ended before (its message stands above)")
    return 1000 * took


def main():
    options = parse()
    if not os.access(options.image, os.R_OK):
        sys.exit(f"start_time: cannot read the image {options.image}")
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "q35", "-cpu", "max", "-smp", str(options.cores),
               "-m", "128", "-bios", "qboot.rom", "-kernel", options.image, "-append", "--benchmark_filter=BM_LocalHit",
               "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio"]
    try:
        times = [start(command) for _ in range(options.runs)]
    except OSError as error:
        sys.exit(f"start_time: cannot start QEMU ({error}); install qemu-system-x86")
    print(f"QEMU's start to the first byte from main, {options.cores} cores, {options.runs} runs: "
          f"median {statistics.median(times):.0f} ms, best {min(times):.0f} ms")


main()
