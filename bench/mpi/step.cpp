// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_mpi_step: a training step of the CIFAR-10 U-Net on ranks, in turns: of each rank alone, which is what
// a step costs without any sum and how much the slowest rank makes the others wait; and of all together, whose
// gradient is summed behind the backward pass or leaves in buckets during it. Milliseconds, medians.
//   mpirun -n 2 vrfm_bench_mpi_step [images a rank, all in one leaf; turns]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/mpi_communicator.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;

using ImageFlow = vrfm::Flow<float, Exec, vrfm::UnetNetworks>;

/// A trainer behind a function that makes one more step.
template <class Pairing, class Comm>
std::function<void()> steps_of(const ImageFlow& flow, const Pairing& pairs, int images,
                               const Comm& communicator) {
  using Trainer = vrfm::Trainer<ImageFlow, vrfm::VelocityLoss, vrfm::AdamW, Pairing, Comm>;
  const auto trainer =
      std::make_shared<Trainer>(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, pairs,
                                vrfm::TrainerOptions{.batch = images * communicator.size(),
                                                     .launch = {vrfm::Execution::batch, images}},
                                communicator);
  return [trainer] { trainer->run(trainer->step() + 1, 1); };
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(int images, int turns) {
  const ImageFlow flow(Exec(), vrfm::UnetNetworks::Options{}, 1);
  const auto noise = vrfm::standard_normal<float>(Exec(), flow.dimension());
  const auto pairs = vrfm::independent(noise, noise);
  const auto ranks = [](std::size_t bucket_bytes) {
    return vrfm::MpiCommunicator(MPI_COMM_WORLD, {.bucket_bytes = bucket_bytes});
  };
  struct Row {
    const char* name;
    std::function<void()> step;
    std::vector<double> slowest = {}, mean = {};
  };
  Row rows[] = {{"alone", steps_of(flow, pairs, images, vrfm::SelfCommunicator{})},
                {"summed at the end", steps_of(flow, pairs, images, ranks(0))},
                {"in buckets of 25 MB", steps_of(flow, pairs, images, ranks(25'000'000))},
                {"in buckets of 5 MB", steps_of(flow, pairs, images, ranks(5'000'000))}};
  const vrfm::MpiCommunicator all = ranks(0);
  for (int turn = 0; turn <= turns; ++turn) {
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
  std::printf("%d ranks, %zu parameters, %d images a rank\n\n", all.size(),
              flow.parameters().count(), images);
  std::printf("| ms a step | mean of ranks | slowest rank |\n|---|---|---|\n");
  for (const Row& row : rows) {
    std::printf("| %s | %.1f | %.1f |\n", row.name, median_of(row.mean), median_of(row.slowest));
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    run(argc > 1 ? std::atoi(argv[1]) : 1, argc > 2 ? std::atoi(argv[2]) : 11);
  }
  MPI_Finalize();
}
