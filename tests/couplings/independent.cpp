// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Independent couplings: what a training kernel draws from them is what their parts draw on their
// own, conditions too; conditions that are dropped now and then; batches that do not fit.
#include <cmath>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "draw_pairs.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/data/mixture.hpp>

namespace vrfm::test {

/// A target with all kinds of condition: x1 = (k, k), label k, vector (k / 2, step, k), field (-k), k
/// drawn from {0, ..., 4}.
struct LabelledTarget {
  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION ConditionShape condition() const {
    return {.classes = 5, .columns = 3, .field_columns = 1};
  }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    const int k = stream.index(sample, step, 0, 5);
    slot.x1[0] = slot.x1[1] = T(k);
    *slot.label = k;
    slot.vector[0] = T(k) / T(2);
    slot.vector[1] = T(step);
    slot.vector[2] = T(k);
    slot.field[0] = T(-k);
  }
};

/// A target of which every other sample has no condition, and writes none.
struct SometimesLabelled {
  KOKKOS_FUNCTION int dimension() const { return 1; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.columns = 2, .field_columns = 3}; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t, const RandomStream&,
                            const Slot<T>& slot) const {
    slot.x1[0] = T(sample);
    if (sample % 2 != 0) {
      *slot.dropped = 1;
      return;
    }
    for (int j = 0; j < 2; ++j) slot.vector[j] = T(4);
    for (int j = 0; j < 3; ++j) slot.field[j] = T(5);
  }
};

/// A coupling of one's own that prepares itself: see DroppedCondition's test.
struct PreparedCoupling {
  mutable int* prepared;
  KOKKOS_FUNCTION int dimension() const { return 1; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = 1}; }
  template <class T>
  KOKKOS_FUNCTION void draw(const SampleAddress&, const Slot<T>& slot) const {
    *slot.x0 = *slot.x1 = T(0);
    *slot.label = 0;
  }
  template <class Exec>
  void prepare(const Exec&, const DrawAddress& address, int batch) const {
    *prepared = batch + static_cast<int>(address.seed);
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;
using vrfm::DrawAddress;
using vrfm::Purpose;
using vrfm::Use;

namespace {

// The low word of the sample's number overflows on the way.
constexpr std::uint64_t first = (1ull << 32) - 100;
constexpr int rows = 257;

DrawAddress address_of(std::uint32_t seed, std::uint32_t step, Use use = Use::training) {
  return {.seed = seed, .step = step, .first_sample = first, .use = use};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("an independent coupling draws what source and target draw",
                        "[couplings][independent]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto source = vrfm::standard_normal<T>(exec, 2);
  const auto target = vrfm::mixture_on_circle<T>(exec, 6, 1.0, 0.1);
  const auto coupling = vrfm::independent(source, target);
  using C = std::decay_t<decltype(coupling)>;
  static_assert(vrfm::Coupling<C, T>);
  static_assert(vrfm::RequireCoupling<C, T>::ok);
  static_assert(vrfm::Distribution<std::decay_t<decltype(source)>, T>);
  CHECK(coupling.dimension() == 2);
  CHECK(vrfm::condition_of(coupling) == vrfm::ConditionShape{});

  constexpr std::uint32_t step = 7, seed = 42;
  for (const Use use : {Use::training, Use::held_out}) {
    const auto drawn = draw_pairs<T>(exec, coupling, rows, address_of(seed, step, use));
    const auto alone0 = vrfm::draw_all(exec, source, rows, seed,
                                       vrfm::purpose_of(use, Purpose::source), first, step);
    const auto alone1 = vrfm::draw_all(exec, target, rows, seed,
                                       vrfm::purpose_of(use, Purpose::target), first, step);
    CHECK(drawn.x0 == numbers_of(alone0));
    CHECK(drawn.x1 == numbers_of(alone1));
    CHECK(drawn.x0 != drawn.x1);
  }
}

TEMPLATE_LIST_TEST_CASE("the same seed draws others for every use", "[couplings][independent]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto coupling =
      vrfm::independent(vrfm::standard_normal<T>(exec, 2), vrfm::standard_normal<T>(exec, 2));
  const Use uses[] = {Use::training, Use::held_out, Use::sampling, Use::likelihood};
  std::vector<DrawnPairs> drawn;
  for (const Use use : uses) {
    drawn.push_back(draw_pairs<T>(exec, coupling, rows, address_of(3, 1, use)));
    CHECK(drawn.back() == draw_pairs<T>(exec, coupling, rows, address_of(3, 1, use)));
  }
  for (std::size_t a = 0; a < drawn.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      for (std::size_t i = 0; i < drawn[a].x0.size(); ++i)
        // Two of 23 bits may be alike by chance; both of a sample may not.
        CHECK((drawn[a].x0[i] != drawn[b].x0[i] || drawn[a].x1[i] != drawn[b].x1[i]));
}

TEMPLATE_LIST_TEST_CASE("a target may tell a condition", "[couplings][independent]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  static_assert(vrfm::ConditionalDistribution<LabelledTarget, T>);
  static_assert(!vrfm::Distribution<LabelledTarget, T>);
  const Exec exec;
  const auto source = vrfm::standard_normal<T>(exec, 2);
  const auto coupling = vrfm::independent(source, LabelledTarget{});
  static_assert(vrfm::Coupling<std::decay_t<decltype(coupling)>, T>);
  CHECK(coupling.condition() ==
        vrfm::ConditionShape{.classes = 5, .columns = 3, .field_columns = 1});
  const auto address = address_of(42, 7);
  const auto drawn = draw_pairs<T>(exec, coupling, rows, address);
  CHECK(drawn.x0 == numbers_of(vrfm::draw_all(exec, source, rows, 42, Purpose::source, first, 7)));
  std::vector<double> frequency(5);
  for (int i = 0; i < rows; ++i) {
    const auto n = static_cast<std::size_t>(i);
    const int k = address.stream(Purpose::target).index(address.sample(i), 7, 0, 5);
    INFO("row " << i);
    CHECK(drawn.label[n] == k);
    CHECK((drawn.x1[2 * n] == k && drawn.x1[2 * n + 1] == k));
    CHECK(drawn.vector[3 * n] == k / 2.0);
    CHECK(drawn.vector[3 * n + 1] == 7);
    CHECK(drawn.vector[3 * n + 2] == k);
    CHECK(drawn.field[n] == -k);
    CHECK(drawn.dropped[n] == 0);
    frequency[static_cast<std::size_t>(k)] += 1;
  }
  for (const double f : frequency) CHECK(f > 0);
}

TEMPLATE_LIST_TEST_CASE("a condition is dropped as often as asked", "[couplings][dropped]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto whole = vrfm::independent(vrfm::standard_normal<T>(exec, 2), LabelledTarget{});
  using Dropped = vrfm::DroppedCondition<std::decay_t<decltype(whole)>>;
  static_assert(vrfm::Coupling<Dropped, T>);
  constexpr int count = 20000;
  const auto given = draw_pairs<T>(exec, whole, count, address_of(5, 2));
  for (const double p : {0.0, 0.1, 0.75, 1.0}) {
    INFO("probability " << p);
    const Dropped coupling(whole, p);
    CHECK(coupling.dimension() == 2);
    auto shape = whole.condition();
    shape.dropped = p > 0;
    CHECK(coupling.condition() == shape);
    const auto drawn = draw_pairs<T>(exec, coupling, count, address_of(5, 2));
    double dropped = 0;
    for (const double d : drawn.dropped) dropped += d;
    CHECK(std::fabs(dropped - p * count) <= 5 * std::sqrt(p * (1 - p) * count));
    // A later step drops others.
    if (p == 0.1 || p == 0.75) {
      CHECK(draw_pairs<T>(exec, coupling, count, address_of(5, 3)).dropped != drawn.dropped);
      CHECK(draw_pairs<T>(exec, coupling, count, address_of(5, 2, Use::held_out)).dropped !=
            drawn.dropped);
    }
    // Nothing else of the draw is another; what is dropped is 0.
    auto expected = given;
    expected.dropped = drawn.dropped;
    for (std::size_t i = 0; i < count; ++i) {
      if (drawn.dropped[i] == 0) continue;
      for (std::size_t j = 0; j < 3; ++j) expected.vector[3 * i + j] = 0;
      expected.field[i] = 0;
    }
    CHECK(drawn == expected);
  }
}

TEMPLATE_LIST_TEST_CASE("a condition that is dropped need not be written", "[couplings][dropped]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto coupling = vrfm::independent(vrfm::standard_normal<T>(exec, 1), SometimesLabelled{});
  // The memory is NaN at first.
  const auto drawn = draw_pairs<T>(exec, coupling, 4, DrawAddress{});
  CHECK(drawn.dropped == std::vector<double>{0, 1, 0, 1});
  CHECK(drawn.vector == std::vector<double>{4, 4, 0, 0, 4, 4, 0, 0});
  CHECK(drawn.field == std::vector<double>{5, 5, 5, 0, 0, 0, 5, 5, 5, 0, 0, 0});
}

TEST_CASE("a dropped condition is still its coupling", "[couplings][dropped]") {
  const Kokkos::DefaultHostExecutionSpace exec;
  int prepared = 0;
  const vrfm::DroppedCondition<PreparedCoupling> coupling({&prepared}, 0.5);
  vrfm::prepare_coupling(exec, coupling, DrawAddress{.seed = 7}, 100);
  CHECK(prepared == 107);
  CHECK_NOTHROW(vrfm::check_batch(coupling, 3));
}

TEST_CASE("couplings that do not fit are refused", "[couplings][check]") {
  const Kokkos::DefaultHostExecutionSpace exec;
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const auto normal = vrfm::standard_normal<float>(exec, 2);
  CHECK(thrown<std::invalid_argument>([&] {
          vrfm::independent(vrfm::standard_normal<float>(exec, 3),
                            vrfm::mixture_on_circle<float>(exec, 6, 1.0, 0.1));
        }) == "vrfm: the source has 3 dimensions but the target has 2 dimensions");

  const auto labelled = vrfm::independent(normal, LabelledTarget{});
  const auto plain = vrfm::independent(normal, normal);
  const auto drop = [](const auto& coupling, double probability) {
    return thrown<std::invalid_argument>(
        [&] { vrfm::DroppedCondition<std::decay_t<decltype(coupling)>>(coupling, probability); });
  };
  CHECK(drop(labelled, -0.1) ==
        "vrfm: a condition is dropped with a probability in [0, 1], got -0.1");
  CHECK(drop(labelled, 1.5) ==
        "vrfm: a condition is dropped with a probability in [0, 1], got 1.5");
  CHECK(contains(drop(labelled, std::nan("")), "a probability in [0, 1], got "));
  CHECK(drop(plain, 0.5) == "vrfm: there is no condition that could be dropped");

  // Image draws are for one size of batch, wherever they stand.
  const vrfm::Images images{3, 1, 2, 1, {1, 2, 3, 4, 5, 6}, {}};
  const vrfm::ImageDraws<Exec> draws(vrfm::ImageSet<Exec>(exec, images), 4);
  const std::string sentence = "vrfm: these images are drawn in batches of 4, but a step draws 5";
  const auto refusal = [](const auto& coupling) {
    return thrown<std::invalid_argument>([&] { vrfm::check_batch(coupling, 5); });
  };
  CHECK(refusal(draws) == sentence);
  CHECK(refusal(vrfm::independent(normal, draws)) == sentence);
  CHECK(refusal(vrfm::independent(draws, normal)) == sentence);
  CHECK_NOTHROW(vrfm::check_batch(vrfm::independent(normal, draws), 4));
  CHECK_NOTHROW(vrfm::check_batch(plain, 5));
}
