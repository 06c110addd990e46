// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parameters: slots without gaps, names, initial distributions, and that an initial value depends
// on the seed, its slot and its index only.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/dense.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

template <class Exec, class T>
std::vector<double> initial(const ParameterList& list, std::uint32_t seed) {
  const Exec exec;
  const Array<T, Exec> values("values", list.count());
  initialize<Exec, T>(exec, list, values, seed);
  exec.fence();
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), values);
  return std::vector<double>(host.data(), host.data() + host.extent(0));
}

}  // namespace

TEST_CASE("slots follow each other without gaps", "[layers][parameters]") {
  ParameterList list;
  CHECK(list.count() == 0);
  CHECK(list.add("a", {3, 4}, Initializer::constant(1)) == 0);
  CHECK(list.add("b", {}, Initializer::constant(1)) == 12);
  CHECK(list.add("c", {2, 1, 5}, Initializer::normal(1)) == 13);
  CHECK(list.count() == 23);
  REQUIRE(list.entries().size() == 3);
  CHECK(list.entries()[1].name == "b");
  CHECK(list.entries()[1].count == 1);
  CHECK(list.entries()[2].offset == 13);
  CHECK(list.entries()[2].shape == std::vector<std::size_t>{2, 1, 5});
}

TEST_CASE("impossible slots are refused by name", "[layers][parameters]") {
  ParameterList list;
  list.add("weight", {2}, Initializer::constant(0));
  CHECK(thrown<std::invalid_argument>([&] { list.add("weight", {3}, Initializer::constant(0)); }) ==
        "vrfm: parameter name 'weight' is used twice");
  CHECK(thrown<std::invalid_argument>([&] {
          list.add("bias", {4, 0}, Initializer::constant(0));
        }) == "vrfm: parameter 'bias' has an extent of 0; every extent must be positive");
  CHECK(list.count() == 2);
}

TEST_CASE("a dense layer's slots are PyTorch's", "[layers][parameters]") {
  ParameterList list;
  const Dense<Gelu> layer(list, "velocity.decoder.0", 6, 4);
  CHECK((layer.inputs() == 6 && layer.outputs() == 4));
  REQUIRE(list.entries().size() == 2);
  CHECK(list.entries()[0].name == "velocity.decoder.0.weight");
  CHECK(list.entries()[0].shape == std::vector<std::size_t>{4, 6});
  CHECK(list.entries()[1].name == "velocity.decoder.0.bias");
  CHECK(list.entries()[1].shape == std::vector<std::size_t>{4});
  for (const auto& slot : list.entries()) {
    CHECK(slot.initializer.kind == Initializer::Kind::uniform);
    CHECK(std::fabs(slot.initializer.scale - 1 / std::sqrt(6.0)) <= epsilon<double>);
  }
  CHECK(thrown<std::invalid_argument>([&] { Dense<>(list, "none", 3, 0); }) ==
        "vrfm: dense layer 'none' needs at least one input and one output, got 3 and 0");
}

TEMPLATE_LIST_TEST_CASE("initial values have their distributions", "[layers][parameters]",
                        SpacesTimesReals) {
  constexpr std::size_t n = 30000;
  ParameterList list;
  list.add("constant", {5}, Initializer::constant(0.25));
  list.add("uniform", {n / 3, 3}, Initializer::uniform(0.125));
  list.add("normal", {n - 1}, Initializer::normal(2));
  const auto values = initial<typename TestType::Exec, typename TestType::Real>(list, 5);
  for (std::size_t k = 0; k < 5; ++k) CHECK(values[k] == 0.25);

  // Mean and variance within five standard deviations of the estimate.
  const auto moments = [&](std::size_t first, std::size_t count) {
    double mean = 0, square = 0;
    for (std::size_t k = first; k < first + count; ++k) {
      mean += values[k] / double(count);
      square += values[k] * values[k] / double(count);
    }
    return std::vector<double>{mean, square};
  };
  const double root = std::sqrt(double(n));
  const auto uniform = moments(5, n);
  CHECK(difference(uniform, {0, 0.125 * 0.125 / 3}, [&](std::size_t k) {
          return 5 * (k == 0 ? 0.125 / std::sqrt(3.0) : 0.125 * 0.125 * std::sqrt(4.0 / 45)) / root;
        }) == "");
  const auto [low, high] = std::minmax_element(values.begin() + 5, values.begin() + 5 + n);
  CHECK((*low > -0.125 && *low < -0.124 && *high < 0.125 && *high > 0.124));
  const auto normal = moments(5 + n, n - 1);
  CHECK(difference(normal, {0, 4}, [&](std::size_t k) {
          return 5 * (k == 0 ? 2 : 4 * std::sqrt(2.0)) / root;
        }) == "");
}

TEMPLATE_LIST_TEST_CASE("an initial value depends on seed, slot and index only",
                        "[layers][parameters]", SpacesTimesReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  using Host = Kokkos::DefaultHostExecutionSpace;
  const auto make = [](std::size_t first, std::size_t second) {
    ParameterList list;
    list.add("first", {first}, Initializer::uniform(1));
    list.add("second", {second}, Initializer::normal(1));
    return list;
  };
  const auto values = initial<Exec, T>(make(7, 9), 1);
  // A device's logarithm may round otherwise.
  CHECK(difference(values, initial<Host, T>(make(7, 9), 1), 32 * epsilon<T>) == "");

  // Longer slots begin with the same numbers.
  const auto longer = initial<Exec, T>(make(10, 12), 1);
  CHECK(std::equal(values.begin(), values.begin() + 7, longer.begin()));
  CHECK(std::equal(values.begin() + 7, values.end(), longer.begin() + 10));
  const auto other = initial<Exec, T>(make(7, 9), 2);
  for (std::size_t k = 0; k < values.size(); ++k) CHECK(values[k] != other[k]);
}

TEST_CASE("initialize names both counts if the array does not fit", "[layers][parameters]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  ParameterList list;
  list.add("a", {3}, Initializer::constant(1));
  const Array<float, Host> values("values", 4);
  CHECK(thrown<std::invalid_argument>([&] { initialize<Host, float>(Host(), list, values, 1); }) ==
        "vrfm: the parameter array has 4 numbers but the parameter list has 3 numbers");
}
