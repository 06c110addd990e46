// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training a learned coupling: the smaller lambda is, the less velocities that meet differ and the further q is from
// the prior; a q that is far from it is pulled back; the same bits for any number of threads; its names in files.
#include <string>
#include <vector>

#include <tests/support/catch.hpp>

#include "support.hpp"

#include <vrfm/data/draw.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/metrics/wasserstein.hpp>
#include <vrfm/models/mlp/source_posterior.hpp>
#include <vrfm/objectives/variational_coupling.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/held_out_loss.hpp>

using namespace vrfm;
using test::tiny_coupling;
using Host = Kokkos::DefaultHostExecutionSpace;
template <class Exec>
using CouplingFlow = Flow<float, Exec, MlpCouplingNetworks<>>;
using Loss = VariationalCoupling<VelocityLoss>;

namespace {

FlowOptions small_flow() {
  FlowOptions options = test::tiny_flow(0);
  options.encoder = {.features = 16, .width = 24, .depth = 1};
  options.latent_width = 24;
  options.decoder_width = 32;
  return options;
}

/// Sets the biases of q's last layer.
void set_moments(const CouplingFlow<Host>& flow, const std::vector<float>& moments) {
  for (const auto& slot : flow.parameters().entries()) {
    if (slot.name != "coupling.head.1.bias") continue;
    const auto host = to_host(Host(), flow.values());
    for (std::size_t k = 0; k < moments.size(); ++k) host(slot.offset + k) = moments[k];
    Kokkos::deep_copy(flow.values(), host);
  }
}

template <class Exec>
std::vector<double> trained_values() {
  const CouplingFlow<Exec> flow(Exec(), test::tiny_flow(0), 1);
  Trainer(flow, Loss{.lambda = 0.3}, test::tiny_optimizer(), tiny_coupling<float>(Exec()),
          test::tiny_options())
      .run(5);
  return test::host_numbers(flow.values());
}

}  // namespace

TEST_CASE("lambda decides between straight paths and the prior", "[training][coupling]") {
  const auto pairs = tiny_coupling<float>(Host());
  const AdamW optimizer{.learning_rate = StepFunction::cosine(1e-2, 10, 300, 0.01)};
  const Flow<float, Host> plain(Host(), small_flow(), 1);
  Trainer(plain, VelocityLoss{}, optimizer, pairs, {.batch = 256}).run(300);
  // Far from N(0, I): mu = 3, sigma = e.
  const auto trained = [&](double lambda, bool from_far = true) {
    const CouplingFlow<Host> flow(Host(), small_flow(), 1);
    if (from_far) set_moments(flow, {3, 3, 2, 2});
    Trainer(flow, Loss{.lambda = lambda}, optimizer, pairs, {.batch = 256}).run(300);
    return flow;
  };
  const auto losses = [&](const auto& flow, double lambda) {
    return held_out_losses(flow, Loss{.lambda = lambda}, pairs, {.count = 2000});
  };
  const auto far = CouplingFlow<Host>(Host(), small_flow(), 1);
  set_moments(far, {3, 3, 2, 2});
  const auto loose = trained(1), tight = trained(10);
  const double plain_velocity =
      held_out_losses(plain, VelocityLoss{}, pairs, {.count = 2000}).means[0];
  const auto of_loose = losses(loose, 1), of_tight = losses(tight, 10);
  INFO("velocity: plain " << plain_velocity << ", 10: " << of_tight.mean("velocity")
                          << ", 1: " << of_loose.mean("velocity") << "; KL before "
                          << losses(far, 1).mean("source_kl") << ", 10: "
                          << of_tight.mean("source_kl") << ", 1: " << of_loose.mean("source_kl"));
  CHECK(of_loose.mean("source_kl") < 0.5 * losses(far, 1).mean("source_kl"));
  CHECK(of_tight.mean("source_kl") < 0.5 * of_loose.mean("source_kl"));
  CHECK(of_loose.mean("velocity") < 0.5 * of_tight.mean("velocity"));
  CHECK(of_tight.mean("velocity") < plain_velocity);

  const auto real = draw_all<float>(Host(), mixture_on_circle<float>(Host(), 3, 2.0, 0.1), 2000, 3,
                                    Purpose::user);
  const auto distance = [&](const auto& flow) {
    return sliced_wasserstein1(
        Host(),
        sample(flow, standard_normal<float>(Host(), 2), Euler{2}, {.count = 2000, .seed = 9}),
        real);
  };
  CHECK(distance(trained(1, false)) < 0.6 * distance(plain));
}

#if defined(KOKKOS_ENABLE_SERIAL)
TEST_CASE("a learned coupling trains to the same bits on any number of threads",
          "[training][coupling]") {
  CHECK(trained_values<Kokkos::Serial>() == trained_values<Host>());
}
#endif

TEST_CASE("a learned coupling's parameters stand behind the others", "[training][coupling]") {
  const Flow<float, Host> plain(Host(), test::tiny_flow(2), 1);
  const CouplingFlow<Host> flow(Host(), test::tiny_flow(2), 1);
  const auto& entries = flow.parameters().entries();
  const std::size_t others = plain.parameters().entries().size();
  std::string names;
  for (std::size_t k = 0; k < entries.size(); ++k) {
    if (k < others) {
      CHECK(entries[k].name == plain.parameters().entries()[k].name);
    } else {
      names += entries[k].name + ' ';
    }
  }
  CHECK(names ==
        "coupling.x1_encoder.0.weight coupling.x1_encoder.0.bias coupling.head.0.weight "
        "coupling.head.0.bias coupling.head.1.weight coupling.head.1.bias ");
}
