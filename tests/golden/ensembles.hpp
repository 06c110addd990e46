// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected values of tests/metrics. Written by make_ensembles.py; do not edit.
#pragma once

#include <vector>

// clang-format off
namespace vrfm::test::expected {

// 40 cases, 11 members, 3 columns: fair CRPS, its error
inline const std::vector<double> crps = {0.3489595231142911, 0.018969340939129907};
// of the same: fair energy score, its error
inline const std::vector<double> energy_score = {0.7000637518315019, 0.035779163819739945};
// of the same
inline const std::vector<double> spread = {0.6165502774873967, 0.6422531238734065, 0.9599801924963839};
// of the same rounded down to quarters: levels 0.5, 0.9
inline const std::vector<double> coverage = {0.4875, 0.03755377594023562, 0.9050833333333334, 0.013028014686308376};
// of [(0.5, 1), (3, 7), (20, 7), (9.5, 10), (150, 100), (60, 100), (700, 500), (8.1, 2.5)]
inline const std::vector<double> chi_square_tails = {0.47950012218695337, 0.8850022316431506, 0.005569683072945574, 0.4853975577785966, 0.0009039320423540184, 0.999481108537452, 7.728992111216604e-09, 0.028723772032792572};
// 500 against 700 cubes over seven edges
inline const std::vector<double> separation = {0.18480487859963565};
// 300 rows of three dependent columns
inline const std::vector<double> correlations = {1.0, 0.691321284118686, -0.1337716374311331, 0.6913212841186861, 0.9999999999999999, -0.1187781808392623, -0.1337716374311331, -0.11877818083926228, 1.0};
// 5 fields of 15
inline const std::vector<double> spectrum_1d = {0.014963100311997954, 0.05126004348168071, 0.062778530367291, 0.05623154025286116, 0.028104820235098076, 0.03236066437514414, 0.038068131656857344, 0.07743897265305981};
// 3 fields of 12 x 16
inline const std::vector<double> spectrum_2d = {0.001386421084942053, 0.007223162278884862, 0.019052452313387987, 0.04280295572519946, 0.05209667274792782, 0.034445609914554594, 0.035264054365234394, 0.07188260895693845, 0.05278838200064348, 0.028682055069998002, 0.018084242864367054, 0.0017071614980925433};
// 2 fields of 4 x 6 x 5
inline const std::vector<double> spectrum_3d = {0.004430980865259421, 0.011717328167418889, 0.0785495062621761, 0.16491352408632814, 0.07562405060831509, 0.004458412647576197};

}  // namespace vrfm::test::expected
// clang-format on
