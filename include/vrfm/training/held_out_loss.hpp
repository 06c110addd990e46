// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// held_out_losses: an objective's losses on samples that are held out, without a gradient and without
// dropout, at draws that are the same for every flow and that no training makes (Use::held_out). Losses
// at one time t are those of an objective whose times are FixedTime.
#pragma once

#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/tree_sum.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm {

struct HeldOutOptions {
  int count = 1000;        ///< samples
  std::uint32_t seed = 0;  ///< of pairs, times and posterior draws
  std::uint32_t step = 0;  ///< of these draws: another one, other draws
  Launch launch = {};      ///< always whole batches; its batch bounds the memory
};

/// Means over the samples, in the order of the objective's terms.
struct HeldOutLosses {
  std::span<const char* const> terms;
  std::array<double, most_terms> means{};

  /// The mean of the loss called `name`. Throws std::invalid_argument if there is none.
  double mean(std::string_view name) const { return means[term_index(terms, name)]; }
};

/// The same bits on all ranks of any number, which call it together. Waits for the end. Throws
/// std::invalid_argument if something does not fit.
template <class FlowType, class Objective, class Pairing, class Comm = SelfCommunicator>
HeldOutLosses held_out_losses(const FlowType& flow, const Objective& objective,
                              const Pairing& coupling, const HeldOutOptions& options = {},
                              const Comm& communicator = {}) {
  using T = typename FlowType::value_type;
  using Exec = typename FlowType::execution_space;
  using Networks = std::decay_t<decltype(flow.networks())>;
  using Rows = detail::EvaluateRows<T, Networks, Objective, Pairing>;
  static_assert(RequireModel<FlowType>::ok);
  static_assert(RequireObjective<Objective, Networks>::ok);
  static_assert(RequireCoupling<Pairing, T>::ok);
  static_assert(RequireCommunicator<Comm>::ok);
  static_assert(detail::few_terms<Objective>, "vrfm: an objective has at most 8 terms");
  expect(!uses_teacher<Objective>,
         "an objective that asks the moving average has no held-out loss");
  expect(options.launch.batch >= 0, "launch.batch must be >= 0 (0: all), got ",
         options.launch.batch);
  expect(options.count >= 1, "held-out losses need at least 1 sample, got ", options.count);
  detail::check_fit(flow, objective, coupling, options.count);
  const Partition partition = Partition::of_leaves(options.count, options.launch.batch);
  const Exec& exec = flow.exec();
  const DrawAddress draws{
      .seed = options.seed, .step = options.step, .first_sample = 0, .use = Use::held_out};
  const auto values = stored_values<typename Rows::P>(exec, flow.values());
  const Rows rows{flow.networks(), objective, coupling, values.data(), nullptr, 1.0, draws};
  prepare_coupling(exec, coupling, draws, options.count);

  Arena<T> measured = Arena<T>::measure();
  double unused[Rows::terms];
  rows(BatchContextOf<Exec, FlowType>::dry_run(exec), partition.largest_leaf(), 0, Gradient<T>{},
       unused, Update::overwrite, measured);
  const Array<T, Exec> memory(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::held_out_losses::memory"),
      measured.peak());
  const LeafRange range = partition.owned(communicator.rank(), communicator.size());
  constexpr auto terms = static_cast<std::size_t>(Rows::terms);
  const Table<double, Exec> sums("vrfm::held_out_losses::sums",
                                 static_cast<std::size_t>(range.count), terms);
  const BatchContextOf<Exec, FlowType> ctx(exec);
  for (int k = 0; k < range.count; ++k) {
    const int leaf = range.first + k;
    Arena<T> arena(memory.data(), measured.peak());
    rows(ctx, partition.sample_count(leaf), partition.first_sample(leaf), Gradient<T>{},
         sums.data() + k * Rows::terms, Update::overwrite, arena);
  }
  const auto host = to_host(exec, sums);

  std::array<double, terms> all{};
  sum_of_ranks(communicator, partition, range, host.data(), terms, all.data());
  HeldOutLosses losses{Objective::terms, {}};
  for (std::size_t k = 0; k < terms; ++k) losses.means[k] = all[k] / options.count;
  return losses;
}

}  // namespace vrfm
