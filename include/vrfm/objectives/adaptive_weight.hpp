// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AdaptiveWeight: a sample's loss d counts w = 1 / (d + offset)^power of what it would, where d in w is
// a constant that no gradient passes (Geng et al. 2025, "Mean Flows", section 4.3). Power 0 is the plain loss;
// at 1 all samples count about alike, so that the few whose target is far off do not rule a step.
#pragma once

#include <vrfm/objectives/objective.hpp>

namespace vrfm {

struct AdaptiveWeight {
  double power = 0;
  double offset = 0.01;
  Reduction over = Reduction::sum;  ///< how d is reduced over the sample's dimensions

  void check() const {
    expect(power >= 0 && math::is_finite(power), "AdaptiveWeight needs a finite power >= 0, got ",
           power);
    expect(offset > 0 && math::is_finite(offset), "AdaptiveWeight needs a finite offset > 0, got ",
           offset);
  }

  /// w, where `sum` is the sum over `cols` dimensions.
  template <class T>
  KOKKOS_INLINE_FUNCTION T at(T sum, int cols) const {
    if (power == 0) return T(1);
    const T d = sum * static_cast<T>(reduction_factor(over, cols));
    return T(1) / math::pow(d + static_cast<T>(offset), static_cast<T>(power));
  }
};

}  // namespace vrfm
