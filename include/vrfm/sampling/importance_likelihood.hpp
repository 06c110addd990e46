// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Log densities under a flow whose posterior sees x1 alone: q(z | x1) then tells which z lead to a point, and draws
// from it, weighted, need far fewer trajectories than draws from the prior (Burda, Grosse and Salakhutdinov, "Importance
// weighted autoencoders", 2016),
//   log p(x1) = log 1/M sum_m p(z_m) / q(z_m | x1, c) p(x1 | z_m, c),   z_m ~ q(z | x1, c).
// The mean is unbiased for any q; its logarithm lies below on average, less with more draws. A q that is narrower than
// the true posterior has rare large weights: effective_draws near 1 says so.
#pragma once

#include <algorithm>

#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/likelihood.hpp>

namespace vrfm {

namespace detail {

/// Row: z = mean + sigma e of one draw, and ln p(z) - ln q(z).
template <class T>
struct DrawProposal {
  SampleBlock block;
  Matrix<const T> mean, log_variance;
  Matrix<T> z;
  T* log_weight;

  KOKKOS_FUNCTION void operator()(int i) const {
    T* row = z.row(i);
    block.stream(Purpose::posterior).normal(block.id(i), block.draw, 0, z.cols, row);
    T sum = T(0);
    for (int j = 0; j < z.cols; ++j) {
      const T e = row[j], s = log_variance(i, j);
      row[j] = mean(i, j) + math::exp(s / T(2)) * e;
      sum += (s + e * e - row[j] * row[j]) / T(2);
    }
    log_weight[i] = sum;
  }
};

/// Row: the running sum takes a draw.
template <class T>
struct AddWeighted {
  LogSums<T> sums;
  const T* log_density;
  const T* log_weight;
  bool first;

  KOKKOS_FUNCTION void operator()(int i) const {
    if (first) sums.clear(i);
    sums.add(i, log_density[i] + log_weight[i]);
  }
};

/// Adds what another draw of the same samples took.
inline void add_draw(Result& all, const Result& draw) {
  if (draw.failed > 0)
    all.first_failed =
        all.failed > 0 ? (std::min)(all.first_failed, draw.first_failed) : draw.first_failed;
  all.reason = (std::max)(all.reason, draw.reason);
  all.samples = draw.samples;
  all.failed = (std::max)(all.failed, draw.failed);
  all.max_steps += draw.max_steps;
  all.max_evaluations += draw.max_evaluations;
  all.mean_steps += draw.mean_steps;
  all.mean_evaluations += draw.mean_evaluations;
}

}  // namespace detail

/// Log densities of `points` (points x flow.dimension()) at options.data_time, as log_density gives, with options.draws
/// draws of z from the posterior; they are drawn at Use::likelihood, Purpose::posterior, and each is a call of
/// log_density. `condition` is that of the points, used round and round. In the result, steps and evaluations are
/// summed over the draws, and `failed` is that of the draw in which most failed. Waits for the end. Throws
/// std::invalid_argument for impossible settings and extents, for a posterior that sees anything but x1 (and c), and
/// for a prior that is not N(0, I).
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List, class Source,
          class Solver>
Likelihood<T, Exec> importance_log_density(const Flow<T, Exec, Networks, precision, List>& flow,
                                           const Source& source,
                                           const std::type_identity_t<Table<const T, Exec>>& points,
                                           const Solver& solver,
                                           const LikelihoodOptions& options = {},
                                           const ConditionTables<T, Exec>& condition = {}) {
  const Exec& exec = flow.exec();
  const auto& posterior = flow.networks().posterior;
  expect(flow.latent() > 0 && posterior.latent() > 0,
         "an importance-weighted likelihood needs a flow with z and a posterior, but this one has ",
         flow.latent() > 0 ? "no posterior" : "no z");
  expect(posterior.input() == EncoderInput::x1,
         "an importance-weighted likelihood needs a posterior that sees x1 alone, but this one "
         "sees ",
         name_of(posterior.input()));
  expect(flow.networks().prior.standard(),
         "an importance-weighted likelihood needs the prior N(0, I), but this flow's is learned");
  expect(options.draws >= 1, "a likelihood needs at least 1 draw of z, got ", options.draws);
  const ModelInputs seen = posterior.inputs(), taken = flow.networks().velocity.inputs();
  detail::check_condition(exec, condition, detail::either(taken, seen), "the flow");
  const auto code = encode(flow, {}, points,
                           {.condition = detail::tables_for(condition, seen),
                            .seed = options.seed,
                            .first_id = options.first_id,
                            .launch = options.launch});
  const int rows = narrow<int>(points.extent(0), "the number of points");
  const auto field =
      velocity_of(flow, {.latents = code.z, .condition = detail::tables_for(condition, taken)});

  Arena<T> measured = Arena<T>::measure();
  detail::LogSums<T>(rows, measured);
  const Array<T, Exec> memory("vrfm::importance_log_density::sums", measured.peak());
  Arena<T> arena(memory.data(), memory.extent(0));
  const detail::LogSums<T> sums(rows, arena);
  const Array<T, Exec> log_weight("vrfm::importance_log_density::log_weight", points.extent(0));
  Likelihood<T, Exec> out;
  out.log_density = Array<T, Exec>("vrfm::importance_log_density", points.extent(0));
  out.effective_draws =
      Array<T, Exec>("vrfm::importance_log_density::effective_draws", points.extent(0));
  SampleBlock block =
      detail::all_samples(points.extent(0), options.seed, options.first_id, Use::likelihood);
  LikelihoodOptions one = options;
  one.draws = 1;
  for (int draw = 0; draw < options.draws; ++draw) {
    one.first_draw = block.draw = options.first_draw + static_cast<std::uint32_t>(draw);
    // The field looks z up when it is bound.
    launch_each(exec, "vrfm::importance_log_density::draw", rows,
                detail::DrawProposal<T>{block, matrix(code.mean), matrix(code.log_variance),
                                        matrix(code.z), log_weight.data()});
    const auto given = log_density(exec, field, source, points, solver, one);
    launch_each(
        exec, "vrfm::importance_log_density::add", rows,
        detail::AddWeighted<T>{sums, given.log_density.data(), log_weight.data(), draw == 0});
    detail::add_draw(out.result, given.result);
    exec.fence();  // `given` ends here
  }
  launch_each(exec, "vrfm::importance_log_density::finish", rows,
              detail::FinishDensity<T>{sums, options.draws, out.log_density.data(),
                                       out.effective_draws.data()});
  exec.fence();
  return out;
}

}  // namespace vrfm
