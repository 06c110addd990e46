// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sampling the paper's 2D flows: by solver, samples and steps, and by width for tiles and for whole
// batches; beside them Euler's method in plain loops. Operations are those of the velocity network's matrix products for x alone: z's part is
// computed once a trajectory, and t's once a step.
#include "naive.hpp"
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;

/// Reports `evaluations` of the velocity for each of `count` samples.
template <class T>
void report_samples(benchmark::State& state, const ParameterList& parameters,
                    const FlowOptions& options, double evaluations, std::size_t count) {
  const double width = options.encoder.width;
  const double per_evaluation = weights(parameters, "velocity.data_encoder") +
                                weights(parameters, "velocity.decoder") -
                                width * width * (options.latent > 0 ? 2 : 1);
  report(state, 2.0 * per_evaluation * evaluations * static_cast<double>(count), peak<T>());
  report_rate(state, "samples/s", static_cast<double>(count));
}

template <class T, class Solver>
void sample_flow(benchmark::State& state, const FlowOptions& options, std::size_t count, int steps,
                 const Solver& solver, Execution execution) {
  const Flow<T, Exec> flow(Exec{}, options, 1);
  const auto from = source<T, Exec>(2);
  const Table<T, Exec> x("x", count, 2);
  double evaluations = 0;
  for (auto _ : state) {
    const Result result = sample_into(
        Exec{}, velocity_of(flow), from, x, solver,
        {.count = count, .grid = TimeGrid::uniform(0, 1, steps), .launch = {execution}});
    evaluations = result.mean_evaluations;
  }
  report_samples<T>(state, flow.parameters(), options, evaluations, count);
}

/// Arguments: latent, samples, steps.
template <class T, class Solver>
void by_count(benchmark::State& state) {
  sample_flow<T>(state, {.dimension = 2, .latent = static_cast<int>(state.range(0))},
                 static_cast<std::size_t>(state.range(1)), static_cast<int>(state.range(2)),
                 Solver{}, Execution::tiles);
}

/// Euler's method in plain loops on one thread. Arguments as by_count.
template <class T>
void loops(benchmark::State& state) {
  const FlowOptions options{.dimension = 2, .latent = static_cast<int>(state.range(0))};
  const auto count = static_cast<std::size_t>(state.range(1));
  const int steps = static_cast<int>(state.range(2));
  const Flow<T, Exec> flow(Exec{}, options, 1);
  naive::Networks<T> networks(flow.parameters(), options);
  const auto p = naive::to_vector(flow.values());
  const auto run = [&] { return naive::sample(networks, p.data(), options, count, steps); };
  naive::expect_agreement(
      "samples",
      naive::to_vector(sample(flow, source<T, Exec>(2), Euler{},
                              {.count = count, .grid = TimeGrid::uniform(0, 1, steps)})),
      run(), steps);
  for (auto _ : state) benchmark::DoNotOptimize(run());
  report_samples<T>(state, flow.parameters(), options, steps, count);
}

/// Argument: width.
template <class T, Execution execution>
void by_width(benchmark::State& state) {
  const int width = static_cast<int>(state.range(0));
  sample_flow<T>(state,
                 {.dimension = 2,
                  .latent = 8,
                  .encoder = {.width = width},
                  .latent_width = 2 * width,
                  .decoder_width = width},
                 10'000, 4, Euler{}, execution);
}

void counts(benchmark::internal::Benchmark* b) {
  b->ArgNames({"latent", "samples", "steps"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({0, 20'000, 20});
  for (const int samples : {1000, 20'000, 100'000}) b->Args({8, samples, 20});
  if (!is_host_space<Exec>) b->Args({8, 1'000'000, 20});
  for (const int steps : {2, 5, 80}) b->Args({8, 20'000, steps});
}

void loop_counts(benchmark::internal::Benchmark* b) {
  b->ArgNames({"latent", "samples", "steps"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({0, 1000, 20})->Args({8, 1000, 20})->Args({8, 1000, 5});
}

void once(benchmark::internal::Benchmark* b) {
  b->ArgNames({"latent", "samples", "steps"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({8, 10'000, 1});
}

void widths(benchmark::internal::Benchmark* b) {
  b->ArgName("width")->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int width : {64, 128, 256, 512, 1024}) b->Arg(width);
}

template <class T>
void add_all(const std::string& type) {
  const auto add = [&](const std::string& name, void (*run)(benchmark::State&), auto shapes) {
    benchmark::RegisterBenchmark(("sampling/" + name + type).c_str(), run)->Apply(shapes);
  };
  add("euler", by_count<T, Euler>, counts);
  add("loops", loops<T>, loop_counts);
  add("midpoint", by_count<T, Midpoint>, once);
  add("heun", by_count<T, Heun>, once);
  add("rk4", by_count<T, RungeKutta4>, once);
  add("dopri5", by_count<T, DormandPrince>, once);
  add("tiles", by_width<T, Execution::tiles>, widths);
  add("batch", by_width<T, Execution::batch>, widths);
}

const bool registered = (add_all<float>(""), add_all<double>("_double"), true);

}  // namespace
