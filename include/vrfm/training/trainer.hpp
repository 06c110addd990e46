// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainer: fits a flow to a coupling. A step draws a batch, evaluates objective and gradient, adds
// the gradients' parts, and applies the optimiser; it allocates nothing and waits for nothing. What
// changes from step to step is in the execution space's memory, so on CUDA a step is recorded once
// and replayed as a graph. The host looks at the results once a report.
#pragma once

#include <functional>
#include <span>

#include <vrfm/models/flow.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/detail/step_graph.hpp>
#include <vrfm/training/detail/step_kernels.hpp>

namespace vrfm {

struct TrainerOptions {
  int batch = 1000;     ///< global batch, over all ranks
  int micro_batch = 0;  ///< samples at a time that are not in tiles, whose gradients are then added
                        ///< up: bounds the memory; 0: all
  std::uint32_t seed = 0;  ///< of pairs, times and posterior draws
  double clip_norm = 0;    ///< largest global gradient norm; 0: no clipping
  double ema_decay = 0;    ///< of the exponential moving average of the parameters; 0: none
  Execution execution = Execution::automatic;
};

/// One step's losses, means over the batch.
struct StepLosses {
  std::int64_t step;
  double velocity, kl, gradient_norm;
};

/// What the host sees now and then.
struct TrainingReport {
  std::int64_t step;                   ///< steps done
  std::int64_t last_step;              ///< steps at which this run ends
  std::span<const StepLosses> losses;  ///< of every step since the last report
  double velocity, kl;                 ///< means over `losses`
  double seconds;                      ///< since the run began
  double samples_per_second;           ///< since the last report
};

/// The loss stopped being a number.
class NotFiniteError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class FlowType, class Objective, AdamOptimizer Optimizer, class Pairing,
          Schedule Path = LinearSchedule, TimeSampler Times = UniformTime,
          Communicator Comm = SelfCommunicator>
class Trainer {
 public:
  using T = typename FlowType::value_type;
  using Exec = typename FlowType::execution_space;

  /// Keeps references to `flow`'s parameters (a Kokkos view), allocates gradients, moments and the
  /// arena. Throws std::invalid_argument naming the first setting that does not fit.
  Trainer(const FlowType& flow, const Objective& objective, const Optimizer& optimizer,
          const Pairing& coupling, const TrainerOptions& options = {}, const Path& path = {},
          const Times& times = {}, const Comm& communicator = {})
      : exec_(flow.exec()),
        parameters_(flow.parameters()),
        values_(flow.values()),
        optimizer_(optimizer),
        options_(options),
        communicator_(communicator),
        rows_{flow.networks(), objective, coupling,     path, times,
              values_.data(),  0,         options.seed, 0} {
    objective.check(flow.networks());
    check(optimizer);
    expect(options.batch >= 1, "batch must be at least 1, got ", options.batch);
    expect(options.batch % communicator.size() == 0, "batch (", options.batch,
           ") must be a multiple of the number of ranks (", communicator.size(), ")");
    expect(options.clip_norm >= 0, "clip_norm must be >= 0, got ", options.clip_norm);
    expect(options.ema_decay >= 0 && options.ema_decay < 1, "ema_decay must be in [0, 1), got ",
           options.ema_decay);
    expect_same("the flow", static_cast<std::size_t>(flow.dimension()), "the coupling",
                static_cast<std::size_t>(coupling.dimension()), "dimensions");
    rows_.weight = 1.0 / options.batch;
    expect(options.micro_batch >= 0, "micro_batch must be >= 0 (0: the whole batch), got ",
           options.micro_batch);
    expect(!host_only<Rows> || options.execution != Execution::tiles,
           "these networks are too large for tiles: expected Execution::batch");
    if (options.execution == Execution::automatic) {
      const bool small = parameters_.count() * sizeof(T) <= most_tiled_bytes;
      options_.execution = small && !host_only<Rows> ? Execution::tiles : Execution::batch;
    }
    allocate();
  }

  std::int64_t step() const { return step_; }
  const Exec& exec() const { return exec_; }
  /// As given, but for an automatic execution, which has become tiles or batch.
  const TrainerOptions& options() const { return options_; }
  const ParameterList& parameters() const { return parameters_; }
  const Array<T, Exec>& values() const { return values_; }
  /// First and second moments of the gradient.
  const Array<T, Exec>& first_moment() const { return first_moment_; }
  const Array<T, Exec>& second_moment() const { return second_moment_; }
  /// The moving average; empty unless ema_decay > 0.
  const Array<T, Exec>& average() const { return average_; }

  /// Continues from `step` steps done, after the arrays above were filled (see checkpoint.hpp).
  void resume_at(std::int64_t step) { step_ = step; }

  /// Trains until `last_step` steps are done. Calls on_report after every `report_every` steps and
  /// at the end. Throws NotFiniteError naming the step if a loss or gradient is not finite; the
  /// parameters are then those before that step.
  void run(std::int64_t last_step, std::int64_t report_every = 100,
           const std::function<void(const TrainingReport&)>& on_report = {}) {
    expect(report_every >= 1, "report_every must be at least 1, got ", report_every);
    reserve_statistics(math::min(report_every, last_step - step_));
    Kokkos::Timer total, window;
    while (step_ < last_step) {
      const std::int64_t first = step_;
      Kokkos::deep_copy(exec_, counter_, first);
      const std::int64_t last = math::min(last_step, first + report_every);
      for (; step_ < last; ++step_) {
        if (communicator_.size() == 1) {
          graph_.launch(exec_, [this] { enqueue_step(); });
        } else {
          enqueue_step();
        }
      }
      const auto losses = collect(first);
      if (!on_report) continue;
      TrainingReport report{step_, last_step, losses, 0, 0, total.seconds(), 0};
      for (const auto& loss : losses) {
        report.velocity += loss.velocity / static_cast<double>(losses.size());
        report.kl += loss.kl / static_cast<double>(losses.size());
      }
      report.samples_per_second =
          static_cast<double>(last - first) * options_.batch / window.seconds();
      window.reset();
      on_report(report);
    }
  }

 private:
  using Networks = std::decay_t<decltype(std::declval<FlowType>().networks())>;
  using Rows = detail::EvaluateRows<T, Networks, Objective, Pairing, Path, Times>;

  /// Parameters up to which tiles are the faster, in bytes; see bench/README.md.
  static constexpr std::size_t most_tiled_bytes = std::size_t(16) << 20;

  void allocate() {
    const std::size_t count = parameters_.count();
    local_batch_ = options_.batch / communicator_.size();
    const bool tiled = options_.execution == Execution::tiles;
    const int tile_rows = detail::training_tile_rows<Exec>(local_batch_);
    const int tiles = (local_batch_ + tile_rows - 1) / tile_rows;
    parts_ = tiled ? math::min(tiles, detail::training_max_parts<Exec>) : 1;
    workers_ = tiled ? math::min(parts_, tile_concurrency(exec_)) : 1;
    gradient_stride_ = Arena<T>::padded(count);

    batch_rows_ = math::min(local_batch_, tiled                      ? tile_rows
                                          : options_.micro_batch > 0 ? options_.micro_batch
                                                                     : local_batch_);
    Arena<T> measure = Arena<T>::measure();
    double unused[2];
    rows_(MeasureContext{tiled ? 1 : tile_concurrency(exec_)}, batch_rows_, 0,
          Gradient<T>{values_.data(), false}, unused, Update::overwrite, measure);
    memory_each_ = measure.peak();

    const auto array = [](const std::string& name, std::size_t n) {
      return Array<T, Exec>(name, n);
    };
    gradients_ =
        array("vrfm::Trainer::gradients", static_cast<std::size_t>(parts_) * gradient_stride_);
    memory_ = array("vrfm::Trainer::memory", static_cast<std::size_t>(workers_) * memory_each_);
    first_moment_ = array("vrfm::Trainer::first_moment", count);
    second_moment_ = array("vrfm::Trainer::second_moment", count);
    if (options_.ema_decay > 0) {
      average_ = array("vrfm::Trainer::average", count);
      Kokkos::deep_copy(exec_, average_, values_);
    }
    losses_ = Array<double, Exec>("vrfm::Trainer::losses", static_cast<std::size_t>(2 * parts_));
    squares_ = Array<double, Exec>(
        "vrfm::Trainer::squares",
        static_cast<std::size_t>(flat_blocks(static_cast<std::int64_t>(count))) + 1);
    numbers_ = Array<detail::AdamNumbers<T>, Exec>("vrfm::Trainer::numbers", 1);
    counter_ = Array<std::int64_t, Exec>("vrfm::Trainer::step", 1);
    rows_.step = StepNumber(counter_.data());
    bad_step_ = Array<int, Exec>("vrfm::Trainer::bad_step", 1);
    host_bad_step_ = Kokkos::create_mirror_view(bad_step_);
  }

  /// Makes room for the statistics of `steps` steps between two reports.
  void reserve_statistics(std::int64_t steps) {
    if (steps <= static_cast<std::int64_t>(statistics_.extent(0))) return;
    statistics_ = Table<double, Exec>("vrfm::Trainer::statistics", static_cast<std::size_t>(steps),
                                      detail::statistic_count);
    host_statistics_ = Kokkos::create_mirror_view(statistics_);
    graph_.forget();
  }

  /// Launches the step that the counter says. The launches depend on nothing else that changes.
  void enqueue_step() {
    const auto count = static_cast<std::int64_t>(parameters_.count());
    const auto first_sample =
        static_cast<std::uint64_t>(communicator_.rank()) * static_cast<std::uint64_t>(local_batch_);
    if (options_.execution == Execution::batch) {
      Arena<T> arena(memory_.data(), memory_each_);
      for (int first = 0; first < local_batch_; first += batch_rows_) {
        rows_(BatchContext<Exec, FlowType::compute>(exec_),
              math::min(batch_rows_, local_batch_ - first),
              first_sample + static_cast<std::uint64_t>(first),
              Gradient<T>{gradients_.data(), first > 0}, losses_.data(),
              first > 0 ? Update::accumulate : Update::overwrite, arena);
      }
    } else if constexpr (!host_only<Rows>) {
      launch_tiles<FlowType::compute>(
          exec_, "vrfm::Trainer::evaluate", workers_,
          detail::EvaluateParts<T, Rows>{rows_, batch_rows_, local_batch_, parts_, workers_,
                                         first_sample, gradients_.data(), gradient_stride_,
                                         losses_.data(), memory_.data(), memory_each_});
    }
    const std::int64_t blocks = flat_blocks(count);
    detail::AddParts<T> add{gradients_.data(), gradient_stride_, parts_, count,
                            losses_.data(),    squares_.data()};
    add_blocks("vrfm::Trainer::add_parts", blocks, add);
    communicator_.sum(exec_, Kokkos::subview(gradients_, std::make_pair(std::int64_t(0), count)));
    communicator_.sum(exec_, Kokkos::subview(losses_, std::make_pair(0, 2)));
    if (communicator_.size() > 1) {
      add.parts = 1;
      add_blocks("vrfm::Trainer::sum_squares", blocks, add);
    }
    launch_tiles(exec_, "vrfm::Trainer::finish", 1,
                 detail::FinishStep<T, Optimizer>{
                     losses_.data(), rows_.weight, squares_.data(), static_cast<int>(blocks),
                     squares_.data() + blocks, options_.clip_norm, optimizer_, statistics_.data(),
                     static_cast<std::int64_t>(statistics_.extent(0)), numbers_.data(),
                     bad_step_.data(), counter_.data()});
    flat_map(exec_, "vrfm::Trainer::adam", count,
             detail::AdamUpdate<T, Optimizer::decoupled>{values_.data(), gradients_.data(),
                                                         first_moment_.data(),
                                                         second_moment_.data(), numbers_.data()});
    if (options_.ema_decay > 0) {
      flat_map(exec_, "vrfm::Trainer::average", count,
               detail::AverageElement<T>{values_.data(), average_.data(),
                                         static_cast<T>(1 - options_.ema_decay), bad_step_.data()});
    }
  }

  /// Parts are added by the threads of a team on a device; one part is only squared.
  void add_blocks(const char* label, std::int64_t blocks, const detail::AddParts<T>& add) {
    if (!is_host_space<Exec> && add.parts > 1) {
      launch_tiles(exec_, label, static_cast<int>(blocks), add);
    } else {
      Kokkos::parallel_for(
          label,
          Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<std::int64_t>>(exec_, 0, blocks),
          add);
    }
  }

  /// Waits for the steps since `first`, and returns their losses.
  std::span<const StepLosses> collect(std::int64_t first) {
    Kokkos::deep_copy(exec_, host_bad_step_, bad_step_);
    Kokkos::deep_copy(exec_, host_statistics_, statistics_);
    exec_.fence();
    const auto& rows = host_statistics_;
    host_losses_.clear();
    for (std::int64_t s = first; s < step_; ++s) {
      const auto i = static_cast<std::size_t>(s) % rows.extent(0);
      host_losses_.push_back({s, rows(i, detail::statistic_velocity), rows(i, detail::statistic_kl),
                              rows(i, detail::statistic_norm)});
    }
    if (host_bad_step_(0) != 0) {
      const std::int64_t step = host_bad_step_(0) - 1;
      const auto& loss = host_losses_[static_cast<std::size_t>(step - first)];
      step_ = step;
      Kokkos::deep_copy(exec_, bad_step_, 0);
      throw NotFiniteError(text("vrfm: step ", step, " is not finite: velocity loss ",
                                loss.velocity, ", KL ", loss.kl, ", gradient norm ",
                                loss.gradient_norm, "; the parameters are those before this step"));
    }
    return host_losses_;
  }

  Exec exec_;
  ParameterList parameters_;
  Array<T, Exec> values_, gradients_, memory_, first_moment_, second_moment_, average_;
  Array<double, Exec> losses_, squares_;
  Array<detail::AdamNumbers<T>, Exec> numbers_;
  Array<std::int64_t, Exec> counter_;  // steps done, as the kernels count
  Array<int, Exec> bad_step_;
  typename Array<int, Exec>::host_mirror_type host_bad_step_;
  Table<double, Exec> statistics_;
  typename Table<double, Exec>::host_mirror_type host_statistics_;
  std::vector<StepLosses> host_losses_;
  Optimizer optimizer_;
  TrainerOptions options_;
  Comm communicator_;
  Rows rows_;
  detail::StepGraph<Exec> graph_;
  int local_batch_ = 0, batch_rows_ = 0, parts_ = 0, workers_ = 0;
  std::size_t gradient_stride_ = 0, memory_each_ = 0;
  std::int64_t step_ = 0;
};

}  // namespace vrfm
