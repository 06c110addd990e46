// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainer's other parts replaced: a batch shared by two ranks, given pairs on another path with
// another time distribution, and a coupling that breaks down in the middle of a run.
#include <cmath>
#include <limits>
#include <memory>
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

/// One rank of two whose peer is a record: writes down what it gives and adds what the other gave.
class RecordedCommunicator {
 public:
  using Record = std::vector<std::vector<double>>;

  RecordedCommunicator(int rank, int size, std::shared_ptr<Record> given,
                       std::shared_ptr<Record> peer)
      : rank_(rank), size_(size), given_(std::move(given)), peer_(std::move(peer)) {}

  int rank() const { return rank_; }
  int size() const { return size_; }

  template <ExecutionSpace Space, class View>
  void sum(const Space& exec, const View& view) const {
    exec.fence();
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
    const std::size_t call = given_->size();
    given_->emplace_back(host.data(), host.data() + host.extent(0));
    if (!peer_) return;
    for (std::size_t i = 0; i < host.extent(0); ++i)
      host(i) += static_cast<typename View::non_const_value_type>(peer_->at(call).at(i));
    Kokkos::deep_copy(exec, view, host);
  }

 private:
  int rank_, size_;
  std::shared_ptr<Record> given_, peer_;
};

/// Two dimensions; x1 of one sample of one step is NaN.
template <class Inner>
struct BreakingCoupling {
  Inner inner;
  std::uint32_t bad_step;
  std::uint64_t bad_sample;
  double not_a_number;

  KOKKOS_FUNCTION int dimension() const { return inner.dimension(); }

  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, std::uint32_t seed, T* x0,
                            T* x1) const {
    inner.draw(sample, step, seed, x0, x1);
    if (step == bad_step && sample == bad_sample) x1[1] = static_cast<T>(not_a_number);
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;
using Record = RecordedCommunicator::Record;

TEST_CASE("two ranks share a batch", "[training][ranks]") {
  using T = double;
  struct Result {
    std::shared_ptr<Record> given = std::make_shared<Record>();
    std::vector<double> gradient, values;
  };
  const auto step = [](int rank, int size, const std::shared_ptr<Record>& peer) {
    Result result;
    const vrfm::Flow<T, Exec> flow(Exec(), tiny_flow(), 1);
    vrfm::Trainer trainer(flow, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{}, tiny_coupling<T>(Exec()),
                          vrfm::TrainerOptions{.batch = 200, .seed = 5}, vrfm::LinearSchedule{},
                          vrfm::UniformTime{},
                          RecordedCommunicator(rank, size, result.given, peer));
    trainer.run(1);
    result.gradient = host_numbers(trainer.first_moment());  // a tenth of it
    result.values = host_numbers(trainer.values());
    return result;
  };
  const auto whole = step(0, 1, nullptr);
  const auto first = step(0, 2, nullptr), second = step(1, 2, nullptr);

  // A call for the gradient and one for the losses; the parts of both add up.
  REQUIRE(whole.given->size() == 2);
  for (std::size_t call = 0; call < 2; ++call) {
    const auto& expected = whole.given->at(call);
    auto sum = first.given->at(call);
    CHECK(sum != second.given->at(call));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += second.given->at(call).at(i);
    CHECK(difference(sum, expected, 200 * epsilon<T> * largest(expected)) == "");
  }
  CHECK(whole.given->at(0).size() == whole.values.size());
  CHECK(whole.given->at(1).size() == 2);

  // With the other's part each rank makes the same step, which is the one of the whole batch.
  const auto joined0 = step(0, 2, second.given), joined1 = step(1, 2, first.given);
  CHECK(joined0.values == joined1.values);
  CHECK(difference(joined0.gradient, whole.gradient, 200 * epsilon<T> * largest(whole.gradient)) ==
        "");

  CHECK(thrown<std::invalid_argument>([&] { step(0, 3, nullptr); }) ==
        "vrfm: batch (200) must be a multiple of the number of ranks (3)");
}

TEST_CASE("given pairs train a rectified flow on any path", "[training][pairs]") {
  // Each x0 has one x1 = x0 + (3, -1): on the straight path the velocity is the same everywhere.
  constexpr std::size_t count = 50;
  std::vector<double> x0 = Numbers(8).take(2 * count), x1;
  for (std::size_t i = 0; i < 2 * count; ++i) x1.push_back(x0[i] + (i % 2 == 0 ? 3 : -1));
  const vrfm::GivenPairs<float, Exec> pairs(table<float, Exec>(count, 2, x0),
                                            table<float, Exec>(count, 2, x1));
  const auto losses_of = [&](const auto& schedule, const auto& times) {
    const vrfm::Flow<float, Exec> flow(Exec(), tiny_flow(0), 1);
    vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::Adam{.learning_rate = {.base = 1e-2}},
                          pairs, vrfm::TrainerOptions{.batch = 100}, schedule, times);
    std::vector<double> losses;
    trainer.run(300, 100, [&](const vrfm::TrainingReport& report) {
      for (const auto& loss : report.losses) {
        losses.push_back(loss.velocity);
        CHECK(loss.kl == 0);
      }
    });
    return losses;
  };
  const auto straight = losses_of(vrfm::LinearSchedule{}, vrfm::UniformTime{});
  CHECK(straight.front() > 5);
  CHECK(straight.back() < 0.05);
  const auto curved = losses_of(vrfm::TrigonometricSchedule{}, vrfm::LogitNormalTime{});
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
    CHECK(contains(error, "vrfm: step " + std::to_string(bad) + " is not finite: velocity loss "));
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

TEST_CASE("a NaN among the parameters is found at once", "[training][nan]") {
  const vrfm::Flow<float, Exec> flow(Exec(), tiny_flow(), 1);
  // The log-variance's bias: the only way in is through the posterior.
  const auto& slot = flow.parameters().slots().back();
  REQUIRE(slot.name == "posterior.head.1.bias");
  Kokkos::deep_copy(Kokkos::subview(flow.values(), slot.offset + 3),
                    std::numeric_limits<float>::quiet_NaN());
  auto trainer = tiny_trainer(flow);
  CHECK(contains(thrown<vrfm::NotFiniteError>([&] { trainer.run(5); }), "step 0 is not finite"));
  CHECK(trainer.step() == 0);
}
