// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether model, objective, coupling and launch of a training belong together.
#pragma once

#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/model.hpp>
#include <vrfm/objectives/objective.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/training/average.hpp>
#include <vrfm/training/detail/leaf_kernels.hpp>
#include <vrfm/training/report.hpp>
#include <vrfm/training/trainer_options.hpp>

namespace vrfm::detail {

/// Whether a report has room for an objective's terms; of what has none, another sentence tells.
template <class O>
inline constexpr bool few_terms = true;
template <HasTerms O>
inline constexpr bool few_terms<O> = term_count<O> <= most_terms;

/// Whether an objective writes the gradients of all networks.
template <class Objective, class Networks>
inline constexpr bool trains_all =
    trains_source<Objective> || !requires(const Networks& networks) { networks.source_posterior; };

/// Says in one sentence which part of a training is none.
template <class T, class Networks, class Objective, class O, class Pairing, class Comm>
struct RequireParts {
  static_assert(RequireObjective<Objective, Networks>::ok);
  static_assert(trains_all<Objective, Networks>,
                "vrfm: networks with a source_posterior are trained by VariationalCoupling");
  static_assert(RequireOptimizer<O, T>::ok);
  static_assert(!Optimizer<O, T> || Optimizer<Averaged<O>, T>,
                "vrfm: a trainer averages by itself: expected ema_decay in place of Averaged");
  static_assert(RequireCoupling<Pairing, T>::ok);
  static_assert(RequireCommunicator<Comm>::ok);
  static_assert(few_terms<Objective>, "vrfm: an objective has at most 8 terms");
  static constexpr bool ok = true;
};

/// Parameters up to which tiles are the faster, in bytes (see bench/README.md), and the most that
/// automatic tiles take for gradients, one for each leaf.
inline constexpr std::size_t most_tiled_bytes = std::size_t(16) << 20;
inline constexpr std::size_t most_gradient_bytes = std::size_t(512) << 20;

/// Throws std::invalid_argument naming the first setting that cannot be for this objective.
template <class Objective>
void check_options(const TrainerOptions& options) {
  expect(options.clip_norm >= 0, "clip_norm must be >= 0, got ", options.clip_norm);
  expect(!uses_teacher<Objective> || options.ema_decay > 0,
         "this objective asks the moving average: expected ema_decay > 0");
  expect(!uses_teacher<Objective> || !options.shard_optimizer,
         "this objective asks the moving average of all parameters: expected no shard_optimizer");
}

/// Tells options.warn, on the root, of ranks that own no leaf.
template <class Comm>
void warn_of_idle_ranks(const Comm& communicator, const Partition& partition,
                        const TrainerOptions& options) {
  const int ranks = communicator.size(), leaves = partition.leaves();
  if (!options.warn || !communicator.is_root() || ranks <= leaves) return;
  options.warn(text("a batch of ", partition.samples(), " samples is cut into ", leaves,
                    leaves == 1 ? " leaf" : " leaves", ", which ", ranks,
                    " ranks share: ", ranks - leaves,
                    " of them have no work; a smaller launch.batch makes more leaves"));
}

/// The launch of `options` with an automatic execution decided, for networks of so many bytes of parameters.
/// Throws std::invalid_argument for networks that kernels cannot carry in tiles, and for a negative batch.
template <ExecutionSpace Exec, bool host_only>
Launch resolved(const TrainerOptions& options, std::size_t bytes) {
  Launch launch = options.launch;
  expect(launch.batch >= 0, "launch.batch must be >= 0 (0: the whole batch), got ", launch.batch);
  expect(!host_only || launch.execution != Execution::tiles,
         "these networks are too large for tiles: expected Execution::batch");
  if (launch.execution == Execution::automatic) {
    const auto leaves = static_cast<std::size_t>(tile_partition<Exec>(options.batch).leaves());
    const bool fits = bytes <= most_tiled_bytes && leaves * bytes <= most_gradient_bytes;
    launch.execution = !host_only && fits ? Execution::tiles : Execution::batch;
  }
  return launch;
}

/// Throws std::invalid_argument unless what a model takes of c is what the coupling gives; `all`: it may
/// not leave anything out.
inline void check_condition_shape(const char* model, const ModelInputs& wanted,
                                  const ConditionShape& given, bool all) {
  const auto same = [&](int takes, int has, const char* what) {
    if (takes == 0 && !all) return;
    expect_same(text(model, "'s condition"), static_cast<std::size_t>(takes), "the coupling's",
                static_cast<std::size_t>(has), what);
  };
  same(wanted.classes, given.classes, "classes");
  same(wanted.condition_columns, given.columns, "columns");
  same(wanted.field_columns, given.field_columns, "field columns");
}

/// Throws std::invalid_argument unless a coupling gives z exactly where a flow of `latent` columns has no posterior.
inline void check_given_latent(int latent, bool posterior, int given) {
  expect(given == 0 || latent > 0, "the coupling gives z of ", given,
         " columns, but the flow has no latent variable");
  expect(given == 0 || !posterior,
         "the coupling gives z, but the flow has a posterior that tells it: expected ",
         "EncoderInput::none, or a coupling without z");
  expect(given > 0 || latent == 0 || posterior,
         "the flow has a latent variable without a posterior: expected a ",
         "coupling that gives z of ", latent, " columns, such as stored pairs");
  if (given > 0) {
    expect_same("the flow's z", static_cast<std::size_t>(latent), "the coupling's",
                static_cast<std::size_t>(given), "columns");
  }
}

/// Throws std::invalid_argument unless model, objective and coupling belong together.
template <class Model, class Objective, class Pairing>
void check_fit(const Model& model, const Objective& objective, const Pairing& coupling, int batch) {
  expect(batch >= 1, "batch must be at least 1, got ", batch);
  const auto& networks = model.networks();
  constexpr bool is_flow = HasVelocity<std::remove_cvref_t<decltype(networks)>>;
  const char* const name = is_flow ? "the flow" : "the model";
  objective.check(networks);
  expect_same(name, static_cast<std::size_t>(model.dimension()), "the coupling",
              static_cast<std::size_t>(coupling.dimension()), "dimensions");
  const ConditionShape given = condition_of(coupling);
  if constexpr (is_flow) {
    check_condition_shape(name, networks.velocity.inputs(), given, true);
    const bool posterior = model.latent() > 0 && networks.posterior.latent() > 0;
    check_given_latent(model.latent(), posterior, given.latent);
    // Posterior and prior may leave c out, but not ask for another one.
    if (posterior) {
      check_condition_shape("the posterior", networks.posterior.inputs(), given, false);
      check_condition_shape("the prior", networks.prior.inputs(), given, false);
    }
  } else {
    expect(given.latent == 0, "the coupling gives z of ", given.latent,
           " columns, but the model has no latent variable");
    check_condition_shape(name, networks.inputs(), given, true);
  }
  expect(!needs_condition<Objective> || !given.dropped,
         "this objective needs the condition of every sample, but the coupling drops that of some");
  check_batch(coupling, batch);
}

}  // namespace vrfm::detail
