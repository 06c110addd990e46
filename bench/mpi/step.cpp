// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_mpi_step: a training step of the CIFAR-10 U-Net on ranks, whose gradient is summed behind the
// backward pass or leaves in buckets during it, in turns; milliseconds of a step, medians over the turns.
//   mpirun -n 2 vrfm_bench_mpi_step [images a rank, all in one leaf; turns]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/parallel/mpi_communicator.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;

void run(int images, int turns) {
  using ImageFlow = vrfm::Flow<float, Exec, vrfm::UnetNetworks>;
  const ImageFlow flow(Exec(), {}, 1);
  const auto noise = vrfm::standard_normal<float>(Exec(), flow.dimension());
  const auto pairs = vrfm::independent(noise, noise);
  const auto make = [&](std::size_t bucket_bytes) {
    const vrfm::MpiCommunicator ranks(MPI_COMM_WORLD, {.bucket_bytes = bucket_bytes});
    return std::make_unique<vrfm::Trainer<ImageFlow, vrfm::VelocityLoss, vrfm::AdamW,
                                          decltype(pairs), vrfm::MpiCommunicator>>(
        flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, pairs,
        vrfm::TrainerOptions{.batch = images * ranks.size(),
                             .launch = {vrfm::Execution::batch, images}},
        ranks);
  };
  const std::size_t buckets[] = {0, 25'000'000, 5'000'000};
  std::vector<decltype(make(0))> trainers;
  for (const std::size_t bytes : buckets) trainers.push_back(make(bytes));
  std::vector<std::vector<double>> times(trainers.size());
  for (int turn = 0; turn <= turns; ++turn) {
    for (std::size_t k = 0; k < trainers.size(); ++k) {
      MPI_Barrier(MPI_COMM_WORLD);
      double seconds = MPI_Wtime();
      trainers[k]->run(turn + 1, 1);
      seconds = MPI_Wtime() - seconds;
      MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
      if (turn > 0) times[k].push_back(1e3 * seconds);
    }
  }
  if (!trainers[0]->communicator().is_root()) return;
  std::printf("%d ranks, %zu parameters, %d images a rank\n\n| sum | ms a step |\n|---|---|\n",
              trainers[0]->communicator().size(), flow.parameters().count(), images);
  for (std::size_t k = 0; k < times.size(); ++k) {
    std::sort(times[k].begin(), times[k].end());
    const double median = times[k][times[k].size() / 2];
    if (buckets[k] == 0)
      std::printf("| at the end | %.1f |\n", median);
    else
      std::printf("| in buckets of %zu MB | %.1f |\n", buckets[k] / 1'000'000, median);
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
