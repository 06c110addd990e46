// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A velocity field with one column more, whose rate is the divergence of the others:
// d/dt (x, a) = (v, div v), so that a is the change of -log density along a trajectory (the
// instantaneous change of variables, Chen et al. 2018). The divergence is exact, from one
// forward-mode derivative a column, or estimated as e^T (dv/dx) e with E[e e^T] = I (Hutchinson
// 1990; Grathwohl et al. 2019), one derivative a probe, the probes fixed along a trajectory.
#pragma once

#include <cstdint>
#include <limits>

#include <vrfm/integrators/velocity.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/linalg/execution.hpp>

namespace vrfm {

/// How a divergence is computed: exactly, or with probes of signs or of normal numbers. Signs have
/// the smaller variance, and none if the Jacobian is diagonal.
enum class Divergence { exact, rademacher, gaussian };

namespace detail {

/// Element: x = column j of the unit matrix in every row.
template <class T>
struct UnitVector {
  Matrix<T> x;
  int column;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const { x(i, j) = T(j == column ? 1 : 0); }
};

/// Columns 4k ... 4k + 3 of one probe.
template <class T>
struct DrawProbe {
  SampleBlock block;
  Divergence kind;
  std::uint32_t step;
  Matrix<T> probe;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int k) const {
    const int first = 4 * k, count = math::minimum(4, probe.cols - first);
    T* out = probe.row(i) + first;
    const RandomStream stream = block.stream(Purpose::probe);
    if (kind == Divergence::gaussian) {
      stream.normal(block.id(i), step, static_cast<std::uint32_t>(first), count, out);
      return;
    }
    const auto words = stream.words(block.id(i), step, static_cast<std::uint32_t>(k));
    for (int j = 0; j < count; ++j) out[j] = (words.word[j] >> 31) != 0 ? T(1) : T(-1);
  }
};

/// Row: sum += weight left . right
template <class T>
struct AddProduct {
  ConstMatrix<T> left, right;
  Matrix<T> sum;
  T weight;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    T product = T(0);
    for (int j = 0; j < left.cols; ++j) product += left(i, j) * right(i, j);
    sum(i, 0) += weight * product;
  }
};

}  // namespace detail

/// A bound field with the divergence's column.
template <DifferentiableVelocity Field>
struct BoundDivergenceVelocity {
  using value_type = typename Field::value_type;
  using T = value_type;

  Field field;
  Matrix<T> probes;  ///< rows x (number of probes * columns); empty: exact
  int probe_count;

  KOKKOS_INLINE_FUNCTION int dimension() const { return field.dimension() + 1; }

  template <class Ctx>
  KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const RowSelection<T>& selection) const {
    vrfm::keep_rows(ctx, field, selection);
    selection.keep(ctx, probes);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>& arena) const {
    const auto mark = arena.used();
    const int dimension = field.dimension();
    const Matrix<T> divergence = v.col_range(dimension, 1);
    typename Field::Saved saved;
    field.linearize(ctx, t, x.col_range(0, dimension), v.col_range(0, dimension), saved, arena);
    ctx.map(x.rows, 1, Fill<T>{divergence, T(0)});
    const bool exact = probe_count == 0;
    const Matrix<T> image = arena.take(x.rows, dimension);
    const Matrix<T> unit = exact ? arena.take(x.rows, dimension) : Matrix<T>();
    const int count = exact ? dimension : probe_count;
    const T weight = exact ? T(1) : T(1) / static_cast<T>(count);
    for (int k = 0; k < count; ++k) {
      if (exact) ctx.map(x.rows, dimension, detail::UnitVector<T>{unit, k});
      const Matrix<const T> e = exact ? unit : probes.col_range(k * dimension, dimension);
      field.tangent(ctx, e, image, saved, arena);
      ctx.each_row(x.rows, detail::AddProduct<T>{e, image, divergence, weight});
    }
    arena.rewind(mark);
  }
};

/// `field` with the divergence's column.
template <VelocityField Field>
class DivergenceVelocity {
 public:
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;
  using value_type = typename Field::value_type;

  /// Throws std::invalid_argument unless probes >= 1 where there are probes.
  DivergenceVelocity(const Field& field, Divergence kind, int probes)
      : field_(field), kind_(kind), probes_(kind == Divergence::exact ? 0 : probes) {
    expect(kind == Divergence::exact || probes >= 1, "an estimated divergence needs at least 1 ",
           "probe, got ", probes);
    expect(std::int64_t{probes_} * (field.dimension() + 3) <= (std::numeric_limits<int>::max)(),
           "an estimated divergence needs probes whose elements an int counts, got ", probes,
           " probes of ", field.dimension(), " dimensions");
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return field_.dimension() + 1; }

  bool depends_on_start() const { return vrfm::depends_on_start(field_); }

  template <class Ctx>
  KOKKOS_FUNCTION auto bind(const Ctx& ctx, const SampleBlock& block, Matrix<const value_type> x,
                            Arena<value_type>& arena) const {
    using T = value_type;
    const int dimension = field_.dimension();
    const auto bound = bind_velocity(ctx, field_, block, x.col_range(0, dimension), arena);
    const Matrix<T> probes = arena.take(block.count, probes_ * dimension);
    for (int k = 0; k < probes_; ++k) {
      const std::uint32_t step =
          block.draw * static_cast<std::uint32_t>(probes_) + static_cast<std::uint32_t>(k);
      const Matrix<T> probe = probes.col_range(k * dimension, dimension);
      ctx.map(block.count, (dimension + 3) / 4, detail::DrawProbe<T>{block, kind_, step, probe});
    }
    return BoundDivergenceVelocity<std::remove_const_t<decltype(bound)>>{bound, probes, probes_};
  }

 private:
  Field field_;
  Divergence kind_;
  int probes_;
};

}  // namespace vrfm
