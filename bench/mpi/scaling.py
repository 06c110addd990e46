# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ranks beside threads and beside processes that do not know of each other, on one machine.

    python bench/mpi/scaling.py FOLDER_OF_PROGRAMS [--turns N] [--iterations N]

trains vrfm_mnist and vrfm_cifar10 (recipe vrfm-small, batches of 32) on stand-in images, in turns, and prints
medians over the turns of images a second, as a table of Markdown:

    threads    one rank of two threads
    ranks      two ranks of one thread
    alone      two processes of one thread at the same time, each with a batch of its own: their sum
    together   two ranks of one thread with the two batches as one
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

BATCH = 32


def command(programs, name, data, output, batch, iterations):
    return [programs / f"vrfm_{name}", "train", "--recipe", "vrfm-small", "--data", data / name,
            "--output", output, "--overwrite", "--batch", str(batch), "--micro-batch", "4",
            "--iterations", str(iterations), "--checkpoint-every", "0", "--sample-every", "0",
            "--samples", "1", "--steps", "1"]


def environment(threads):
    return dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_PROC_BIND="false",
                OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def rate(outputs, batch):
    return sum(batch * json.loads((output / "metrics.json").read_text())["steps_per_second"]
               for output in outputs)


def measure(programs, name, data, folder, kind, iterations):
    batch = 2 * BATCH if kind == "together" else BATCH
    outputs = [folder / f"{name}-{kind}-{k}" for k in range(2 if kind == "alone" else 1)]
    launcher = ["mpirun", "-n", "2"] if kind in ("ranks", "together") else []
    runs = [subprocess.Popen(launcher + command(programs, name, data, output, batch, iterations),
                             env=environment(2 if kind == "threads" else 1),
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for output in outputs]
    for run in runs:
        if run.wait() != 0:
            raise SystemExit(f"{name}, {kind}: a run failed")
    return rate(outputs, batch)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()
    programs = options.programs.resolve()
    kinds = ["threads", "ranks", "alone", "together"]
    print("| images a second | " + " | ".join(kinds) + " | ranks / threads | together / alone |")
    print("|---|" + "---|" * (len(kinds) + 2))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = folder / "data"
        subprocess.run([programs / "vrfm_standins", "--train", "1000", "--test", "10", "--output",
                        data], check=True, stdout=subprocess.DEVNULL)
        for program in ("mnist", "cifar10"):
            rates = {kind: [] for kind in kinds}
            for _ in range(options.turns):
                for kind in kinds:
                    rates[kind].append(measure(programs, program, data, folder, kind,
                                               options.iterations))
            ratio = {pair: statistics.median(a / b for a, b in zip(rates[pair[0]], rates[pair[1]]))
                     for pair in (("ranks", "threads"), ("together", "alone"))}
            print(f"| {program} | " +
                  " | ".join(f"{statistics.median(rates[kind]):.1f}" for kind in kinds) +
                  " | " + " | ".join(f"{r:.3f}" for r in ratio.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
