// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StochasticPath: a path with noise of its own about the affine path of a schedule,
//   x_t = alpha x1 + sigma x0 + n(t) e,  u = alpha' x1 + sigma' x0 + n'(t) e,  e ~ N(0, I),
// with one e a sample, which is drawn at the sample's address: (x0, x1, e) tells the whole path, so the velocity that
// is learned is that of the points' distribution, as ever (Tong et al. 2024, "Improving and generalizing flow-based
// generative models with minibatch optimal transport"; Albergo, Boffi and Vanden-Eijnden 2023). With independent pairs
// and ConstantNoise it is torchcfm's ConditionalFlowMatcher, with OptimalTransport its
// ExactOptimalTransportConditionalFlowMatcher, with either transport and BridgeNoise its
// SchrodingerBridgeConditionalFlowMatcher (there SinkhornTransport's regularisation is 2 sigma^2).
//
// A ConditionalPath is what objectives take: a Schedule, which has no noise, or a StochasticPath about one. The latter
// is no Schedule: what knows of no noise, such as RenoisedFlowMap, does not take it. Samples start from x0, without
// n(0) e.
#pragma once

#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/paths/schedule.hpp>

namespace vrfm {

/// Noise at one time: n(t) and dn / dt.
template <class T>
struct NoiseValue {
  T deviation;
  T rate;
};

template <class N>
concept PathNoise = requires(const N& noise, float t, double u) {
  { noise.at(t) } -> std::same_as<NoiseValue<float>>;
  { noise.at(u) } -> std::same_as<NoiseValue<double>>;
};

/// n = sigma: the path's velocity is that without noise.
struct ConstantNoise {
  double sigma = 0.1;

  void check() const {
    expect(sigma >= 0 && math::is_finite(sigma), "ConstantNoise needs a finite sigma >= 0, got ",
           sigma);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION NoiseValue<T> at(T) const {
    return {static_cast<T>(sigma), T(0)};
  }
};

/// n = sigma sqrt(t (1 - t)), a Brownian bridge of variance sigma^2 a unit of time, so that
/// n' e = (1 - 2 t) / (2 t (1 - t)) (x_t - mean). Its rate is infinite at both ends, and so is the mean square of the
/// path's velocity over all t: objectives keep away from them (DefaultTimes).
struct BridgeNoise {
  static constexpr bool infinite_rate = true, infinite_rate_at_start = true;

  double sigma = 0.1;

  void check() const {
    expect(sigma >= 0 && math::is_finite(sigma), "BridgeNoise needs a finite sigma >= 0, got ",
           sigma);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION NoiseValue<T> at(T t) const {
    const T scale = static_cast<T>(sigma), root = math::sqrt(t * (T(1) - t));
    return {scale * root, scale * (T(1) - T(2) * t) / (T(2) * root)};
  }
};

template <class Noise, class S = LinearSchedule>
struct StochasticPath {
  static_assert(PathNoise<Noise>,
                "vrfm: a path's noise needs at(T t) const -> NoiseValue<T>, for float and double");
  static_assert(Schedule<S>,
                "vrfm: a schedule needs at(T t) const -> ScheduleValue<T>, for float and double");
  static constexpr bool infinite_rate = infinite_at_end<Noise> || infinite_at_end<S>;
  static constexpr bool infinite_rate_at_start = infinite_at_start<Noise> || infinite_at_start<S>;

  Noise noise = {};
  S schedule = {};

  /// Throws std::invalid_argument.
  void check() const {
    if constexpr (requires { noise.check(); }) noise.check();
    if constexpr (requires { schedule.check(); }) schedule.check();
  }
};

namespace detail {

template <class P>
inline constexpr bool is_stochastic = false;
template <class Noise, class S>
inline constexpr bool is_stochastic<StochasticPath<Noise, S>> = true;

}  // namespace detail

/// A StochasticPath.
template <class P>
concept NoisyPath = detail::is_stochastic<P>;

/// What an objective's points lie on.
template <class P>
concept ConditionalPath = Schedule<P> || NoisyPath<P>;

/// The schedule of a path's mean.
template <ConditionalPath Path>
KOKKOS_INLINE_FUNCTION const auto& schedule_of(const Path& path) {
  if constexpr (NoisyPath<Path>) {
    return path.schedule;
  } else {
    return path;
  }
}

/// Row function: x += n(t) e and u += n'(t) e at the row's own time t(i, 0), where the mean's were; u may be empty.
/// Each call at an address has the same e, so several times make several points of one path.
template <class T, PathNoise Noise>
struct AddPathNoise {
  Noise noise;
  DrawAddress draws;
  ConstMatrix<T> t;
  Matrix<T> x, u;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    constexpr int width = 4;  // the elements of one block of floats
    const RandomStream stream = draws.stream(Purpose::path_noise);
    const auto n = noise.at(t(i, 0));
    for (int first = 0; first < x.cols; first += width) {
      const int count = math::minimum(width, x.cols - first);
      T e[width];
      stream.normal(draws.sample(i), draws.step, static_cast<std::uint32_t>(first), count, e);
      for (int j = 0; j < count; ++j) x(i, first + j) += n.deviation * e[j];
      if (u.empty()) continue;
      for (int j = 0; j < count; ++j) u(i, first + j) += n.rate * e[j];
    }
  }
};

}  // namespace vrfm
