// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A velocity field of one's own, under every kind of solver. The field is that of the flow from
// N(0, 1) to N(2, 1/4) on straight paths, whose trajectories are known: x(1) = 2 + x(0) / 2. With
// noise, the same marginals are reached by a stochastic equation. Trajectories go to paths.npy.
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include <vrfm/io/npy.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Table = vrfm::Table<double, Exec>;

/// v(x, t) = m' + s' / s (x - m) with the mean m = 2t and the deviation s of the path at t.
struct GaussianFlow {
  KOKKOS_FUNCTION void operator()(double t, const double* x, double* v) const {
    const double variance = (1 - t) * (1 - t) + t * t / 4;
    const double change = (-(1 - t) + t / 4) / variance;
    v[0] = 2 + change * (x[0] - 2 * t);
  }
};

std::vector<double> on_host(const Table& table) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), table);
  return {host.data(), host.data() + host.extent(0)};
}

/// Moves copies of `start` by `solver`, and prints the evaluations and the largest error.
template <class Solver>
void compare(const char* name, const Table& start, const Solver& solver,
             const vrfm::TimeGrid& grid) {
  const Exec exec;
  const auto field = vrfm::pointwise<double>(GaussianFlow{}, 1);
  const Table x("x", start.extent(0), 1);
  Kokkos::deep_copy(x, start);
  const auto result = vrfm::integrate_all(exec, field, x, solver, {.grid = grid});
  result.expect_finished();
  const auto begin = on_host(start), end = on_host(x);
  double error = 0;
  for (std::size_t i = 0; i < end.size(); ++i) {
    error = std::fmax(error, std::fabs(end[i] - (2 + begin[i] / 2)));
  }
  std::printf("%-24s %8.1f evaluations   largest error %.1e\n", name, result.mean_evaluations,
              error);
}

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    const Exec exec;
    const auto source = vrfm::standard_normal<double>(exec, 1);
    const Table start = vrfm::draw_all(exec, source, 1'000, /*seed=*/1, vrfm::Purpose::source);

    const auto ten = vrfm::TimeGrid::uniform(0, 1, 10);
    compare("Euler, 10 steps", start, vrfm::Euler{}, ten);
    compare("midpoint, 10 steps", start, vrfm::Midpoint{}, ten);
    compare("Heun, 10 steps", start, vrfm::Heun{}, ten);
    compare("Runge-Kutta 4, 10 steps", start, vrfm::RungeKutta4{}, ten);
    compare("Dormand-Prince, 1e-6", start, vrfm::DormandPrince{.absolute = 1e-6, .relative = 1e-6},
            {});

    // The stochastic equation with the same marginals: no path is right or wrong, but the mean and
    // the deviation at the end are known.
    const auto field = vrfm::pointwise<double>(GaussianFlow{}, 1);
    const vrfm::StochasticVelocity noisy(field, vrfm::ScoreDiffusion<>{});
    const auto points =
        vrfm::sample(exec, noisy, source, vrfm::EulerMaruyama{.last_step = 0.01},
                     {.count = 100'000, .grid = vrfm::TimeGrid::uniform(0, 1, 100), .seed = 2});
    double mean = 0, square = 0;
    const auto numbers = on_host(points);
    for (const double x : numbers) {
      mean += x / static_cast<double>(numbers.size());
      square += x * x / static_cast<double>(numbers.size());
    }
    std::printf("Euler-Maruyama, 100 steps: mean %.3f (2), deviation %.3f (0.5)\n", mean,
                std::sqrt(square - mean * mean));

    // Whole paths, seen by a saver at every point of the grid: points x samples x dimension.
    const Kokkos::View<double***, Kokkos::LayoutRight, Exec::memory_space> paths("paths", 11, 50,
                                                                                 1);
    const Table few("few", 50, 1);
    vrfm::sample_into(exec, field, source, few, vrfm::RungeKutta4{}, {.count = 50, .grid = ten},
                      vrfm::save_to(paths, 11, 50, 1))
        .expect_finished();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), paths);
    vrfm::write_npy("paths.npy", {11, 50, 1}, std::span<const double>(host.data(), host.size()));
    std::puts("paths: paths.npy");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "solvers: %s\n", error.what());
    return 1;
  }
}
