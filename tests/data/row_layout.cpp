// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packed rows: chosen columns of several arrays in the layout's order, channels turned; rows with NaN or infinity are
// refused or dropped, and named; splits by a row's number or by a column. What does not fit is refused.
#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include "memory_rows.hpp"

#include <vrfm/data/row_source.hpp>

using namespace vrfm;
using test::MemoryRows;
using test::numbers_of;
using test::thrown;
using Invalid = std::invalid_argument;

namespace {

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEMPLATE_LIST_TEST_CASE("rows are packed from columns of several arrays", "[data][rows]",
                        test::SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  // Pictures of 2 channels, 1 x 3, and a table of energy, class, weight, unused, angle.
  const MemoryRows pictures("pictures", {2, 2, 1, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const MemoryRows table("table", {2, 5}, {20, 1, 0.5, -1, 21, 30, 0, 2, -1, 31});
  const RowSource source({.x1 = {{&pictures, {}, 2}},
                          .vector = {{&table, {4, 0}}},
                          .field = {{&pictures, {0, 1}}},
                          .label = {&table, {1}},
                          .weight = {&table, {2}},
                          .classes = 2});
  CHECK(source.layout() == RowLayout{6, 2, 2, 2, true});
  CHECK(source.layout().condition() ==
        ConditionShape{.classes = 2, .columns = 2, .field_columns = 2});
  const auto packed = pack<T>(Exec(), source);
  CHECK(packed.dropped == 0);
  CHECK(numbers_of(packed.rows) ==
        std::vector<double>{1, 4,  2, 5,  3, 6,  21, 20, 1, 2, 1, 0.5,  //
                            7, 10, 8, 11, 9, 12, 31, 30, 7, 8, 0, 2});
  // An array as it is.
  CHECK(numbers_of(pack<T>(Exec(), RowSource({.x1 = {{&table}}})).rows) == table.numbers);
}

TEST_CASE("rows that are not finite need a decision", "[data][rows]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const std::size_t rows = 5000;  // above one block
  std::vector<double> numbers(rows * 9, 1.0);
  numbers[7 * 9 + 8] = no_number;
  numbers[7 * 9 + 3] = no_number;
  numbers[4500 * 9] = -std::numeric_limits<double>::infinity();
  const MemoryRows reader("folder/x.npy", {rows, 9}, numbers,
                          {"a", "b", "c", "d", "e", "f", "g", "h", "i"});
  CHECK(thrown<std::runtime_error>(
            [&] { (void)pack<double>(exec, RowSource({.x1 = {{&reader}}})); }) ==
        "vrfm: expected finite numbers, found a NaN or an infinity in 2 of 5000 rows, first in row "
        "7, "
        "x1, column 3 'd' of folder/x.npy: nan; NanRows::drop leaves them out");
  const auto packed = pack<double>(exec, RowSource({.x1 = {{&reader}}}, {.nan = NanRows::drop}));
  CHECK(packed.rows.extent(0) == rows - 2);
  CHECK(packed.dropped == 2);
  CHECK(packed.first_dropped == "row 7, x1, column 3 'd' of folder/x.npy: nan");
  CHECK(numbers_of(packed.rows) == std::vector<double>((rows - 2) * 9, 1.0));
  const MemoryRows none("none", {2, 1}, {no_number, no_number});
  CHECK(thrown<std::runtime_error>([&] {
          (void)pack<float>(exec, RowSource({.x1 = {{&none}}}, {.nan = NanRows::drop}));
        }) ==
        "vrfm: expected rows to keep, found none among 2 of none, of which 2 have a NaN or an "
        "infinity");
}

TEST_CASE("columns that do not fit are refused", "[data][rows]") {
  const MemoryRows a("a", {2, 3}, {1, 2, 3, 4, 5, 6}), b("b", {3, 1}, {0, 1, 2});
  const auto refused = [](const RowRoles& roles) {
    return thrown<Invalid>([&] { (void)RowPacker(roles); });
  };
  CHECK(refused({}) == "vrfm: rows need columns of x1, got none");
  CHECK(refused({.x1 = {{}}}) == "vrfm: x1: expected an array to read, got none");
  CHECK(refused({.x1 = {{&a, {0, 3}}}}) == "vrfm: x1: expected columns below 3 of a, got 3");
  CHECK(refused({.x1 = {{&a, {}, 2}}}) ==
        "vrfm: x1: expected channels that divide 3 columns of a, got 2");
  CHECK(refused({.x1 = {{&a}}, .vector = {{&b}}}) == "vrfm: a has 2 rows but b has 3 rows");
  CHECK(refused({.x1 = {{&a}}, .label = {&a, {0, 1}}, .classes = 2}) ==
        "vrfm: the label: expected one column, got 2 of a");
  CHECK(refused({.x1 = {{&a}}, .label = {&a, {0}}}) ==
        "vrfm: rows need classes > 0 with a label and 0 without, got 0");
  const auto unreadable = [](const RowRoles& roles) {
    return thrown<std::runtime_error>(
        [&] { (void)pack<float>(Kokkos::DefaultExecutionSpace(), RowSource(roles)); });
  };
  CHECK(unreadable({.x1 = {{&a, {0}}}, .label = {&a, {1}}, .classes = 5}) ==
        "vrfm: the label, column 1 of a, row 1: expected a label of 0 to 4, found 5");
  const MemoryRows c("c", {2, 2}, {0.5, 1, 1, -2});
  CHECK(unreadable({.x1 = {{&c}}, .label = {&c, {0}}, .classes = 5}) ==
        "vrfm: the label, column 0 of c, row 0: expected a label of 0 to 4, found 0.5");
  CHECK(unreadable({.x1 = {{&c}}, .weight = {&c, {1}}}) ==
        "vrfm: the weight, column 1 of c, row 1: expected a weight >= 0, found -2");
}

TEST_CASE("a split is a function of the row's id", "[data][rows]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const std::size_t rows = 9000;
  std::vector<double> numbers, groups;
  for (std::size_t n = 0; n < rows; ++n) {
    numbers.push_back(static_cast<double>(n));
    groups.push_back(std::floor(static_cast<double>(n) / 10) - 20);
  }
  const MemoryRows reader("x", {rows, 1}, numbers), ids("ids", {rows, 1}, groups);
  const auto part = [&](SplitPart which, const RowSplit& split) {
    const RowSource source({.x1 = {{&reader}}}, {.part = which, .split = split});
    return numbers_of(pack<double>(exec, source).rows);
  };
  const RowSplit split{.validation = 0.2, .seed = 5};
  const auto held = part(SplitPart::validation, split), trained = part(SplitPart::training, split);
  CHECK(held.size() + trained.size() == rows);
  // 1,800 expected, of deviation 38.
  CHECK(std::fabs(static_cast<double>(held.size()) - 1800) < 5 * 38);
  for (const double row : held) CHECK(split.held_out(row));
  for (const double row : trained) CHECK(!split.held_out(row));
  CHECK(part(SplitPart::validation, {.validation = 0.2, .seed = 6}) != held);
  CHECK(part(SplitPart::all, split).size() == rows);
  // Groups of ten rows stay together, and 900 of them are split in this proportion.
  const RowSplit grouped{.validation = 0.2, .seed = 5, .ids = {&ids}};
  std::set<double> held_groups;
  const auto held_rows = part(SplitPart::validation, grouped);
  for (const double row : held_rows) held_groups.insert(std::floor(row / 10));
  CHECK(held_rows.size() == 10 * held_groups.size());
  CHECK(std::fabs(static_cast<double>(held_groups.size()) - 180) < 5 * 12);
  CHECK(split.held_out(0.0) == split.held_out(-0.0));
  CHECK(thrown<Invalid>([&] { part(SplitPart::training, {.validation = 1.5}); }) ==
        "vrfm: rows are held out with a probability in [0, 1], got 1.5");
  const MemoryRows wide("wide", {rows, 2}, std::vector<double>(2 * rows)),
      few("few", {3, 1}, {1, 2, 3});
  CHECK(thrown<Invalid>([&] { part(SplitPart::training, {.ids = {&wide}}); }) ==
        "vrfm: the ids of a split: expected one column, got 2 of wide");
  CHECK(thrown<Invalid>([&] { part(SplitPart::training, {.ids = {&few}}); }) ==
        "vrfm: x1 has 9000 rows but few has 3 rows");
  const MemoryRows missing("missing", {rows, 1}, std::vector<double>(rows, no_number));
  CHECK(thrown<std::runtime_error>([&] { part(SplitPart::training, {.ids = {&missing}}); }) ==
        "vrfm: missing: row 0: expected the number of a split's id, found nan");
}
