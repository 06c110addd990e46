// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables of separated values: what pandas and NumPy write (tests/golden/make_rows.py) is read, what is written is read
// back to the bit, and each way in which a table can be wrong has its own error.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/csv.hpp>

namespace {

using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;
using Numbers = std::vector<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();
const double nan_value = std::numeric_limits<double>::quiet_NaN();

vrfm::CsvTable parse(const std::string& text, const Names& wanted = {}) {
  return vrfm::parse_csv(bytes_of(text), "in.csv", wanted);
}

std::string error_of(const std::string& text, const Names& wanted = {}) {
  return thrown<std::runtime_error>([&] { parse(text, wanted); });
}

/// The bits, of which all NaNs have the same.
std::vector<std::uint64_t> bits(const Numbers& numbers) {
  std::vector<std::uint64_t> result;
  for (const double number : numbers)
    result.push_back(std::isnan(number) ? 0x7ff8000000000000u
                                        : std::bit_cast<std::uint64_t>(number));
  return result;
}

void check(const vrfm::CsvTable& table, const Names& columns, const Numbers& values) {
  CHECK(table.columns == columns);
  CHECK(table.rows * columns.size() == values.size());
  CHECK(bits(table.values) == bits(values));
}

}  // namespace

TEST_CASE("csv: tables of pandas and NumPy", "[io]") {
  const Names columns{"x", "count", "the \"y\", in m"};
  const Numbers values{0.1,     1, infinity, nan_value,    2, -infinity,
                       -3e-300, 3, 1e300,    12345678.125, 4, 5e-324};
  check(vrfm::read_csv(golden("rows/pandas.csv")), columns, values);     // with an index
  check(vrfm::read_csv(golden("rows/semicolon.csv")), columns, values);  // BOM, CR LF, quotes
  check(vrfm::read_csv(golden("rows/savetxt.csv")), {"a", "b"}, {-1, -0.75, -0.5, -0.25, 0, 0.25});
  check(vrfm::read_csv(golden("rows/pandas.csv"), {"count"}), {"count"}, {1, 2, 3, 4});
}

TEST_CASE("csv: separators, ends of lines, quotes and missing numbers", "[io]") {
  for (const std::string text :
       {"x,y\n1,2\n3,4\n", "x;y\n1;2\n3;4", "x\ty\r\n1\t2\r\n3\t4\r\n",
        "\n\nx , y\r1, 2 \r\r 3,4\r", "\xef\xbb\xbf\"x\",\"y\"\n\"1\" ,+2\n3.0,4e0\n"}) {
    CAPTURE(text);
    check(parse(text), {"x", "y"}, {1, 2, 3, 4});
  }
  check(parse("x;\"a,b\"\n1;2\n"), {"x", "a,b"}, {1, 2});
  check(parse("x\n\"\"\nNA\nnan\nnull\nN/A\n-inf\n"), {"x"},
        {nan_value, nan_value, nan_value, nan_value, nan_value, -infinity});
  check(parse("x,y\n,\n1,2\n"), {"x", "y"}, {nan_value, nan_value, 1, 2});
  check(parse("x,y\n"), {"x", "y"}, {});
  check(parse("\"1\",\"2\"\n3,4\n"), {"1", "2"}, {3, 4});  // names in quotes may be numbers
}

TEST_CASE("csv: columns of strings are known, and left out", "[io]") {
  const std::string text = "x,name,y\n1,,2\n3,\"a \"\"b\"\"\nc\",4\n5,7,6\n";
  check(parse(text), {"x", "y"}, {1, 2, 3, 4, 5, 6});
  check(parse(text, {"y"}), {"y"}, {2, 4, 6});
  check(parse(text, {"y", "x"}), {"y", "x"}, {2, 1, 4, 3, 6, 5});
  CHECK(error_of(text, {"x", "name"}) ==
        "in.csv: line 3, column 'name': expected a number, found 'a \"b\"?c'; its columns are 'x', "
        "'name' (text), 'y'");
  CHECK(error_of(text, {"z"}) ==
        "in.csv: expected a column 'z', found none of that name; its columns are 'x', 'name' "
        "(text), 'y'");
  CHECK(error_of("a b\n1 2\n3 4\n") ==
        "in.csv: expected a column of numbers between separators , ; or tab, found none; its "
        "columns are "
        "'a b' (text)");
  // Dates and versions are text; numbers with a fault are not.
  check(parse("x,date,version,id\n1,2024-01-01,1.2.3,a1\n"), {"x"}, {1});
}

TEST_CASE("csv: what is wrong with a table is told with its line and its columns", "[io]") {
  const std::string listed = "; its columns are 'x', 'y'";
  CHECK(error_of("x,y\n1,2\n\"\n\n3\",oops\n") ==
        "in.csv: line 3, column 'x': expected a number, found '??3'" + listed);
  CHECK(error_of("x,y\n1,2\n3,oops\n") ==
        "in.csv: line 3, column 'y': expected a number, found 'oops'" + listed);
  for (const std::string number : {"1,5", "1e999", "-,5"}) {
    CAPTURE(number);
    CHECK(error_of("x;y\n" + number + ";2\n") ==
          "in.csv: line 2, column 'x': expected a number with a decimal point that a double holds, "
          "found '" +
              number + "'" + listed);
  }
  CHECK(error_of("x,y\n1,2\n\n3\n") ==
        "in.csv: line 4: expected 2 cells, found 1 and none of column 'y'" + listed);
  CHECK(error_of("x,y\n1,2,7\n") ==
        "in.csv: line 2: expected 2 cells, found 3 and '7' behind column 'y'" + listed);
  CHECK(error_of("1.5,2\n3,4\n") ==
        "in.csv: line 1: expected the columns' names, found numbers: '1.5, 2'");
  CHECK(error_of("x,y,x\n1,2,3\n") ==
        "in.csv: line 1: expected columns of different names, found 'x' twice in 'x, y, x'");
  CHECK(error_of("x,,y\n1,2,3\n") ==
        "in.csv: line 1: expected a name of column 2, found none in 'x, , y'");
  CHECK(error_of("\"\"\n1\n") == "in.csv: line 1: expected a name of column 1, found none");
  CHECK(error_of("x,y\n1,\"2\n3,4\n") ==
        "in.csv: line 2: expected a second quote '\"' that ends a cell, found none to the end");
  CHECK(error_of("x,y\n1,\"2\"3\n") ==
        "in.csv: line 2: expected a separator or the end of the line after a cell in quotes, found "
        "'3'");
  CHECK(error_of("") ==
        "in.csv: expected a table of separated values (CSV), found an empty file (0 bytes), as a "
        "download that failed leaves it");
  CHECK(error_of("\r\n\n") ==
        "in.csv: expected a line with the columns' names, found only empty lines");
  CHECK(error_of(std::string("\xff\xfex\0,\0", 6)) ==
        "in.csv: expected a table in UTF-8, found one in UTF-16; save it as \"CSV UTF-8\"");
  CHECK(error_of(std::string("x\0y", 3)) ==
        "in.csv: expected a table of separated values (CSV), found other bytes");
  CHECK(thrown<std::runtime_error>([] { vrfm::read_csv("no/such.csv"); }) ==
        "no/such.csv: cannot read: expected a readable file: No such file or directory");
}

TEST_CASE("csv: what is written is read back to the bit", "[io]") {
  const TemporaryFolder folder;
  const Names columns{"x", "1", "a,b;c\td", "two\r\nlines", "say \"y\"", "# z", " edge "};
  Numbers values{0.1,
                 -0.0,
                 1e300,
                 std::numeric_limits<double>::denorm_min(),
                 infinity,
                 -infinity,
                 nan_value,
                 1.0 / 3,
                 1e-5,
                 1e22,
                 123456789012345678.0,
                 -1,
                 0,
                 2};
  for (int i = 0; i < 70'000; ++i) values.push_back(std::sin(i) * std::pow(10.0, i % 60 - 30));
  for (const char separator : {',', ';', '\t'}) {
    vrfm::write_csv(folder / "a.csv", columns, values, separator);
    check(vrfm::read_csv(folder / "a.csv"), columns, values);
    CHECK(folder.names() == Names{"a.csv"});
  }
  vrfm::write_csv(folder / "a.csv", Names{"x", "y"}, Numbers{0.1, -2, 1e300, nan_value});
  CHECK(slurp(folder / "a.csv") == "x,y\n0.1,-2\n1e+300,nan\n");
}

TEST_CASE("csv: tables that cannot be written are refused, and leave the earlier file", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.csv", "before");
  const auto refused = [&](const Names& columns, const Numbers& values, char separator = ',') {
    return thrown<std::invalid_argument>(
        [&] { vrfm::write_csv(folder / "a.csv", columns, values, separator); });
  };
  CHECK(refused({"x", "x"}, {1, 2}) == "csv: expected columns of different names, found 'x' twice");
  CHECK(refused({"x", ""}, {1, 2}) == "csv: expected columns of different names, found ''");
  CHECK(refused({"x", "y"}, {1, 2, 3}) == "csv: expected whole rows of 2 numbers, found 3 numbers");
  CHECK(refused({}, {}) == "csv: expected whole rows of 0 numbers, found 0 numbers");
  CHECK(refused({"x"}, {1}, ' ') == "csv: expected a separator , ; or tab, found ' '");
  CHECK(slurp(folder / "a.csv") == "before");
  CHECK(folder.names() == Names{"a.csv"});
}
