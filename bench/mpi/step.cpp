// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_mpi_step: training steps of a network on ranks, in turns: of each rank alone, which is what a step
// costs without any sum; and of all together, whose gradient is summed behind the backward pass or leaves in
// buckets during it. Ranks begin each step at the same time, so that "mean" is the step of processes that know
// nothing of each other, and "slowest" what the ranks of one batch wait for, whatever their messages cost.
// Milliseconds, medians; ratios are medians over turns of the alone row's mean, or slowest, over a row's slowest.
//   mpirun -n 2 vrfm_bench_mpi_step [--network unet|mnist] [--images N a rank] [--leaf N] [--turns N]
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/mpi_communicator.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;

struct Options {
  std::string network = "unet";
  int images = 4, leaf = 4, turns = 11;
};

/// A trainer behind a function that makes one more step.
template <class FlowType, class Objective, class Pairing, class Comm>
std::function<void()> steps_of(const FlowType& flow, const Objective& objective,
                               const Pairing& pairs, const Options& options,
                               const Comm& communicator) {
  using Trainer = vrfm::Trainer<FlowType, Objective, vrfm::AdamW, Pairing, Comm>;
  const auto trainer = std::make_shared<Trainer>(
      flow, objective, vrfm::AdamW{}, pairs,
      vrfm::TrainerOptions{.batch = options.images * communicator.size(),
                           .launch = {vrfm::Execution::batch, options.leaf}},
      communicator);
  return [trainer] { trainer->run(trainer->step() + 1, 1); };
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Row {
  const char* name;
  std::function<void()> step;
  std::vector<double> mean = {}, slowest = {};
};

template <class FlowType, class Objective>
void run(const FlowType& flow, const Objective& objective, const Options& options) {
  const auto noise = vrfm::standard_normal<float>(Exec(), flow.dimension());
  const auto pairs = vrfm::independent(noise, noise);
  const auto ranks = [](std::size_t bucket_bytes) {
    return vrfm::MpiCommunicator(MPI_COMM_WORLD, {.bucket_bytes = bucket_bytes});
  };
  const auto steps = [&](const auto& communicator) {
    return steps_of(flow, objective, pairs, options, communicator);
  };
  Row rows[] = {{"alone", steps(vrfm::SelfCommunicator{})},
                {"summed at the end", steps(ranks(0))},
                {"in buckets of 25 MB", steps(ranks(25'000'000))},
                {"in buckets of 5 MB", steps(ranks(5'000'000))}};
  const vrfm::MpiCommunicator all = ranks(0);
  for (int turn = 0; turn <= options.turns; ++turn) {
    for (Row& row : rows) {
      MPI_Barrier(MPI_COMM_WORLD);
      const double begin = MPI_Wtime();
      row.step();
      const double own = 1e3 * (MPI_Wtime() - begin);
      double slowest = own, sum = own;
      MPI_Allreduce(MPI_IN_PLACE, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
      MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
      if (turn == 0) continue;
      row.slowest.push_back(slowest);
      row.mean.push_back(sum / all.size());
    }
  }
  if (!all.is_root()) return;
  std::printf("%s: %d ranks, %zu parameters, %d images a rank in leaves of %d\n\n",
              options.network.c_str(), all.size(), flow.parameters().count(), options.images,
              options.leaf);
  std::printf(
      "| ms a step | mean | slowest | alone, mean / slowest | alone, slowest / slowest |\n"
      "|---|---|---|---|---|\n");
  for (const Row& row : rows) {
    std::vector<double> of_mean, of_slowest;
    for (std::size_t k = 0; k < row.slowest.size(); ++k) {
      of_mean.push_back(rows[0].mean[k] / row.slowest[k]);
      of_slowest.push_back(rows[0].slowest[k] / row.slowest[k]);
    }
    std::printf("| %s | %.1f | %.1f | %.3f | %.3f |\n", row.name, median_of(row.mean),
                median_of(row.slowest), median_of(of_mean), median_of(of_slowest));
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  Options options;
  CLI::App app("Training steps on ranks, in turns");
  app.add_option("--network", options.network)
      ->check(CLI::IsMember({"unet", "mnist"}))
      ->capture_default_str();
  for (const auto& [name, value] : {std::pair{"--images", &options.images},
                                    {"--leaf", &options.leaf},
                                    {"--turns", &options.turns}}) {
    app.add_option(name, *value)->check(CLI::PositiveNumber)->capture_default_str();
  }
  CLI11_PARSE(app, argc, argv);
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    if (options.network == "unet") {
      run(vrfm::Flow<float, Exec, vrfm::UnetNetworks>(Exec(), vrfm::UnetNetworks::Options{}, 1),
          vrfm::VelocityLoss{}, options);
    } else {
      // The recipe vrfm-small of vrfm_mnist.
      const vrfm::ResidualFlowOptions small{.grid = {28, 28},
                                            .channels = 1,
                                            .latent = 2,
                                            .features = 16,
                                            .blocks = 4,
                                            .posterior_features = 8};
      run(vrfm::Flow<float, Exec, vrfm::ResidualNetworks>(Exec(), small, 1),
          vrfm::Elbo{.beta = 3e-4}, options);
    }
  }
  MPI_Finalize();
}
