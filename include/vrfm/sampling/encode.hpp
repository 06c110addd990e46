// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What z means: encode tells the posterior q(z | x0, x1, x_t, t, c) of given pairs and draws from it,
// draw_latents draws from the prior p(z | x0, c), and reconstruct moves x0 along the flow under the
// posterior's z, which leads to x1 as far as z tells it. All are drawn at Use::sampling: draw_latents
// gives the z that sample() draws for the same seed and ids.
#pragma once

#include <optional>

#include <vrfm/sampling/detail/encode_programs.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
struct EncodeOptions {
  ConditionTables<T, Exec> condition = {};
  std::optional<double> t = {};   ///< of all rows, if the posterior sees t or x_t
  Table<const T, Exec> x_t = {};  ///< if it sees x_t; not given: (1 - t) x0 + t x1
  std::uint32_t seed = 0;
  std::uint64_t first_id = 0;  ///< id of row 0
  Launch launch = {};
};

template <Real T, ExecutionSpace Exec>
struct Encoding {
  Table<T, Exec> mean;
  Table<T, Exec> log_variance;  ///< ln sigma^2, within its limits (models/log_variance.hpp)
  Table<T, Exec> z;             ///< mean + sigma e
};

template <Real T, ExecutionSpace Exec>
struct LatentOptions {
  std::uint32_t seed = 0;
  std::uint64_t first_id = 0;    ///< id of the first sample
  Table<const T, Exec> x0 = {};  ///< if the prior sees it: row i is where sample i begins
  ConditionTables<T, Exec> condition = {};  ///< if the prior sees it
  Launch launch = {};
};

/// As EncodeOptions, and those of the trajectories.
template <Real T, ExecutionSpace Exec>
struct ReconstructOptions {
  ConditionTables<T, Exec> condition = {};
  double guidance = 1;
  std::optional<double> t = {};
  Table<const T, Exec> x_t = {};
  TimeGrid grid = {};  ///< from 0 to 1
  std::uint32_t seed = 0;
  std::uint64_t first_id = 0;
  Launch launch = {};
};

/// The posterior of the pairs (x0, x1), pairs x flow.dimension() each, and one draw of z for each of
/// them. A table that the posterior does not see may be empty. Waits for the end. Throws
/// std::invalid_argument if something that it sees was not given, or the other way round.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
Encoding<T, Exec> encode(const Flow<T, Exec, Networks, precision, List>& flow,
                         const std::type_identity_t<Table<const T, Exec>>& x0,
                         const std::type_identity_t<Table<const T, Exec>>& x1,
                         const EncodeOptions<T, Exec>& options = {}) {
  expect(flow.latent() > 0, "encode needs a flow with a latent variable, but this one has none");
  const auto& posterior = flow.networks().posterior;
  expect(posterior.latent() > 0,
         "encode needs a posterior, but this flow has none: its z were given");
  const EncoderInput input = posterior.input();
  const std::size_t rows =
      math::maximum(math::maximum(x0.extent(0), x1.extent(0)), options.x_t.extent(0));
  const auto check = [&](const auto& table, std::string_view name, bool seen) {
    if (!detail::is_given(table) && !seen) return;
    expect(detail::is_given(table), "the posterior sees ", name, ", which was not given");
    detail::check_rows(table, name, rows, flow.dimension());
  };
  const bool on_path = contains(input, EncoderInput::x_t) && !detail::is_given(options.x_t);
  check(x0, "x0", contains(input, EncoderInput::x0) || on_path);
  check(x1, "x1", contains(input, EncoderInput::x1) || on_path);
  check(options.x_t, "x_t", false);
  expect(!detail::is_given(options.x_t) || contains(input, EncoderInput::x_t),
         "x_t was given, but the posterior does not see it");
  expect(!on_path || options.t, "the posterior sees x_t: expected x_t, or t to compute it from x0 ",
         "and x1, but neither was given");
  expect(!contains(input, EncoderInput::t) || options.t,
         "the posterior sees t, which was not given");
  expect(!options.t || on_path || contains(input, EncoderInput::t),
         "t was given, but the posterior does not see it");
  detail::check_condition(flow.exec(), options.condition, posterior.inputs(), "the posterior");

  expect(!options.t || (*options.t >= 0 && *options.t <= 1), "encode needs t in [0, 1], got ",
         options.t.value_or(0));
  const auto latent = static_cast<std::size_t>(flow.latent());
  const Encoding<T, Exec> out{Table<T, Exec>("vrfm::encode::mean", rows, latent),
                              Table<T, Exec>("vrfm::encode::log_variance", rows, latent),
                              Table<T, Exec>("vrfm::encode::z", rows, latent)};
  using P = storage_of<Networks, T>;
  const auto values = stored_values<P>(flow.exec(), flow.values());
  const detail::EncodePairs<T, P, PosteriorOf<Networks>, Products<precision, List>> program{
      posterior,
      values.data(),
      detail::rows_of(options.condition),
      detail::rows_of(x0),
      detail::rows_of(x1),
      detail::rows_of(options.x_t),
      static_cast<T>(options.t.value_or(0)),
      matrix(out.mean),
      matrix(out.log_variance),
      matrix(out.z)};
  detail::run_blocks<T>(flow.exec(), "vrfm::encode", program,
                        detail::all_samples(rows, options.seed, options.first_id, Use::sampling),
                        options.launch);
  return out;
}

/// z of `count` samples from the flow's prior: count x latent. Waits for the end. Throws
/// std::invalid_argument if something that the prior sees was not given, or the other way round.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List>
Table<T, Exec> draw_latents(const Flow<T, Exec, Networks, precision, List>& flow, std::size_t count,
                            const LatentOptions<T, Exec>& options = {}) {
  expect(flow.latent() > 0,
         "draw_latents needs a flow with a latent variable, but this one has none");
  const auto& prior = flow.networks().prior;
  const bool sees_x0 = !prior.standard() && contains(prior.input(), EncoderInput::x0);
  expect(detail::is_given(options.x0) == sees_x0,
         sees_x0 ? "the prior sees x0, which was not given"
                 : "x0 was given, but the prior does not see it");
  if (sees_x0) detail::check_rows(options.x0, "x0", count, flow.dimension());
  detail::check_condition(flow.exec(), options.condition, prior.inputs(), "the prior");
  const Table<T, Exec> z("vrfm::draw_latents", count, static_cast<std::size_t>(flow.latent()));
  using P = storage_of<Networks, T>;
  const auto values = stored_values<P>(flow.exec(), flow.values());
  const detail::DrawLatents<T, P, PriorOf<Networks>, Products<precision, List>> program{
      prior, values.data(), detail::rows_of(options.condition), detail::rows_of(options.x0),
      matrix(z)};
  detail::run_blocks<T>(flow.exec(), "vrfm::draw_latents", program,
                        detail::all_samples(count, options.seed, options.first_id, Use::sampling),
                        options.launch);
  return z;
}

/// x0 moved to the end of the grid under a z of the posterior of (x0, x1), that of encode. Throws
/// std::invalid_argument as encode does, std::runtime_error if a trajectory did not finish.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List, class Solver>
Table<T, Exec> reconstruct(const Flow<T, Exec, Networks, precision, List>& flow,
                           const std::type_identity_t<Table<const T, Exec>>& x0,
                           const std::type_identity_t<Table<const T, Exec>>& x1,
                           const Solver& solver, const ReconstructOptions<T, Exec>& options = {}) {
  detail::check_rows(x0, "x0", x1.extent(0), flow.dimension());
  const ModelInputs seen = flow.networks().posterior.inputs();
  const ModelInputs taken = flow.networks().velocity.inputs();
  detail::check_condition(flow.exec(), options.condition, detail::either(taken, seen), "the flow",
                          options.guidance != 0);
  const auto code = encode(flow, x0, x1,
                           {.condition = detail::tables_for(options.condition, seen),
                            .t = options.t,
                            .x_t = options.x_t,
                            .seed = options.seed,
                            .first_id = options.first_id,
                            .launch = options.launch});
  const Table<T, Exec> x(Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::reconstruct"),
                         x0.extent(0), x0.extent(1));
  Kokkos::deep_copy(flow.exec(), x, x0);
  if (x.extent(0) == 0) return x;
  const auto field = velocity_of(flow, {.latents = code.z,
                                        .condition = detail::tables_for(options.condition, taken),
                                        .guidance = options.guidance});
  integrate_all(flow.exec(), field, x, solver,
                {.grid = options.grid,
                 .seed = options.seed,
                 .first_id = options.first_id,
                 .launch = options.launch})
      .expect_finished();
  return x;
}

}  // namespace vrfm
