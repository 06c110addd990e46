// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Given pairs: rows stay together, each is as likely as another, and they can stand where a
// coupling is wanted.
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/couplings/coupling.hpp>

using namespace vrfm;

namespace {

/// Row i of out: x0 and x1 of draw first + i.
template <class T, class Exec>
struct Draws {
  GivenPairs<T, Exec> pairs;
  std::uint64_t first;
  std::uint32_t step, seed;
  Table<T, Exec> out;
  KOKKOS_FUNCTION void operator()(int i) const {
    pairs.draw(first + static_cast<std::uint64_t>(i), step, seed, &out(i, 0),
               &out(i, pairs.dimension()));
  }
};

template <class T, class Exec>
std::vector<double> draws(const GivenPairs<T, Exec>& pairs, int count, std::uint64_t first,
                          std::uint32_t step, std::uint32_t seed) {
  const Table<T, Exec> out("out", count, 2 * pairs.dimension());
  Kokkos::parallel_for("draws", Kokkos::RangePolicy<Exec>(0, count),
                       Draws<T, Exec>{pairs, first, step, seed, out});
  return test::numbers_of(out);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("given pairs are drawn whole and equally often", "[data][pairs]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  static_assert(Coupling<GivenPairs<T, Exec>, T>);
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
  const auto values = draws(pairs, count, 0, 3, 9);
  std::vector<double> frequency(rows);
  bool whole = true;
  for (std::size_t i = 0; i < count; ++i) {
    const double n = values[4 * i];
    whole = whole && values[4 * i + 1] == 10 + n && values[4 * i + 2] == 20 + n &&
            values[4 * i + 3] == 30 + n;
    frequency.at(static_cast<std::size_t>(n)) += 1.0 / count;
  }
  CHECK(whole);
  for (const double f : frequency) {
    const double p = 1.0 / rows;
    CHECK(std::fabs(f - p) <= 5 * std::sqrt(p * (1 - p) / count));
  }

  auto parts = draws(pairs, 20, 0, 3, 9);
  for (const double value : draws(pairs, count - 20, 20, 3, 9)) parts.push_back(value);
  CHECK(parts == values);
  CHECK(draws(pairs, count, 0, 4, 9) != values);
  CHECK(draws(pairs, count, 0, 3, 8) != values);
}

TEST_CASE("given pairs are checked", "[data][pairs]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  using Pairs = GivenPairs<float, Exec>;
  const auto error = [](int rows0, int cols0, int rows1, int cols1) {
    return test::thrown<std::invalid_argument>([&] {
      Pairs(Table<float, Exec>("x0", rows0, cols0), Table<float, Exec>("x1", rows1, cols1));
    });
  };
  CHECK(error(3, 2, 4, 2) == "vrfm: x0 has 3 rows but x1 has 4 rows");
  CHECK(error(3, 2, 3, 1) == "vrfm: x0 has 2 columns but x1 has 1 columns");
  CHECK(error(0, 2, 0, 2) ==
        "vrfm: GivenPairs: expected at least one pair, but got 0 rows of 2 columns");
}
