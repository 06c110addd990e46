# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The time of a training step on n ranks, on paper: tables of Markdown.

    python bench/mpi/model.py

A step of a batch of B samples, each a leaf, and P parameters takes, in seconds,

    ceil(B / n) t                                compute, t a sample on one rank
    + 2 ceil(log2 n) a                           messages of a sum by halves
    + 2 (n - 1) / n 4 P / b                      bytes that a rank sends, b a second
    + (n - 1) / n 12 P / m                       bytes that additions move, m a second

of which the sum can be hidden behind the backward pass of a rank's last leaf, two thirds of its compute, but for
the bucket of 25 MB that is complete last. Measured: t of the U-Net on two cores
(RESULTS.md), and the rate of arithmetic which that is. Assumed: a network of 200 Gb/s a rank, a = 2 us, m = 10 GB/s
on cores and 2 TB/s on a GPU, and 400 TF/s of a GPU for both networks.
"""
import math

UNET = dict(name="CIFAR-10 U-Net", parameters=35.7e6, batch=128, operations=6 * 6.06e9)
SIT = dict(name="SiT-XL/2", parameters=675e6, batch=256, operations=6 * 118.6e9)
UNET_SECONDS = 1.648 / 16
CORES = UNET["operations"] / UNET_SECONDS
PLACES = [("two cores a rank", CORES, 10e9), ("a GPU a rank (assumed)", 400e12, 2e12)]
LATENCY, BYTES, BUCKET = 2e-6, 25e9, 25e6


def step(network, rate, memory, n):
    compute = math.ceil(network["batch"] / n) * network["operations"] / rate
    share = (n - 1) / n * network["parameters"]
    summing = 2 * math.ceil(math.log2(n)) * LATENCY + 8 * share / BYTES + 12 * share / memory
    return compute, summing if n > 1 else 0


def text(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.2f} ms"


for network in (UNET, SIT):
    for place, rate, memory in PLACES:
        print(f"\n{network['name']}, batch {network['batch']}, {place}: "
              f"{text(network['operations'] / rate)} a sample\n")
        print("| ranks | compute | sum | sum at the end: step | speed-up | in buckets: step | speed-up |")
        print("|---|---|---|---|---|---|---|")
        alone = step(network, rate, memory, 1)[0]
        for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
            compute, summing = step(network, rate, memory, n)
            last = summing * min(1, BUCKET / (4 * network["parameters"]))
            hidden = min(summing - last, 2 / 3 * network["operations"] / rate)
            at_end, in_buckets = compute + summing, compute + summing - hidden
            print(f"| {n} | {text(compute)} | {text(summing)} | {text(at_end)} | "
                  f"{alone / at_end:.1f} | {text(in_buckets)} | {alone / in_buckets:.1f} |")
