#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes metrics.hpp beside itself: what tests/data, tests/metrics and
tests/program/image_metrics.sh expect, by SciPy or by numerical integration; and the last one's
inputs.

Needs the Python packages numpy and scipy. The inputs are those of tests/support/numbers.hpp
(std::mt19937), so else only results are written down.
"""

from pathlib import Path

import numpy as np
from scipy import integrate, linalg, stats
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, logsumexp, rel_entr


def numbers(seed, *shape):
    """Numbers(seed).take(product of shape), row-major."""
    engine = np.random.MT19937()
    engine._legacy_seeding(seed)
    raw = engine.random_raw(int(np.prod(shape))).astype(np.uint32).view(np.int32)
    return ((raw >> 11) / 1048576.0).reshape(shape)


lines = []


def write(name, value, comment):
    values = np.atleast_1d(value)
    text = ", ".join(repr(float(v)) for v in values)
    lines.append(f"// {comment}")
    if np.ndim(value):
        lines.append(f"inline const std::vector<double> {name} = {{{text}}};")
    else:
        lines.append(f"inline constexpr double {name} = {text};")


# A mixture in two dimensions with three unequal components.
means = np.array([[-1.0, 0.5], [0.25, 0.75], [1.5, -2.0]])
deviations = np.array([0.5, 0.125, 2.0])
weights = np.array([0.5, 0.25, 0.25])


def log_density(x):
    terms = [
        np.log(w) + stats.norm.logpdf(x, m, s).sum(axis=1)
        for w, m, s in zip(weights, means, deviations)
    ]
    return logsumexp(terms, axis=0)


points = np.array([[0.0, 0.0], [0.25, 0.75], [3.0, -4.0], [1000.0, -1000.0]])
write("mixture_log_density", log_density(points), "log p at (0, 0), (1/4, 3/4), (3, -4), (1000, -1000)")

# Linear path between 1D mixtures, by integration over x1 with x0 = (x - t x1) / (1 - t).
source = [(0.5, -0.5, 0.75), (0.5, 1.0, 0.5)]
target = [(0.25, -1.0, 0.25), (0.75, 1.0, 0.5)]


def density(components, x):
    return sum(w * stats.norm.pdf(x, m, s) for w, m, s in components)


def conditional(x, t):
    def moment(power):
        def integrand(x1):
            x0 = (x - t * x1) / (1 - t)
            return density(source, x0) * density(target, x1) * (x1 - x0) ** power / (1 - t)

        return integrate.quad(integrand, -6, 6, points=[-1, 0, 1], epsabs=1e-13, epsrel=1e-13, limit=500)[0]

    total, first, second = (moment(p) for p in range(3))
    return np.log(total), first / total, second / total - (first / total) ** 2


where = [(0.0, 0.25), (-0.75, 0.5), (0.5, 0.75), (1.5, 0.875)]
results = np.array([conditional(x, t) for x, t in where])
write("path_log_density", results[:, 0], "log p_t(x) at (x, t) = (0, 1/4), (-3/4, 1/2), (1/2, 3/4), (3/2, 7/8)")
write("path_velocity", results[:, 1], "E[x1 - x0 | x_t = x] there")
write("path_variance", results[:, 2], "Var[x1 - x0 | x_t = x] there")


def parzen(generated, held_out, h):
    terms = stats.norm.logpdf(held_out[:, None, :], generated[None, :, :], h).sum(axis=2)
    return np.mean(logsumexp(terms, axis=1)) - np.log(len(generated))


a2, b2 = numbers(1, 700, 2), numbers(2, 300, 2)
write("parzen_2d", parzen(a2, b2, 0.125), "700 generated, 300 held out, two dimensions, bandwidth 1/8")
a5, b5 = numbers(3, 40, 5), numbers(4, 33, 5)
write("parzen_5d", parzen(a5, 3 * b5, 0.0625), "40 generated, 33 held out three times as wide, five dimensions, bandwidth 1/16")

a1, b1 = numbers(5, 100, 1), numbers(6, 37, 1)
write("wasserstein_equal", stats.wasserstein_distance(a1[:37, 0], b1[:, 0]), "37 against 37")
write("wasserstein_unequal", stats.wasserstein_distance(a1[:, 0], b1[:, 0] ** 2), "100 against 37 squares")


def energy(x, y, excluded):
    n, m = len(x), len(y)
    inner = cdist(x, x).sum() / (n * (n - excluded)) + cdist(y, y).sum() / (m * (m - excluded))
    return 2 * cdist(x, y).mean() - inner


write("energy_1d", stats.energy_distance(a1[:, 0], b1[:, 0] ** 2) ** 2, "100 against 37 squares")
write("energy_2d", energy(a2, b2**2, 0), "700 against 300 squares, two dimensions")
write("energy_2d_unbiased", energy(a2, b2**2, 1), "the same over different samples")

# Random walks at uneven times.
times = np.array([0.0, 0.125, 0.25, 0.625, 1.5])
walks = numbers(7, 5, 64, 3)
steps = np.diff(walks, axis=0)
durations = np.diff(times)[:, None]
displacement = walks[-1] - walks[0]
velocity = steps / durations[:, :, None]
deviation = ((velocity - displacement / 1.5) ** 2).sum(axis=2)
ratio = np.sqrt((steps**2).sum(axis=2)).sum(axis=0) / np.sqrt((displacement**2).sum(axis=1))
write("walk_straightness", (deviation * durations).sum(axis=0).mean(), "64 random walks, three dimensions, times 0, 1/8, 1/4, 5/8, 3/2")
write("walk_mean_ratio", ratio.mean(), "path length over displacement")
write("walk_median_ratio", np.median(ratio), "the same")

# 3 x 4 bins over [-1, 1] x [-1/2, 1], points outside included.
t, x, v = numbers(8, 500), numbers(9, 500), numbers(10, 500)
bins = dict(bins=(3, 4), range=((-1, 1), (-0.5, 1)))
write("ambiguity_count", stats.binned_statistic_2d(t, x, v, "count", **bins)[0].ravel(), "3 x 4 bins over [-1, 1] x [-1/2, 1]")
write("ambiguity_mean", stats.binned_statistic_2d(t, x, v, "mean", **bins)[0].ravel(), "mean of v")
write("ambiguity_deviation", stats.binned_statistic_2d(t, x, v, "std", **bins)[0].ravel(), "standard deviation of v")
inside = (abs(t - 0.25) <= 0.5) & (abs(x + 0.25) <= 0.375)
write("ambiguity_histogram", np.histogram(v[inside], bins=6, range=(-0.75, 0.75))[0].astype(float), "v where |t - 1/4| <= 1/2, |x + 1/4| <= 3/8, six bins over [-3/4, 3/4]")
write("ambiguity_outside", float((abs(v[inside]) > 0.75).sum()), "v there beyond the bins")



def frechet(x, y):
    """By SciPy's root of the product, or where that is singular by the samples' own factors."""
    c, d = (np.cov(v, rowvar=False) for v in (x, y))
    gaps = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + np.trace(c) + np.trace(d)
    x, y = ((v - v.mean(axis=0)) / np.sqrt(len(v) - 1) for v in (x, y))
    factors = gaps - 2 * linalg.svdvals(x @ y.T).sum()
    root = gaps - 2 * np.trace(linalg.sqrtm(c @ d).real)
    full = min(len(x), len(y)) > x.shape[1]
    assert abs(root - factors) < (1e-13 if full else 1e-5) * gaps
    return root if full else factors


full, shifted = numbers(11, 1500, 12), 2 * numbers(12, 1100, 12) ** 2 - 1
write("frechet_full", frechet(full, shifted), "1500 against 1100 squares, doubled, less 1; twelve dimensions")
mixed = full @ numbers(13, 12, 12)
write("frechet_mixed", frechet(mixed, shifted), "the first through a matrix, against the same")
few, fewer = numbers(14, 20, 40), numbers(15, 9, 40) * 2
write("frechet_deficient", frechet(few, fewer), "20 against 9 doubled, forty dimensions")
write("frechet_half_deficient", frechet(numbers(16, 200, 40), few), "200 against 20, forty dimensions")

mean, covariance = mixed.mean(axis=0), np.cov(mixed, rowvar=False)
write("mixed_mean", mean, "mean of the twelve dimensions through the matrix")
write("mixed_covariance", covariance.ravel(), "and their covariance")


def inception(logits, splits):
    scores = []
    for k in range(splits):
        p = np.exp(log_softmax(logits[k * len(logits) // splits : (k + 1) * len(logits) // splits], axis=1))
        scores.append(np.exp(rel_entr(p, p.mean(axis=0)).sum(axis=1).mean()))
    return [np.mean(scores), np.std(scores)]


logits = numbers(17, 1003, 7)
write("inception_flat", inception(logits, 10), "1003 rows of 7 logits, ten splits")
write("inception_sharp", inception(64 * logits, 4), "64 times as large, four splits")
write("inception_one_split", inception(8 * logits, 1), "8 times as large, one split")

# The files of tests/program/image_metrics.sh.
folder = Path(__file__).resolve().parent
a, b = numbers(18, 30, 5).astype(np.float32), 2 * numbers(19, 40, 5)
np.save(folder / "metrics_features_a.npy", a)
np.save(folder / "metrics_features_b.npy", b)
np.savez(folder / "metrics_statistics_b.npz", mu=b.mean(axis=0), sigma=np.cov(b, rowvar=False))
write("program_frechet", frechet(a.astype(float), b), "metrics_features_a.npy against b")
write("program_inception", inception(b, 4), "metrics_features_b.npy as logits, four splits")

header = """// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/data and tests/metrics. Written by make_metrics.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

"""
(folder / "metrics.hpp").write_text(
    header + "\n".join(lines) + "\n\n}  // namespace vrfm::test::expected\n// clang-format on\n"
)
