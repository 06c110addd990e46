#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Most resident memory of the networks of images, vrfm beside PyTorch: each case in two processes of its
own, programs and libraries included. Prints a Markdown table.

  memory.py PEER [--threads 2]

PEER is the program vrfm_peer of the preset bench. Needs torch 2.13, torchcfm 1.0.7 and timm 1.0.
"""
import argparse
import os
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("peer", help="the program vrfm_peer")
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
os.environ.update(OMP_NUM_THREADS=str(options.threads), OMP_PROC_BIND="false",
                  PYTHONPATH=str(Path(__file__).parent))


def most_resident(command, order=""):
    """MiB of `command`, which reads `order`."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    process.stdin.write(order)
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return usage.ru_maxrss / 1024


print("| case | vrfm | PyTorch, eager | ratio |")
print("|---|---|---|---|")
for network, name, batch in (("residual", "MNIST", 64), ("unet", "CIFAR-10 U-Net", 16),
                             ("sit-s", "SiT-S/2", 16), ("sit-xl", "SiT-XL/2", 2)):
    for what, order, work in (("training step", "images", "training"), ("Euler step", "draw", "euler")):
        own = most_resident([options.peer], f"{order} {network} {batch} 2\n")
        code = f"import images; images.{work}('{network}', {batch}, 2, lambda f: f)()"
        peer = most_resident([sys.executable, "-c", code])
        print(f"| {what}, {name}, batch {batch} | {own:.0f} MiB | {peer:.0f} MiB | {own / peer:.2f} |",
              flush=True)
