// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_mpi: the sum of a gradient over ranks by each contract of MpiCommunicator, beside
// MPI_Allreduce, as a table of Markdown. Each rank holds one node of a batch of 64 leaves where their
// number is a power of two, else a few; a time is the slowest rank's, the median over repetitions.
//   mpirun -n 4 vrfm_bench_mpi [most elements]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include <Kokkos_Core.hpp>

#include <vrfm/parallel/mpi_communicator.hpp>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;

/// Milliseconds of a call that all ranks make.
double median_of(const std::function<void()>& prepare, const std::function<void()>& call,
                 std::size_t count) {
  const int repetitions = count > 1'000'000 ? 11 : 101;
  std::vector<double> times;
  for (int k = 0; k < repetitions + 2; ++k) {
    prepare();
    MPI_Barrier(MPI_COMM_WORLD);
    double seconds = MPI_Wtime();
    call();
    seconds = MPI_Wtime() - seconds;
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (k >= 2) times.push_back(1e3 * seconds);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void run(std::size_t most) {
  using vrfm::Reproducible;
  const vrfm::MpiCommunicator contracts[] = {
      vrfm::MpiCommunicator(MPI_COMM_WORLD, {.reproducible = Reproducible::invariant}),
      vrfm::MpiCommunicator(MPI_COMM_WORLD, {.reproducible = Reproducible::fixed}),
      vrfm::MpiCommunicator(MPI_COMM_WORLD, {.reproducible = Reproducible::fast})};
  const int rank = contracts[0].rank(), size = contracts[0].size();
  const vrfm::Partition partition(64, 64);
  const auto nodes = partition.roots(partition.owned(rank, size)).size();
  if (rank == 0) {
    std::printf("%d ranks, milliseconds of one sum of floats\n\n", size);
    std::printf("| elements | invariant | fixed | fast | MPI_Allreduce |\n|---|---|---|---|---|\n");
  }
  for (std::size_t count = 1'000; count <= most; count *= 10) {
    std::vector<std::vector<float>> memory(nodes, std::vector<float>(count));
    std::vector<float*> roots;
    for (auto& node : memory) roots.push_back(node.data());
    std::vector<float> result(count);
    const auto prepare = [&] {
      for (auto& node : memory) std::fill(node.begin(), node.end(), 1.0f);
      std::fill(result.begin(), result.end(), 1.0f);
    };
    double times[4] = {};
    for (int k = 0; k < 3; ++k) {
      times[k] = median_of(
          prepare,
          [&] {
            contracts[k].sum(Exec(), partition, std::span<float* const>(roots), result.data(),
                             count);
          },
          count);
    }
    times[3] = median_of(
        prepare,
        [&] {
          MPI_Allreduce(MPI_IN_PLACE, result.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                        MPI_COMM_WORLD);
        },
        count);
    if (rank == 0) {
      std::printf("| %zu | %.3f | %.3f | %.3f | %.3f |\n", count, times[0], times[1], times[2],
                  times[3]);
    }
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000);
  }
  MPI_Finalize();
  return 0;
}
