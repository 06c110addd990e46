// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parameters that no training changes stay, under weight decay, clipping and averaging, and what is trained beside
// them does not notice them.
#include <cmath>
#include <cstddef>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/training/support.hpp>

using namespace vrfm;
using test::host_numbers;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
constexpr std::size_t fixed = 700;  // parts of three blocks

/// Networks behind a table that they do not use.
struct WithTable : MlpNetworks<> {
  WithTable() = default;
  WithTable(ParameterList& list, const FlowOptions& options) : WithTable(0, list, options) {}

 private:
  WithTable(int, ParameterList& list, const FlowOptions& options)
      : MlpNetworks<>((list.add("table", {fixed}, Initializer::constant(3), true), list), options) {
  }
};

}  // namespace

TEST_CASE("fixed parameters stay, and the others do not notice them", "[training][fixed]") {
  const Exec exec;
  const auto train = [&](const auto& flow) {
    Trainer trainer(flow, VelocityLoss{}, test::tiny_optimizer(), test::tiny_coupling<float>(exec),
                    test::tiny_options());
    trainer.run(20);
    return host_numbers(trainer.average());
  };
  const Flow<float> plain(exec, test::tiny_flow(0), 3);
  const Flow<float, Exec, WithTable> with_table(exec, test::tiny_flow(0), 3);
  // The same start: draws depend on a slot's number.
  const auto from = host_numbers(plain.values());
  const auto start = Kokkos::create_mirror_view(with_table.values());
  Kokkos::deep_copy(start, with_table.values());
  for (std::size_t k = 0; k < from.size(); ++k) start(fixed + k) = static_cast<float>(from[k]);
  Kokkos::deep_copy(with_table.values(), start);

  const auto expected_average = train(plain), average = train(with_table);
  const auto expected = host_numbers(plain.values()), values = host_numbers(with_table.values());
  REQUIRE(values.size() == fixed + expected.size());
  for (std::size_t k = 0; k < fixed; ++k) CHECK((values[k] == 3 && average[k] == 3));
  bool moved = false;
  for (std::size_t k = 0; k < expected.size(); ++k) {
    moved = moved || expected[k] != from[k];
    // The gradient's norm is summed in blocks that lie elsewhere: the clipped update differs by roundings.
    CHECK(std::fabs(values[fixed + k] - expected[k]) <= 1e-4 * std::fabs(expected[k]) + 1e-6);
    CHECK(std::fabs(average[fixed + k] - expected_average[k]) <=
          1e-4 * std::fabs(expected_average[k]) + 1e-6);
  }
  CHECK(moved);
}
