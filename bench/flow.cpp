// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One training step and one sampling call of the paper's synthetic flows, in float, with their rate
// counted on the networks' matrix products alone (6 operations a weight and sample for a step, 2 an
// evaluation), beside the rate of one large product a core: the machine's peak as BatchContext reaches it.
#include <benchmark/benchmark.h>

#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

double weights(const vrfm::ParameterList& list, const std::string& prefix) {
  double count = 0;
  for (const auto& slot : list.slots()) {
    const bool wanted = slot.name.starts_with(prefix) && slot.shape.size() == 2;
    if (wanted) count += static_cast<double>(slot.count);
  }
  return count;
}

void report_rate(benchmark::State& state, double operations, double samples) {
  using benchmark::Counter;
  state.counters["flop/s"] = Counter(operations, Counter::kIsIterationInvariantRate);
  state.counters["samples/s"] = Counter(samples, Counter::kIsIterationInvariantRate);
}

vrfm::GaussianMixture<float, Exec> source(int dimension) {
  return dimension == 1 ? vrfm::standard_normal<float>(Exec{}, 1)
                        : vrfm::mixture_on_circle<float>(Exec{}, 6, 1.0 / 3, 0.1 / 3);
}

vrfm::GaussianMixture<float, Exec> target(int dimension) {
  return dimension == 1 ? vrfm::mixture_1d<float>(Exec{}, {-1, 1}, 0.1414)
                        : vrfm::mixture_on_circle<float>(Exec{}, 6, 1.0, 0.1);
}

/// Arguments: dimension, latent (0: the baseline), batch.
void training_step(benchmark::State& state) {
  const int dimension = static_cast<int>(state.range(0)), latent = static_cast<int>(state.range(1));
  const int batch = static_cast<int>(state.range(2));
  const vrfm::Flow<float, Exec> flow(Exec{}, {.dimension = dimension, .latent = latent}, 1);
  const auto coupling = vrfm::independent(source(dimension), target(dimension));
  constexpr int steps = 20;
  const auto measure = [&](auto&& trainer) {
    for (auto _ : state) trainer.run(trainer.step() + steps, steps);
    report_rate(state, 6.0 * steps * batch * weights(flow.parameters(), ""), 1.0 * steps * batch);
  };
  if (latent == 0) {
    measure(vrfm::Trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, coupling, {.batch = batch}));
  } else {
    measure(vrfm::Trainer(flow, vrfm::Elbo{}, vrfm::AdamW{}, coupling, {.batch = batch}));
  }
}
BENCHMARK(training_step)
    ->ArgNames({"dimension", "latent", "batch"})
    ->Args({1, 0, 1000})
    ->Args({1, 4, 1000})
    ->Args({2, 0, 1000})
    ->Args({2, 8, 1000})
    ->Args({2, 8, 8000})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Arguments: dimension, latent, number of Euler steps.
void sampling(benchmark::State& state) {
  const int dimension = static_cast<int>(state.range(0)), latent = static_cast<int>(state.range(1));
  const int steps = static_cast<int>(state.range(2));
  constexpr std::size_t count = 20'000;
  const vrfm::Flow<float, Exec> flow(Exec{}, {.dimension = dimension, .latent = latent}, 1);
  const auto from = source(dimension);
  for (auto _ : state) {
    benchmark::DoNotOptimize(vrfm::sample(
        flow, from, vrfm::Euler{}, {.count = count, .grid = vrfm::TimeGrid::uniform(0, 1, steps)}));
  }
  const double evaluated = weights(flow.parameters(), "velocity.") -
                           weights(flow.parameters(), "velocity.latent_encoder");
  report_rate(state, 2.0 * evaluated * steps * count, 1.0 * count);
}
BENCHMARK(sampling)
    ->ArgNames({"dimension", "latent", "steps"})
    ->Args({2, 0, 20})
    ->Args({2, 8, 2})
    ->Args({2, 8, 20})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Argument: extent of a square product over all cores.
void gemm(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0));
  const auto extent = static_cast<std::size_t>(n);
  using View = vrfm::Table<float, Exec>;
  const View a("a", extent, extent), b("b", extent, extent), c("c", extent, extent);
  const Exec exec;
  const vrfm::BatchContext<Exec> ctx(exec);
  for (auto _ : state) {
    ctx.gemm<vrfm::Op::none, vrfm::Op::transpose, float>(vrfm::matrix(a), vrfm::matrix(b),
                                                         vrfm::matrix(c), vrfm::Update::overwrite);
    exec.fence();
  }
  report_rate(state, 2.0 * n * n * n, n);
}
BENCHMARK(gemm)->ArgName("n")->Arg(1024)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("execution space", Exec::name());
  benchmark::AddCustomContext("concurrency", std::to_string(Exec{}.concurrency()));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
