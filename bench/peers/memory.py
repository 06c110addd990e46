#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Time and most resident memory of the networks of images, vrfm beside PyTorch eager and compiled: each side of a
case in a process of its own, programs and libraries included, which is for networks that do not fit beside one
another. Prints a Markdown table: medians of the turns behind one to warm up, and ratios to the better way.

  memory.py PEER [--threads 2] [--turns 3] [--only WORD]

PEER is the program vrfm_peer of the preset bench. Needs torch, torchcfm 1.0.7, timm 1.0, and diffusers for the decoder.
"""
import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("peer", help="the program vrfm_peer")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--turns", type=int, default=3, help="repetitions of each side")
parser.add_argument("--only", default="", help="only the cases whose name contains this")
options = parser.parse_args()
os.environ.update(OMP_NUM_THREADS=str(options.threads), OMP_PROC_BIND="false",
                  PYTHONPATH=str(Path(__file__).parent))


def measured(command, order=""):
    """Milliseconds and MiB of `command`, which reads `order` and writes a line of seconds for each turn."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(order)
        process.stdin.close()
        seconds = [float(line) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
    if status or len(seconds) != options.turns + 1:
        sys.exit(f"{command[0]} failed")
    return 1000 * statistics.median(seconds[1:]), usage.ru_maxrss / 1024


PEER = """
import time, torch, images
torch.set_num_threads({threads})
work = images.{call}
for _ in range({turns} + 1):
    start = time.perf_counter()
    work()
    print(time.perf_counter() - start)
"""
cases = []
for network, name, batch in (("residual", "MNIST", 64), ("unet", "CIFAR-10 U-Net", 16),
                             ("sit-s", "SiT-S/2", 16), ("sit-xl", "SiT-XL/2", 2)):
    for what, order, work in (("training step", "images", "training"), ("Euler step", "draw", "euler")):
        cases.append((f"{what}, {name}, batch {batch}", f"{order} {network} {batch} 1",
                      f"{work}('{network}', {batch}, 1, %s)"))
cases.append(("decoder of one image of 256 x 256", "decode 1 0", "decoding(1, %s)"))

print("| case | vrfm | PyTorch eager | compiled | time | memory |")
print("|---|---|---|---|---|---|")
for case, order, call in cases:
    if options.only not in case:
        continue
    sides = [measured([options.peer], f"{order}\n" * (options.turns + 1))]
    for way in ("lambda f: f", "torch.compile"):
        code = PEER.format(threads=options.threads, turns=options.turns, call=call % way)
        sides.append(measured([sys.executable, "-c", code]))
    better = [min(side[k] for side in sides[1:]) for k in range(2)]
    print(f"| {case} | " + " | ".join(f"{ms:.0f} ms, {mib:.0f} MiB" for ms, mib in sides) +
          " | " + " | ".join(f"{sides[0][k] / better[k]:.2f}" for k in range(2)) + " |", flush=True)
