// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainer: fits a flow, or another model (models/model.hpp), to a coupling. A step evaluates the objective's gradient
// (BatchGradient) and applies the optimizer (ParameterUpdate); it allocates nothing and waits for nothing but other
// ranks. What changes from step to step is in the execution space's memory, so on CUDA a step, or of many ranks what
// lies before and behind their sum, is recorded once and replayed as a graph.
#pragma once

#include <optional>

#include <vrfm/core/copy.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/training/average.hpp>
#include <vrfm/training/batch_gradient.hpp>
#include <vrfm/training/data_scale.hpp>
#include <vrfm/training/detail/step_graph.hpp>
#include <vrfm/training/parameter_update.hpp>
#include <vrfm/training/trainer_options.hpp>

namespace vrfm {

template <class FlowType, class Objective, class O, class Pairing, class Comm = SelfCommunicator>
class Trainer {
 public:
  using T = typename FlowType::value_type;
  using Exec = typename FlowType::execution_space;
  using Networks = std::decay_t<decltype(std::declval<FlowType>().networks())>;
  static_assert(RequireModel<FlowType>::ok);
  static_assert(detail::RequireParts<T, Networks, Objective, O, Pairing, Comm>::ok);

  /// Keeps references to the model's parameters (a Kokkos view), allocates gradients, state and working
  /// memory. Throws std::invalid_argument naming the first setting that does not fit.
  Trainer(const FlowType& flow, const Objective& objective, const O& optimizer,
          const Pairing& coupling, const TrainerOptions& options = {},
          const Comm& communicator = {})
      : exec_(flow.exec()),
        parameters_(flow.parameters()),
        values_(flow.values()),
        options_(options),
        log_(exec_, Objective::terms) {
    detail::check_fit(flow, objective, coupling, options.batch);
    detail::check_options<Objective>(options);
    options_.launch =
        detail::resolved<Exec, host_only<Networks>>(options, parameters_.count() * sizeof(T));
    shards_.emplace(communicator, detail::partition_of<Exec>(options.batch, options_.launch),
                    parameters_.count(), options.shard_optimizer);
    if (options.ema_decay != 0) {
      averaged_.emplace(exec_, Averaged<O>{optimizer, options.ema_decay}, parameters_, segment());
      averaged_->fill(average_name, values_);  // again in run, after weights were loaded
    } else {
      plain_.emplace(exec_, optimizer, parameters_, segment());
    }
    gradient_.emplace(flow, objective, coupling,
                      DrawAddress{.seed = options.seed, .step = StepNumber(log_.counter())},
                      options_.launch, averaged_ ? averaged_->array(average_name).data() : nullptr,
                      *shards_);
    if (communicator.is_root()) warn_of_scale<T>(exec_, coupling, options);
    detail::warn_of_idle_ranks(communicator, shards_->partition(), options);
  }

  std::int64_t step() const { return step_; }
  const Exec& exec() const { return exec_; }
  /// As given, but for an automatic execution, which has become tiles or batch.
  const TrainerOptions& options() const { return options_; }
  const Comm& communicator() const { return shards_->communicator(); }
  const ParameterList& parameters() const { return parameters_; }
  const Array<T, Exec>& values() const { return values_; }
  /// What a checkpoint holds besides values(): arrays of the optimizer and the average; of segment(), if sharded().
  const std::vector<NamedArray<T, Exec>>& state() const {
    return averaged_ ? averaged_->state() : plain_->state();
  }
  const Segment& segment() const { return shards_->segment(); }
  bool sharded() const { return shards_->divided(); }
  /// All elements of an array of the state, on the host. If sharded(), all ranks call it.
  auto whole(const Array<T, Exec>& own) const { return shards_->whole(exec_, own); }
  /// The moving average; empty unless ema_decay > 0. If sharded(), a copy, and all ranks call it.
  Array<T, Exec> average() const {
    if (!averaged_) return {};
    return shards_->gathered(exec_, averaged_->array(average_name));
  }
  /// Continues from `step` steps done, after the arrays above were filled (see checkpoint.hpp).
  void resume_at(std::int64_t step) {
    narrow<std::uint32_t>(step, "the number of steps done");
    step_ = step;
  }

  /// Trains until `last_step` steps are done. Calls on_report after every `report_every` steps and at the end. Throws
  /// NotFiniteError naming the step if a loss or gradient is not finite; the parameters are then those before it.
  void run(std::int64_t last_step, std::int64_t report_every = 100,
           const std::function<void(const TrainingReport&)>& on_report = {}) {
    expect(report_every >= 1, "report_every must be at least 1, got ", report_every);
    narrow<std::uint32_t>(last_step, "the last step (a draw's address has 32 bits for it)");
    if (log_.reserve(math::minimum(report_every, last_step - step_))) {
      for (auto& graph : graphs_) graph.forget();
    }
    if (step_ == 0 && averaged_) averaged_->fill(average_name, values_);
    Kokkos::Timer total, window;
    while (step_ < last_step) {
      const std::int64_t first = step_, last = math::minimum(last_step, first + report_every);
      log_.count_from(first);
      for (; step_ < last; ++step_) make_step();
      const auto losses = log_.collect(first, step_, [this](std::int64_t bad) {
        log_.count_from(step_ = bad);
        return gradient_->bad_samples();
      });
      if (!on_report) continue;
      const double rate = static_cast<double>(last - first) * options_.batch / window.seconds();
      window.reset();
      on_report(
          {step_, last_step, Objective::terms, losses, means_of(losses), total.seconds(), rate});
    }
  }

 private:
  /// Launches the step that the counter says, in one piece, or up to the ranks' sum and behind it.
  void make_step() {
    const bool alone = communicator().size() == 1;
    gradient_->prepare();
    graphs_[0].launch(exec_, [&] {
      gradient_->enqueue();
      if (alone) enqueue_update();
    });
    if (alone) return;
    gradient_->sum();
    graphs_[1].launch(exec_, [this] { enqueue_update(); });
    shards_->gather(exec_, values_.data());
  }

  void enqueue_update() {
    const auto update_by = [this](auto& update) {
      update.enqueue(values_, gradient_->gradient(), gradient_->losses(), gradient_->row_weight(),
                     gradient_->squares(), options_.clip_norm, log_.view());
    };
    averaged_ ? update_by(*averaged_) : update_by(*plain_);
  }

  Exec exec_;
  ParameterList parameters_;
  Array<T, Exec> values_;
  TrainerOptions options_;
  StepLog<Exec> log_;
  std::optional<detail::Shards<Comm>> shards_;
  std::optional<ParameterUpdate<T, Exec, O>> plain_;
  std::optional<ParameterUpdate<T, Exec, Averaged<O>>> averaged_;
  std::optional<BatchGradient<FlowType, Objective, Pairing, Comm>> gradient_;
  detail::StepGraph<Exec> graphs_[2];
  std::int64_t step_ = 0;
};

}  // namespace vrfm
