// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Distributions of the training time t in (0, 1), one draw a sample.
#pragma once

#include <limits>
#include <type_traits>

#include <vrfm/core/check.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/paths/schedule.hpp>

namespace vrfm {

template <class S>
concept TimeSampler = requires(const S& sampler, const RandomStream& stream) {
  { sampler.template draw<float>(stream, std::uint64_t{}, std::uint32_t{}) } -> std::same_as<float>;
};

namespace detail {
// Evaluated on the host: device code may not call numeric_limits.
template <class T>
inline constexpr T first_time = std::numeric_limits<T>::epsilon();
template <class T>
inline constexpr T last_time = T(1) - first_time<T> / T(2);
}  // namespace detail

/// t ~ U(0, 1).
struct UniformTime {
  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const RandomStream& stream, std::uint64_t sample,
                                std::uint32_t step) const {
    return stream.uniform<T>(sample, step, 0);
  }
};

/// t = 1 / (1 + exp(-(mean + deviation n))), n ~ N(0, 1) (Esser et al. 2024).
struct LogitNormalTime {
  double mean = 0;
  double deviation = 1;

  void check() const {
    expect(deviation >= 0 && math::is_finite(mean + deviation),
           "LogitNormalTime needs a finite mean and a deviation >= 0, got ", mean, " and ",
           deviation);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const RandomStream& stream, std::uint64_t sample,
                                std::uint32_t step) const {
    T n;
    stream.normal(sample, step, 0, 1, &n);
    const T t = T(1) / (T(1) + math::exp(-static_cast<T>(mean) - static_cast<T>(deviation) * n));
    // Far in the tails the quotient rounds to 0 or 1; the interval is open.
    return math::maximum(math::minimum(t, detail::last_time<T>), detail::first_time<T>);
  }
};

/// Times of another sampler, moved linearly into [first, last]: for paths whose velocity is infinite at an
/// end, or at both. The default is as far from the data as trainings by diffusion stay (Song et al. 2021).
template <TimeSampler Times = UniformTime, bool both_ends = false>
struct TimesWithin {
  double first = both_ends ? 1e-5 : 0;
  double last = 1 - 1e-5;
  Times times = {};

  void check() const {
    expect(0 <= first && first < last && last <= 1,
           "TimesWithin needs 0 <= first < last <= 1, got ", first, " and ", last);
    if constexpr (requires { times.check(); }) times.check();
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const RandomStream& stream, std::uint64_t sample,
                                std::uint32_t step) const {
    const T low = static_cast<T>(first), high = static_cast<T>(last);
    // The sum is rounded, perhaps beyond the end.
    return math::minimum(low + (high - low) * times.template draw<T>(stream, sample, step), high);
  }
};

/// What objectives draw times by unless told otherwise: uniform, but away from where the path's rate is
/// infinite, at the end (paths/schedule.hpp) or at both.
template <class Path>
using DefaultTimes = std::conditional_t<
    infinite_at_start<Path>, TimesWithin<UniformTime, true>,
    std::conditional_t<infinite_at_end<Path>, TimesWithin<UniformTime>, UniformTime>>;

/// Always the same t: for losses along t, and for means over fixed points in time.
struct FixedTime {
  double t = 0.5;

  void check() const { expect(t >= 0 && t <= 1, "FixedTime needs t in [0, 1], got ", t); }

  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const RandomStream&, std::uint64_t, std::uint32_t) const {
    return static_cast<T>(t);
  }
};

}  // namespace vrfm
