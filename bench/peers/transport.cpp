// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm's side of transport.py: the squared distances of two sets of points, and on them an assignment on one thread of
// the host, or Sinkhorn's iterations on the default execution space.
//
//   vrfm_bench_transport <points.npy, [2][N][D]> <regularisation> <iterations> <repetitions>
//
// writes seconds and result of each, the best of the repetitions: distances, assignment and its sum, iterations and
// the plan's cost.
#include <cmath>
#include <iostream>
#include <string>

#include <vrfm/core/copy.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/transport/assignment.hpp>
#include <vrfm/transport/sinkhorn.hpp>
#include <vrfm/transport/squared_distances.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

template <class Work>
double best_seconds(const Exec& exec, int repetitions, const Work& work) {
  double best = INFINITY;
  for (int k = 0; k < repetitions; ++k) {
    exec.fence();
    const Kokkos::Timer timer;
    work();
    exec.fence();
    best = std::fmin(best, timer.seconds());
  }
  return best;
}

void measure(const std::string& path, double regularisation, int iterations, int repetitions) {
  const auto points = vrfm::read_npy_reals(path);
  vrfm::expect(points.shape.size() == 3 && points.shape[0] == 2, path, ": expected [2][N][D]");
  const std::size_t n = points.shape[1], d = points.shape[2];
  const Exec exec;
  const vrfm::Table<double, Exec> all("points", 2 * n, d), costs("costs", 2 * n, n);
  const auto host = Kokkos::create_mirror_view(all);
  std::copy(points.values.begin(), points.values.end(), host.data());
  Kokkos::deep_copy(all, host);
  const vrfm::Partition one(vrfm::narrow<int>(n, "N"), 1);
  const int rows = one.samples();
  const vrfm::Array<double, Exec> panels("panels", vrfm::distance_memory<Exec>(one, int(d)));
  const vrfm::Array<double, Exec> potentials("potentials", 2 * n);
  const vrfm::Array<int, Exec> pending("pending", std::size_t(iterations) + 1);
  const auto x = vrfm::matrix(all), c = vrfm::matrix(costs);
  const auto distances = [&] {
    vrfm::squared_distances<Exec, double>(exec, one, x.row_range(0, rows), x.row_range(rows, rows),
                                          panels.data(), c.row_range(0, rows),
                                          c.row_range(rows, rows));
  };
  const double distance_seconds = best_seconds(exec, repetitions, distances);
  const auto host_costs = vrfm::to_host(exec, costs);
  double sum = 0;
  const double assignment_seconds = best_seconds(exec, repetitions, [&] {
    sum = vrfm::solve_assignment(vrfm::matrix(host_costs).row_range(0, rows)).sum;
  });
  const vrfm::SinkhornIteration how{regularisation, iterations, 0};
  const vrfm::SinkhornPlan plan{one, c.row_range(0, rows), c.row_range(rows, rows),
                                potentials.data(), pending.data()};
  const double sinkhorn_seconds =
      best_seconds(exec, repetitions, [&] { vrfm::sinkhorn(exec, how, plan); });
  const auto p = vrfm::to_host(exec, potentials);
  double cost = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      cost += host_costs(i, j) * std::exp(p(i) + p(n + j) - host_costs(i, j) / regularisation);
    }
  }
  std::cout.precision(17);
  std::cout << distance_seconds << ' ' << assignment_seconds << ' ' << sum << ' '
            << sinkhorn_seconds << ' ' << cost << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    vrfm::expect(argc == 5, "expected points.npy, regularisation, iterations and repetitions");
    measure(argv[1], std::stod(argv[2]), std::stoi(argv[3]), std::stoi(argv[4]));
  } catch (const std::exception& error) {
    std::cerr << "vrfm_bench_transport: " << error.what() << '\n';
    return 1;
  }
}
