// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Learning-rate schedules: base * warm-up(step) * decay(step), steps counted from 0.
#pragma once

#include <cmath>
#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

struct LearningRate {
  enum class Decay { constant, cosine };

  double base = 1e-3;
  std::int64_t warmup = 0;  ///< steps of linear warm-up: step s < warmup has s / warmup of base
  Decay decay = Decay::constant;
  std::int64_t total = 0;  ///< step at which the cosine reaches `floor`; needed for cosine only
  double floor = 0;        ///< the cosine's last value, as a fraction of base

  /// The rate of `step`. Cosine (Loshchilov and Hutter 2017):
  /// floor + (1 - floor) (1 + cos(pi (step - warmup) / (total - warmup))) / 2.
  KOKKOS_INLINE_FUNCTION double at(std::int64_t step) const {
    if (step < warmup) return base * static_cast<double>(step) / static_cast<double>(warmup);
    if (decay == Decay::constant) return base;
    const double progress =
        step >= total ? 1.0
                      : static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
    return base *
           (floor + (1.0 - floor) * 0.5 * (1.0 + math::cos(3.14159265358979323846 * progress)));
  }

  /// Throws std::invalid_argument naming the first impossible value.
  void check() const {
    expect(base > 0 && std::isfinite(base), "learning rate must be positive, got ", base);
    expect(warmup >= 0, "warm-up must be >= 0 steps, got ", warmup);
    expect(decay == Decay::constant || total > warmup, "cosine decay needs total > warm-up (",
           warmup, " steps), got ", total);
    expect(floor >= 0 && floor <= 1, "the cosine's floor must be in [0, 1], got ", floor);
  }
};

}  // namespace vrfm
