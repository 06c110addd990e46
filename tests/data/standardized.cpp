// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws that are standardised with their condition are what a table of them becomes; standardizations in files.
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/couplings/draw_pairs.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "memory_rows.hpp"
#include "scaled_columns.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/row_draws.hpp>
#include <vrfm/data/standardization_file.hpp>
#include <vrfm/data/standardized.hpp>

using namespace vrfm;
using test::columns;
using test::data_of;
using test::every_kind;
using test::fit;
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

TEST_CASE("a standardization is kept in a file", "[data][standardization]") {
  const test::TemporaryFolder folder;
  const auto of = fit(data_of(50), columns, {.columns = every_kind});
  const auto channels = fit(data_of(50), columns, {.channels = 2});
  const StandardizationRecord x1("x1", of), vector("vector", channels);
  Metadata metadata{{"beta", "1"}};
  x1.note(metadata);
  vector.note(metadata);
  CHECK(metadata.at("data.x1") ==
        "8: identity, deviation, quantiles, log, logit, discrete deviation, discrete log, discrete "
        "logit");
  CHECK(metadata.at("data.vector") == "8: deviation, deviation");
  const std::vector<Tensor> tensors{x1.tensor(), vector.tensor()};
  write_safetensors(folder / "scales", tensors, metadata);
  const auto file = SafetensorsFile::read(folder / "scales");
  for (const bool first : {true, false}) {
    const auto& written = first ? of : channels;
    const auto read = read_standardization(file, first ? "x1" : "vector");
    CHECK(read.columns() == columns);
    REQUIRE(read.scales().size() == written.scales().size());
    CHECK(StandardizationRecord("x", read).numbers == StandardizationRecord("x", written).numbers);
    CHECK(StandardizationRecord("x", read).kinds == StandardizationRecord("x", written).kinds);
  }
  CHECK(read_standardization(file, "field").columns() == 0);
  const auto refused = [&](const std::string& kinds, const std::vector<double>& numbers) {
    const std::vector<Tensor> bad{make_tensor("data.x1", {numbers.size() / 5, 5}, numbers)};
    write_safetensors(folder / "bad", bad,
                      kinds.empty() ? Metadata{} : Metadata{{"data.x1", kinds}});
    const auto read = SafetensorsFile::read(folder / "bad");
    const auto message =
        thrown<std::runtime_error>([&] { (void)read_standardization(read, "x1"); });
    const std::string name = read.name() + ": ";
    return message.starts_with(name) ? message.substr(name.size()) : message;
  };
  const std::vector<double> good{0, 0, 1, 3, 2};
  CHECK(refused("", good) ==
        "'data.x1': expected a tensor and metadata of a standardization, found only the tensor");
  CHECK(refused("2: square", good) ==
        "'data.x1': expected identity, deviation, quantiles, log or logit, found 'square'");
  CHECK(
      refused("3: log, log", good) ==
      "'data.x1': expected columns and the kinds of scales that divide them, found '3: log, log'");
  CHECK(refused("2: log, log", good) == "tensor 'data.x1': expected F64 [2, 5], found F64 [1, 5]");
  CHECK(refused("2: log", {0, 0, 1, 3, 0}) ==
        "'data.x1': element 4 is 0, expected a finite deviation above 0");
  CHECK(refused("2: logit", {0, 1, 1, 3, 1}) ==
        "'data.x1': expected low < high of a logit, found 1 and 1");
}
