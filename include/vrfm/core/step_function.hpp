// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StepFunction: a number that varies over a training, such as a learning rate, beta or a weight, as
// a function of the step, which counts from 0. Kernels evaluate it, because they know the step.
// After a linear warm-up from 0 it is constant, falls along a cosine (Loshchilov and Hutter 2017),
// or repeats a ramp from 0 (cyclic annealing: Fu et al. 2019); or it goes exponentially from one value to
// another, or changes to another at one step.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

class StepFunction {
 public:
  /// `value` at every step.
  KOKKOS_INLINE_FUNCTION StepFunction(double value = 0) : value_(value) {}

  /// value * step / steps before step `steps`, then `value`.
  static StepFunction warmup(double value, std::int64_t steps) {
    StepFunction f(value);
    f.warmup_ = steps;
    return f;
  }

  /// A warm-up of `warmup` steps, then along a cosine to floor * value at step `total`:
  /// value (floor + (1 - floor) (1 + cos(pi (step - warmup) / (total - warmup))) / 2).
  static StepFunction cosine(double value, std::int64_t warmup, std::int64_t total,
                             double floor = 0) {
    StepFunction f(value);
    f.kind_ = Kind::cosine;
    f.warmup_ = warmup;
    f.period_ = total;
    f.floor_ = floor;
    return f;
  }

  /// In every `period` steps: a ramp from 0 to `value` over the first part, a fraction `ramp` of
  /// them; then `value`.
  static StepFunction cyclic(double value, std::int64_t period, double ramp = 0.5) {
    StepFunction f(value);
    f.kind_ = Kind::cyclic;
    f.period_ = period;
    f.floor_ = ramp;
    return f;
  }

  /// From `first` at step 0 to `last` at step `total` by equal factors, then `last`:
  /// first (last / first)^(step / total). Both are above 0.
  static StepFunction exponential(double first, double last, std::int64_t total) {
    StepFunction f(first);
    f.kind_ = Kind::exponential;
    f.period_ = total;
    f.floor_ = last;
    return f;
  }

  /// `first` before step `at`, then `last`: a training of two stages.
  static StepFunction change(double first, double last, std::int64_t at) {
    StepFunction f(first);
    f.kind_ = Kind::change;
    f.period_ = at;
    f.floor_ = last;
    return f;
  }

  /// The value without its variation: the largest, or the first of an exponential or a change.
  KOKKOS_INLINE_FUNCTION double value() const { return value_; }

  /// Bounds of the values at all steps, which a period or a total that is reached attains.
  double least() const {
    if (warmup_ > 0 || kind_ == Kind::cyclic) return 0;
    if (kind_ == Kind::cosine) return value_ * floor_;
    return has_last() ? math::minimum(value_, floor_) : value_;
  }
  KOKKOS_INLINE_FUNCTION double largest() const {
    return has_last() ? math::maximum(value_, floor_) : value_;
  }

  KOKKOS_INLINE_FUNCTION double at(std::int64_t step) const {
    if (step < warmup_) return value_ * static_cast<double>(step) / static_cast<double>(warmup_);
    if (kind_ == Kind::constant) return value_;
    if (kind_ == Kind::change) return step < period_ ? value_ : floor_;
    if (kind_ == Kind::cyclic) {
      const double progress = static_cast<double>(step % period_) / static_cast<double>(period_);
      return value_ * math::minimum(1.0, progress / floor_);
    }
    if (kind_ == Kind::exponential) {
      if (step >= period_) return floor_;
      const double progress = static_cast<double>(step) / static_cast<double>(period_);
      return value_ * math::exp(progress * math::log(floor_ / value_));
    }
    const double progress = step >= period_ ? 1.0
                                            : static_cast<double>(step - warmup_) /
                                                  static_cast<double>(period_ - warmup_);
    return value_ *
           (floor_ + (1.0 - floor_) * 0.5 * (1.0 + math::cos(3.14159265358979323846 * progress)));
  }

  /// Throws std::invalid_argument naming the first impossible value of the number called `name`.
  void check(std::string_view name) const {
    expect(value_ >= 0 && std::isfinite(value_), name, " must be a finite number >= 0, got ",
           value_);
    expect(warmup_ >= 0, "the warm-up of ", name, " must be >= 0 steps, got ", warmup_);
    expect(kind_ != Kind::cosine || period_ > warmup_, "the cosine of ", name,
           " needs total > warm-up (", warmup_, " steps), got ", period_);
    expect(kind_ != Kind::cosine || (floor_ >= 0 && floor_ <= 1), "the cosine's floor of ", name,
           " must be in [0, 1], got ", floor_);
    expect(kind_ != Kind::cyclic || period_ >= 1, "a cycle of ", name,
           " must have at least 1 step, got ", period_);
    expect(kind_ != Kind::exponential || period_ >= 1, "an exponential of ", name,
           " must have at least 1 step, got ", period_);
    expect(kind_ != Kind::exponential || (value_ > 0 && floor_ > 0 && std::isfinite(floor_)),
           "an exponential of ", name, " must go from and to finite numbers > 0, got ", value_,
           " and ", floor_);
    expect(kind_ != Kind::change || (period_ >= 0 && floor_ >= 0 && std::isfinite(floor_)),
           "a change of ", name, " must be at a step >= 0 to a finite number >= 0, got step ",
           period_, " and ", floor_);
    expect(kind_ != Kind::cyclic || (floor_ > 0 && floor_ <= 1), "the ramp of a cycle of ", name,
           " must be a fraction in (0, 1], got ", floor_);
  }

 private:
  enum class Kind { constant, cosine, cyclic, exponential, change };

  KOKKOS_INLINE_FUNCTION bool has_last() const {
    return kind_ == Kind::exponential || kind_ == Kind::change;
  }

  double value_;
  Kind kind_ = Kind::constant;
  std::int64_t warmup_ = 0;
  std::int64_t period_ = 0;  // the step at which a cosine or exponential ends, and that of a change
  double floor_ = 0;  // of a cycle the ramp's fraction, of exponential and change the last value
};

}  // namespace vrfm
