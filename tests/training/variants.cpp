// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainer's other parts replaced: a batch shared by two ranks, given pairs on another path with
// another time distribution, and a coupling that breaks down in the middle of a run.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/training/checkpoint.hpp>

namespace vrfm::test {

using Exec = Kokkos::DefaultExecutionSpace;

/// Two dimensions; x1 of one sample of one step is NaN.
template <class Inner>
struct BreakingCoupling {
  Inner inner;
  std::uint32_t bad_step;
  std::uint64_t bad_sample;
  double not_a_number;

  KOKKOS_FUNCTION int dimension() const { return inner.dimension(); }

  template <class T>
  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    inner.draw(address, slot);
    if (address.step == bad_step && address.sample == bad_sample) {
      slot.x1[1] = static_cast<T>(not_a_number);
    }
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;

TEST_CASE("given pairs train a rectified flow on any path", "[training][pairs]") {
  // Each x0 has one x1 = x0 + (3, -1): on the straight path the velocity is the same everywhere.
  constexpr std::size_t count = 50;
  std::vector<double> x0 = Numbers(8).take(2 * count), x1;
  for (std::size_t i = 0; i < 2 * count; ++i) x1.push_back(x0[i] + (i % 2 == 0 ? 3 : -1));
  const vrfm::GivenPairs<float, Exec> pairs(table<float, Exec>(count, 2, x0),
                                            table<float, Exec>(count, 2, x1));
  const auto losses_of = [&](const auto& objective) {
    const vrfm::Flow<float, Exec> flow(Exec(), tiny_flow(0), 1);
    vrfm::Trainer trainer(flow, objective, vrfm::Adam{.learning_rate = 1e-2}, pairs,
                          vrfm::TrainerOptions{.batch = 100});
    std::vector<double> losses;
    trainer.run(300, 100, [&](const vrfm::TrainingReport& report) {
      CHECK(report.terms.size() == 1);
      for (const auto& loss : report.losses) losses.push_back(loss.terms[0]);
    });
    return losses;
  };
  const auto straight = losses_of(vrfm::VelocityLoss{});
  CHECK(straight.front() > 5);
  CHECK(straight.back() < 0.05);
  const auto curved =
      losses_of(vrfm::BasicVelocityLoss<vrfm::TrigonometricSchedule, vrfm::LogitNormalTime>{});
  CHECK(curved.front() > 1);
  CHECK(curved.back() < 0.5 * curved.front());
}

TEST_CASE("a loss that is not finite stops the run before its step", "[training][nan]") {
  const TemporaryFolder folder;
  const vrfm::Settings settings{{"seed", "5"}};
  const auto make = [](const vrfm::Flow<float, Exec>& flow, std::uint32_t bad_step) {
    const auto inner = tiny_coupling<float>(Exec());
    // In the second tile of four.
    const BreakingCoupling<std::decay_t<decltype(inner)>> coupling{
        inner, bad_step, 150, std::numeric_limits<double>::quiet_NaN()};
    return vrfm::Trainer(flow, vrfm::Elbo{.beta = 0.1}, tiny_optimizer(), coupling, tiny_options());
  };
  const auto flow_of = [] { return vrfm::Flow<float, Exec>(Exec(), tiny_flow(), 1); };
  for (const std::uint32_t bad : {0u, 3u, 6u, 9u}) {
    INFO("NaN at step " << bad);
    auto clean = make(flow_of(), 1000000);
    clean.run(bad);

    auto trainer = make(flow_of(), bad);
    trainer.run(bad / 2);
    vrfm::save_checkpoint(folder / "earlier", trainer, settings);
    const auto earlier = slurp(folder / "earlier");
    std::int64_t reported = 0;
    const auto fail = [&] {
      return thrown<vrfm::NotFiniteError>([&] {
        trainer.run(20, 4, [&](const vrfm::TrainingReport& report) { reported = report.step; });
      });
    };
    const auto error = fail();
    INFO(error);
    CHECK(contains(error, "vrfm: step " + std::to_string(bad) + " is not finite: velocity "));
    CHECK(contains(error, "nan"));
    CHECK(contains(error, "the parameters are those before this step"));
    CHECK(reported <= bad);
    CHECK((state_of(trainer) == state_of(clean)));
    CHECK((slurp(folder / "earlier") == earlier));

    // It stays an error, and what is saved now is what a clean run would save.
    CHECK(fail() == error);
    CHECK((state_of(trainer) == state_of(clean)));
    vrfm::save_checkpoint(folder / "now", trainer, settings);
    vrfm::save_checkpoint(folder / "clean", clean, settings);
    CHECK((slurp(folder / "now") == slurp(folder / "clean")));
  }
}

TEST_CASE("the moving average begins as the parameters of the first step", "[training][average]") {
  const vrfm::Flow<float, Exec> flow(Exec(), tiny_flow(), 1);
  auto trainer = tiny_trainer(flow);
  CHECK(host_numbers(trainer.average()) == host_numbers(flow.values()));
  // Weights that are loaded after the trainer was made count.
  Kokkos::deep_copy(flow.values(), vrfm::Flow<float, Exec>(Exec(), tiny_flow(), 2).values());
  const auto before = host_numbers(flow.values());
  trainer.run(1);
  const auto after = host_numbers(flow.values()), average = host_numbers(trainer.average());
  for (std::size_t k = 0; k < before.size(); ++k) {
    const double expected = 0.9 * before[k] + 0.1 * after[k];
    CHECK(std::fabs(average[k] - expected) <= 4 * epsilon<float> * (1 + std::fabs(expected)));
  }
}

TEST_CASE("a NaN among the parameters is found at once", "[training][nan]") {
  const vrfm::Flow<float, Exec> flow(Exec(), tiny_flow(), 1);
  // The log-variance's bias: the only way in is through the posterior.
  const auto& slot = flow.parameters().entries().back();
  REQUIRE(slot.name == "posterior.head.1.bias");
  Kokkos::deep_copy(Kokkos::subview(flow.values(), slot.offset + 3),
                    std::numeric_limits<float>::quiet_NaN());
  auto trainer = tiny_trainer(flow);
  const auto error = thrown<vrfm::NotFiniteError>([&] { trainer.run(5); });
  CHECK(contains(error, "step 0 is not finite"));
  CHECK(contains(error, ", first from the samples 0 to "));
  CHECK(trainer.step() == 0);
  // Also behind 2^31 steps.
  const std::int64_t late = 4'000'000'000;
  trainer.resume_at(late);
  CHECK(contains(thrown<vrfm::NotFiniteError>([&] { trainer.run(late + 5); }),
                 "step 4000000000 is not finite"));
  CHECK(trainer.step() == late);
}
