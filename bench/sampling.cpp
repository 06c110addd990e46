// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sampling the paper's 2D flows: by solver, samples and steps, and by width for tiles and for whole
// batches. Operations are those of the velocity network's matrix products for x alone: z's part is
// computed once a trajectory, and t's once a step.
#include "flows.hpp"
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;

template <class T, class Solver>
void sample_flow(benchmark::State& state, const FlowOptions& options, std::size_t count, int steps,
                 const Solver& solver, Execution execution) {
  const Flow<T, Exec> flow(Exec{}, options, 1);
  const auto from = source<T, Exec>(2);
  const Table<T, Exec> x("x", count, 2);
  double evaluations = 0;
  for (auto _ : state) {
    const Result result =
        sample_into(Exec{}, velocity_of(flow), from, x, solver,
                    {.count = count, .grid = TimeGrid::uniform(0, 1, steps), .execution = execution});
    evaluations = result.mean_evaluations;
  }
  const double width = options.encoder.width;
  const double per_evaluation = weights(flow.parameters(), "velocity.data_encoder") +
                                weights(flow.parameters(), "velocity.decoder") -
                                width * width * (options.latent > 0 ? 2 : 1);
  report(state, 2.0 * per_evaluation * evaluations * static_cast<double>(count), peak<T>());
  report_rate(state, "samples/s", static_cast<double>(count));
}

/// Arguments: latent, samples, steps.
template <class T, class Solver>
void by_count(benchmark::State& state) {
  sample_flow<T>(state, {.dimension = 2, .latent = static_cast<int>(state.range(0))},
                 static_cast<std::size_t>(state.range(1)), static_cast<int>(state.range(2)),
                 Solver{}, Execution::tiles);
}

/// Argument: width.
template <Execution execution>
void by_width(benchmark::State& state) {
  const int width = static_cast<int>(state.range(0));
  sample_flow<float>(state,
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
  for (const int steps : {2, 5, 80}) b->Args({8, 20'000, steps});
}

void once(benchmark::internal::Benchmark* b) {
  b->ArgNames({"latent", "samples", "steps"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({8, 10'000, 1});
}

void widths(benchmark::internal::Benchmark* b) {
  b->ArgName("width")->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int width : {64, 128, 256, 512, 1024}) b->Arg(width);
}

const bool registered = [] {
  benchmark::RegisterBenchmark("sampling/euler", by_count<float, Euler>)->Apply(counts);
  benchmark::RegisterBenchmark("sampling/euler_double", by_count<double, Euler>)->Apply(once);
  benchmark::RegisterBenchmark("sampling/midpoint", by_count<float, Midpoint>)->Apply(once);
  benchmark::RegisterBenchmark("sampling/heun", by_count<float, Heun>)->Apply(once);
  benchmark::RegisterBenchmark("sampling/rk4", by_count<float, RungeKutta4>)->Apply(once);
  benchmark::RegisterBenchmark("sampling/dopri5", by_count<float, DormandPrince>)->Apply(once);
  benchmark::RegisterBenchmark("sampling/tiles", by_width<Execution::tiles>)->Apply(widths);
  benchmark::RegisterBenchmark("sampling/batch", by_width<Execution::batch>)->Apply(widths);
  return true;
}();

}  // namespace
