// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training steps of the paper's synthetic flows: by batch size, by objective, and by width and latent dimension
// for tiles and for whole batches; beside them plain loops. Operations are those of the networks'
// matrix products alone.
#include "naive.hpp"
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;

constexpr int steps = 10;

/// `steps` training steps an iteration.
template <class T>
void train(benchmark::State& state, const FlowOptions& options, int batch, Execution execution) {
  const Flow<T, Exec> flow(Exec{}, options, 1);
  with_trainer(flow, {.batch = batch, .launch = {.execution = execution}}, [&](auto&& trainer) {
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

/// The paper's flow in two dimensions with z, as a map or, to compare with, under Elbo; the posteriors see x0 and x1.
template <class T, class O>
void by_objective(benchmark::State& state, const O& objective) {
  const Flow<T, Exec> flow(Exec{},
                           {.dimension = 2,
                            .latent = 8,
                            .encoder_input = EncoderInput::x0 | EncoderInput::x1,
                            .second_time = !std::is_same_v<O, Elbo>},
                           1);
  const int batch = 1000;
  Trainer trainer(flow, objective, AdamW{}, independent(source<T, Exec>(2), target<T, Exec>(2)),
                  {.batch = batch, .launch = {.execution = Execution::tiles}});
  for (auto _ : state) trainer.run(trainer.step() + steps, steps);
  report_rate(state, "samples/s", 1.0 * steps * batch);
}

/// One step an iteration, in plain loops on one thread. Arguments as by_batch.
template <class T>
void loops(benchmark::State& state) {
  const FlowOptions options{.dimension = static_cast<int>(state.range(0)),
                            .latent = static_cast<int>(state.range(1))};
  const int batch = static_cast<int>(state.range(2));
  const Flow<T, Exec> flow(Exec{}, options, 1);
  const auto start = naive::to_vector(flow.values());
  naive::Trainer<T> plain(flow.parameters(), options, start, beta(options.dimension), batch);
  plain.step();
  with_trainer(
      flow, {.batch = batch, .launch = {.execution = Execution::tiles}}, [&](auto&& trainer) {
        trainer.run(1, 1, [&](const TrainingReport& report) {
          std::vector<T> losses;
          for (std::size_t k = 0; k < report.terms.size(); ++k)
            losses.push_back(T(report.means[k]));
          naive::expect_agreement("losses", losses, plain.losses(), batch);
        });
        naive::expect_agreement("a step's gradient", naive::to_vector(trainer.state()[0].values),
                                plain.first_moment(), batch);
        naive::expect_agreement("a step's squared gradient",
                                naive::to_vector(trainer.state()[1].values), plain.second_moment(),
                                batch);
        naive::expect_agreement("a step's parameters", naive::to_vector(trainer.values()),
                                plain.parameters(), batch);
      });
  for (auto _ : state) plain.step();
  report(state, 1.0 * batch * training_operations(flow.parameters()), peak<T>());
  report_rate(state, "samples/s", batch);
}

/// Arguments: width, latent.
template <class T, Execution execution>
void by_width(benchmark::State& state) {
  const int width = static_cast<int>(state.range(0));
  train<T>(state,
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
  if (!is_host_space<Exec>) b->Args({2, 8, 65'536});
}

void loop_batches(benchmark::internal::Benchmark* b) {
  b->ArgNames({"dimension", "latent", "batch"})->UseRealTime()->Unit(benchmark::kMillisecond);
  b->Args({1, 4, 1000})->Args({2, 0, 1000})->Args({2, 8, 250})->Args({2, 8, 1000});
}

void widths(benchmark::internal::Benchmark* b) {
  b->ArgNames({"width", "latent"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const int width : {64, 128, 256, 512, 1024}) b->Args({width, 8});
  for (const int latent : {2, 64}) b->Args({64, latent});
}

template <class T>
void add_all(const std::string& type) {
  const auto add = [&](const std::string& name, void (*run)(benchmark::State&), auto shapes) {
    benchmark::RegisterBenchmark(("training/" + name + type).c_str(), run)->Apply(shapes);
  };
  add("step", by_batch<T>, batches);
  const auto add_objective = [&](const std::string& name, const auto& objective) {
    benchmark::RegisterBenchmark(
        ("training/objective/" + name + type).c_str(),
        [=](benchmark::State& state) { by_objective<T>(state, objective); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  add_objective("elbo", Elbo{.beta = beta(2)});
  add_objective("mean_flow", variational(MeanFlow{}, beta(2)));
  add_objective("plain_mean_flow", variational(PlainMeanFlow{}, beta(2)));
  add_objective("so_flow", variational(SoFlow{.rho = SoFlow::falling(20'000)}, beta(2)));
  add("loops", loops<T>, loop_batches);
  add("tiles", by_width<T, Execution::tiles>, widths);
  add("batch", by_width<T, Execution::batch>, widths);
}

const bool registered = (add_all<float>(""), add_all<double>("_double"), true);

}  // namespace
