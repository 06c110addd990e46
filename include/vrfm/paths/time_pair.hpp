// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TimePairs: the two times t <= s of a flow map's training, u(x_t, t, s): two draws of one sampler in
// order, or with some probability s = t, where u is the velocity (Geng et al. 2025, "Mean Flows").
// Those equal ones are the sampler's own, so that without others a flow map is trained as any flow.
#pragma once

#include <vrfm/core/matrix.hpp>
#include <vrfm/paths/time_sampler.hpp>

namespace vrfm {

template <TimeSampler Times = UniformTime>
struct TimePairs {
  double equal = 0.5;  ///< probability of s = t
  Times times = {};

  void check() const {
    expect(equal >= 0 && equal <= 1, "TimePairs needs a probability `equal` in [0, 1], got ",
           equal);
    if constexpr (requires { times.check(); }) times.check();
  }
};

/// Row function: t(i, 0) <= s(i, 0) drawn at the row's address.
template <class T, TimeSampler Times>
struct DrawTimePair {
  TimePairs<Times> pairs;
  DrawAddress draws;
  Matrix<T> t, s;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const std::uint64_t sample = draws.sample(i);
    const std::uint32_t step = draws.step;
    const T one = pairs.times.template draw<T>(draws.stream(Purpose::time), sample, step);
    const T other = pairs.times.template draw<T>(draws.stream(Purpose::second_time), sample, step);
    const bool equal = draws.stream(Purpose::equal_times).template uniform<T>(sample, step, 0) <
                       static_cast<T>(pairs.equal);
    t(i, 0) = equal ? one : math::minimum(one, other);
    s(i, 0) = equal ? one : math::maximum(one, other);
  }
};

}  // namespace vrfm
