// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Couplings by transport: the pairs of least cost, with their conditions, in blocks too; entropic pairs between those
// and independent ones; the same for any number of threads, for which this program starts itself again.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>
#include <tests/support/with_threads.hpp>

#include "draw_pairs.hpp"

#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/couplings/optimal_transport.hpp>
#include <vrfm/couplings/sinkhorn_transport.hpp>
#include <vrfm/data/mixture.hpp>

namespace vrfm::test {

/// x1 in the plane, and every kind of condition, a function of x1: label, vector and field; sometimes dropped.
struct TellingTarget {
  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION ConditionShape condition() const {
    return {.classes = 4, .columns = 2, .field_columns = 1};
  }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    stream.normal<T>(sample, step, 0, 2, slot.x1);
    *slot.label = label(slot.x1);
    slot.vector[0] = slot.x1[1];
    slot.vector[1] = slot.x1[0];
    slot.field[0] = -slot.x1[0];
    if (slot.x1[0] > T(1)) *slot.dropped = 1;
  }
  template <class T>
  KOKKOS_FUNCTION static int label(const T* x1) {
    return (x1[0] > T(0) ? 1 : 0) + (x1[1] > T(0) ? 2 : 0);
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;
using vrfm::DrawAddress;
using vrfm::Use;

namespace {

template <class T, class Exec, class C>
DrawnPairs prepared_pairs(const Exec& exec, const C& coupling, int batch,
                          const DrawAddress& address) {
  vrfm::check_batch(coupling, batch);
  vrfm::prepare_coupling(exec, coupling, address, batch);
  return draw_pairs<T>(exec, coupling, batch, address);
}

double squared_distance(const DrawnPairs& pairs, std::size_t i, std::size_t j) {
  return std::pow(pairs.x0[2 * i] - pairs.x1[2 * j], 2) +
         std::pow(pairs.x0[2 * i + 1] - pairs.x1[2 * j + 1], 2);
}

double mean_squared_distance(const DrawnPairs& pairs) {
  const std::size_t n = pairs.x0.size() / 2;
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += squared_distance(pairs, i, i);
  return sum / double(n);
}

/// Row i of x0 with row partner[i] of x1 and of the condition.
DrawnPairs paired(const DrawnPairs& drawn, const std::vector<std::size_t>& partner) {
  DrawnPairs result = drawn;
  const auto move = [&](const std::vector<double>& from, std::vector<double>& to) {
    const std::size_t columns = from.size() / partner.size();
    for (std::size_t i = 0; i < partner.size(); ++i) {
      std::copy_n(from.begin() + std::ptrdiff_t(columns * partner[i]), columns,
                  to.begin() + std::ptrdiff_t(columns * i));
    }
  };
  move(drawn.x1, result.x1);
  move(drawn.label, result.label);
  move(drawn.vector, result.vector);
  move(drawn.field, result.field);
  move(drawn.dropped, result.dropped);
  return result;
}

/// The permutation inside blocks of `block` samples that costs least.
std::vector<std::size_t> best_partners(const DrawnPairs& drawn, std::size_t block) {
  std::vector<std::size_t> result(drawn.x0.size() / 2);
  for (std::size_t first = 0; first < result.size(); first += block) {
    std::vector<std::size_t> tried(block);
    std::iota(tried.begin(), tried.end(), first);
    double least = std::numeric_limits<double>::infinity();
    do {
      double sum = 0;
      for (std::size_t i = 0; i < block; ++i) sum += squared_distance(drawn, first + i, tried[i]);
      if (sum < least) {
        least = sum;
        std::copy(tried.begin(), tried.end(), result.begin() + std::ptrdiff_t(first));
      }
    } while (std::next_permutation(tried.begin(), tried.end()));
  }
  return result;
}

template <class T, class Exec>
auto telling(const Exec& exec) {
  return vrfm::independent(vrfm::standard_normal<T>(exec, 2), TellingTarget{});
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("optimal transport draws the pairs of least cost", "[couplings][transport]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto inner = telling<T>(exec);
  using Coupling = vrfm::OptimalTransport<T, Exec, std::decay_t<decltype(inner)>>;
  static_assert(vrfm::Coupling<Coupling, T>);
  static_assert(vrfm::prepares_on_host<Coupling>);
  static_assert(vrfm::prepares_on_host<vrfm::DroppedCondition<Coupling>>);
  static_assert(!vrfm::prepares_on_host<std::decay_t<decltype(inner)>>);
  int moved = 0;
  for (const auto& [batch, block] :
       {std::pair{1, 0}, std::pair{2, 0}, std::pair{6, 0}, std::pair{7, 7}, std::pair{18, 6}}) {
    const Coupling coupling(inner, {.batch = batch, .block = block});
    CHECK(coupling.dimension() == 2);
    CHECK(coupling.condition() == inner.condition());
    for (const std::uint32_t step : {0u, 5u}) {
      for (const Use use : {Use::training, Use::held_out}) {
        INFO(batch << " samples in blocks of " << block << ", step " << step);
        const DrawAddress address{.seed = 4, .step = step, .first_sample = 0, .use = use};
        const auto drawn = draw_pairs<T>(exec, inner, batch, address);
        const auto partners =
            best_partners(drawn, static_cast<std::size_t>(block == 0 ? batch : block));
        const auto pairs = prepared_pairs<T>(exec, coupling, batch, address);
        CHECK(pairs == paired(drawn, partners));
        moved += pairs == drawn ? 0 : 1;
        // Any rows of the batch, alone.
        const auto last = draw_pairs<T>(exec, coupling, 1, address.from(batch - 1));
        CHECK(last.x1 == std::vector<double>(pairs.x1.end() - 2, pairs.x1.end()));
      }
    }
  }
  CHECK(moved >= 12);
}

TEMPLATE_LIST_TEST_CASE("optimal transport takes any coupling", "[couplings][transport]", Spaces) {
  using Exec = TestType;
  const Exec exec;
  // Given pairs: (n, 0) with (100 - n, 0), so that the best pairs are in opposite order.
  const vrfm::Table<double, Exec> x0("x0", 50, 2), x1("x1", 50, 2);
  const auto h0 = Kokkos::create_mirror_view(x0), h1 = Kokkos::create_mirror_view(x1);
  for (std::size_t n = 0; n < 50; ++n) {
    h0(n, 0) = double(n);
    h1(n, 0) = 100 - double(n);
  }
  Kokkos::deep_copy(x0, h0);
  Kokkos::deep_copy(x1, h1);
  const vrfm::GivenPairs<double, Exec> given(x0, x1);
  const auto coupling = vrfm::optimal_transport<double>(exec, given, {.batch = 40});
  const auto pairs = prepared_pairs<double>(exec, coupling, 40, {.seed = 1, .step = 2});
  for (std::size_t i = 0; i < 40; ++i) {
    for (std::size_t j = 0; j < 40; ++j) {
      if (pairs.x0[2 * i] < pairs.x0[2 * j]) CHECK(pairs.x1[2 * i] <= pairs.x1[2 * j]);
    }
  }
  // What is dropped of the inner coupling goes with x1; outside, it is dropped by row.
  using Telling = decltype(telling<float>(exec));
  const vrfm::DroppedCondition<Telling> dropped(telling<float>(exec), 0.5);
  const auto inside = vrfm::optimal_transport<float>(exec, dropped, {.batch = 6});
  const auto drawn = draw_pairs<float>(exec, dropped, 6, {.seed = 2});
  CHECK(prepared_pairs<float>(exec, inside, 6, {.seed = 2}) ==
        paired(drawn, best_partners(drawn, 6)));
  const auto whole = vrfm::optimal_transport<float>(exec, telling<float>(exec), {.batch = 6});
  const vrfm::DroppedCondition<std::decay_t<decltype(whole)>> outside(whole, 1.0);
  const auto none = prepared_pairs<float>(exec, outside, 6, {.seed = 2});
  CHECK(none.dropped == std::vector<double>(6, 1.0));
  CHECK(none.x1 == prepared_pairs<float>(exec, whole, 6, {.seed = 2}).x1);
}

TEMPLATE_LIST_TEST_CASE("entropic pairs are rows of the batch and cost little more than the best",
                        "[couplings][transport]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto inner = telling<T>(exec);
  constexpr int batch = 150;
  const DrawAddress address{.seed = 3, .step = 8};
  const auto drawn = draw_pairs<T>(exec, inner, batch, address);
  const auto pairs_of = [&](double regularisation, int block) {
    const auto coupling = vrfm::sinkhorn_transport<T>(
        exec, inner,
        {.batch = batch,
         .block = block,
         .sinkhorn = {.regularisation = regularisation, .iterations = 200, .tolerance = 1e-2}});
    static_assert(!vrfm::prepares_on_host<std::decay_t<decltype(coupling)>>);
    return prepared_pairs<T>(exec, coupling, batch, address);
  };
  for (const int block : {0, 75}) {
    const auto pairs = pairs_of(0.1, block);
    std::vector<std::size_t> partners;
    for (std::size_t i = 0; i < batch; ++i) {
      std::size_t j = 0;
      while (j + 1 < batch &&
             (drawn.x1[2 * j] != pairs.x1[2 * i] || drawn.x1[2 * j + 1] != pairs.x1[2 * i + 1])) {
        ++j;
      }
      partners.push_back(j);
      if (block > 0) CHECK(j / std::size_t(block) == i / std::size_t(block));
    }
    CHECK(pairs == paired(drawn, partners));
  }
  const auto best = prepared_pairs<T>(
      exec, vrfm::optimal_transport<T>(exec, inner, {.batch = batch}), batch, address);
  const double least = mean_squared_distance(best), independent = mean_squared_distance(drawn);
  CHECK(least < 0.2 * independent);
  const double sharp = mean_squared_distance(pairs_of(0.05, 0));
  const double blunt = mean_squared_distance(pairs_of(1, 0));
  CHECK(sharp < least + 0.25 * (independent - least));
  CHECK(blunt > sharp);
  CHECK(std::fabs(mean_squared_distance(pairs_of(1e4, 0)) - independent) < 0.3 * independent);
}

TEST_CASE("a distance that is not finite leaves its block as it was drawn",
          "[couplings][transport]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  const vrfm::Table<float, Exec> x0("x0", 1, 2), x1("x1", 1, 2);
  x1(0, 0) = std::numeric_limits<float>::quiet_NaN();
  const vrfm::GivenPairs<float, Exec> given(x0, x1);
  const auto check = [&](const auto& coupling) {
    const auto pairs = prepared_pairs<float>(exec, coupling, 5, {});
    CHECK(pairs.x0 == std::vector<double>(10, 0.0));
    CHECK(std::isnan(pairs.x1[8]));
  };
  check(vrfm::optimal_transport<float>(exec, given, {.batch = 5}));
  check(vrfm::sinkhorn_transport<float>(exec, given, {.batch = 5}));
}

TEST_CASE("couplings by transport check their batch", "[couplings][transport]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto inner = telling<float>(exec);
  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  const auto make = [&](int batch, int block) {
    return vrfm::optimal_transport<float>(exec, inner, {.batch = batch, .block = block});
  };
  CHECK(error([&] { make(0, 0); }) ==
        "vrfm: OptimalTransport: expected a batch of at least 1 sample, got 0");
  CHECK(error([&] { make(8, 9); }) ==
        "vrfm: OptimalTransport: block must be in 0 (all) to 8, the batch, got 9");
  CHECK(error([&] { make(8, -1); }) ==
        "vrfm: OptimalTransport: block must be in 0 (all) to 8, the batch, got -1");
  CHECK(error([&] { make(8, 4).check(9); }) ==
        "vrfm: OptimalTransport was made for batches of 8, but a step draws 9");
  CHECK(error([&] { vrfm::sinkhorn_transport<float>(exec, inner, {.batch = 8}).check(7); }) ==
        "vrfm: SinkhornTransport was made for batches of 8, but a step draws 7");
  CHECK(error([&] {
          vrfm::sinkhorn_transport<float>(exec, inner,
                                          {.batch = 8, .sinkhorn = {.regularisation = -1}});
        }) == "vrfm: Sinkhorn: regularisation must be above 0, got -1");
  CHECK(error([&] { vrfm::optimal_transport<float>(exec, make(8, 0), {.batch = 7}); }) ==
        "vrfm: OptimalTransport was made for batches of 8, but a step draws 7");
}

TEST_CASE("write pairs by transport to a file", "[.][write_transport]") {
  std::ofstream out = hidden_output();
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto inner = telling<float>(exec);
  for (const int block : {0, 60}) {
    const auto write = [&](const auto& coupling) {
      for (const double x : prepared_pairs<float>(exec, coupling, 333, {.seed = 6}).x1)
        out << x << '\n';
    };
    write(vrfm::optimal_transport<float>(exec, inner, {.batch = 333, .block = block}));
    write(vrfm::sinkhorn_transport<float>(exec, inner, {.batch = 333, .block = block}));
  }
  CHECK(out.flush().good());
}

TEST_CASE("pairs by transport do not depend on the number of threads", "[couplings][transport]") {
  const auto pairs_with_threads = [](int threads) {
    return output_with_threads("[write_transport]", threads);
  };
  const std::string one = pairs_with_threads(1);
  CHECK(std::count(one.begin(), one.end(), '\n') == 4 * 2 * 333);
  CHECK(one == pairs_with_threads(2));
  CHECK(one == pairs_with_threads(3));
}
