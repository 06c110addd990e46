// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/metrics. Written by make_two_samples.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

// 700 against 300 squares, two dimensions, bandwidths (0.25,): biased, unbiased
inline const std::vector<double> mmd_one = {0.16210434611954427, 0.15831014737828458};
// 700 against 300 squares, two dimensions, bandwidths (0.125, 0.5, 2): biased, unbiased
inline const std::vector<double> mmd_several = {0.3747234091920997, 0.36744799565087405};
// of their 1000 rows together
inline constexpr double median_all = 0.9097517441078065;
// 800 against 511 doubled, three dimensions, 1000 rows drawn by seed 7
inline constexpr double median_drawn = 1.801697130703571;
// 300 doubled against 210 tripled squares, seven dimensions, six subsets of 150, seed 9: mean, deviation
inline const std::vector<double> kernel_distance = {7.3701365308280415, 0.2010572223034342};
// 301 against 203 times 3/4 plus 1/4, five dimensions: precision, recall (k = 3), density, coverage (k = 5)
inline const std::vector<double> precision_recall = {0.9901477832512315, 0.4584717607973422, 1.083743842364532, 0.6378737541528239};
// 257 against 331 of half the width in one of three dimensions, seed 3: accuracy, p-value
inline const std::vector<double> two_sample_unlike = {0.5930232558139535, 0.0014024431524732304};
// 300 against 300 alike, seed 4
inline const std::vector<double> two_sample_alike = {0.48, 0.7557888416887035};
// metrics_features_a.npy against b, seven subsets of 20
inline constexpr double program_kernel_mean = 0.46310156972284167;
// metrics_features_a.npy against b, seven subsets of 20
inline constexpr double program_kernel_deviation = 0.13647483528431661;
// metrics_features_a.npy as real against b
inline constexpr double program_precision = 0.325;
// metrics_features_a.npy as real against b
inline constexpr double program_recall = 1.0;
// metrics_features_a.npy as real against b
inline constexpr double program_density = 0.17;
// metrics_features_a.npy as real against b
inline constexpr double program_coverage = 0.6666666666666666;

}  // namespace vrfm::test::expected
// clang-format on
