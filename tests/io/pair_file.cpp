// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files of pairs: what is written in blocks is read as it was, and a file that is no such file is refused.
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/io/pair_file.hpp>

using namespace vrfm;
using test::TemporaryFolder;
using test::thrown;

namespace {

std::vector<float> numbers(std::size_t count, float first) {
  std::vector<float> result;
  for (std::size_t k = 0; k < count; ++k) result.push_back(first + static_cast<float>(k));
  return result;
}

template <class T>
std::vector<T> copied(std::span<const T> values) {
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("pairs that are written in blocks are read as they were", "[io][pairs]") {
  const TemporaryFolder folder;
  const auto path = folder / "pairs.safetensors";
  // Odd extents, so that no row ends at a multiple of 8 bytes.
  const auto x0 = numbers(15, 0), x1 = numbers(15, 100), z = numbers(5, 200),
             vector = numbers(10, 300), field = numbers(35, 400);
  const std::vector<std::int32_t> labels{4, 0, 2, 7, 1};
  PairWriter<float> writer(
      path,
      {.count = 5, .dimension = 3, .latent = 1, .columns = 2, .field_columns = 7, .labels = true},
      {{"flow", "teacher"}});
  const auto part = [](const auto& all, std::size_t columns, std::size_t first, std::size_t rows) {
    return std::span(all).subspan(first * columns, rows * columns);
  };
  const auto write = [&](std::size_t first, std::size_t rows) {
    writer.write({part(x0, 3, first, rows), part(x1, 3, first, rows), part(z, 1, first, rows),
                  part(vector, 2, first, rows), part(field, 7, first, rows),
                  part(labels, 1, first, rows)});
  };
  write(0, 2);
  write(2, 0);
  write(2, 3);
  CHECK(folder.names().size() == 1);  // the temporary
  writer.commit();
  CHECK(folder.names() == std::vector<std::string>{"pairs.safetensors"});

  const PairFile file = PairFile::open(path);
  CHECK(file.metadata().at("flow") == "teacher");
  CHECK((file.shape().count == 5 && file.shape().dimension == 3 && file.shape().latent == 1 &&
         file.shape().columns == 2 && file.shape().field_columns == 7 && file.shape().labels));
  CHECK(file.largest_label() == 7);
  const auto rows = file.rows<float>();
  CHECK((copied(rows.x0) == x0 && copied(rows.x1) == x1 && copied(rows.z) == z));
  CHECK((copied(rows.vector) == vector && copied(rows.field) == field));
  CHECK(copied(rows.labels) == labels);
  CHECK(thrown<std::runtime_error>([&] { (void)file.rows<double>(); }) ==
        path.string() + ": tensor 'x0': expected F64 [5, 3], found F32 [5, 3]");
}

TEST_CASE("rows that do not fit a file of pairs are refused", "[io][pairs]") {
  using Invalid = std::invalid_argument;
  const TemporaryFolder folder;
  const auto path = folder / "pairs.safetensors";
  const std::vector<double> two{1, 2}, four{1, 2, 3, 4}, none;
  {
    PairWriter<double> writer(path, {.count = 3, .dimension = 2, .latent = 1});
    CHECK(thrown<Invalid>([&] {
            writer.write({four, four, four, none, none, {}});
          }) == "pairs: expected 2 numbers of z, found 4");
    CHECK(thrown<Invalid>([&] {
            writer.write({four, two, two, none, none, {}});
          }) == "pairs: expected 4 numbers of x1, found 2");
    CHECK(thrown<Invalid>([&] {
            writer.write({four, four, two, two, none, {}});
          }) == "pairs: expected 0 numbers of vector, found 2");
    writer.write({four, four, two, none, none, {}});
    CHECK(thrown<Invalid>([&] {
            writer.write({four, four, two, none, none, {}});
          }) == "pairs: expected at most 1 rows more, found 2");
    CHECK(thrown<Invalid>([&] { writer.commit(); }) ==
          "pairs: expected 3 rows to be written, found 2");
  }
  CHECK(folder.names().empty());
  CHECK(thrown<Invalid>([&] { PairWriter<float>(path, {.count = 0}); }) ==
        path.string() + ": expected at least one pair of one column");
}

TEST_CASE("a file that holds no pairs is refused", "[io][pairs]") {
  const TemporaryFolder folder;
  const auto path = folder / "pairs.safetensors";
  const std::vector<float> six = numbers(6, 0), four = numbers(4, 0);
  const std::vector<std::int32_t> labels{0, -1, 2};
  const Tensor x0 = make_tensor("x0", {3, 2}, six), x1 = make_tensor("x1", {3, 2}, six);
  const auto refused = [&](std::vector<Tensor> tensors) {
    write_safetensors(path, tensors);
    auto sentence = thrown<std::runtime_error>([&] { PairFile::open(path); });
    const std::string name = path.string() + ": ";
    return sentence.starts_with(name) ? sentence.substr(name.size()) : sentence;
  };
  CHECK(refused({x1}) == "expected a tensor 'x0', found none of that name among 1");
  CHECK(refused({make_tensor("x0", {6}, six), x1}) ==
        "tensor 'x0': expected F32 or F64 [n, dimension], found F32 [6]");
  CHECK(refused({x0}) == "expected a tensor 'x1' of the shape of x0 [3, 2]");
  CHECK(refused({x0, make_tensor("x1", {2, 2}, four)}) ==
        "tensor 'x1': expected F32 of 3 rows as x0, found F32 [2, 2]");
  CHECK(refused({x0, x1, make_tensor("z", {2, 2}, four)}) ==
        "tensor 'z': expected F32 of 3 rows as x0, found F32 [2, 2]");
  CHECK(refused({x0, x1, make_tensor("labels", {3}, labels)}) ==
        "tensor 'labels': expected 0 or more, found -1");
  CHECK(refused({x0, x1}) == "(nothing thrown)");
}
