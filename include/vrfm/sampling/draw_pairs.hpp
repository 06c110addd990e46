// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// draw_pairs: pairs (x0, x1 = flow(x0)) of a trained flow, and (x0, z, x1) of one with a latent variable, to train
// another flow on: reflow (Liu, Gong and Liu 2023, "Flow Straight and Fast", arXiv 2209.03003). Each x0 then has one
// x1, and under z too, so the paths of the pairs hardly cross, and the new flow's trajectories are straighter. Row n is
// that of sample() at the id first_id + n: it depends on (seed, id) alone. In tables for GivenPairs
// (couplings/given_pairs.hpp); make_pairs (sampling/make_pairs.hpp) writes a file.
#pragma once

#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
struct PairOptions {
  std::size_t count = 1;
  TimeGrid grid = {};          ///< from 0 to 1
  std::uint32_t seed = 0;      ///< of x0, z and diffusion; samples of another seed are others
  std::uint64_t first_id = 0;  ///< id of the first pair: continue a series with the next call
  ConditionTables<T, Exec> condition = {};  ///< `count` rows each
  double guidance = 1;
  GuidanceReach reach = {};
  bool latents = true;        ///< whether z is a part of the pairs, if the flow has any
  std::size_t block = 8'192;  ///< pairs of make_pairs that are in memory at a time
  Launch launch = {};
};

template <Real T, ExecutionSpace Exec>
struct PairTables {
  Table<T, Exec> x0, z, x1;  ///< z: without extents if there is none
};

namespace detail {

/// Whether pairs have z. Throws std::invalid_argument where it would be of a learned prior, from which no flow that is
/// trained on the pairs could draw.
template <class FlowType, Real T, ExecutionSpace Exec>
bool pairs_have_latents(const FlowType& flow, const PairOptions<T, Exec>& options) {
  if (flow.latent() == 0 || !options.latents) return false;
  expect(flow.networks().prior.standard(),
         "pairs with z are of flows whose prior is N(0, I), which ",
         "this flow's is not: expected latents = false");
  return true;
}

/// Throws std::invalid_argument unless a table has a row for each pair, or was not given.
template <class View>
void check_pair_rows(const View& table, std::string_view name, std::size_t count) {
  if (is_given(table)) expect_same(name, table.extent(0), "the call", count, "rows");
}

template <Real T, ExecutionSpace Exec>
void check_pair_rows(const PairOptions<T, Exec>& options) {
  check_pair_rows(options.condition.labels, "condition.labels", options.count);
  check_pair_rows(options.condition.vector, "condition.vector", options.count);
  check_pair_rows(options.condition.field, "condition.field", options.count);
}

/// x0 of the samples of a call, as sample() draws them.
template <Real T, ExecutionSpace Exec, class Source>
void draw_starts(const Exec& exec, const Source& source, const SampleBlock& all, Matrix<T> x0) {
  launch_each(exec, "vrfm::draw_pairs::source", all.count, DrawSource<Source, T>{source, all, x0});
}

}  // namespace detail

/// options.count pairs in tables. Waits for the end. Throws std::invalid_argument as velocity_of and sample_into
/// do, and for z of a learned prior; std::runtime_error if a trajectory did not finish.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List, class Source,
          class Solver>
PairTables<T, Exec> draw_pairs(const Flow<T, Exec, Networks, precision, List>& flow,
                               const Source& source, const Solver& solver,
                               const std::type_identity_t<PairOptions<T, Exec>>& options) {
  PairTables<T, Exec> pairs;
  if constexpr (RequireSource<Source, T>::ok) {
    const Exec& exec = flow.exec();
    const SampleBlock all =
        detail::all_samples(options.count, options.seed, options.first_id, Use::sampling);
    const bool latents = detail::pairs_have_latents(flow, options);
    detail::check_pair_rows(options);
    if (latents) {
      pairs.z = draw_latents(
          flow, options.count,
          {.seed = options.seed, .first_id = options.first_id, .launch = options.launch});
    }
    const auto field = velocity_of(flow, {.latents = pairs.z,
                                          .condition = options.condition,
                                          .guidance = options.guidance,
                                          .reach = options.reach});
    detail::check_source(source, field);
    const auto table = [&](const char* label) {
      return Table<T, Exec>(Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label)),
                            options.count, static_cast<std::size_t>(field.dimension()));
    };
    pairs.x0 = table("vrfm::draw_pairs::x0");
    pairs.x1 = table("vrfm::draw_pairs::x1");
    detail::draw_starts<T>(exec, source, all, matrix(pairs.x0));
    copy_elements(exec, pairs.x1, pairs.x0);
    integrate_all(exec, field, pairs.x1, solver,
                  {.grid = options.grid,
                   .seed = options.seed,
                   .first_id = options.first_id,
                   .launch = options.launch})
        .expect_finished();
  }
  return pairs;
}

}  // namespace vrfm
