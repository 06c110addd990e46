// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws that are standardised with their condition are what a table of them becomes.
#include <cstddef>
#include <stdexcept>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "memory_rows.hpp"
#include "scaled_columns.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/row_draws.hpp>
#include <vrfm/data/standardized.hpp>

using namespace vrfm;
using test::columns;
using test::data_of;
using test::numbers_of;
using test::thrown;

TEMPLATE_LIST_TEST_CASE("draws are standardised with their condition", "[data][standardization]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto data = data_of(60);
  const test::MemoryRows reader("rows", {60, columns}, data);
  const RowSource source(
      {.x1 = {{&reader, {1, 5}}}, .vector = {{&reader, {3}}}, .field = {{&reader, {2, 0}}}});
  const RowScalesOptions options{.x1 = {.columns = {{}, {.discrete = true}}},
                                 .vector = {.columns = {{.kind = ScaleKind::log, .shift = 0.5}}},
                                 .field = {.channels = 1}};
  const RowScales scales = fit_scales<T>(source, options);
  CHECK(scales.x1.scale(1).options.discrete);
  CHECK(scales.field.scales().size() == 1);
  const auto packed = pack<T>(exec, source);
  const auto inner = row_draws(exec, packed.rows, packed.layout, 20);
  const auto draws = standardized(exec, inner, scales);
  static_assert(ConditionalDistribution<decltype(draws), T> && Distribution<decltype(draws), T>);
  static_assert(!prepares_on_host<decltype(draws)>);
  CHECK(thrown<std::invalid_argument>([&] { draws.check(3); }) ==
        "vrfm: these rows are drawn in batches of 20, but a step draws 3");
  const DrawAddress address{.seed = 4, .step = 1};
  const auto plain = test::draw_pairs<T>(exec, independent(inner, inner), 20, address),
             drawn = test::draw_pairs<T>(exec, independent(draws, draws), 20, address);
  // The draws' x1 are what a table of them becomes at the same address.
  const auto table = test::table<T, Exec>(20, 2, plain.x1);
  scales.x1.standardize(exec, table, address);
  CHECK(drawn.x1 == numbers_of(table));
  // The source is of other bits.
  CHECK(drawn.x0 != drawn.x1);
  const auto vectors = test::table<T, Exec>(20, 1, plain.vector),
             fields = test::table<T, Exec>(20, 2, plain.field);
  scales.vector.standardize(exec, vectors);
  scales.field.standardize(exec, fields);
  CHECK(drawn.vector == numbers_of(vectors));
  CHECK(drawn.field == numbers_of(fields));
  scales.x1.restore(exec, table);
  for (std::size_t i = 0; i < 20; ++i) CHECK(numbers_of(table)[2 * i + 1] == plain.x1[2 * i + 1]);
  CHECK(thrown<std::invalid_argument>([&] {
          (void)standardized(exec, inner, {.x1 = scales.vector});
        }) == "vrfm: x1 has 2 columns, but its standardization has 1");
  // Parts without a standardization stay.
  CHECK(test::draw_pairs<T>(exec, independent(inner, standardized(exec, inner, {})), 20, address) ==
        plain);
}
