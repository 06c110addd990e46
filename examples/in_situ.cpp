// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A flow inside somebody else's program: a particle code with its own views and kernels that injects
// new particles in every step of its time loop, drawn by a trained flow straight into its arrays.
// Usage: vrfm_in_situ [weights.safetensors], for instance those that vrfm_hello wrote; without
// weights it trains for a moment first.
#include <cstdio>
#include <exception>
#include <utility>

#include <vrfm/training/weights.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

// The application's own data: positions, row-major as vrfm reads them, and ages.
using Positions = Kokkos::View<float**, Kokkos::LayoutRight, Exec>;

/// The application's own physics: a rotation about the origin with drag towards it.
struct Advance {
  Positions x;
  float dt;

  KOKKOS_FUNCTION void operator()(int i) const {
    const float x0 = x(i, 0), x1 = x(i, 1);
    x(i, 0) = x0 + dt * (-x1 - 0.2f * x0);
    x(i, 1) = x1 + dt * (x0 - 0.2f * x1);
  }
};

struct SquaredRadius {
  Positions x;

  KOKKOS_FUNCTION void operator()(int i, double& sum) const {
    sum += static_cast<double>(x(i, 0) * x(i, 0) + x(i, 1) * x(i, 1));
  }
};

void simulate(const vrfm::Flow<float, Exec>& flow) {
  constexpr int steps = 10, injected = 2'000;
  const Exec& exec = flow.exec();
  const auto source = vrfm::mixture_on_circle<float>(exec, 6, 1.0 / 3, 0.1 / 3);
  const Positions x("application::positions", std::size_t(steps) * injected, 2);
  for (int step = 0; step < steps; ++step) {
    // Straight into the application's array. A particle's draw depends on the seed and its number
    // alone, so the numbering continues from step to step.
    const int first = step * injected;
    const auto inflow = Kokkos::subview(x, std::make_pair(first, first + injected), Kokkos::ALL);
    vrfm::sample_into(exec, vrfm::velocity_of(flow), source, inflow, vrfm::Euler{},
                      {.count = injected,
                       .grid = {0, 0.5, 1},
                       .seed = 7,
                       .first_id = static_cast<std::uint64_t>(first)})
        .expect_finished();

    const int particles = first + injected;
    using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>;
    Kokkos::parallel_for("application::advance", Policy(exec, 0, particles), Advance{x, 0.1f});
    double sum = 0;
    Kokkos::parallel_reduce("application::radius", Policy(exec, 0, particles), SquaredRadius{x},
                            sum);
    std::printf("step %2d: %5d particles, mean squared radius %.4f\n", step, particles,
                sum / particles);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    const Exec exec;
    const vrfm::Flow<float, Exec> flow(exec, {.dimension = 2, .latent = 8}, 1);
    if (argc > 1) {
      vrfm::load_weights(argv[1], flow);
    } else {
      vrfm::Trainer trainer(
          flow, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{},
          vrfm::independent(vrfm::mixture_on_circle<float>(exec, 6, 1.0 / 3, 0.1 / 3),
                            vrfm::mixture_on_circle<float>(exec, 6, 1.0, 0.1)));
      trainer.run(1'000, 50, vrfm::ProgressBar("in_situ"));
    }
    simulate(flow);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "in_situ: %s\n", error.what());
    return 1;
  }
}
