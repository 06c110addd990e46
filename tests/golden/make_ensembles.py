#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes ensembles.hpp beside itself: what tests/metrics expects of ensembles against truths, of spectra and of
histograms, by scoringrules, SciPy and NumPy.

Needs the Python packages numpy, scipy and scoringrules 0.10. The inputs are those of tests/support/numbers.hpp
(std::mt19937). Nothing else is written down but results.
"""

from pathlib import Path

import numpy as np
import scoringrules
from scipy import stats


def numbers(seed, *shape):
    """Numbers(seed).take(product of shape), row-major."""
    engine = np.random.MT19937()
    engine._legacy_seeding(seed)
    raw = engine.random_raw(int(np.prod(shape))).astype(np.uint32).view(np.int32)
    return ((raw >> 11) / 1048576.0).reshape(shape)


lines = []


def write(name, value, comment):
    lines.append(f"// {comment}")
    text = ", ".join(repr(float(v)) for v in np.ravel(value))
    lines.append(f"inline const std::vector<double> {name} = {{{text}}};")


def mean_and_error(values):
    return [values.mean(), values.std(ddof=1) / np.sqrt(len(values))]


x, y = numbers(31, 40, 11, 3), numbers(32, 40, 3)
crps = scoringrules.crps_ensemble(y, x, m_axis=1, estimator="fair")
write("crps", mean_and_error(crps.mean(axis=1)), "40 cases, 11 members, 3 columns: fair CRPS, its error")
energy = scoringrules.es_ensemble(y, x, m_axis=1, v_axis=2, estimator="fair")
write("energy_score", mean_and_error(energy), "of the same: fair energy score, its error")

spread, error = 12 / 11 * x.var(axis=1, ddof=1).mean(axis=1), ((x.mean(axis=1) - y) ** 2).mean(axis=1)
write("spread", [np.sqrt(spread.mean()), np.sqrt(error.mean()), np.sqrt(spread.mean() / error.mean())], "of the same")

# The part of the levels in [1/2 - p/2, 1/2 + p/2] by brute force: truths that equal members may be of any rank.
coarse_x, coarse_y = np.floor(4 * x) / 4, np.floor(4 * y) / 4
below, equal = ((op(coarse_x, coarse_y[:, None])).sum(axis=1) for op in (np.less, np.equal))


def coverage(p):
    fine = (np.arange(120000) + 0.5) / 120000
    inside = np.abs(fine - 0.5) < p / 2
    part = [inside[10000 * b : 10000 * (b + e + 1)].mean() for b, e in zip(below.ravel(), equal.ravel())]
    return mean_and_error(np.reshape(part, y.shape).mean(axis=1))


write("coverage", [coverage(p) for p in (0.5, 0.9)], "of the same rounded down to quarters: levels 0.5, 0.9")

tails = [(0.5, 1), (3, 7), (20, 7), (9.5, 10), (150, 100), (60, 100), (700, 500), (8.1, 2.5)]
write("chi_square_tails", [stats.chi2.sf(*t) for t in tails], f"of {tails}")

# Two uneven ensembles of counts, as CaloChallenge's evaluate.py: np.histogram, normalised, over common edges.
a, b = numbers(41, 500), numbers(42, 700) ** 3
edges = np.array([-0.9, -0.5, -0.1, 0, 0.3, 0.35, 0.95])
h1, h2 = (np.histogram(v, bins=edges)[0] for v in (a, b))
h1, h2 = h1 / h1.sum(), h2 / h2.sum()
write("separation", 0.5 * ((h1 - h2) ** 2 / (h1 + h2)).sum(), "500 against 700 cubes over seven edges")

c = numbers(43, 300, 3)
c[:, 1] += c[:, 0]
c[:, 2] *= c[:, 1]
write("correlations", np.corrcoef(c.T), "300 rows of three dependent columns")


def spectrum(fields):
    """Mean over the fields of the power in shells of the rounded wave number of the longest axis."""
    axes = tuple(range(1, fields.ndim))
    longest = max(fields.shape[1:])
    waves = np.meshgrid(*[longest * np.fft.fftfreq(n) for n in fields.shape[1:]], indexing="ij")
    shell = np.floor(np.sqrt(sum(k**2 for k in waves)) + 0.5).astype(int)
    power = np.abs(np.fft.fftn(fields, axes=axes)) ** 2 / np.prod(fields.shape[1:]) ** 2
    return [power[:, shell == s].sum(axis=1).mean() for s in range(shell.max() + 1)]


write("spectrum_1d", spectrum(numbers(51, 5, 15)), "5 fields of 15")
write("spectrum_2d", spectrum(numbers(52, 3, 12, 16)), "3 fields of 12 x 16")
write("spectrum_3d", spectrum(numbers(53, 2, 4, 6, 5)), "2 fields of 4 x 6 x 5")

header = """// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/metrics. Written by make_ensembles.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

"""
path = Path(__file__).resolve().parent / "ensembles.hpp"
path.write_text(header + "\n".join(lines) + "\n\n}  // namespace vrfm::test::expected\n// clang-format on\n")
