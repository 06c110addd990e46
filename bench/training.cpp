// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training steps of the paper's synthetic flows: by batch size, and by width and latent dimension
// for tiles and for whole batches. Operations are those of the networks' matrix products alone.
#include "flows.hpp"
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;

constexpr int steps = 10;

/// `steps` training steps an iteration.
template <class T>
void train(benchmark::State& state, const FlowOptions& options, int batch, Execution execution) {
  const Flow<T, Exec> flow(Exec{}, options, 1);
  with_trainer(flow, {.batch = batch, .execution = execution}, [&](auto&& trainer) {
    for (auto _ : state) trainer.run(trainer.step() + steps, steps);
  });
  const double samples = 1.0 * steps * batch;
  report(state, samples * training_operations(flow.parameters()), peak<T>());
  report_rate(state, "samples/s", samples);
}

/// Arguments: dimension, latent (0: the baseline), batch.
template <class T>
void by_batch(benchmark::State& state) {
  train<T>(
      state,
      {.dimension = static_cast<int>(state.range(0)), .latent = static_cast<int>(state.range(1))},
      static_cast<int>(state.range(2)), Execution::tiles);
}

/// Arguments: width, latent.
template <Execution execution>
void by_width(benchmark::State& state) {
  const int width = static_cast<int>(state.range(0));
  train<float>(state,
               {.dimension = 2,
                .latent = static_cast<int>(state.range(1)),
                .encoder = {.width = width},
                .latent_width = 2 * width,
                .decoder_width = width},
               1000, execution);
}

void batches(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dimension", "latent", "batch"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({1, 0, 1000})->Args({1, 4, 1000})->Args({2, 0, 1000});
  for (const int batch : {250, 1000, 4000, 16'000}) b->Args({2, 8, batch});
}

void widths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"width", "latent"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int width : {64, 128, 256, 512, 1024}) b->Args({width, 8});
  for (const int latent : {2, 64}) b->Args({64, latent});
}

const bool registered = [] {
  benchmark::RegisterBenchmark("training/float", by_batch<float>)->Apply(batches);
  benchmark::RegisterBenchmark("training/double", by_batch<double>)->Apply(batches);
  benchmark::RegisterBenchmark("training/tiles", by_width<Execution::tiles>)->Apply(widths);
  benchmark::RegisterBenchmark("training/batch", by_width<Execution::batch>)->Apply(widths);
  return true;
}();

}  // namespace
