// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Given pairs, with and without z: rows stay together, each is as likely as another, and they can stand where a
// coupling is wanted.
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include "draw_pairs.hpp"

#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/couplings/optimal_transport.hpp>

using namespace vrfm;

TEMPLATE_LIST_TEST_CASE("given pairs are drawn whole and equally often", "[couplings][pairs]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  static_assert(Coupling<GivenPairs<T, Exec>, T>);
  static_assert(RequireCoupling<GivenPairs<T, Exec>, T>::ok);
  // Row n: x0 = (n, 10 + n), x1 = (20 + n, 30 + n).
  std::vector<double> start, end;
  constexpr int rows = 7, count = 70000;
  for (int n = 0; n < rows; ++n) {
    start.insert(start.end(), {double(n), 10.0 + n});
    end.insert(end.end(), {20.0 + n, 30.0 + n});
  }
  const GivenPairs<T, Exec> pairs(test::table<T, Exec>(rows, 2, start),
                                  test::table<T, Exec>(rows, 2, end));
  CHECK(pairs.dimension() == 2);
  CHECK(condition_of(pairs) == ConditionShape{});
  const auto draws = [&](int samples, const DrawAddress& address) {
    return test::draw_pairs<T>(Exec(), pairs, samples, address);
  };
  const DrawAddress address{.seed = 9, .step = 3};
  const auto values = draws(count, address);
  std::vector<double> frequency(rows);
  bool whole = true;
  for (std::size_t i = 0; i < count; ++i) {
    const double n = values.x0[2 * i];
    whole = whole && values.x0[2 * i + 1] == 10 + n && values.x1[2 * i] == 20 + n &&
            values.x1[2 * i + 1] == 30 + n;
    frequency.at(static_cast<std::size_t>(n)) += 1.0 / count;
  }
  CHECK(whole);
  for (const double f : frequency) {
    const double p = 1.0 / rows;
    CHECK(std::fabs(f - p) <= 5 * std::sqrt(p * (1 - p) / count));
  }

  auto parts = draws(20, address);
  const auto rest = draws(count - 20, address.from(20));
  parts.x0.insert(parts.x0.end(), rest.x0.begin(), rest.x0.end());
  parts.x1.insert(parts.x1.end(), rest.x1.begin(), rest.x1.end());
  CHECK(parts == values);
  CHECK(draws(count, {.seed = 9, .step = 4}) != values);
  CHECK(draws(count, {.seed = 8, .step = 3}) != values);
  CHECK(draws(count, {.seed = 9, .step = 3, .use = Use::held_out}) != values);
}

TEMPLATE_LIST_TEST_CASE("given pairs with z are drawn whole", "[couplings][pairs]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // Row n: x0 = n, x1 = 20 + n, z = (40 + n, 60 + n).
  const GivenPairs<T, Exec> pairs(test::table<T, Exec>(3, 1, {0, 1, 2}),
                                  test::table<T, Exec>(3, 1, {20, 21, 22}),
                                  test::table<T, Exec>(3, 2, {40, 60, 41, 61, 42, 62}));
  CHECK(condition_of(pairs) == ConditionShape{.latent = 2});
  const auto values = test::draw_pairs<T>(Exec(), pairs, 50, {.seed = 9});
  CHECK(values.dropped.empty());
  for (std::size_t i = 0; i < 50; ++i) {
    const double n = values.x0[i];
    CHECK((values.x1[i] == 20 + n && values.z[2 * i] == 40 + n && values.z[2 * i + 1] == 60 + n));
  }
  // z is no condition, and follows x1 where another coupling pairs anew.
  CHECK(test::thrown<std::invalid_argument>([&] { DroppedCondition(pairs, 0.5); }) ==
        "vrfm: there is no condition that could be dropped");
  const auto paired = optimal_transport<T>(Exec(), pairs, {.batch = 40});
  CHECK(condition_of(paired) == ConditionShape{.latent = 2});
  paired.prepare(Exec(), {.seed = 9}, 40);
  const auto anew = test::draw_pairs<T>(Exec(), paired, 40, {.seed = 9});
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK((anew.z[2 * i] == 20 + anew.x1[i] && anew.z[2 * i + 1] == 40 + anew.x1[i]));
  }
}

TEST_CASE("given pairs are checked", "[couplings][pairs]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Pairs = GivenPairs<float, Exec>;
  const auto error = [](int rows0, int cols0, int rows1, int cols1) {
    return test::thrown<std::invalid_argument>([&] {
      Pairs(Table<float, Exec>("x0", std::size_t(rows0), std::size_t(cols0)),
            Table<float, Exec>("x1", std::size_t(rows1), std::size_t(cols1)));
    });
  };
  CHECK(error(3, 2, 4, 2) == "vrfm: x0 has 3 rows but x1 has 4 rows");
  CHECK(error(3, 2, 3, 1) == "vrfm: x0 has 2 columns but x1 has 1 columns");
  CHECK(error(0, 2, 0, 2) ==
        "vrfm: GivenPairs: expected at least one pair, but got 0 rows of 2 columns");
  const Table<float, Exec> x("x", 3, 2), z("z", 2, 2);
  CHECK(test::thrown<std::invalid_argument>([&] { Pairs(x, x, z); }) ==
        "vrfm: x0 has 3 rows but z has 2 rows");
}
