#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Assignments beside SciPy's and entropic plans beside POT's, of squared distances of N points; both sides in turns.

  transport.py build/bench/bench/vrfm_bench_transport [--count 1000] [--iterations 100] [--turns 5]

SciPy: cdist and linear_sum_assignment. POT: dist and its iteration in the log domain, `sinkhorn_log`, and, where the
kernel exp(-C / eps) does not vanish, the plain one. Of each side the best turn counts; results must agree. Prints a
table of milliseconds, distances included. Needs numpy, scipy and POT.
"""
import argparse
import os
import pathlib
import subprocess
import tempfile
import time

import numpy
import ot
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("program")
parser.add_argument("--count", type=int, default=1000)
parser.add_argument("--iterations", type=int, default=100)
parser.add_argument("--turns", type=int, default=5)
options = parser.parse_args()
n = options.count
random = numpy.random.default_rng(1)


def on_circle():
    angle = random.integers(0, 6, n) * numpy.pi / 3
    return numpy.stack([numpy.cos(angle), numpy.sin(angle)], 1) + 0.1 * random.normal(size=(n, 2))


# Name, points, regularisation.
CASES = [
    ("normal, 2", lambda: random.normal(size=(2, n, 2)), 0.1),
    ("six modes, 2", lambda: numpy.stack([random.normal(size=(n, 2)), on_circle()]), 0.1),
    ("normal, 16", lambda: random.normal(size=(2, n, 16)), 2.0),
    ("normal, 784", lambda: random.normal(size=(2, n, 784)), 100.0),
]


def timed(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def assignment(x, y):
    cost = cdist(x, y, "sqeuclidean")
    return cost[linear_sum_assignment(cost)].sum()


def plan_cost(x, y, regularisation, method):
    cost, weights = ot.dist(x, y), numpy.full(n, 1 / n)
    plan = ot.sinkhorn(weights, weights, cost, regularisation, method=method, numItermax=options.iterations,
                       stopThr=0, warn=False)
    return (plan * cost).sum()


def main():
    print(f"| {n} points, D | vrfm | SciPy | ratio | {options.iterations} iterations: vrfm | POT, log | ratio | "
          "POT, plain | ratio |\n|---|---|---|---|---|---|---|---|---|")
    for name, make, regularisation in CASES:
        points = make()
        best = {}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "points.npy"
            numpy.save(path, points)
            for _ in range(options.turns):
                command = [options.program, str(path), str(regularisation), str(options.iterations), "3"]
                output = subprocess.run(command, check=True, capture_output=True, text=True,
                                        env={"OMP_PROC_BIND": "false", **os.environ}).stdout
                distances, solve, total, iterate, cost = map(float, output.split())
                sides = {"assignment": (distances + solve, total), "plan": (distances + iterate, cost),
                         "scipy": timed(lambda: assignment(*points))}
                for method in ("sinkhorn_log", "sinkhorn"):
                    sides[method] = timed(lambda: plan_cost(*points, regularisation, method))
                for side, (seconds, result) in sides.items():
                    best[side] = min(best.get(side, numpy.inf), seconds)
                    reference = sides["scipy" if side in ("assignment", "scipy") else "sinkhorn_log"][1]
                    if not abs(result - reference) <= 1e-5 * abs(reference):
                        raise SystemExit(f"{name}: {side} found {result}, its peer {reference}")
        ms = {side: 1e3 * seconds for side, seconds in best.items()}
        print(f"| {name} | {ms['assignment']:.1f} | {ms['scipy']:.1f} | {ms['assignment'] / ms['scipy']:.2f} | "
              f"{ms['plan']:.1f} | {ms['sinkhorn_log']:.1f} | {ms['plan'] / ms['sinkhorn_log']:.2f} | "
              f"{ms['sinkhorn']:.1f} | {ms['plan'] / ms['sinkhorn']:.2f} |")


if __name__ == "__main__":
    main()
