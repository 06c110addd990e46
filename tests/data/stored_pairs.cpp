// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stored pairs: each row of a file comes whole, once in an epoch, in an order of its own; kernels that read the file
// and those that read what was gathered of it draw the same; options that do not fit are refused.
#include <algorithm>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/stored_pairs.hpp>

using namespace vrfm;
using test::thrown;

namespace {

constexpr int rows = 21;

/// Row n: x0 = (n, n + 100), x1 = (n + 200, n + 300), z = n + 400, vector = (n + 500, n + 600, n + 700),
/// field = n + 800, label = n % 4.
template <class T>
void write_pairs(const std::filesystem::path& path) {
  PairWriter<T> writer(path, {.count = rows,
                              .dimension = 2,
                              .latent = 1,
                              .columns = 3,
                              .field_columns = 1,
                              .labels = true});
  for (std::int32_t n = 0; n < rows; ++n) {
    const auto at = [n](int k) { return static_cast<T>(n + 100 * k); };
    const T x0[]{at(0), at(1)}, x1[]{at(2), at(3)}, z[]{at(4)}, vector[]{at(5), at(6), at(7)},
        field[]{at(8)};
    const std::int32_t label[]{n % 4};
    writer.write({x0, x1, z, vector, field, label});
  }
  writer.commit();
}

template <class T, class Exec, bool gathered>
void check_draws(const PairFile& file) {
  constexpr int batch = 6, steps = 7;  // two epochs of 21
  const Exec exec;
  const StoredPairs<T, Exec, gathered> pairs(exec, file, {.batch = batch, .classes = 4});
  static_assert(Coupling<StoredPairs<T, Exec, gathered>, T>);
  static_assert(prepares_on_host<StoredPairs<T, Exec, gathered>> == gathered);
  CHECK(condition_of(pairs) ==
        ConditionShape{.classes = 4, .columns = 3, .field_columns = 1, .latent = 1});
  std::vector<double> order;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const DrawAddress address{.seed = 3, .step = step};
    prepare_coupling(exec, pairs, address, batch);
    const auto drawn = test::draw_pairs<T>(exec, pairs, batch, address);
    for (std::size_t i = 0; i < batch; ++i) {
      const double n = drawn.x0[2 * i];
      order.push_back(n);
      CHECK((drawn.x0[2 * i + 1] == n + 100 && drawn.x1[2 * i] == n + 200 &&
             drawn.x1[2 * i + 1] == n + 300 && drawn.z[i] == n + 400));
      CHECK((drawn.vector[3 * i] == n + 500 && drawn.vector[3 * i + 2] == n + 700 &&
             drawn.field[i] == n + 800 && drawn.label[i] == static_cast<int>(n) % 4 &&
             drawn.dropped[i] == 0));
      CHECK(n == pairs.row(address.at(static_cast<int>(i))));
    }
    // The end of a batch alone, as another rank draws it.
    const auto end = test::draw_pairs<T>(exec, pairs, 2, address.from(4));
    CHECK((end.x0 == std::vector<double>(drawn.x0.begin() + 8, drawn.x0.end())));
  }
  const auto middle = order.begin() + rows;
  CHECK(std::set<double>(order.begin(), middle).size() == rows);
  CHECK(std::set<double>(middle, order.end()).size() == rows);
  CHECK(!std::equal(order.begin(), middle, middle));
  CHECK(!std::is_sorted(order.begin(), middle));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("stored pairs come whole and once in an epoch", "[data][pairs]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const test::TemporaryFolder folder;
  write_pairs<T>(folder / "pairs");
  const PairFile file = PairFile::open(folder / "pairs");
  check_draws<T, Exec, true>(file);
  if constexpr (is_host_space<Exec>) check_draws<T, Exec, false>(file);
}

TEST_CASE("stored pairs without what they have besides", "[data][pairs]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const test::TemporaryFolder folder;
  write_pairs<float>(folder / "pairs");
  const PairFile file = PairFile::open(folder / "pairs");
  const auto pairs = [&](const StoredPairsOptions& options) {
    return stored_pairs<float>(Exec(), file, options);
  };
  CHECK(pairs({.batch = 5, .latents = false, .condition = false}).condition() == ConditionShape{});
  CHECK(pairs({.batch = 5}).condition() ==
        ConditionShape{.columns = 3, .field_columns = 1, .latent = 1});
  using Invalid = std::invalid_argument;
  CHECK(thrown<Invalid>([&] { pairs({.batch = 0}); }) ==
        "vrfm: pairs are drawn in batches of at least 1, got 0");
  CHECK(thrown<Invalid>([&] { pairs({.batch = 5}).check(6); }) ==
        "vrfm: these pairs are drawn in batches of 5, but a step draws 6");
  // 3, the largest label, may be the null class.
  CHECK_NOTHROW(pairs({.classes = 3}));
  CHECK(thrown<Invalid>([&] { pairs({.classes = 2}); }) ==
        "vrfm: " + file.name() + ": expected labels of at most 2, the null class, found 3");
  CHECK(thrown<std::runtime_error>([&] {
          (void)stored_pairs<double>(Exec(), file, {.batch = 5});
        }).find("expected F64 [21, 2], found F32 [21, 2]") != std::string::npos);
}
