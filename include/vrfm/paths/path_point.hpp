// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PathPoint: for each row a point x_t of the path between x0 and x1, at a time of its own, with the
// path's velocity u there. DrawTime draws the times; complete_point computes the points at given times, and
// draw_point does both. An objective may ask for any number of points; those of one address share their noise.
#pragma once

#include <vrfm/core/arena.hpp>
#include <vrfm/paths/affine_path.hpp>
#include <vrfm/paths/stochastic_path.hpp>
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

/// x and u of each row at its time point.t. A path with noise draws it, and one without costs nothing for it.
template <class Ctx, class T, ConditionalPath Path>
KOKKOS_FUNCTION void complete_point(const Ctx& ctx, const Path& path, const DrawAddress& draws,
                                    Matrix<const T> x0, Matrix<const T> x1,
                                    const PathPoint<T>& point) {
  const auto& schedule = schedule_of(path);
  using S = std::remove_cvref_t<decltype(schedule)>;
  ctx.each_row(x0.rows, Interpolate<T, S>{schedule, point.t, x0, x1, point.x, point.u});
  if constexpr (NoisyPath<Path>) {
    using Noise = std::remove_cvref_t<decltype(path.noise)>;
    ctx.each_row(x0.rows, AddPathNoise<T, Noise>{path.noise, draws, point.t, point.x, point.u});
  }
}

/// The point of each row at times that are drawn. `ctx` is a Context.
template <class Ctx, class T, ConditionalPath Path, TimeSampler Times>
KOKKOS_FUNCTION PathPoint<T> draw_point(const Ctx& ctx, const Path& path, const Times& times,
                                        const DrawAddress& draws, Matrix<const T> x0,
                                        Matrix<const T> x1, Arena<T>& arena) {
  const auto point = PathPoint<T>::take(x0.rows, x0.cols, arena);
  ctx.each_row(x0.rows, DrawTime<T, Times>{times, draws, point.t});
  complete_point<Ctx, T>(ctx, path, draws, x0, x1, point);
  return point;
}

}  // namespace vrfm
