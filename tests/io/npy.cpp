// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NPY files: what is written is read back to the bit, golden files of NumPy agree byte for byte,
// and each way in which a file can be wrong has its own error.
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/npy.hpp>

namespace {

using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Shape = std::vector<std::size_t>;
using Names = std::vector<std::string>;

// A file with the given version and header, and `data_size` bytes of data.
std::string framed(const std::string& header, std::size_t data_size, int major = 1, int minor = 0) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(major);
  file += static_cast<char>(minor);
  for (int byte = 0; byte < (major == 1 ? 2 : 4); ++byte)
    file += static_cast<char>(header.size() >> (8 * byte) & 0xff);
  return file + header + std::string(data_size, '\1');
}

std::string dictionary(const std::string& descr, const std::string& order,
                       const std::string& shape) {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + "}\n";
}

vrfm::NpyArray<float> parse(const std::string& file) {
  return vrfm::parse_npy<float>(bytes_of(file), "in.npy");
}

template <class T>
std::string encoded(const Shape& shape, const std::vector<T>& values) {
  std::string file;
  vrfm::encode_npy(vrfm::make_tensor("out", shape, values), [&](std::span<const std::byte> bytes) {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return file;
}

template <class T>
void check_round_trip(const Shape& shape, const std::vector<T>& values) {
  const TemporaryFolder folder;
  vrfm::write_npy(folder / "a.npy", shape, values);
  const auto array = vrfm::read_npy<T>(folder / "a.npy");
  CHECK(array.shape == shape);
  CHECK(std::string_view(reinterpret_cast<const char*>(array.values.data()),
                         array.values.size() * sizeof(T)) ==
        std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
  CHECK(folder.names() == Names{"a.npy"});
}

// Read it, and write it again to the same bytes.
template <class T>
void check_golden(const std::string& name, const Shape& shape, const std::vector<T>& values) {
  CAPTURE(name);
  const auto array = vrfm::read_npy<T>(golden(name));
  CHECK(array.shape == shape);
  CHECK(encoded(shape, array.values) == encoded(shape, values));
  CHECK(encoded(shape, values) == slurp(golden(name)));
}

}  // namespace

TEST_CASE("npy: arrays of all types come back to the bit", "[io]") {
  check_round_trip<float>({2, 2},
                          {std::bit_cast<float>(0x7fc12345u), std::bit_cast<float>(0xff812345u),
                           -std::numeric_limits<float>::infinity(), -0.0f});
  check_round_trip<double>(
      {3}, {std::numeric_limits<double>::denorm_min(), std::bit_cast<double>(~0ull), 0.1});
  check_round_trip<std::uint8_t>({1, 1, 3}, {0, 127, 255});
  check_round_trip<std::int32_t>({2}, {std::numeric_limits<std::int32_t>::min(), 7});
  check_round_trip<std::int64_t>({2}, {std::numeric_limits<std::int64_t>::min(), 7});
  check_round_trip<std::uint64_t>({1}, {std::numeric_limits<std::uint64_t>::max()});
}

TEST_CASE("npy: scalars, empty arrays and many dimensions", "[io]") {
  check_round_trip<float>({}, {1.5f});
  check_round_trip<float>({0}, {});
  check_round_trip<double>({3, 0, 2}, {});
  check_round_trip<float>(Shape(64, 1), {1.5f});
  // The header needs more than the two bytes of version 1.0.
  check_round_trip<float>(Shape(30'000, 1), {1.5f});
  CHECK(encoded<float>(Shape(30'000, 1), {1.5f})[6] == '\2');
}

TEST_CASE("npy: the data begin at a multiple of 64 bytes", "[io]") {
  for (std::size_t rank = 0; rank < 40; ++rank) {
    const std::string text = encoded<float>(Shape(rank, 1), {1.5f});
    CAPTURE(rank);
    CHECK((text.size() - sizeof(float)) % 64 == 0);
    CHECK(text[text.size() - sizeof(float) - 1] == '\n');
  }
}

TEST_CASE("npy: golden files of NumPy", "[io]") {
  check_golden<float>(
      "io_f4.npy", {2, 3},
      {1.0f, -0.0f, std::bit_cast<float>(0x7fc12345u), std::bit_cast<float>(0xff812345u),
       std::bit_cast<float>(1u), std::numeric_limits<float>::infinity()});
  check_golden<double>("io_f8_scalar.npy", {}, {-0.1});
  check_golden<double>("io_f8_empty.npy", {3, 0}, {});
  check_golden<std::uint8_t>("io_u1.npy", {1, 3}, {0, 127, 255});
  check_golden<std::int32_t>("io_i4.npy", {3}, {-1, 0, 1});
  check_golden<std::int64_t>("io_i8.npy", {1}, {std::numeric_limits<std::int64_t>::min()});
  for (const char* name : {"io_f4_v2.npy", "io_f4_v3.npy"}) {
    const auto array = vrfm::read_npy<float>(golden(name));
    CHECK(array.shape == Shape{2});
    CHECK(array.values == std::vector{0.25f, -4.0f});
  }
  CHECK(vrfm::read_npy<float>(golden("io_fortran.npy")).shape == Shape{2, 3});
  CHECK(vrfm::read_npy<float>(golden("io_big_endian.npy")).values == std::vector{1.0f, 1.0f});
}

TEST_CASE("npy: both orders of indices are read, and row-major values are handed out", "[io]") {
  std::string data;
  for (char value = 0; value < 24; ++value) data += value;
  const auto read = [&](const std::string& shape, const std::string& order, std::size_t count) {
    const auto file = framed(dictionary("'|u1'", order, shape), 0) + data.substr(0, count);
    return vrfm::parse_npy<std::uint8_t>(bytes_of(file), "in.npy");
  };
  using Bytes = std::vector<std::uint8_t>;
  // Element (i, j) is at i + 2 j, and (i, j, k) at i + 2 j + 6 k.
  CHECK(read("(2, 3)", "True", 6).values == Bytes{0, 2, 4, 1, 3, 5});
  CHECK(read("(2, 1, 3)", "True", 6).values == Bytes{0, 2, 4, 1, 3, 5});
  const auto cube = read("(2, 3, 4)", "True", 24);
  CHECK(cube.shape == Shape{2, 3, 4});
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 4; ++k)
        CHECK(std::size_t{cube.values[(i * 3 + j) * 4 + k]} == i + 2 * j + 6 * k);
  for (const char* same : {"(6,)", "(1, 6)", "(6, 1)", "(1, 6, 1)"})
    CHECK(read(same, "True", 6).values == read(same, "False", 6).values);
  CHECK(read("()", "True", 1).values == Bytes{0});
  CHECK(read("(2, 0, 3)", "True", 0).values.empty());
}

TEST_CASE("npy: bytes in either order, and a byte without one", "[io]") {
  const auto file = [](const std::string& descr, const std::string& data) {
    return framed(dictionary("'" + descr + "'", "False", "()"), 0) + data;
  };
  const auto one = [&](auto zero, const std::string& descr, const std::string& data) {
    const auto text = file(descr, data);
    return vrfm::parse_npy<decltype(zero)>(bytes_of(text), "in.npy").values.at(0);
  };
  using namespace std::string_literals;
  for (const char* descr : {"<f4", "=f4", "|f4", "f4"})
    CHECK(one(0.0f, descr, "\0\0\xc0\x3f"s) == 1.5f);
  CHECK(one(0.0f, ">f4", "\x3f\xc0\0\0"s) == 1.5f);
  CHECK(one(0.0, ">f8", "\x3f\xf8\0\0\0\0\0\0"s) == 1.5);
  CHECK(one(std::int32_t{0}, ">i4", "\0\1\2\3"s) == 0x00010203);
  CHECK(one(std::int64_t{0}, ">i8", "\xff\xff\xff\xff\xff\xff\xff\xfe"s) == -2);
  CHECK(one(std::uint64_t{0}, ">u8", "\1\0\0\0\0\0\0\2"s) == 0x0100000000000002u);
  for (const char* descr : {"<u1", ">u1", "|u1", "=u1", "u1"})
    CHECK(one(std::uint8_t{0}, descr, "\xfe") == 254);
  CHECK(one(std::uint8_t{0}, "|b1", "\1") == 1);
  CHECK(one(std::uint8_t{0}, "<b1", "\0"s) == 0);
  CHECK(one(0.0f, "<f2", "\0\x3e"s) == 1.5f);
  CHECK(one(0.0, ">f2", "\x3e\0"s) == 1.5);
}

TEST_CASE("npy: every half becomes the float of its formula", "[io]") {
  std::string data;
  for (int half = 0; half < 65'536; ++half) {
    data += static_cast<char>(half & 0xff);
    data += static_cast<char>(half >> 8);
  }
  const auto file = framed(dictionary("'<f2'", "False", "(65536,)"), 0) + data;
  const auto floats = vrfm::parse_npy<float>(bytes_of(file), "in.npy").values;
  const auto doubles = vrfm::parse_npy<double>(bytes_of(file), "in.npy").values;
  int wrong = 0;
  for (int half = 0; half < 65'536; ++half) {
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double sign = half >> 15 ? -1 : 1;
    const auto at = static_cast<std::size_t>(half);
    if (exponent == 31 && fraction != 0) {
      wrong += !std::isnan(floats[at]) || !std::isnan(doubles[at]);
      continue;
    }
    const double value = exponent == 31  ? sign * std::numeric_limits<double>::infinity()
                         : exponent == 0 ? sign * std::ldexp(fraction, -24)
                                         : sign * std::ldexp(1024 + fraction, exponent - 25);
    wrong += floats[at] != static_cast<float>(value) || doubles[at] != value ||
             std::signbit(floats[at]) != (half >> 15 != 0);
  }
  CHECK(wrong == 0);
}

TEST_CASE("npy: headers of Python 2 and headers without a newline", "[io]") {
  CHECK(parse(framed("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }\n", 8)).shape ==
        Shape{2, 1});
  const std::string good = dictionary("'<f4'", "False", "(2,)");
  CHECK(parse(framed(good.substr(0, good.size() - 1), 8)).shape == Shape{2});
}

TEST_CASE("npy: what does not fit in memory names the file and the bytes", "[io]") {
  // A file of 2^62 bytes, of which the header alone is there.
  struct Endless {
    std::string text = "an.npy", left;
    const std::string& name() const { return text; }
    std::size_t size() const { return left.size() + (std::size_t{1} << 62); }
    void read(std::span<std::byte> out) {
      std::memcpy(out.data(), left.data(), out.size());
      left.erase(0, out.size());
    }
  };
  Endless input{.left = framed(dictionary("'<f2'", "False", "(2305843009213693952,)"), 0)};
  CHECK(thrown<std::bad_alloc>([&] { vrfm::detail::io::load_npy<float>(input); }) ==
        "an.npy: expected memory for 9223372036854775808 bytes, found too little");
}

TEST_CASE("npy: a type that NumPy does not have is not written", "[io]") {
  const vrfm::Tensor tensor{"w", vrfm::DType::bf16, {0}, {}};
  CHECK(thrown<std::invalid_argument>([&] { vrfm::encode_npy(tensor, [](auto) {}); }) ==
        "npy: expected a type that NumPy has, found BF16");
}

TEST_CASE("npy: the dictionary's keys come in any order and either quotes", "[io]") {
  const auto array =
      parse(framed("{\"shape\":(2,),'fortran_order' :False , \"descr\":'<f4',}  \n", 8));
  CHECK(array.shape == Shape{2});
}

TEST_CASE("npy: every malformed file has its error", "[io]") {
  const std::string f4 = "'<f4'", no = "False";
  const std::string good = dictionary(f4, no, "(2,)");
  REQUIRE(parse(framed(good, 8)).shape == Shape{2});
  const auto shaped = [&](const std::string& shape) {
    return framed(dictionary(f4, no, shape), 8);
  };
  const std::string long_header = std::string(1'048'577, ' ');

  struct Row {
    const char* what;
    std::string file;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"empty", "", {"expected an NPY file, found an empty file"}},
      {"cut magic", "\x93NUMP", {"expected 8 bytes of magic and version, found 5", "truncated"}},
      {"other magic", "\x89PNG\r\n\x1a\n" + good, {"expected the magic bytes", "a picture"}},
      {"version 0", framed(good, 8, 0), {"expected NPY version 1.0, 2.0 or 3.0, found 0.0"}},
      {"version 4", framed(good, 8, 4), {"found 4.0"}},
      {"version 1.1", framed(good, 8, 1, 1), {"found 1.1"}},
      {"cut header size",
       framed(good, 8).substr(0, 9),
       {"expected 2 bytes of header size, found 1"}},
      {"cut header size of version 2",
       framed(good, 8, 2).substr(0, 11),
       {"expected 4 bytes of header size, found 3"}},
      {"cut header", framed(good, 8).substr(0, 20), {"bytes of header, found 10 left"}},
      {"header above the limit",
       framed(long_header, 0, 2),
       {"at most 1048576 bytes, found 1048577"}},
      {"header size near 2^32",
       "\x93NUMPY\2" + std::string(1, '\0') + "\xff\xff\xff\xff{",
       {"at most 1048576 bytes, found 4294967295"}},
      {"no header", framed("", 8), {"expected '{', found ''"}},
      {"no dictionary", framed("[]\n", 8), {"expected '{'"}},
      {"open dictionary", framed("{'descr': '<f4'\n", 8), {"expected ',' or '}'"}},
      {"open text", framed("{'descr\n", 8), {"expected the end of a quoted text"}},
      {"bare key", framed("{descr: '<f4'}\n", 8), {"expected a quoted text"}},
      {"no colon", framed("{'descr' '<f4'}\n", 8), {"expected ':'"}},
      {"no comma", framed("{'descr': '<f4' 'shape': (2,)}\n", 8), {"expected ',' or '}'"}},
      {"unknown key", framed("{'dtype': '<f4'}\n", 8), {"expected one of the keys", "'dtype'"}},
      {"repeated key",
       framed("{'shape': (2,), 'shape': (2,)}\n", 8),
       {"expected each key once", "'shape' again"}},
      {"no descr",
       framed("{'fortran_order': False, 'shape': (2,)}\n", 8),
       {"expected the key 'descr'"}},
      {"no order",
       framed("{'descr': '<f4', 'shape': (2,)}\n", 8),
       {"expected the key 'fortran_order'"}},
      {"no shape",
       framed("{'descr': '<f4', 'fortran_order': False}\n", 8),
       {"expected the key 'shape'"}},
      {"text after the dictionary", framed("{}x\n", 8), {"expected only spaces after"}},
      {"unsupported type",
       framed(dictionary("'<c16'", no, "(1,)"), 16),
       {"one descr of <f4, <f8, |u1, <i4, <i8, <u8, <f2, |b1, |i1", "'<c16'"}},
      {"empty type", framed(dictionary("''", no, "(1,)"), 8), {"one descr of", "found ''"}},
      {"order alone", framed(dictionary("'<'", no, "(1,)"), 8), {"one descr of", "found '<'"}},
      {"objects", framed(dictionary("'|O'", no, "(1,)"), 8), {"one descr of", "'|O'"}},
      {"structured type",
       framed(dictionary("[('a', '<f4')]", no, "(2,)"), 8),
       {"expected a plain element type", "structured"}},
      {"another type",
       framed(dictionary("'<i4'", no, "(2,)"), 8),
       {"expected values of type '<f4', found '<i4'"}},
      {"another type, big-endian",
       framed(dictionary("'>i2'", no, "(4,)"), 8),
       {"expected values of type '<f4', found '>i2'"}},
      {"order is no truth value",
       framed(dictionary(f4, "0", "(2,)"), 8),
       {"expected fortran_order True or False"}},
      {"order runs on", framed(dictionary(f4, "Falsehood", "(2,)"), 8), {"expected ',' or '}'"}},
      {"shape is a number", shaped("2"), {"expected '('"}},
      {"shape is a number in brackets", shaped("(2)"), {"expected a tuple", "single number"}},
      {"shape is a list", shaped("[2]"), {"expected '('"}},
      {"negative extent", shaped("(-2,)"), {"expected an unsigned 64-bit integer", "'-2"}},
      {"fractional extent", shaped("(2.0,)"), {"expected ',' or ')'"}},
      {"extent of 2^64", shaped("(18446744073709551616,)"), {"unsigned 64-bit integer"}},
      {"two commas", shaped("(2,,)"), {"unsigned 64-bit integer"}},
      {"comma alone", shaped("(,)"), {"unsigned 64-bit integer"}},
      {"no comma between extents", shaped("(1 2)"), {"expected ',' or ')'"}},
      {"open tuple", framed("{'shape': (2,\n", 8), {"unsigned 64-bit integer"}},
      {"overflowing product",
       shaped("(4294967296, 4294967296)"),
       {"expected 2^64 or more bytes", "found 8"}},
      {"overflow beside an empty extent",
       shaped("(0, 4294967296, 4294967296)"),
       {"expected 2^64 or more bytes"}},
      {"too little data", shaped("(3,)"), {"expected 12 bytes of data for '<f4' [3], found 8"}},
      {"too much data", shaped("()"), {"expected 4 bytes of data for '<f4' [], found 8"}},
      {"data for no element", shaped("(0,)"), {"expected 0 bytes of data for '<f4' [0], found 8"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>([&] { parse(row.file); });
    CAPTURE(row.what, error);
    CHECK(error.starts_with("in.npy: "));
    CHECK(error.size() < 300);
    CHECK(has_all(error, row.words));
  }
}

TEST_CASE("npy: a file cut anywhere or with a byte added is refused", "[io]") {
  const std::string text = encoded<float>({2}, {1, 2});
  for (std::size_t size = 0; size < text.size(); ++size) {
    CAPTURE(size);
    CHECK(thrown<std::runtime_error>([&] { parse(text.substr(0, size)); }) != "(nothing thrown)");
  }
  CHECK(thrown<std::runtime_error>([&] { parse(text + "x"); }) != "(nothing thrown)");
}

TEST_CASE("npy: integers of any size are read as one", "[io]") {
  CHECK(vrfm::read_npy_integers(golden("io_u1.npy")).values ==
        std::vector<std::int64_t>{0, 127, 255});
  CHECK(vrfm::read_npy_integers(golden("io_i4.npy")).values == std::vector<std::int64_t>{-1, 0, 1});
  CHECK(vrfm::read_npy_integers(golden("io_i8.npy")).values.size() == 1);
  CHECK(has_all(thrown<std::runtime_error>([] { vrfm::read_npy_integers(golden("io_f4.npy")); }),
                {"io_f4.npy: expected values of type '|u1', '<i4' or '<i8', found '<f4'"}));
}

TEST_CASE("npy: what cannot be written leaves the earlier file untouched", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.npy", "earlier");
  const std::vector<float> values{1, 2};
  CHECK(has_all(
      thrown<std::invalid_argument>([&] { vrfm::write_npy(folder / "a.npy", {3}, values); }),
      {"a.npy'", "expected 12 bytes for F32 [3], found 8"}));
  CHECK(has_all(thrown<std::invalid_argument>([&] {
                  vrfm::write_npy(folder / "a.npy", Shape(600'000, 1), std::span(values).first(1));
                }),
                {"at most 1048576 bytes"}));
  CHECK(has_all(
      thrown<std::runtime_error>([&] { vrfm::write_npy(folder / "a.npy" / "b.npy", {2}, values); }),
      {"a.npy/b.npy: cannot write", "Not a directory"}));
  CHECK(slurp(folder / "a.npy") == "earlier");
  CHECK(folder.names() == Names{"a.npy"});
}
