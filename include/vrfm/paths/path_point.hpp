// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PathPoint: for each row a point x_t of the path between x0 and x1, at a time of its own, with the
// path's velocity u there. DrawTime draws the times; draw_point draws them and computes the points.
// An objective may ask for any number of points.
#pragma once

#include <vrfm/core/arena.hpp>
#include <vrfm/paths/affine_path.hpp>
#include <vrfm/paths/time_sampler.hpp>

namespace vrfm {

/// t: rows x 1; x and u: rows x dimension.
template <class T>
struct PathPoint {
  Matrix<T> t, x, u;

  /// Takes the memory of `rows` rows.
  KOKKOS_INLINE_FUNCTION static PathPoint take(int rows, int dimension, Arena<T>& arena) {
    return {arena.take(rows, 1), arena.take(rows, dimension), arena.take(rows, dimension)};
  }
};

/// Row function: t(i, 0) drawn at the row's address.
template <class T, TimeSampler Times>
struct DrawTime {
  Times times;
  DrawAddress draws;
  Matrix<T> t;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    t(i, 0) = times.template draw<T>(draws.stream(Purpose::time), draws.sample(i), draws.step);
  }
};

/// The point of each row at times that are drawn. `ctx` is a Context.
template <class Ctx, class T, Schedule Path, TimeSampler Times>
KOKKOS_FUNCTION PathPoint<T> draw_point(const Ctx& ctx, const Path& path, const Times& times,
                                        const DrawAddress& draws, Matrix<const T> x0,
                                        Matrix<const T> x1, Arena<T>& arena) {
  const auto point = PathPoint<T>::take(x0.rows, x0.cols, arena);
  ctx.each_row(x0.rows, DrawTime<T, Times>{times, draws, point.t});
  ctx.each_row(x0.rows, Interpolate<T, Path>{path, point.t, x0, x1, point.x, point.u});
  return point;
}

}  // namespace vrfm
