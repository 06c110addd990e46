// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How much a flow's velocity depends on z. velocity_spread tells the variance of v(x_t, t | z) over z ~ p(z | x0, c) at
// given (x_t, t), 0 where z is ignored. velocity_residuals compares with the velocity u = x1 - x0 of pairs, at
// x_t = (1 - t) x0 + t x1, the network's answer under a z of the posterior, which has seen the pair, and without:
//   with_z = |u - v(x_t, t | z)|^2,   without_z = |u - E_z v(x_t, t | z)|^2,   z ~ q and z ~ p.
// 1 - mean with_z / mean without_z (metrics/estimate.hpp, ratio_of) is the share of the variance of u given x_t that z
// explains. It is that exactly where z does not depend on x_t a priori, at t = 0 above all; later E_z v over the prior
// is a worse answer than the mean of u given x_t, and the share too large.
#pragma once

#include <optional>

#include <vrfm/core/launch.hpp>
#include <vrfm/sampling/encode.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
struct SpreadOptions {
  int draws = 16;  ///< of z, two at least
  ConditionTables<T, Exec> condition = {};
  std::uint32_t seed = 0;
  std::uint64_t first_id = 0;  ///< id of row 0
  Launch launch = {};
};

/// An element for each row, summed over the columns.
template <ExecutionSpace Exec>
struct VelocityResiduals {
  Array<double, Exec> with_z;
  Array<double, Exec>
      without_z;  ///< less what the finite number of draws adds: unbiased, and perhaps negative
  Array<double, Exec> spread;  ///< the variance over z ~ p: that of velocity_spread
};

namespace detail {

/// The program of run_blocks that writes a field's velocity at (t, x), for trajectories that began at `start`.
template <class Field, class T>
struct EvaluateField {
  static constexpr bool host_only = vrfm::host_only<Field>;
  using products = products_of<Field>;

  Field field;
  Matrix<const T> start, x;
  T t;
  std::uint32_t draw;
  Matrix<T> v;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, SampleBlock block, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int first = block.first_row, count = block.count;
    block.draw = draw;
    const Matrix<T> times = arena.take(count, 1);
    ctx.map(count, 1, Fill<T>{times, t});
    const auto bound = bind_velocity(ctx, field, block, start.row_range(first, count), arena);
    bound(ctx, times, x.row_range(first, count), v.row_range(first, count), arena);
    arena.rewind(mark);
  }
};

/// Row: x_t and u of a straight path.
template <class T>
struct StraightRow {
  Matrix<const T> x0, x1;
  T t;
  Matrix<T> x_t, u;

  KOKKOS_FUNCTION void operator()(int i) const {
    for (int j = 0; j < u.cols; ++j) {
      x_t(i, j) = (T(1) - t) * x0(i, j) + t * x1(i, j);
      u(i, j) = x1(i, j) - x0(i, j);
    }
  }
};

/// Row: Welford's update of the mean over draws and of the sum of squares, of all columns.
template <class T>
struct AddVelocity {
  Matrix<const T> v;
  Matrix<double> mean;
  double* squares;
  int draw;  // from 0

  KOKKOS_FUNCTION void operator()(int i) const {
    double sum = 0;
    for (int j = 0; j < v.cols; ++j) {
      const double before = draw == 0 ? 0 : mean(i, j),
                   offset = static_cast<double>(v(i, j)) - before;
      mean(i, j) = before + offset / (draw + 1);
      sum += offset * (static_cast<double>(v(i, j)) - mean(i, j));
    }
    squares[i] = (draw == 0 ? 0 : squares[i]) + sum;
  }
};

/// Row: the variance, and |u - mean|^2 less variance / draws; |u - v|^2.
template <class T>
struct FinishResiduals {
  Matrix<const T> u, v;
  Matrix<const double> mean;
  const double* spread;
  int draws;
  double* with_z;
  double* without_z;

  KOKKOS_FUNCTION void operator()(int i) const {
    double with = 0, without = 0;
    for (int j = 0; j < u.cols; ++j) {
      const double target = static_cast<double>(u(i, j));
      with += (target - static_cast<double>(v(i, j))) * (target - static_cast<double>(v(i, j)));
      without += (target - mean(i, j)) * (target - mean(i, j));
    }
    with_z[i] = with;
    without_z[i] = without - spread[i] / draws;
  }
};

/// spread[i] /= draws - 1
struct FinishSpread {
  double* spread;
  int draws;
  KOKKOS_FUNCTION void operator()(int i) const { spread[i] /= draws - 1; }
};

/// Writes the velocities of one draw to v. Waits for the end.
template <Real T, ExecutionSpace Exec, class Field>
void evaluate_field(const Exec& exec, const Field& field, Matrix<const T> start, Matrix<const T> x,
                    double t, std::uint32_t draw, const Matrix<T>& v,
                    const SpreadOptions<T, Exec>& options) {
  const EvaluateField<Field, T> program{field, start, x, static_cast<T>(t), draw, v};
  run_blocks<T>(
      exec, "vrfm::velocity_spread", program,
      all_samples(static_cast<std::size_t>(x.rows), options.seed, options.first_id, Use::sampling),
      options.launch);
}

/// The spread of each row, and `mean` over the draws. Waits for the end.
template <Real T, ExecutionSpace Exec, class FlowType>
Array<double, Exec> spread_of(const FlowType& flow, Matrix<const T> start, Matrix<const T> x,
                              double t, const SpreadOptions<T, Exec>& options,
                              const Matrix<double>& mean) {
  expect(flow.latent() > 0, "a velocity's spread needs a flow with z, but this one has none");
  expect(options.draws >= 2, "a velocity's spread needs at least 2 draws of z, got ",
         options.draws);
  expect(t >= 0 && t <= 1, "a velocity's spread needs t in [0, 1], got ", t);
  const Exec& exec = flow.exec();
  const auto rows = static_cast<std::size_t>(x.rows);
  const Array<double, Exec> spread("vrfm::velocity_spread", rows);
  const Table<T, Exec> v("vrfm::velocity_spread::v", rows, static_cast<std::size_t>(x.cols));
  const auto field = velocity_of(flow, {.condition = options.condition});
  for (int draw = 0; draw < options.draws; ++draw) {
    evaluate_field(exec, field, start, x, t, static_cast<std::uint32_t>(draw), matrix(v), options);
    launch_each(exec, "vrfm::velocity_spread::add", x.rows,
                AddVelocity<T>{matrix(v), mean, spread.data(), draw});
  }
  launch_each(exec, "vrfm::velocity_spread::finish", x.rows,
              FinishSpread{spread.data(), options.draws});
  exec.fence();
  return spread;
}

}  // namespace detail

/// The unbiased variance of v(x_t, t | z, c) over options.draws draws of z ~ p(z | x0, c), those that sample() draws
/// for the same seed and ids first, summed over the columns, of each row of `x_t` [N][dimension]. x0, where the
/// trajectories began, is needed if the prior sees it. Waits for the end. Throws std::invalid_argument for a flow
/// without z, fewer than two draws, a t outside [0, 1], other extents, and an x0 or condition that is not as the flow
/// takes it.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
Array<double, Exec> velocity_spread(const Flow<T, Exec, Networks, precision, List>& flow,
                                    const std::type_identity_t<Table<const T, Exec>>& x_t, double t,
                                    const SpreadOptions<T, Exec>& options = {},
                                    const std::type_identity_t<Table<const T, Exec>>& x0 = {}) {
  const auto& prior = flow.networks().prior;
  const bool sees_x0 = !prior.standard() && contains(prior.input(), EncoderInput::x0);
  expect(detail::is_given(x0) == sees_x0, sees_x0 ? "the prior sees x0, which was not given"
                                                  : "x0 was given, but the prior does not see it");
  detail::check_rows(x_t, "x_t", x_t.extent(0), flow.dimension());
  if (sees_x0) detail::check_rows(x0, "x0", x_t.extent(0), flow.dimension());
  const Table<double, Exec> mean("vrfm::velocity_spread::mean", x_t.extent(0), x_t.extent(1));
  return detail::spread_of<T, Exec>(flow, matrix(sees_x0 ? x0 : x_t), matrix(x_t), t, options,
                                    matrix(mean));
}

/// The residuals of the pairs (x0, x1) [N][dimension] each at time t. z of the posterior is that of encode, z of the
/// prior are those of velocity_spread. Throws as velocity_spread and encode do.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
VelocityResiduals<Exec> velocity_residuals(const Flow<T, Exec, Networks, precision, List>& flow,
                                           const std::type_identity_t<Table<const T, Exec>>& x0,
                                           const std::type_identity_t<Table<const T, Exec>>& x1,
                                           double t, const SpreadOptions<T, Exec>& options = {}) {
  const Exec& exec = flow.exec();
  const std::size_t count = x1.extent(0);
  detail::check_rows(x0, "x0", count, flow.dimension());
  detail::check_rows(x1, "x1", count, flow.dimension());
  const Table<T, Exec> x_t("vrfm::velocity_residuals::x_t", count, x1.extent(1)),
      u("vrfm::velocity_residuals::u", count, x1.extent(1)),
      v("vrfm::velocity_residuals::v", count, x1.extent(1));
  const Table<double, Exec> mean("vrfm::velocity_residuals::mean", count, x1.extent(1));
  const int rows = matrix(x_t).rows;
  launch_each(
      exec, "vrfm::velocity_residuals::straight", rows,
      detail::StraightRow<T>{matrix(x0), matrix(x1), static_cast<T>(t), matrix(x_t), matrix(u)});
  const ModelInputs taken = flow.networks().velocity.inputs(),
                    by_prior = flow.networks().prior.inputs(),
                    seen = flow.networks().posterior.inputs();
  detail::check_condition(exec, options.condition,
                          detail::either(detail::either(taken, by_prior), seen), "the flow");
  SpreadOptions<T, Exec> drawn = options;
  drawn.condition = detail::tables_for(options.condition, detail::either(taken, by_prior));
  VelocityResiduals<Exec> out;
  out.spread = detail::spread_of<T, Exec>(flow, matrix(x0), matrix(x_t), t, drawn, matrix(mean));
  const EncoderInput input = flow.networks().posterior.input();
  const bool sees_time = contains(input, EncoderInput::t) || contains(input, EncoderInput::x_t);
  const auto code = encode(flow, x0, x1,
                           {.condition = detail::tables_for(options.condition, seen),
                            .t = sees_time ? std::optional<double>(t) : std::nullopt,
                            .seed = options.seed,
                            .first_id = options.first_id,
                            .launch = options.launch});
  const auto field = velocity_of(
      flow, {.latents = code.z, .condition = detail::tables_for(options.condition, taken)});
  detail::evaluate_field<T, Exec>(exec, field, matrix(x0), matrix(x_t), t, 0, matrix(v), options);
  out.with_z = Array<double, Exec>("vrfm::velocity_residuals::with_z", count);
  out.without_z = Array<double, Exec>("vrfm::velocity_residuals::without_z", count);
  launch_each(exec, "vrfm::velocity_residuals::finish", rows,
              detail::FinishResiduals<T>{matrix(u), matrix(v), matrix(mean), out.spread.data(),
                                         options.draws, out.with_z.data(), out.without_z.data()});
  exec.fence();
  return out;
}

}  // namespace vrfm
