// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/data and tests/metrics. Written by make_metrics.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

// log p at (0, 0), (1/4, 3/4), (3, -4), (1000, -1000)
inline const std::vector<double> mixture_log_density = {-3.4840587623689183, 0.9407884431701542, -5.391715788649127, -249130.39171578863};
// log p_t(x) at (x, t) = (0, 1/4), (-3/4, 1/2), (1/2, 3/4), (3/2, 7/8)
inline const std::vector<double> path_log_density = {-0.9884785388595142, -1.836657087952557, -0.6706371104155632, -1.2687340541088572};
// E[x1 - x0 | x_t = x] there
inline const std::vector<double> path_velocity = {0.5881739777315249, -0.026268527497098165, 0.8458284783382909, 1.0386778245754593};
// Var[x1 - x0 | x_t = x] there
inline const std::vector<double> path_variance = {1.79326318279103, 1.456557046349543, 1.4405975669774418, 1.0021893531879076};
// 700 generated, 300 held out, two dimensions, bandwidth 1/8
inline constexpr double parzen_2d = -1.529518877570034;
// 40 generated, 33 held out three times as wide, five dimensions, bandwidth 1/16
inline constexpr double parzen_5d = -935.849663686512;
// 37 against 37
inline constexpr double wasserstein_equal = 0.175812798577386;
// 100 against 37 squares
inline constexpr double wasserstein_unequal = 0.42529004632210243;
// 100 against 37 squares
inline constexpr double energy_1d = 0.25460472429698267;
// 700 against 300 squares, two dimensions
inline constexpr double energy_2d = 0.31842658026517245;
// the same over different samples
inline constexpr double energy_2d_unbiased = 0.3151493684652431;
// 64 random walks, three dimensions, times 0, 1/8, 1/4, 5/8, 3/2
inline constexpr double walk_straightness = 39.10540800238254;
// path length over displacement
inline constexpr double walk_mean_ratio = 4.856498996107108;
// the same
inline constexpr double walk_median_ratio = 4.450389015126648;
// 3 x 4 bins over [-1, 1] x [-1/2, 1]
inline const std::vector<double> ambiguity_count = {27.0, 35.0, 34.0, 33.0, 27.0, 32.0, 24.0, 27.0, 42.0, 32.0, 41.0, 28.0};
// mean of v
inline const std::vector<double> ambiguity_mean = {-0.0560877764666522, 0.12596590859549386, 0.004285475786994486, -0.21514383951822916, 0.16383333559389468, 0.07618775963783264, -0.060680270195007324, -0.1039438247680664, -0.017510050819033667, 0.05358964204788208, 0.1808504244176353, 0.16120082991463797};
// standard deviation of v
inline const std::vector<double> ambiguity_deviation = {0.5383425323529912, 0.6298498913509422, 0.5746728106572163, 0.4378279590434807, 0.5070447298766066, 0.5887790115867603, 0.6059459013689352, 0.5588911936749437, 0.5853434948845905, 0.6184086011694672, 0.5747250046202307, 0.6394548752749697};
// v where |t - 1/4| <= 1/2, |x + 1/4| <= 3/8, six bins over [-3/4, 3/4]
inline const std::vector<double> ambiguity_histogram = {8.0, 11.0, 5.0, 14.0, 17.0, 16.0};
// v there beyond the bins
inline constexpr double ambiguity_outside = 28.0;

}  // namespace vrfm::test::expected
// clang-format on
