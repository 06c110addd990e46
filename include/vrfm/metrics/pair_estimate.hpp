// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the mean of a function of two independent samples, E f(X, X'), is estimated from N samples.
#pragma once

namespace vrfm {

enum class PairEstimate {
  biased,  ///< over all N^2 pairs (V-statistic): distances are never negative, and zero for equal tables
  unbiased  ///< over the N (N - 1) pairs of different samples (U-statistic): distances may be negative
};

}  // namespace vrfm
