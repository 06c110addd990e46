// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Training and held-out losses on pairs by transport: the same bits for any number of ranks and every launch of one
// partition, and a lower loss than of independent pairs.
#include <cmath>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <tests/extension/communicator.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/couplings/optimal_transport.hpp>
#include <vrfm/couplings/sinkhorn_transport.hpp>
#include <vrfm/training/held_out_loss.hpp>

#if defined(KOKKOS_ENABLE_SERIAL)

using namespace vrfm::test;
using extension::ThreadCommunicator;
using extension::ThreadTeam;
using vrfm::Execution;
using vrfm::Launch;
using Exec = Kokkos::Serial;
using TinyFlow = vrfm::Flow<float, Exec>;

namespace {

constexpr int batch = 300;

auto optimal() {
  return vrfm::optimal_transport<float>(Exec(), tiny_coupling<float>(Exec()),
                                        {.batch = batch, .block = 75});
}

auto entropic() {
  return vrfm::sinkhorn_transport<float>(
      Exec(), tiny_coupling<float>(Exec()),
      {.batch = batch, .block = 75, .sinkhorn = {.regularisation = 0.2, .iterations = 10}});
}

template <class Coupling, class Comm = vrfm::SelfCommunicator>
auto transport_trainer(const Coupling& coupling, const Launch& launch,
                       const Comm& communicator = {}) {
  auto options = in_launch(tiny_options(), launch);
  options.batch = batch;
  return vrfm::Trainer(TinyFlow(Exec(), tiny_flow(), 1), vrfm::Elbo{.beta = 0.1}, tiny_optimizer(),
                       coupling, options, communicator);
}

/// Ranks that are threads; each has tables of its own.
template <class MakeCoupling>
void check_ranks(const MakeCoupling& make_coupling) {
  const TinyFlow flow(Exec(), tiny_flow(), 7);
  const vrfm::HeldOutOptions held_out{.count = batch, .seed = 3, .launch = {Execution::batch, 70}};
  const auto losses =
      vrfm::held_out_losses(flow, vrfm::Elbo{.beta = 0.1}, make_coupling(), held_out).means;
  for (const Launch& launch : {Launch{Execution::tiles, 0}, Launch{Execution::batch, 70}}) {
    auto alone = transport_trainer(make_coupling(), launch);
    alone.run(5);
    for (const int size : {2, 3}) {
      INFO(size << " ranks, leaves of " << launch.batch);
      ThreadTeam team(size);
      using RankTrainer =
          decltype(transport_trainer(make_coupling(), launch, std::declval<ThreadCommunicator>()));
      std::vector<std::unique_ptr<RankTrainer>> trainers;
      for (int rank = 0; rank < size; ++rank) {
        trainers.push_back(std::make_unique<RankTrainer>(
            transport_trainer(make_coupling(), launch, ThreadCommunicator(team, rank))));
      }
      std::vector<std::thread> threads;
      for (auto& trainer : trainers) threads.emplace_back([&] { trainer->run(5); });
      for (auto& thread : threads) thread.join();
      for (const auto& trainer : trainers) CHECK((state_of(*trainer) == state_of(alone)));
    }
  }
  CHECK(vrfm::held_out_losses(flow, vrfm::Elbo{.beta = 0.1}, make_coupling(), held_out).means ==
        losses);
}

}  // namespace

TEST_CASE("any number of ranks trains on the same optimal pairs", "[training][transport]") {
  check_ranks(optimal);
}

TEST_CASE("any number of ranks trains on the same entropic pairs", "[training][transport]") {
  check_ranks(entropic);
}

TEST_CASE("held-out losses are of the pairs of their step", "[training][transport]") {
  // All parameters are 0, so v is, and the loss is the mean of |x1 - x0|^2.
  const TinyFlow flow(Exec(), tiny_flow(0), 1);
  Kokkos::deep_copy(flow.values(), 0.0f);
  const auto loss = [&](const auto& coupling, std::uint32_t step) {
    return vrfm::held_out_losses(flow, vrfm::VelocityLoss{}, coupling,
                                 {.count = batch, .seed = 3, .step = step})
        .means[0];
  };
  const auto coupling = optimal();
  for (const std::uint32_t step : {0u, 4u}) {
    coupling.prepare(
        Exec(), {.seed = 3, .step = step, .first_sample = 0, .use = vrfm::Use::held_out}, batch);
    double expected = 0;
    float x0[2], x1[2];
    for (std::uint64_t i = 0; i < batch; ++i) {
      coupling.draw({.seed = 3, .step = step, .sample = i, .use = vrfm::Use::held_out},
                    {x0, x1, nullptr, nullptr, nullptr, nullptr});
      for (int d = 0; d < 2; ++d) expected += (double(x1[d]) - x0[d]) * (double(x1[d]) - x0[d]);
    }
    const double found = loss(optimal(), step),
                 independent = loss(tiny_coupling<float>(Exec()), step);
    // A sum of 300 in float, its terms rounded a few times.
    CHECK(std::fabs(found - expected / batch) <= 16 * epsilon<float> * found);
    CHECK(found < 0.7 * independent);
  }
  CHECK(thrown<std::invalid_argument>([&] {
          vrfm::held_out_losses(flow, vrfm::VelocityLoss{}, coupling, {.count = 10});
        }) == "vrfm: OptimalTransport was made for batches of 300, but a step draws 10");
}

#endif
