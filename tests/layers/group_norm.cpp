// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GroupNorm beyond conformance: large images far from zero, in place, and its errors.
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/group_norm.hpp>
#include <vrfm/linalg/batch_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// Output of a norm without weights for one sample; `in_place`: y is x.
template <class Exec, class T>
std::vector<double> normalised(int pixels, int channels, int groups,
                               const std::vector<double>& values, bool in_place = false) {
  ParameterList list;
  const GroupNorm<> norm(list, "norm", pixels, channels, groups);
  std::vector<double> parameters(2 * static_cast<std::size_t>(channels));
  for (std::size_t j = 0; j < parameters.size() / 2; ++j) parameters[j] = 1;
  Padded<T, Exec> p(1, 2 * channels, parameters), x(pixels, channels, values), y(pixels, channels),
      memory(1, 4000);
  Arena<T> arena(memory.data(), 4000);
  const BatchContext<Exec> ctx{Exec()};
  GroupNorm<>::Saved<T>* const inference = nullptr;
  norm.forward(ctx, p.data(), x.matrix(), in_place ? x.matrix() : y.matrix(), inference, arena);
  return (in_place ? x : y).read();
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("moments of large images far from zero keep their digits", "[layers]",
                        Spaces) {
  // Deviations below 1 around 1000, which float holds to 2^-14: in all 36864 numbers a group.
  const int pixels = 96 * 96, channels = 8;
  Numbers numbers(8);
  std::vector<double> values = numbers.take(std::size_t(pixels) * channels);
  for (double& value : values) value = static_cast<double>(static_cast<float>(1000 + value));
  const auto exact = normalised<TestType, double>(pixels, channels, 2, values);
  const auto rounded = normalised<TestType, float>(pixels, channels, 2, values);
  // The mean is a float, too: its last digit, in units of the deviation (1 / sqrt(3)).
  const double last_digit = 1000 * epsilon<float> * 1.75;
  CHECK(difference(rounded, exact, last_digit + 128 * epsilon<float> * largest(exact)) == "");
}

TEMPLATE_LIST_TEST_CASE("inference in place", "[layers]", Spaces) {
  Numbers numbers(9);
  const auto values = numbers.take(40 * 6);
  CHECK(normalised<TestType, float>(40, 6, 3, values, true) ==
        normalised<TestType, float>(40, 6, 3, values));
}

TEST_CASE("groups divide the channels and are not too narrow", "[layers]") {
  CHECK(group_count(512) == 32);
  CHECK(group_count(128) == 32);
  CHECK(group_count(64) == 16);
  CHECK(group_count(16) == 4);
  CHECK(group_count(14) == 2);  // three would leave a rest
  CHECK(group_count(3) == 1);
  CHECK(group_count(32, 1) == 32);
  CHECK(group_count(32, 16) == 2);
}

TEST_CASE("group norms say what is wrong with their extents", "[layers]") {
  const auto message = [](int pixels, int channels, int groups, double eps) {
    return thrown<std::invalid_argument>([&] {
      ParameterList list;
      GroupNorm<>(list, "norm", pixels, channels, groups, eps);
    });
  };
  CHECK(message(0, 4, 2, 1e-5) ==
        "vrfm: group norm 'norm' needs at least one pixel and one channel, got 0 and 4");
  CHECK(message(4, 6, 4, 1e-5) ==
        "vrfm: group norm 'norm' needs groups that divide its 6 channels, got 4");
  CHECK(contains(message(4, 6, 0, 1e-5), "got 0"));
  CHECK(message(4, 6, 2, 0) == "vrfm: group norm 'norm' needs eps > 0, got 0");
}
