// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The experiment of vrfm_synthetic: for every variant and seed it trains (or loads) a flow, samples
// it with every number of steps, and measures the samples.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <vrfm/io/npy.hpp>
#include <vrfm/training/checkpoint.hpp>
#include <vrfm/vrfm.hpp>

#include <examples/synthetic/options.hpp>
#include <examples/synthetic/results.hpp>

namespace synthetic {

using Exec = Kokkos::DefaultExecutionSpace;
using Mixture = vrfm::GaussianMixture<float, Exec>;
using Samples = vrfm::Table<float, Exec>;
using Paths = Kokkos::View<float***, Kokkos::LayoutRight, Exec::memory_space>;
using FlowType = vrfm::Flow<float, Exec>;

// Draws for measuring are apart from those of any training seed.
inline constexpr std::uint32_t evaluation_seed = 0x5EED0001, held_out_seed = 0x5EED0002;

// The training's final losses are means over its last steps.
inline constexpr std::size_t final_window = 100;

/// Where a run keeps its files.
struct Folder {
  std::filesystem::path root;

  std::filesystem::path file(const char* kind, const Variant& variant, std::uint32_t seed,
                             const std::string& suffix) const {
    const std::string input = variant.encoder_input.empty() ? "" : "-" + variant.encoder_input;
    return root / kind / (variant.model + input + "-seed" + std::to_string(seed) + suffix);
  }

  /// Throws std::runtime_error if a folder cannot be made.
  void create(std::initializer_list<const char*> kinds) const {
    for (const char* kind : kinds) {
      std::error_code error;
      std::filesystem::create_directories(root / kind, error);
      if (error) {
        throw std::runtime_error("--output " + root.string() + ": cannot create the folder '" +
                                 kind + "' in it: " + error.message());
      }
    }
  }
};

/// A host copy of a view's numbers in row-major order.
template <class View>
std::vector<typename View::non_const_value_type> host_values(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.size()};
}

class Experiment {
 public:
  /// Throws std::invalid_argument for impossible settings.
  Experiment(const Exec& exec, const Options& options)
      : exec_(exec),
        options_(options),
        folder_{options.output},
        source_(make_source()),
        target_(make_target()),
        held_out_(
            vrfm::draw_all(exec, target_, options.samples, held_out_seed, vrfm::Purpose::target)) {}

  /// Everything; `announce` is told what begins.
  Results run(const std::function<void(const std::string&)>& announce) {
    Kokkos::Timer timer;
    Results results;
    results.experiment = options_.experiment;
    results.dimension = static_cast<std::size_t>(options_.dimension());
    results.iterations = options_.iterations;
    results.seeds.assign(options_.seeds.begin(), options_.seeds.end());
    results.backend = std::string(Exec::name()) + ", " + std::to_string(exec_.concurrency()) +
                      (exec_.concurrency() == 1 ? " thread" : " threads");
    results.settings = options_.all();
    check_inputs(announce);
    folder_.create({"weights", "samples"});
    if (options_.checkpoint_every > 0) folder_.create({"checkpoints"});

    const Samples exact =
        vrfm::draw_all(exec_, target_, options_.samples, evaluation_seed, vrfm::Purpose::target);
    results.exact = {vrfm::true_log_likelihood(exec_, target_, exact), parzen(exact),
                     wasserstein(exact)};
    add_truth(results);
    for (const Variant& variant : variants()) {
      for (const std::uint32_t seed : options_.seeds) {
        const FlowType flow = make_flow(variant, seed);
        const std::string name = name_of(variant, seed);
        if (options_.load.empty()) {
          train(flow, variant, seed, name, results);
        } else {
          load(flow, variant, seed);
        }
        announce(name + ": sampling and measuring");
        measure(flow, variant, seed, results);
        if (seed == options_.seeds.front()) follow(flow, variant, results);
      }
    }
    results.seconds = timer.seconds();
    return results;
  }

 private:
  Mixture make_source() const {
    return options_.dimension() == 1
               ? vrfm::mixture_1d<float>(exec_, {0.0}, options_.source_deviation)
               : vrfm::mixture_on_circle<float>(exec_, 6, 1.0 / 3, options_.source_deviation);
  }

  Mixture make_target() const {
    return options_.dimension() == 1
               ? vrfm::mixture_1d<float>(exec_, {-1.0, 1.0}, options_.target_deviation)
               : vrfm::mixture_on_circle<float>(exec_, 6, 1.0, options_.target_deviation);
  }

  std::vector<Variant> variants() const {
    std::vector<Variant> list;
    if (options_.model != "vrfm") list.push_back({"rfm", ""});
    if (options_.model != "rfm") {
      for (const auto& input : options_.encoder_inputs) list.push_back({"vrfm", input});
    }
    return list;
  }

  static std::string name_of(const Variant& variant, std::uint32_t seed) {
    const std::string input =
        variant.encoder_input.empty() ? "" : "(" + variant.encoder_input + ")";
    return variant.model + input + " seed " + std::to_string(seed);
  }

  std::filesystem::path weights_to_load(const Variant& variant, std::uint32_t seed) const {
    return Folder{options_.load}.file("weights", variant, seed, ".safetensors");
  }

  std::filesystem::path checkpoint_of(const Variant& variant, std::uint32_t seed) const {
    return folder_.file("checkpoints", variant, seed, ".safetensors");
  }

  /// That --load and --resume find what they name, before anything is written.
  /// Throws std::runtime_error.
  void check_inputs(const std::function<void(const std::string&)>& announce) const {
    bool any = false;
    for (const Variant& variant : variants()) {
      for (const std::uint32_t seed : options_.seeds) {
        if (!options_.load.empty() && !std::filesystem::exists(weights_to_load(variant, seed))) {
          throw std::runtime_error("--load " + options_.load + ": expected weights of " +
                                   name_of(variant, seed) + " in " +
                                   weights_to_load(variant, seed).string() +
                                   ", found no such file; --model, --encoder-input and --seeds "
                                   "choose what is loaded");
        }
        const bool found = std::filesystem::exists(checkpoint_of(variant, seed));
        any = any || found;
        if (options_.resume) {
          announce(name_of(variant, seed) +
                   (found ? ": continues from its checkpoint" : ": no checkpoint yet"));
        }
      }
    }
    if (options_.resume && !any) {
      throw std::runtime_error("--resume: expected checkpoints in " +
                               (folder_.root / "checkpoints").string() +
                               ", found none of this run's models and seeds");
    }
  }

  FlowType make_flow(const Variant& variant, std::uint32_t seed) const {
    const bool variational = variant.model == "vrfm";
    vrfm::FlowOptions flow;
    flow.dimension = options_.dimension();
    flow.latent = variational ? options_.latent : 0;
    if (variational) flow.encoder_input = parse_encoder_input(variant.encoder_input);
    flow.encoder = {.features = options_.features,
                    .width = options_.width,
                    .depth = options_.encoder_depth,
                    .scale = options_.input_scale,
                    .max_period = options_.max_period};
    flow.latent_width = options_.latent_width;
    flow.latent_depth = options_.latent_depth;
    flow.decoder_width = options_.width;
    flow.decoder_depth = options_.decoder_depth;
    return FlowType(exec_, flow, seed);
  }

  void train(const FlowType& flow, const Variant& variant, std::uint32_t seed,
             const std::string& name, Results& results) {
    const auto reduction =
        options_.reduction == "mean" ? vrfm::Reduction::mean : vrfm::Reduction::sum;
    if (variant.model == "vrfm") {
      train_with(flow, vrfm::Elbo{options_.beta, reduction, reduction}, variant, seed, name,
                 results);
    } else {
      train_with(flow, vrfm::VelocityLoss{reduction}, variant, seed, name, results);
    }
  }

  template <class Objective>
  void train_with(const FlowType& flow, const Objective& objective, const Variant& variant,
                  std::uint32_t seed, const std::string& name, Results& results) {
    if (options_.time_sampler == "logit-normal") {
      train_at(flow, objective, vrfm::LogitNormalTime{}, variant, seed, name, results);
    } else {
      train_at(flow, objective, vrfm::UniformTime{}, variant, seed, name, results);
    }
  }

  template <class Objective, class Times>
  void train_at(const FlowType& flow, const Objective& objective, const Times& times,
                const Variant& variant, std::uint32_t seed, const std::string& name,
                Results& results) {
    vrfm::AdamW optimizer;
    optimizer.learning_rate.base = options_.learning_rate;
    optimizer.learning_rate.warmup = options_.warmup;
    if (options_.cosine) {
      optimizer.learning_rate.decay = vrfm::LearningRate::Decay::cosine;
      optimizer.learning_rate.total = options_.iterations;
    }
    optimizer.weight_decay = options_.weight_decay;
    vrfm::Trainer trainer(flow, objective, optimizer, vrfm::independent(source_, target_),
                          {.batch = options_.batch,
                           .seed = seed,
                           .clip_norm = options_.clip_norm,
                           .ema_decay = options_.ema_decay,
                           .execution = options_.execution_mode()},
                          vrfm::LinearSchedule{}, times);
    const auto settings = options_.training_settings(variant, seed);
    const auto checkpoint = checkpoint_of(variant, seed);
    const auto losses_file = folder_.file("checkpoints", variant, seed, "-losses.npy");
    std::vector<double> losses;  // velocity loss and KL of every step
    if (options_.resume && std::filesystem::exists(checkpoint)) {
      vrfm::load_checkpoint(checkpoint, trainer, settings);
      losses = read_losses(losses_file, trainer.step());
    }
    vrfm::expect(trainer.step() <= options_.iterations, checkpoint.string(), " has ",
                 trainer.step(), " steps done, more than --iterations ", options_.iterations);

    vrfm::ProgressBar progress(name);
    Kokkos::Timer timer;
    const std::int64_t first_step = trainer.step();
    while (trainer.step() < options_.iterations) {
      const std::int64_t stop =
          options_.checkpoint_every > 0
              ? std::min(options_.iterations, (trainer.step() / options_.checkpoint_every + 1) *
                                                  options_.checkpoint_every)
              : options_.iterations;
      trainer.run(stop, 100, [&](vrfm::TrainingReport report) {
        for (const auto& step : report.losses) {
          losses.push_back(step.velocity);
          losses.push_back(step.kl);
        }
        report.last_step = options_.iterations;
        report.seconds = timer.seconds();
        progress(report);
      });
      if (options_.checkpoint_every > 0) {
        // The losses first: a checkpoint is never ahead of them, and resuming cuts them to its step.
        vrfm::write_npy(losses_file, {losses.size() / 2, 2}, losses);
        vrfm::save_checkpoint(checkpoint, trainer, settings);
      }
    }
    const double seconds = trainer.step() > first_step ? timer.seconds() : 0;
    if (options_.ema_decay > 0) Kokkos::deep_copy(exec_, flow.values(), trainer.average());
    vrfm::save_weights(folder_.file("weights", variant, seed, ".safetensors"), flow, settings);
    add_training(variant, seed, losses, seconds,
                 seconds > 0
                     ? static_cast<double>((trainer.step() - first_step) * options_.batch) / seconds
                     : 0,
                 results);
  }

  static std::vector<double> read_losses(const std::filesystem::path& path, std::int64_t steps) {
    auto values = vrfm::read_npy<double>(path).values;
    const auto wanted = 2 * static_cast<std::size_t>(steps);
    if (values.size() < wanted) {
      throw std::runtime_error(path.string() + ": expected the losses of at least " +
                               std::to_string(steps) + " steps, found " +
                               std::to_string(values.size() / 2));
    }
    values.resize(wanted);
    return values;
  }

  void add_training(const Variant& variant, std::uint32_t seed, const std::vector<double>& losses,
                    double seconds, double samples_per_second, Results& results) const {
    const std::size_t steps = losses.size() / 2;
    const bool variational = variant.model == "vrfm";
    const auto mean = [&](std::size_t first, std::size_t last, std::size_t column) {
      double sum = 0;
      for (std::size_t s = first; s < last; ++s) sum += losses[2 * s + column];
      return sum / static_cast<double>(last - first);
    };
    const std::size_t tail = std::min(final_window, steps);
    results.train.push_back({variant, seed, mean(steps - tail, steps, 0),
                             mean(steps - tail, steps, 1), seconds, samples_per_second});
    // Few enough points for a figure, each the mean of the steps between them.
    LossCurve curve{variant, seed, {}, {}, {}};
    const std::size_t points = std::min<std::size_t>(steps, 400);
    for (std::size_t k = 0; k < points; ++k) {
      const std::size_t first = steps * k / points, last = steps * (k + 1) / points;
      curve.iteration.push_back(0.5 * static_cast<double>(first + last));
      curve.velocity_loss.push_back(mean(first, last, 0));
      if (variational) curve.kl.push_back(mean(first, last, 1));
    }
    results.loss_curves.push_back(std::move(curve));
  }

  void load(const FlowType& flow, const Variant& variant, std::uint32_t seed) const {
    const auto path = weights_to_load(variant, seed);
    const auto stored = vrfm::SafetensorsFile::read(path).metadata();
    for (const auto& [key, value] : options_.training_settings(variant, seed)) {
      const auto found = stored.find(key);
      if (found == stored.end() || found->second != value) {
        throw std::runtime_error(path.string() + ": setting '" + key + "' is '" + value +
                                 "' but the weights were trained with '" +
                                 (found == stored.end() ? "" : found->second) + "'");
      }
    }
    vrfm::load_weights(path, flow);
  }

  double parzen(const Samples& samples) const {
    return vrfm::parzen_log_likelihood(exec_, samples, held_out_, options_.bandwidth);
  }

  double wasserstein(const Samples& samples) const {
    return options_.dimension() == 1 ? vrfm::wasserstein1(exec_, samples, held_out_)
                                     : vrfm::sliced_wasserstein1(exec_, samples, held_out_);
  }

  /// Samples with `solver`, saving every point of the grid to `paths`.
  template <class Solver>
  vrfm::Result integrate(const FlowType& flow, const Solver& solver, const vrfm::TimeGrid& grid,
                         const Samples& samples, const Paths& paths) const {
    const auto count = samples.extent(0);
    auto result =
        vrfm::sample_into(exec_, vrfm::velocity_of(flow), source_, samples, solver,
                          {.count = count, .grid = grid, .seed = evaluation_seed},
                          vrfm::save_to(paths, grid.points(), count, options_.dimension()));
    result.expect_finished();
    return result;
  }

  vrfm::Result solve(const FlowType& flow, const vrfm::TimeGrid& grid, const Samples& samples,
                     const Paths& paths) const {
    const auto& name = options_.solver;
    if (name == "midpoint") return integrate(flow, vrfm::Midpoint{}, grid, samples, paths);
    if (name == "heun") return integrate(flow, vrfm::Heun{}, grid, samples, paths);
    if (name == "rk4") return integrate(flow, vrfm::RungeKutta4{}, grid, samples, paths);
    if (name == "dopri5") {
      const vrfm::DormandPrince solver{.absolute = options_.tolerance,
                                       .relative = options_.tolerance};
      return integrate(flow, solver, grid, samples, paths);
    }
    return integrate(flow, vrfm::Euler{}, grid, samples, paths);
  }

  static std::vector<double> times_of(const vrfm::TimeGrid& grid) {
    std::vector<double> times;
    for (int k = 0; k < grid.points(); ++k) times.push_back(grid[k]);
    return times;
  }

  Paths make_paths(const vrfm::TimeGrid& grid, int samples) const {
    return Paths(Kokkos::view_alloc(Kokkos::WithoutInitializing, "synthetic::paths"),
                 static_cast<std::size_t>(grid.points()), static_cast<std::size_t>(samples),
                 static_cast<std::size_t>(options_.dimension()));
  }

  Samples make_samples(int count) const {
    return Samples("synthetic::samples", static_cast<std::size_t>(count),
                   static_cast<std::size_t>(options_.dimension()));
  }

  void measure(const FlowType& flow, const Variant& variant, std::uint32_t seed,
               Results& results) const {
    // An adaptive solver is asked for the points of a grid that shows its path well.
    const std::vector<int> adaptive{20};
    for (const int steps : options_.adaptive() ? adaptive : options_.steps) {
      const auto grid = vrfm::TimeGrid::uniform(0, 1, steps);
      const Samples samples = make_samples(options_.samples);
      const Paths paths = make_paths(grid, options_.samples);
      const auto outcome = solve(flow, grid, samples, paths);
      const auto path = vrfm::path_statistics(exec_, paths, times_of(grid));
      results.runs.push_back({variant, seed, options_.solver, options_.adaptive() ? 0 : steps,
                              outcome.max_evaluations,
                              vrfm::true_log_likelihood(exec_, target_, samples), parzen(samples),
                              wasserstein(samples), path.straightness, path.median_ratio});
      const std::string suffix =
          "-" + options_.solver + (options_.adaptive() ? "" : "-" + std::to_string(steps)) + ".npy";
      vrfm::write_npy(folder_.file("samples", variant, seed, suffix),
                      {samples.extent(0), samples.extent(1)}, host_values(samples));
    }
  }

  /// The straight paths between independent pairs: what the models learn from.
  void add_truth(Results& results) {
    const auto doubles = [](const auto& values) {
      return std::vector<double>(values.begin(), values.end());
    };
    results.source = doubles(
        host_values(vrfm::draw_all(exec_, source_, shown_points, evaluation_seed,
                                   vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source))));
    results.target = doubles(host_values(
        vrfm::draw_all(exec_, target_, shown_points, evaluation_seed, vrfm::Purpose::target)));
    Trajectories truth{{"truth", ""}, times_of(shown_grid()), shown_paths, {}};
    const auto size = static_cast<std::size_t>(shown_paths * options_.dimension());
    for (const double t : truth.times) {
      for (std::size_t k = 0; k < size; ++k) {
        truth.positions.push_back((1 - t) * results.source[k] + t * results.target[k]);
      }
    }
    results.trajectories.push_back(std::move(truth));
    if (options_.dimension() != 1) return;

    auto& map = results.ambiguity;
    map.time_bins = static_cast<std::size_t>(map_times);
    map.position_bins = static_cast<std::size_t>(map_positions);
    map.position_lower = -2.5;
    map.position_upper = 2.5;
    map.velocity_lower = -5;
    map.velocity_upper = 5;
    map.probes = {{0, 0.25}, {0, 0.5}, {0, 0.75}, {0.5, 0.75}};
    const auto pairs = vrfm::independent(source_, target_);
    add_ambiguity({"truth", ""},
                  vrfm::StraightVelocityPoints<float, decltype(pairs)>(pairs, map_samples,
                                                                       map_times, evaluation_seed),
                  {0, 1, map_times}, results);
  }

  /// The trajectories of one trained flow for the figures.
  void follow(const FlowType& flow, const Variant& variant, Results& results) const {
    const auto grid = shown_grid();
    const Samples samples = make_samples(shown_paths);
    const Paths paths = make_paths(grid, shown_paths);
    integrate(flow, vrfm::Euler{}, grid, samples, paths);
    const auto values = host_values(paths);
    results.trajectories.push_back(
        {variant, times_of(grid), shown_paths, {values.begin(), values.end()}});
    if (options_.dimension() != 1) return;

    const auto fine = vrfm::TimeGrid::uniform(0, 1, map_times);
    const Samples many = make_samples(map_samples);
    const Paths map_paths = make_paths(fine, map_samples);
    integrate(flow, vrfm::Euler{}, fine, many, map_paths);
    // An Euler velocity is known at the step's start and holds until its end: bins centred on the
    // starts, so that rounding moves no point to a neighbour.
    const double half = 0.5 / map_times;
    add_ambiguity(variant,
                  vrfm::TrajectoryVelocityPoints<float, Exec>(exec_, map_paths, times_of(fine)),
                  {-half, 1 - half, map_times}, results);
  }

  template <class Points>
  void add_ambiguity(const Variant& variant, const Points& points, const vrfm::BinRange& times,
                     Results& results) const {
    auto& all = results.ambiguity;
    const auto map = vrfm::velocity_ambiguity(
        exec_, points, times, {all.position_lower, all.position_upper, map_positions});
    AmbiguityMap shown{variant, map.deviation, {}};
    for (std::size_t bin = 0; bin < map.count.size(); ++bin) {
      if (map.count[bin] < 10) shown.deviation[bin] = std::nan("");
    }
    std::vector<vrfm::VelocityWindow> windows;
    for (const Probe& probe : all.probes) windows.push_back({probe.t, probe.x, 0.015, 0.1});
    for (const auto& histogram : vrfm::velocity_histograms(
             exec_, points, windows, {all.velocity_lower, all.velocity_upper, 100})) {
      shown.histograms.emplace_back(histogram.count.begin(), histogram.count.end());
    }
    all.maps.push_back(std::move(shown));
  }

  static vrfm::TimeGrid shown_grid() { return vrfm::TimeGrid::uniform(0, 1, 20); }

  static constexpr int shown_paths = 300, shown_points = 1500;
  static constexpr int map_times = 50, map_positions = 50, map_samples = 40'000;

  Exec exec_;
  Options options_;
  Folder folder_;
  Mixture source_, target_;
  Samples held_out_;
};

}  // namespace synthetic
