#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes transport.safetensors beside itself: assignments by SciPy, entropic plans by POT.

200 assignment problems of 1 to 48 rows: real costs; integers, with ties; squared distances in the plane;
squared distances of points on a grid, with ties. Of those without ties the permutations are kept, of all the
least sums. Plans of 24 samples after a number of iterations, and the Wasserstein distances of 37 samples in three
dimensions. The inputs are those of tests/support/numbers.hpp (std::mt19937), whose squared distances are exact, so
only results are written down. Needs numpy, scipy, POT and safetensors.
"""
import pathlib

import numpy
import ot
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def numbers(seed, *shape):
    """Numbers(seed).take(product of shape), row-major."""
    engine = numpy.random.MT19937()
    engine._legacy_seeding(seed)
    raw = engine.random_raw(int(numpy.prod(shape))).astype(numpy.uint32).view(numpy.int32)
    return ((raw >> 11) / 1048576.0).reshape(shape)


def costs(k):
    n = 1 + 7 * k % 48
    if k % 4 == 0:
        return numbers(k, n, n)
    if k % 4 == 1:
        return numpy.floor(4 * numbers(k, n, n))
    points = numbers(k, 2, n, 2)
    if k % 4 == 3:
        points = numpy.floor(4 * points) / 4
    return cdist(points[0], points[1], "sqeuclidean")


def plan(regularisation, iterations):
    points = numbers(1000, 2, 24, 3)
    weights = numpy.full(24, 1 / 24)
    return ot.bregman.sinkhorn_log(weights, weights, cdist(points[0], points[1], "sqeuclidean"), regularisation,
                                   numItermax=iterations, stopThr=0, warn=False)


def wasserstein(metric):
    points = numbers(1001, 2, 37, 3)
    distances = cdist(points[0], points[1], metric)
    return distances[linear_sum_assignment(distances)].mean()


def main():
    columns, sums = [], []
    for k in range(200):
        cost = costs(k)
        rows, cols = linear_sum_assignment(cost)
        sums.append(cost[rows, cols].sum())
        if k % 2 == 0:
            columns.append(cols.astype(numpy.int32))
    save_file({
        "assignment.columns": numpy.concatenate(columns),
        "assignment.sums": numpy.array(sums),
        "sinkhorn.smooth": plan(0.2, 20),
        "sinkhorn.sharp": plan(0.004, 300),
        "wasserstein": numpy.array([wasserstein("euclidean"), wasserstein("sqeuclidean") ** 0.5]),
    }, pathlib.Path(__file__).parent / "transport.safetensors")


if __name__ == "__main__":
    main()
