// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stochastic differential equations with additive noise, dx = f(x, t) dt + g(t) dW, as a velocity
// field v and a system that makes f and g of it. For an affine path from Gaussian noise the system
//   f = v + w(t) s,  g = sqrt(2 w(t)),  s the score of p_t,
// leaves every p_t as it is (Ma et al. 2024, "SiT", eq. 5); w = rate(t) sigma(t) keeps w s finite
// up to t = 1.
#pragma once

#include <vrfm/integrators/velocity.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/paths/affine_path.hpp>

namespace vrfm {

/// f(t, x, v) for each element, where v is the velocity at (t, x), and g(t).
template <class S, class T>
concept StochasticSystem = requires(const S& system, T number) {
  { system.drift(number, number, number) } -> std::same_as<T>;
  { system.noise(number) } -> std::same_as<T>;
};

/// f = v; a function gives g(t).
template <class G>
struct AdditiveNoise {
  G g;
  template <class T>
  KOKKOS_INLINE_FUNCTION T drift(T, T, T v) const {
    return v;
  }
  template <class T>
  KOKKOS_INLINE_FUNCTION T noise(T t) const {
    return g(t);
  }
};

/// The function that is `value` everywhere.
struct Constant {
  double value = 1;
  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T) const {
    return static_cast<T>(value);
  }
};

/// f = v + w s, g = sqrt(2 w), w(t) = rate(t) sigma(t); for the linear schedule w = rate(t) (1 - t).
/// The score s follows from the velocity only where x0 is N(0, I) and, under a latent z, independent of
/// it. StochasticVelocity and samplers refuse what they can see to be otherwise: a z whose posterior or
/// prior sees x0 or x_t, and a GaussianMixture that is not standard_normal.
template <Schedule S = LinearSchedule, class Rate = Constant>
struct ScoreDiffusion {
  static constexpr bool uses_score = true;
  S schedule = {};
  Rate rate = {};

  template <class T>
  KOKKOS_INLINE_FUNCTION T drift(T t, T x, T v) const {
    return v - rate(t) * noise_from_velocity(schedule.at(t), x, v);
  }
  /// A last time t + h that rounding took beyond 1 has no noise.
  template <class T>
  KOKKOS_INLINE_FUNCTION T noise(T t) const {
    const T sigma = t < T(1) ? schedule.at(t).sigma : T(0);
    return math::sqrt(T(2) * rate(t) * sigma);
  }
};

namespace detail {

/// Element: v = f(t, x, v)
template <class T, class System>
struct ApplyDrift {
  System system;
  ConstMatrix<T> t, x;
  Matrix<T> v;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    v(i, j) = system.drift(t(i, 0), x(i, j), v(i, j));
  }
};

}  // namespace detail

/// A bound field whose values are f, together with its system.
template <Velocity Field, class System>
struct BoundStochasticVelocity {
  static constexpr bool stochastic = true;
  using value_type = typename Field::value_type;
  using T = value_type;

  Field field;
  System system;

  KOKKOS_INLINE_FUNCTION int dimension() const { return field.dimension(); }

  template <class Ctx>
  KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const RowSelection<T>& selection) const {
    vrfm::keep_rows(ctx, field, selection);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>& arena) const {
    field(ctx, t, x, v, arena);
    ctx.map(x.rows, x.cols, detail::ApplyDrift<T, System>{system, t, x, v});
  }
};

/// The field of the stochastic solvers.
template <VelocityField Field, StochasticSystem<typename Field::value_type> System>
class StochasticVelocity {
 public:
  static constexpr bool stochastic = true;
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;
  using value_type = typename Field::value_type;

  /// Throws std::invalid_argument for a system that uses the score of a field whose z tells of x0.
  StochasticVelocity(const Field& field, const System& system) : field_(field), system_(system) {
    expect(
        !uses_score || !vrfm::tells_start(field),
        "a diffusion by the score takes x0 for N(0, I) under each z, but this field's z tells of ",
        "x0: its posterior or prior sees x0 or x_t, or it was trained on pairs or a learned "
        "source");
  }

  /// Throws std::invalid_argument for a system that uses the score of a source that is seen not to be
  /// N(0, I).
  template <class Source>
  void check_source(const Source& source) const {
    if constexpr (uses_score && requires { source.is_standard_normal(); }) {
      expect(source.is_standard_normal(),
             "a diffusion by the score begins at N(0, I), but the source is another mixture");
    }
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return field_.dimension(); }

  bool depends_on_start() const { return vrfm::depends_on_start(field_); }
  bool tells_start() const { return vrfm::tells_start(field_); }

  template <class Ctx>
  KOKKOS_FUNCTION auto bind(const Ctx& ctx, const SampleBlock& block, Matrix<const value_type> x,
                            Arena<value_type>& arena) const {
    const auto bound = bind_velocity(ctx, field_, block, x, arena);
    return BoundStochasticVelocity<std::remove_const_t<decltype(bound)>, System>{bound, system_};
  }

 private:
  static constexpr bool uses_score = requires { requires System::uses_score; };

  Field field_;
  System system_;
};

}  // namespace vrfm
