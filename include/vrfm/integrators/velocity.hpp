// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Velocity fields dx/dt = v(x, t): what integrators move samples with. Every sample is a row and has
// its own time. A field that draws or prepares something once for a whole trajectory (a flow's z)
// does so in `bind`; everything else is a bound field already.
//
// A bound field of type `value_type` = T offers
//   dimension()                                 columns of x and v
//   field(ctx, t, x, v, arena)                  v = v(x, t); t: rows x 1, of stride 0 where all
//                                               rows have the same time
// and, if it came from `bind` and so holds something for every row (BoundVelocity),
//   keep_rows(ctx, selection)                   goes on with some rows: see RowSelection
// and, where likelihoods are wanted (DifferentiableVelocity),
//   Saved, linearize(ctx, t, x, v, saved, arena)   as above, saving what tangent reads in `arena`
//   tangent(ctx, dx, dv, saved, arena)             dv = (dv/dx) dx at that point
// A field with noise says so: see integrators/solver.hpp.
#pragma once

#include <vrfm/integrators/sample_block.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

/// A matrix of `rows` rows that share one row in memory.
template <class T>
KOKKOS_INLINE_FUNCTION Matrix<T> shared_row(int rows, int cols, Arena<T>& arena) {
  return Matrix<T>(arena.take(1, cols).data, rows, cols, 0);
}
template <class T>
KOKKOS_INLINE_FUNCTION Matrix<T> shared_column(int rows, Arena<T>& arena) {
  return shared_row(rows, 1, arena);
}

/// column(i, 0) = value; if all rows share one element, row 0 writes it.
template <class T>
KOKKOS_INLINE_FUNCTION void set_row(Matrix<T> column, int i, std::type_identity_t<T> value) {
  if (column.stride != 0 || i == 0) column(i, 0) = value;
}

namespace detail {

/// Element: out = row from(i) of x.
template <class T>
struct GatherRow {
  ConstMatrix<T> from, x;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = x(static_cast<int>(from(i, 0)), j);
  }
};

}  // namespace detail

/// Which rows of a tile go on after others have ended.
template <class T>
struct RowSelection {
  Matrix<T> from;    ///< kept rows x 1: where each row was, in increasing order
  Matrix<T> buffer;  ///< at least as many rows

  /// Moves the kept rows of `table` to its beginning.
  template <class Ctx>
  KOKKOS_FUNCTION void keep(const Ctx& ctx, Matrix<T> table) const {
    if (table.stride == 0) return;  // one row for all
    for (int first = 0; first < table.cols; first += buffer.cols) {
      const int cols = math::minimum(buffer.cols, table.cols - first);
      const Matrix<T> columns = table.col_range(first, cols);
      ctx.map(from.rows, cols, detail::GatherRow<T>{from, columns, buffer});
      ctx.map(from.rows, cols, Copy<T>{buffer, columns});
    }
  }
};

template <class F>
concept Velocity =
    Real<typename F::value_type> &&
    requires(const F& field, const MeasureContext& ctx, Matrix<const typename F::value_type> in,
             Matrix<typename F::value_type> out, Arena<typename F::value_type>& arena) {
      { field.dimension() } -> std::same_as<int>;
      field(ctx, in, in, out, arena);
    };

template <class F>
concept BoundVelocity =
    Velocity<F> && requires(const F& field, const MeasureContext& ctx,
                            const RowSelection<typename F::value_type>& selection) {
      field.keep_rows(ctx, selection);
    };

template <class F>
concept DifferentiableVelocity =
    Velocity<F> &&
    requires(const F& field, const MeasureContext& ctx, Matrix<const typename F::value_type> in,
             Matrix<typename F::value_type> out, typename F::Saved& saved,
             Arena<typename F::value_type>& arena) {
      field.linearize(ctx, in, in, out, saved, arena);
      field.tangent(ctx, in, out, saved, arena);
    };

/// A field that becomes a BoundVelocity by `bind(ctx, block, x, arena)`. x (block.count x
/// dimension()) is where the trajectories begin; what the bound field holds lives in the arena.
template <class F>
concept BindableVelocity =
    Real<typename F::value_type> &&
    requires(const F& field, const MeasureContext& ctx, const SampleBlock& block,
             Matrix<const typename F::value_type> x, Arena<typename F::value_type>& arena) {
      { field.dimension() } -> std::same_as<int>;
      { field.bind(ctx, block, x, arena) } -> BoundVelocity;
    };

template <class F>
concept VelocityField = Velocity<F> || BindableVelocity<F>;

/// The bound form of `field` for the trajectories of `block`, which begin at the rows of x.
template <class Ctx, VelocityField F>
KOKKOS_FUNCTION auto bind_velocity(const Ctx& ctx, const F& field, const SampleBlock& block,
                                   ConstMatrix<typename F::value_type> x,
                                   Arena<typename F::value_type>& arena) {
  if constexpr (BindableVelocity<F>) {
    return field.bind(ctx, block, x, arena);
  } else {
    return field;
  }
}

/// Whether what `field` draws for a trajectory depends on where the trajectory begins:
/// field.depends_on_start(), or false without it. A likelihood begins at the data and cannot take
/// such a field.
template <VelocityField F>
bool depends_on_start(const F& field) {
  if constexpr (requires { field.depends_on_start(); }) {
    return field.depends_on_start();
  } else {
    return false;
  }
}

/// Whether what `field` is given for a trajectory tells where it begins: field.tells_start(), or
/// depends_on_start without it. Under such a z, x0 is not distributed as the source.
template <VelocityField F>
bool tells_start(const F& field) {
  if constexpr (requires { field.tells_start(); }) {
    return field.tells_start();
  } else {
    return depends_on_start(field);
  }
}

/// Calls field.keep_rows, or does nothing for a field that holds nothing for each row.
template <class Ctx, Velocity F>
KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const F& field,
                               const RowSelection<typename F::value_type>& selection) {
  if constexpr (BoundVelocity<F>) field.keep_rows(ctx, selection);
}

namespace detail {

template <class F, class T>
concept PointFunction = requires(const F& f, T t, const T* x, T* v) { f(t, x, v); };

template <class T, class F>
struct EvaluatePoint {
  F f;
  ConstMatrix<T> t, x;
  Matrix<T> v;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const { f(t(i, 0), x.row(i), v.row(i)); }
};

template <class T, class F>
struct DifferentiatePoint {
  F f;
  ConstMatrix<T> t, x, dx;
  Matrix<T> dv;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    f.tangent(t(i, 0), x.row(i), dx.row(i), dv.row(i));
  }
};

}  // namespace detail

/// A field given by a function of one sample: f(t, const T* x, T* v). If f also has
/// tangent(t, const T* x, const T* dx, T* dv), writing (dv/dx) dx, likelihoods can be computed.
template <Real T, class F>
class PointwiseVelocity {
 public:
  static_assert(
      detail::PointFunction<F, T>,
      "vrfm: a pointwise field needs operator()(T t, const T* x, T* v) const, which writes "
      "the velocity to v");
  using value_type = T;

  struct Saved {
    Matrix<const T> t, x;
  };

  /// Throws std::invalid_argument unless dimension >= 1.
  PointwiseVelocity(const F& f, int dimension) : f_(f), dimension_(dimension) {
    expect(dimension >= 1, "a velocity field needs dimension >= 1, got ", dimension);
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return dimension_; }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>&) const {
    if constexpr (detail::PointFunction<F, T>) {
      ctx.each_row(x.rows, detail::EvaluatePoint<T, F>{f_, t, x, v});
    }
  }

  template <class Ctx>
  KOKKOS_FUNCTION void linearize(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                 Saved& saved, Arena<T>& arena) const {
    saved = {t, x};
    (*this)(ctx, t, x, v, arena);
  }

  template <class Ctx>
    requires requires(const F& f, const T* in, T* out) { f.tangent(T(0), in, in, out); }
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, Matrix<const T> dx, Matrix<T> dv, const Saved& saved,
                               Arena<T>&) const {
    ctx.each_row(dx.rows, detail::DifferentiatePoint<T, F>{f_, saved.t, saved.x, dx, dv});
  }

 private:
  F f_;
  int dimension_;
};

/// The field of `dimension` columns that f(t, const T* x, T* v) gives for each sample.
template <Real T, class F>
PointwiseVelocity<T, F> pointwise(const F& f, int dimension) {
  return PointwiseVelocity<T, F>(f, dimension);
}

}  // namespace vrfm
