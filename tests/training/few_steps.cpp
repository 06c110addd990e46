// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training flow maps: one step of theirs is nearer to the target than one of a flow's, and the bits do not depend on
// the number of threads.
#include <vector>

#include <tests/support/catch.hpp>

#include "support.hpp"

#include <vrfm/data/draw.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>
#include <vrfm/sampling/flow_map.hpp>
#include <vrfm/sampling/sample.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// A flow map in two dimensions whose posterior, if it has one, sees x1 alone.
FlowOptions map_options(int latent, int width) {
  FlowOptions options = tiny_flow(latent);
  options.encoder_input = EncoderInput::x1;
  options.second_time = true;
  options.encoder = {.features = width, .width = width};
  options.latent_width = options.decoder_width = width;
  options.decoder_depth = 3;
  return options;
}

/// The squared energy distance to the target, of samples by `solver` after 200 steps.
template <class O, class Solver>
double distance_after(const O& objective, const Solver& solver) {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto source = mixture_on_circle<float>(exec, 6, 1.0 / 3, 0.1 / 3);
  const auto target = mixture_on_circle<float>(exec, 6, 1.0, 0.1);
  const Flow<float, Exec> flow(exec, map_options(0, 32), 1);
  Trainer trainer(flow, objective, AdamW{.learning_rate = 3e-3}, independent(source, target),
                  {.batch = 250, .seed = 2, .ema_decay = 0.98});
  trainer.run(200, 200);
  const auto x = sample(exec, velocity_of(flow.with_values(trainer.average())), source, solver,
                        {.count = 1000, .seed = 5});
  return energy_distance(exec, x, draw_all(exec, target, 1000, 77, Purpose::target));
}

template <class Exec, class O>
State trained(const O& objective, int latent, const Launch& launch) {
  const Exec exec;
  const Flow<float, Exec> flow(exec, map_options(latent, 6), 1);
  Trainer trainer(flow, objective, tiny_optimizer(), tiny_coupling<float>(exec),
                  in_launch(tiny_options(), launch));
  trainer.run(5);
  return state_of(trainer);
}

}  // namespace

TEST_CASE("one step of a trained map beats one of a flow", "[training][few_steps]") {
  const double flow = distance_after(VelocityLoss{}, Euler{1});
  // It cannot tell the target's six parts from one step.
  CHECK(flow > 0.1);
  CHECK(distance_after(MeanFlow{.weight = {.power = 0}}, FlowMap{}) < flow / 4);
  CHECK(distance_after(PlainMeanFlow{.weight = {.power = 0}}, FlowMap{}) < flow / 2);
  CHECK(distance_after(SoFlow{.rho = SoFlow::falling(200), .weight = {.power = 0}}, FlowMap{}) <
        flow / 2);
}

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)
TEST_CASE("one thread and many train the same map", "[training][few_steps][threads]") {
  const auto check = [](const auto& objective, int latent) {
    for (const auto execution : {Execution::tiles, Execution::batch}) {
      const Launch launch{.execution = execution, .batch = 100};
      CHECK((trained<Kokkos::Serial>(objective, latent, launch) ==
             trained<Kokkos::OpenMP>(objective, latent, launch)));
    }
  };
  check(variational(MeanFlow{}, 0.1), 2);
  check(PlainMeanFlow{}, 0);
  check(variational(SoFlow{.rho = SoFlow::falling(5)}, 0.1), 2);
  check(variational(ConsistencyLoss{.boundary = 0.9}, 0.1), 2);
}
#endif
