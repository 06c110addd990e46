#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes two_samples.hpp beside itself: what tests/metrics and tests/program/image_metrics.sh expect of metrics
that compare two sets by kernels or neighbours, by scikit-learn, SciPy and the package prdc of Naeem et al. 2020.

Needs the Python packages numpy, scipy, scikit-learn 1.9 and prdc 0.2. The inputs are those of
tests/support/numbers.hpp (std::mt19937) and the files that make_metrics.py has written; random subsets are drawn
as vrfm draws them (Philox4x32-10). Nothing else is written down but results.
"""

import contextlib
import io
from pathlib import Path

import numpy as np
from prdc import compute_prdc
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neighbors import KNeighborsClassifier

SUBSET = 14  # Purpose::subset


def numbers(seed, *shape):
    """Numbers(seed).take(product of shape), row-major."""
    engine = np.random.MT19937()
    engine._legacy_seeding(seed)
    raw = engine.random_raw(int(np.prod(shape))).astype(np.uint32).view(np.int32)
    return ((raw >> 11) / 1048576.0).reshape(shape)


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) of four 32-bit words."""
    x, key = list(counter), list(key)
    for _ in range(10):
        first, second = x[0] * 0xD2511F53, x[2] * 0xCD9E8D57
        x = [(second >> 32) ^ x[1] ^ key[0], second % 2**32, (first >> 32) ^ x[3] ^ key[1], first % 2**32]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return x


def draw_subset(seed, subset, table, rows, count):
    """The first `count` exchanges of a shuffle of 0 ... rows - 1."""
    everything = list(range(rows))
    for i in range(count):
        word = philox([subset, 0, table, i // 4], (seed, SUBSET))[i % 4]
        other = i + (word * (rows - i) >> 32)
        everything[i], everything[other] = everything[other], everything[i]
    return everything[:count]


lines = []


def write(name, value, comment):
    values = np.atleast_1d(value)
    text = ", ".join(repr(float(v)) for v in values)
    lines.append(f"// {comment}")
    if np.ndim(value):
        lines.append(f"inline const std::vector<double> {name} = {{{text}}};")
    else:
        lines.append(f"inline constexpr double {name} = {text};")


def mean_of_pairs(k, unbiased):
    n = len(k)
    return (k.sum() - np.trace(k)) / (n * (n - 1)) if unbiased else k.mean()


def mmd(x, y, kernel, unbiased):
    within = mean_of_pairs(kernel(x, x), unbiased) + mean_of_pairs(kernel(y, y), unbiased)
    return within - 2 * kernel(x, y).mean()


def gaussians(*bandwidths):
    return lambda x, y: sum(rbf_kernel(x, y, 0.5 / h**2) for h in bandwidths)


a2, b2 = numbers(1, 700, 2), numbers(2, 300, 2) ** 2
several = (0.125, 0.5, 2)
for name, bandwidths in ("one", (0.25,)), ("several", several):
    both = [mmd(a2, b2, gaussians(*bandwidths), unbiased) for unbiased in (False, True)]
    write(f"mmd_{name}", both, f"700 against 300 squares, two dimensions, bandwidths {bandwidths}: biased, unbiased")
write("median_all", np.median(pdist(np.concatenate([a2, b2]))), "of their 1000 rows together")
wide = np.concatenate([numbers(3, 800, 3), 2 * numbers(4, 511, 3)])
drawn = wide[draw_subset(7, 0, 0, len(wide), 1000)]
write("median_drawn", np.median(pdist(drawn)), "800 against 511 doubled, three dimensions, 1000 rows drawn by seed 7")


def cubic(x, y):
    return polynomial_kernel(x, y, degree=3, gamma=1 / x.shape[1], coef0=1)


def kid(x, y, subsets, size, seed):
    """As Binkowski's `polynomial_mmd_averages`."""
    distances = []
    for k in range(subsets):
        rows = [v[draw_subset(seed, k, table, len(v), size)] for table, v in enumerate((x, y))]
        distances.append(mmd(*rows, cubic, True))
    return [np.mean(distances), np.std(distances)]


x, y = 2 * numbers(20, 300, 7), 3 * numbers(21, 210, 7) ** 2
write("kernel_distance", kid(x, y, 6, 150, 9), "300 doubled against 210 tripled squares, seven dimensions, six subsets of 150, seed 9: mean, deviation")


def scores(real, generated):
    with contextlib.redirect_stdout(io.StringIO()):
        three, five = (compute_prdc(real, generated, k) for k in (3, 5))
    return [three["precision"], three["recall"], five["density"], five["coverage"]]


real, generated = numbers(22, 301, 5), 0.25 + 0.75 * numbers(23, 203, 5)
write("precision_recall", scores(real, generated), "301 against 203 times 3/4 plus 1/4, five dimensions: precision, recall (k = 3), density, coverage (k = 5)")


def two_sample(x, y, seed):
    rows = min(len(x), len(y))
    half = rows // 2
    parts = [v[draw_subset(seed, 0, table, len(v), rows)] for table, v in enumerate((x, y))]
    training = np.concatenate([part[:half] for part in parts])
    held_out = np.concatenate([part[half:] for part in parts])
    k = int(np.sqrt(len(training)))
    classifier = KNeighborsClassifier(k, algorithm="brute").fit(training, [0] * half + [1] * half)
    right = classifier.predict(held_out) == np.repeat([0, 1], rows - half)
    return [right.mean(), stats.norm.sf(right.mean(), 0.5, 0.5 / np.sqrt(len(held_out)))]


write("two_sample_unlike", two_sample(numbers(24, 257, 3), numbers(25, 331, 3) * [1, 1, 0.5], 3), "257 against 331 of half the width in one of three dimensions, seed 3: accuracy, p-value")
write("two_sample_alike", two_sample(numbers(26, 300, 3), numbers(27, 300, 3), 4), "300 against 300 alike, seed 4")

# Of the files of tests/program/image_metrics.sh.
folder = Path(__file__).resolve().parent
a, b = (np.load(folder / f"metrics_features_{name}.npy").astype(float) for name in "ab")
for name, value in zip(("mean", "deviation"), kid(a, b, 7, 20, 0)):
    write(f"program_kernel_{name}", value, "metrics_features_a.npy against b, seven subsets of 20")
for name, value in zip(("precision", "recall", "density", "coverage"), scores(a, b)):
    write(f"program_{name}", value, "metrics_features_a.npy as real against b")

header = """// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/metrics. Written by make_two_samples.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

"""
(folder / "two_samples.hpp").write_text(
    header + "\n".join(lines) + "\n\n}  // namespace vrfm::test::expected\n// clang-format on\n"
)
