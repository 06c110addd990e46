// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Precision, recall, density and coverage: by hand, with borders, the values of the package prdc, equal sets.
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tests/golden/two_samples.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/precision_recall.hpp>

using namespace vrfm;
using test::epsilon, test::Numbers;

namespace {

std::vector<double> as_list(const PrecisionRecall& p) {
  return {p.precision, p.recall, p.density, p.coverage};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("precision and recall by hand", "[metrics][precision_recall]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto scores = [&](const std::vector<double>& real, const std::vector<double>& generated,
                          const PrecisionRecallOptions& options) {
    return as_list(precision_recall(exec, test::table<T, Exec>(real.size(), 1, real),
                                    test::table<T, Exec>(generated.size(), 1, generated), options));
  };
  // Radii of the real: 1, 1, 2, 4; of the generated: 3/2, 3/2, 9/2. The real 7 and the generated -4 are far from
  // all; around 1/2 are two open balls, around 2 one.
  CHECK(test::difference(scores({0, 1, 3, 7}, {0.5, 2, -4}, {1, 1}), {2.0 / 3, 0.75, 1, 0.75},
                         epsilon<double>) == "");
  // At a border: closed for precision and recall, open for density and coverage.
  CHECK(scores({0, 1}, {2, 9}, {1, 1}) == std::vector<double>{0.5, 1, 0, 0});
  // Balls without extent.
  CHECK(scores({3, 3, 3}, {3, 3}, {1, 1}) == std::vector<double>{1, 1, 0, 0});
  CHECK(scores({3, 3, 3}, {4, 4}, {1, 1}) == std::vector<double>{0, 0, 0, 0});
  // Each its own number of neighbours: with two, radii of the real are 3, 2, 3, 6.
  CHECK(test::difference(scores({0, 1, 3, 7}, {0.5, 2, -4}, {1, 2}), {2.0 / 3, 0.75, 7.0 / 6, 1},
                         epsilon<double>) == "");
  CHECK(test::difference(scores({0, 1, 3, 7}, {0.5, 2, -4}, {2, 1}), {2.0 / 3, 1, 1, 0.75},
                         epsilon<double>) == "");
}

TEMPLATE_LIST_TEST_CASE("precision and recall agree with prdc", "[metrics][precision_recall]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  auto generated = Numbers(23).take(203 * 5);
  for (double& value : generated) value = 0.25 + 0.75 * value;
  const auto scores =
      precision_recall(Exec(), test::table<T, Exec>(301, 5, Numbers(22).take(301 * 5)),
                       test::table<T, Exec>(203, 5, generated));
  // Counts, divided once or twice.
  CHECK(test::difference(as_list(scores), test::expected::precision_recall, 4 * epsilon<double>) ==
        "");
}

TEMPLATE_LIST_TEST_CASE("equal sets are wholly precise, recalled, dense and covered",
                        "[metrics][precision_recall]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // In an open ball to the fifth neighbour are the sample itself and four others.
  const auto x = test::table<T, Exec>(133, 9, Numbers(7).take(133 * 9));
  CHECK(as_list(precision_recall(Exec(), x, x)) == std::vector<double>{1, 1, 1, 1});
}

TEST_CASE("precision and recall check their arguments", "[metrics][precision_recall]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const auto error = [](const auto& call) { return test::thrown<std::invalid_argument>(call); };
  const auto six = test::table<float, Exec>(6, 1, {1, 2, 3, 4, 5, 6}),
             three = test::table<float, Exec>(3, 1, {1, 2, 3});
  const auto plane = test::table<float, Exec>(1, 2, {1, 2});
  const auto bad = test::table<float, Exec>(2, 1, {1, std::numeric_limits<double>::quiet_NaN()});
  CHECK(error([&] { precision_recall(exec, six, plane); }) ==
        "vrfm: real has 1 columns but generated has 2 columns");
  CHECK(error([&] { precision_recall(exec, bad, six); }) ==
        "vrfm: precision_recall: real: row 1 holds a number that is not finite");
  CHECK(error([&] { precision_recall(exec, six, Table<float, Exec>("empty", 0, 1)); }) ==
        "vrfm: precision_recall: generated: expected at least one sample, but got 0 rows of 1 "
        "columns");
  CHECK(error([&] { precision_recall(exec, three, six); }) ==
        "vrfm: precision_recall: expected neighbours of one to 2 in 3 real samples, but got 3");
  CHECK(error([&] { precision_recall(exec, six, three); }) ==
        "vrfm: precision_recall: expected neighbours of one to 2 in 3 generated samples, but got "
        "3");
  CHECK(error([&] {
          precision_recall(exec, three, three, {1, 5});
        }) ==
        "vrfm: precision_recall: expected density_neighbours of one to 2 in 3 real samples, but "
        "got 5");
  CHECK(error([&] {
          precision_recall(exec, six, six, {0, 5});
        }) ==
        "vrfm: precision_recall: expected neighbours of one to 5 in 6 real samples, but got 0");
}
