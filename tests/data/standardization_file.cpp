// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Standardizations in files: what is read is what was written, and what is none is refused.
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include "scaled_columns.hpp"

#include <vrfm/data/standardization_file.hpp>

using namespace vrfm;
using test::columns;
using test::data_of;
using test::every_kind;
using test::fit;
using test::thrown;

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
