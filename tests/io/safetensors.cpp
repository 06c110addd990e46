// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The safetensors format: what is written is read back to the bit, golden files of the Python
// library agree byte for byte, and each way in which a file can be wrong has its own error.
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/safetensors.hpp>

namespace {

using vrfm::DType;
using vrfm::make_tensor;
using vrfm::SafetensorsFile;
using vrfm::Tensor;
using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Shape = std::vector<std::size_t>;
using Names = std::vector<std::string>;

std::string prefixed(const std::string& header, std::size_t data_size, std::uint64_t claimed_size) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &claimed_size, 8);
  return file + header + std::string(data_size, '\1');
}

std::string framed(const std::string& header, std::size_t data_size) {
  return prefixed(header, data_size, header.size());
}

SafetensorsFile parse(const std::string& file) {
  return SafetensorsFile::parse(bytes_of(file), "in.safetensors");
}

std::string encoded(const std::vector<Tensor>& tensors, const vrfm::Metadata& metadata = {}) {
  std::string file;
  vrfm::encode_safetensors(tensors, metadata, [&](std::span<const std::byte> bytes) {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return file;
}

template <class T>
std::vector<T> copy_of(const Tensor& tensor) {
  const auto values = tensor.values<T>();
  return {values.begin(), values.end()};
}

// One tensor of 2 floats with its parts replaced.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"w":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

// The values of the golden file, see make_io.py.
struct Golden {
  std::vector<double> f64{0.5, -std::numeric_limits<double>::infinity()};
  std::vector<std::int64_t> i64{std::numeric_limits<std::int64_t>::min()};
  std::vector<std::uint64_t> u64{std::numeric_limits<std::uint64_t>::max(), 1};
  std::vector<float> empty;
  std::vector<float> f32{1.0f,
                         -0.0f,
                         std::bit_cast<float>(0x7fc12345u),
                         std::bit_cast<float>(0xff812345u),
                         std::bit_cast<float>(1u),
                         std::numeric_limits<float>::infinity()};
  std::vector<std::int32_t> i32{-1, 0, 1};
  std::vector<std::uint8_t> u8{0, 127, 255};

  std::vector<Tensor> tensors() const {
    return {make_tensor("double", {2}, f64),
            make_tensor("long", {}, i64),
            make_tensor("unsigned", {2, 1}, u64),
            make_tensor("empty", {3, 0}, empty),
            make_tensor("float", {2, 3}, f32),
            make_tensor("int", {3}, i32),
            make_tensor("b\u00e4ck\\slash \"u8\"", {1, 3}, u8)};
  }
};

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

TEST_CASE("safetensors: tensors of all types come back to the bit", "[io]") {
  const TemporaryFolder folder;
  const Golden golden_values;
  const auto tensors = golden_values.tensors();
  const vrfm::Metadata metadata{{"step", "7"}, {"__metadata__", "\xe2\x82\xac \"\n"}, {"", ""}};
  vrfm::write_safetensors(folder / "a.safetensors", tensors, metadata);

  auto first = SafetensorsFile::read(folder / "a.safetensors");
  const SafetensorsFile file = std::move(first);
  CHECK(file.name() == (folder / "a.safetensors").string());
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = file.tensors()[i];
    CAPTURE(tensor.name);
    CHECK(tensor.name == tensors[i].name);
    CHECK(tensor.dtype == tensors[i].dtype);
    CHECK(tensor.shape == tensors[i].shape);
    CHECK(same_bytes(tensor.data, tensors[i].data));
    CHECK(&file.at(tensor.name) == &tensor);
  }
  CHECK(copy_of<double>(file.at("double")) == golden_values.f64);
  CHECK(copy_of<std::int64_t>(file.at("long")) == golden_values.i64);
  CHECK(copy_of<long long>(file.at("long")).size() == 1);
  CHECK(copy_of<float>(file.at("empty")).empty());
  CHECK(folder.names() == Names{"a.safetensors"});
}

TEST_CASE("safetensors: the order given is kept and all data are aligned", "[io]") {
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  const std::vector<double> doubles{0.5};
  const std::vector<float> floats{0.25f};
  const std::string text = encoded({make_tensor("z", {3}, bytes), make_tensor("a", {1}, floats),
                                    make_tensor("m", {1}, doubles)});
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, text.data(), 8);
  CHECK(header_size % 8 == 0);
  CHECK(text.substr(8, header_size).find("[12,15]") < text.find("[8,12]"));
  CHECK(text.find("[8,12]") < text.find("[0,8]"));

  const auto file = parse(text);
  CHECK(file.tensors()[0].name == "z");
  CHECK(file.tensors()[1].name == "a");
  CHECK(file.tensors()[2].name == "m");
  CHECK(copy_of<std::uint8_t>(file.at("z")) == bytes);
  CHECK(copy_of<double>(file.at("m")) == doubles);
}

TEST_CASE("safetensors: data that a file packs without alignment are read aligned", "[io]") {
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"F64","shape":[],"data_offsets":[1,9]}})";
  std::string text = framed(header, 1);
  const double value = -2.5;
  text.append(reinterpret_cast<const char*>(&value), 8);
  const auto file = parse(text);
  CHECK(copy_of<double>(file.at("b")) == std::vector{value});
  CHECK(copy_of<std::uint8_t>(file.at("a")) == std::vector<std::uint8_t>{1});
}

TEST_CASE("safetensors: a mapped file is what it is when it is read", "[io]") {
  const TemporaryFolder folder;
  const Golden golden_values;
  vrfm::write_safetensors(folder / "a.safetensors", golden_values.tensors(), {{"step", "7"}});
  const auto read = SafetensorsFile::read(folder / "a.safetensors");
  auto first = SafetensorsFile::map(folder / "a.safetensors");
  const SafetensorsFile mapped = std::move(first);
  CHECK(mapped.name() == read.name());
  CHECK(mapped.metadata() == read.metadata());
  REQUIRE(mapped.tensors().size() == read.tensors().size());
  for (std::size_t i = 0; i < read.tensors().size(); ++i) {
    const Tensor &a = mapped.tensors()[i], &b = read.tensors()[i];
    CHECK((a.name == b.name && a.dtype == b.dtype && a.shape == b.shape));
    CHECK(same_bytes(a.data, b.data));
  }
  CHECK(copy_of<double>(mapped.at("double")) == golden_values.f64);

  spill(folder / "odd.safetensors",
        framed(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
               R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}  )",
               5));
  CHECK(
      has_all(thrown<std::runtime_error>([&] { SafetensorsFile::map(folder / "odd.safetensors"); }),
              {"odd.safetensors: tensor 'b': expected its data at a multiple of 4 bytes, found "
               "them at byte "}));
  const std::string text = slurp(folder / "a.safetensors");
  spill(folder / "cut.safetensors", text.substr(0, text.size() - 1));
  CHECK(
      has_all(thrown<std::runtime_error>([&] { SafetensorsFile::map(folder / "cut.safetensors"); }),
              {"cut.safetensors", "tensor '", "within", "truncated"}));
  spill(folder / "empty.safetensors", "");
  CHECK(has_all(
      thrown<std::runtime_error>([&] { SafetensorsFile::map(folder / "empty.safetensors"); }),
      {"expected a safetensors file, found an empty file"}));
  CHECK(has_all(thrown<std::runtime_error>([&] { SafetensorsFile::map(folder / "none"); }),
                {"cannot read: expected a readable file"}));
  CHECK(has_all(thrown<std::runtime_error>([&] { SafetensorsFile::map(folder / "."); }),
                {"expected a regular file"}));
}

TEST_CASE("safetensors: a file without tensors", "[io]") {
  CHECK(encoded({}) == framed("{}      ", 0));
  CHECK(parse(encoded({})).tensors().empty());
  CHECK(parse(encoded({}, {{"a", "b"}})).metadata() == vrfm::Metadata{{"a", "b"}});
  CHECK(parse(framed("{} \n\t", 0)).tensors().empty());
}

TEST_CASE("safetensors: golden file of the Python library", "[io]") {
  const Golden expected;
  const auto file = SafetensorsFile::read(golden("io.safetensors"));
  CHECK(file.metadata() == vrfm::Metadata{{"format", "pt"}});
  REQUIRE(file.tensors().size() == expected.tensors().size());
  for (const Tensor& tensor : expected.tensors()) {
    CAPTURE(tensor.name);
    const Tensor& found = file.at(tensor.name);
    CHECK(found.dtype == tensor.dtype);
    CHECK(found.shape == tensor.shape);
    CHECK(same_bytes(found.data, tensor.data));
  }
  // Given the tensors in the order that library chooses, the two write the same file.
  const std::vector<Tensor> in_its_order(file.tensors().begin(), file.tensors().end());
  CHECK(encoded(in_its_order, file.metadata()) == slurp(golden("io.safetensors")));
}

TEST_CASE("safetensors: every malformed file has its error", "[io]") {
  const std::string good = one(R"("F32")", "[2]", "[0,8]");
  REQUIRE(parse(framed(good, 8)).at("w").shape == Shape{2});

  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + first +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + second + "}}";
  };
  const std::string f32 = R"("F32")";
  const std::string meta = R"({"__metadata__":)";
  constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
  std::string deep = one(f32, std::string(100'000, '[') + std::string(100'000, ']'), "[0,8]");
  std::string zero = good;
  zero += '\0';

  struct Row {
    const char* what;
    std::string file;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"empty", "", {"expected a safetensors file, found an empty file"}},
      {"no room for the size", "1234567", {"expected at least 8 bytes", "found 7"}},
      {"header beyond the file",
       prefixed(good, 0, good.size() + 1),
       {"expected a header of " + std::to_string(good.size() + 1),
        std::to_string(good.size()) + " left"}},
      {"header above the limit",
       prefixed(good, 8, 100'000'001),
       {"at most 100000000", "100000001"}},
      {"header size near 2^64",
       prefixed(good, 8, huge),
       {"at most 100000000", "18446744073709551615 at the beginning of other bytes"}},
      {"PyTorch's own format",
       "PK\3\4" + std::string(100, '\7'),
       {"expected a safetensors file", "of a zip archive (.npz, .pt or .zip)"}},
      {"header of no bytes", framed("", 0), {"expected '{'"}},
      {"byte order mark", framed("\xef\xbb\xbf" + good, 8), {"expected '{'"}},
      {"leading space", framed(" " + good, 8), {"expected '{'"}},
      {"an array", framed("[]", 0), {"expected '{'"}},
      {"no JSON", framed("{w", 0), {"expected JSON", "byte 2"}},
      {"cut JSON", framed(good.substr(0, 20), 0), {"expected JSON"}},
      {"text after the JSON", framed(good + "x", 8), {"expected JSON"}},
      {"second value after the JSON", framed(good + "{}", 8), {"expected JSON"}},
      {"zero byte", framed(zero, 8), {"zero byte"}},
      {"no UTF-8", framed("{\"\xff\":1}", 0), {"expected JSON", "UTF-8"}},
      {"comment", framed("{/**/}", 0), {"expected JSON"}},
      {"deep nesting", framed(deep, 8), {"tensor 'w'", "found an array"}},
      {"repeated tensor",
       framed(good.substr(0, good.size() - 1) + "," + good.substr(1), 16),
       {"header", "second key 'w'"}},
      {"tensor is no object",
       framed(R"({"w":[]})", 0),
       {"key 'w'", "expected one object", "an array"}},
      {"tensor is null", framed(R"({"w":null})", 0), {"key 'w'", "expected one object", "null"}},
      {"metadata is no object",
       framed(meta + "true}", 0),
       {"'__metadata__'", "expected one object", "true"}},
      {"metadata value is no text",
       framed(meta + R"({"a":1}})", 0),
       {"__metadata__: expected one text", "number 1"}},
      {"metadata nested",
       framed(meta + R"({"a":{}}})", 0),
       {"__metadata__: expected one text", "an object"}},
      {"repeated metadata",
       framed(meta + R"({},"__metadata__":{}})", 0),
       {"second key '__metadata__'"}},
      {"repeated metadata key", framed(meta + R"({"a":"","a":""}})", 0), {"second key 'a'"}},
      {"unknown key", framed(R"({"w":{"type":1}})", 0), {"tensor 'w'", "no key 'dtype'"}},
      {"unknown key in place of a tensor",
       framed(R"({"w":1})", 0),
       {"key 'w'", "expected one object", "number 1"}},
      {"repeated key",
       framed(R"({"w":{"dtype":"F32","dtype":"F32"}})", 0),
       {"tensor 'w'", "once each", "second key 'dtype'"}},
      {"no dtype",
       framed(R"({"w":{"shape":[],"data_offsets":[0,4]}})", 4),
       {"tensor 'w'", "no key 'dtype'"}},
      {"no shape",
       framed(R"({"w":{"dtype":"F32","data_offsets":[0,4]}})", 4),
       {"tensor 'w'", "no key 'shape'"}},
      {"no offsets",
       framed(R"({"w":{"shape":[],"dtype":"F32"}})", 4),
       {"tensor 'w'", "once each", "no key 'data_offsets'"}},
      {"unsupported dtype",
       framed(one(R"("Q4_0")", "[2]", "[0,4]"), 4),
       {"tensor 'w'", "expected one dtype of F32, F64, U8, I32, I64, U64, F16, BF16, ", "'Q4_0'"}},
      {"a part of a byte",
       framed(one(R"("F4")", "[3]", "[0,2]"), 2),
       {"tensor 'w'", "expected a size of whole bytes", "F4 [3]"}},
      {"dtype in lower case", framed(one(R"("f32")", "[2]", "[0,8]"), 8), {"tensor 'w'", "'f32'"}},
      {"dtype is a number",
       framed(one("32", "[2]", "[0,8]"), 8),
       {"tensor 'w'", "one dtype of", "number 32"}},
      {"shape is a number", framed(one(f32, "2", "[0,8]"), 8), {"tensor 'w'", "number 2"}},
      {"shape of texts",
       framed(one(f32, R"(["2"])", "[0,8]"), 8),
       {"tensor 'w'", "expected shape to hold unsigned", "text '2'"}},
      {"negative extent",
       framed(one(f32, "[-2]", "[0,8]"), 8),
       {"tensor 'w'", "expected shape to hold unsigned", "-2"}},
      {"fractional extent", framed(one(f32, "[2.0]", "[0,8]"), 8), {"tensor 'w'", "'2.0'"}},
      {"extent of 2^64",
       framed(one(f32, "[18446744073709551616]", "[0,8]"), 8),
       {"tensor 'w'", "'18446744073709551616'"}},
      {"nested shape", framed(one(f32, "[[2]]", "[0,8]"), 8), {"tensor 'w'", "an array"}},
      {"one offset",
       framed(one(f32, "[2]", "[0]"), 8),
       {"tensor 'w'", "expected data_offsets to hold 2", "an array of 1"}},
      {"three offsets", framed(one(f32, "[2]", "[0,8,8]"), 8), {"tensor 'w'", "more than 2"}},
      {"negative offset", framed(one(f32, "[2]", "[-8,0]"), 8), {"tensor 'w'", "-8"}},
      {"overflowing product",
       framed(one(f32, "[4294967296,4294967296]", "[0,8]"), 8),
       {"tensor 'w'", "below 2^64", "[4294967296, 4294967296]"}},
      {"overflow beside an empty extent",
       framed(one(f32, "[0,4294967296,4294967296]", "[0,0]"), 0),
       {"tensor 'w'", "below 2^64"}},
      {"overflow by the item",
       framed(one(R"("F64")", "[2305843009213693952]", "[0,0]"), 0),
       {"tensor 'w'", "below 2^64"}},
      {"begin after end",
       framed(one(f32, "[2]", "[8,0]"), 8),
       {"tensor 'w'", "expected begin <= end", "[8, 0]"}},
      {"end beyond the data",
       framed(one(f32, "[2]", "[0,8]"), 7),
       {"tensor 'w'", "within 7 bytes", "[0, 8]"}},
      {"end near 2^64",
       framed(one(f32, "[2]", "[18446744073709551608,18446744073709551615]"), 8),
       {"tensor 'w'", "within 8 bytes"}},
      {"too few bytes for the shape",
       framed(one(f32, "[3]", "[0,8]"), 8),
       {"tensor 'w'", "expected 12 bytes for F32 [3]", "[0, 8]"}},
      {"too many bytes for the shape",
       framed(one(f32, "[]", "[0,8]"), 8),
       {"tensor 'w'", "expected 4 bytes for F32 []", "[0, 8]"}},
      {"bytes for no element",
       framed(one(f32, "[0]", "[0,8]"), 8),
       {"tensor 'w'", "expected 0 bytes for F32 [0]", "[0, 8]"}},
      {"same place twice",
       framed(two("[0,4]", "[0,4]"), 4),
       {"expected data to begin at 4", "an overlap", "[0, 4]"}},
      {"overlap",
       framed(two("[0,4]", "[2,6]"), 6),
       {"tensor 'b'", "begin at 4", "an overlap", "[2, 6]"}},
      {"hole",
       framed(two("[8,12]", "[0,4]"), 12),
       {"tensor 'a'", "begin at 4", "a hole", "[8, 12]"}},
      {"hole at the start",
       framed(two("[4,8]", "[8,12]"), 12),
       {"tensor 'a'", "begin at 0", "a hole"}},
      {"bytes after the last tensor", framed(good, 9), {"expected 8 bytes of data", "found 9"}},
      {"bytes without a tensor", framed("{}", 1), {"expected 0 bytes of data", "found 1"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>([&] { parse(row.file); });
    CAPTURE(row.what, error);
    CHECK(error.starts_with("in.safetensors: "));
    CHECK(error.size() < 500);
    CHECK(has_all(error, row.words));
  }
}

TEST_CASE("safetensors: tensors of every type may stand in a file", "[io]") {
  // All of safetensors 0.8, and the bytes of 8 elements.
  const std::pair<const char*, std::size_t> types[] = {
      {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"I16", 16}, {"U16", 16},
      {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},        {"F32", 32}, {"C64", 64},
      {"F64", 64},    {"I64", 64},    {"U64", 64},    {"F8_E5M2FNUZ", 8}};
  std::string header = "{";
  std::size_t size = 0;
  for (const auto& [type, bytes] : types) {
    header += '"';
    header += type;
    header += "\":{\"dtype\":\"";
    header += type;
    header += "\",\"shape\":[2,4],\"data_offsets\":[" + std::to_string(size) + "," +
              std::to_string(size + bytes) + "]},";
    size += bytes;
  }
  header.back() = '}';
  const auto file = parse(framed(header, size));
  REQUIRE(file.tensors().size() == std::size(types));
  for (const auto& [type, bytes] : types) {
    CAPTURE(type);
    CHECK(file.at(type).data.size() == bytes);
  }
  // They are written again, and only one that is asked for must be known to C++.
  const std::vector<Tensor> copies(file.tensors().begin(), file.tensors().end());
  const auto again = parse(encoded(copies));
  for (const auto& tensor : file.tensors()) {
    CAPTURE(tensor.name);
    CHECK(again.at(tensor.name).dtype == tensor.dtype);
    CHECK(same_bytes(again.at(tensor.name).data, tensor.data));
  }
  CHECK(has_all(thrown<std::runtime_error>([&] { file.at("BOOL").values<std::uint8_t>(); }),
                {"tensor 'BOOL': expected dtype U8, found BOOL"}));
  std::vector<float> floats(8);
  for (const auto& [type, bytes] : types) {
    const std::string_view name = type;
    if (name == "F32" || name == "F16" || name == "BF16") continue;
    CHECK(thrown<std::runtime_error>([&] {
            file.copy_values(name, Shape{2, 4}, std::span(floats));
          }) == "in.safetensors: tensor '" + std::string(name) + "': expected F32 [2, 4], found " +
                    std::string(name) + " [2, 4]");
  }
}

TEST_CASE("safetensors: reals of 16 bits are copied as float or double", "[io]") {
  // 1.5, the smallest subnormal, -infinity and -0 as F16, then 1.5, -infinity and -0 as BF16.
  const std::string header = R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"BF16","shape":[3,1],"data_offsets":[8,14]},)"
                             R"("t":{"dtype":"BOOL","shape":[2],"data_offsets":[14,16]}})";
  const unsigned char data[] = {0x00, 0x3e, 0x01, 0x00, 0x00, 0xfc, 0x00, 0x80,
                                0xc0, 0x3f, 0x80, 0xff, 0x00, 0x80, 0x00, 0x02};
  const auto file =
      parse(framed(header, 0) + std::string(reinterpret_cast<const char*>(data), sizeof(data)));
  const auto check = [&](auto zero) {
    using T = decltype(zero);
    constexpr T infinity = std::numeric_limits<T>::infinity();
    std::vector<T> halves(4), brains(3);
    file.copy_values("h", Shape{4}, std::span(halves));
    file.copy_values("b", Shape{3, 1}, std::span(brains));
    CHECK(halves == std::vector<T>{T(1.5), T(0x1p-24), -infinity, T(0)});
    CHECK(std::signbit(halves[3]));
    CHECK(brains == std::vector<T>{T(1.5), -infinity, T(0)});
    CHECK(std::signbit(brains[2]));
  };
  check(0.0f);
  check(0.0);
  std::vector<std::uint8_t> truths(2);
  file.copy_values("t", Shape{2}, std::span(truths));
  CHECK(truths == std::vector<std::uint8_t>{0, 1});
  CHECK(has_all(thrown<std::runtime_error>([&] {
                  std::vector<std::int32_t> out(4);
                  file.copy_values("h", Shape{4}, std::span(out));
                }),
                {"tensor 'h': expected I32 [4], found F16 [4]"}));
  CHECK(has_all(thrown<std::runtime_error>([&] {
                  std::vector<float> out(4);
                  file.copy_values("h", Shape{2, 2}, std::span(out));
                }),
                {"tensor 'h': expected F32 [2, 2], found F16 [4]"}));
  CHECK(has_all(thrown<std::invalid_argument>([&] {
                  std::vector<float> out(3);
                  file.copy_values("h", Shape{4}, std::span(out));
                }),
                {"tensor 'h': expected a place for F32 [4], found one for 3 elements"}));
}

TEST_CASE("safetensors: what the format does not name is ignored where the reference does",
          "[io]") {
  const auto values = [](const std::string& more) {
    const auto file = parse(
        framed(R"({"w":{"dtype":"F32",)" + more + R"("shape":[2],"data_offsets":[0,8]}})", 8));
    return file.at("w").values<float>().size();
  };
  CHECK(values("") == 2);
  for (const char* value : {"1", "-1", "1.5", "null", "true", R"("text")", "[]", "{}", "[1,[2],{}]",
                            R"({"shape":[1],"dtype":{"a":[{}]}})"}) {
    CAPTURE(value);
    CHECK(values(R"("stride":)" + std::string(value) + ",") == 2);
    CHECK(values(R"("stride":1,"stride":)" + std::string(value) + ",") == 2);
  }
  const auto file = parse(
      framed(R"({"__metadata__":null,"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8));
  CHECK(file.metadata().empty());
  CHECK(file.tensors().size() == 1);
}

TEST_CASE("safetensors: a file cut anywhere or with a byte added is refused", "[io]") {
  const TemporaryFolder folder;
  const Golden values;
  const std::string text = encoded(values.tensors(), {{"step", "1"}});
  for (std::size_t size = 0; size < text.size(); ++size) {
    CAPTURE(size);
    CHECK(thrown<std::runtime_error>([&] { parse(text.substr(0, size)); }) != "(nothing thrown)");
  }
  spill(folder / "cut.safetensors", text.substr(0, text.size() - 1));
  const auto cut =
      thrown<std::runtime_error>([&] { SafetensorsFile::read(folder / "cut.safetensors"); });
  CHECK(has_all(cut, {(folder / "cut.safetensors").string(), "tensor '", "within", "truncated"}));
  CHECK(thrown<std::runtime_error>([&] { parse(text + "x"); }) != "(nothing thrown)");
}

TEST_CASE("safetensors: control characters of a file do not reach the error", "[io]") {
  const auto error = thrown<std::runtime_error>(
      [&] { parse(framed("{\"\\u001b[31m" + std::string(1'000, 'n') + "\":1}", 0)); });
  CHECK(error.find('\x1b') == error.npos);
  CHECK(error.size() < 300);
}

TEST_CASE("safetensors: a missing tensor, another type or another shape is an error", "[io]") {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto file = parse(encoded({make_tensor("w", {2, 3}, values)}));
  CHECK(file.find("v") == nullptr);
  CHECK(file.find("w") == &file.tensors()[0]);
  CHECK(has_all(thrown<std::runtime_error>([&] { file.at("v"); }),
                {"in.safetensors: expected a tensor 'v'", "among 1"}));
  CHECK(has_all(thrown<std::runtime_error>([&] { file.at("w").values<double>(); }),
                {"tensor 'w'", "expected dtype F64, found F32"}));

  CHECK(file.values<float>("w", Shape{2, 3}).data() == file.at("w").values<float>().data());
  CHECK(has_all(thrown<std::runtime_error>([&] {
                  file.values<double>("w", Shape{2, 3});
                }),
                {"in.safetensors: tensor 'w': expected F64 [2, 3], found F32 [2, 3]"}));
  CHECK(has_all(thrown<std::runtime_error>([&] {
                  file.values<float>("w", Shape{3, 2});
                }),
                {"in.safetensors: tensor 'w': expected F32 [3, 2], found F32 [2, 3]"}));
  CHECK(has_all(thrown<std::runtime_error>([&] { file.values<float>("w", Shape{2}); }),
                {"expected F32 [2], found F32 [2, 3]"}));
}

TEST_CASE("safetensors: values that are not aligned are not handed out", "[io]") {
  const std::vector<float> values{1, 2};
  Tensor tensor = make_tensor("w", {1}, values);
  tensor.data = tensor.data.subspan(1, 4);
  CHECK(has_all(thrown<std::runtime_error>([&] { tensor.values<float>(); }),
                {"tensor 'w'", "aligned to 4 bytes"}));
}

TEST_CASE("safetensors: what cannot be written leaves the earlier file untouched", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.safetensors", "earlier");
  const std::vector<float> values{1, 2};
  constexpr std::size_t large = std::size_t{1} << 32;
  struct Row {
    const char* what;
    std::vector<Tensor> tensors;
    vrfm::Metadata metadata;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"repeated name",
       {make_tensor("w", {2}, values), make_tensor("w", {2}, values)},
       {},
       {"tensor 'w'", "a name of its own"}},
      {"reserved name",
       {make_tensor("__metadata__", {2}, values)},
       {},
       {"'__metadata__'", "taken"}},
      {"name without UTF-8", {make_tensor("\xff", {2}, values)}, {}, {"UTF-8"}},
      {"metadata without UTF-8", {}, {{"a", "\xc3"}}, {"UTF-8"}},
      {"too few values",
       {make_tensor("w", {3}, values)},
       {},
       {"tensor 'w'", "expected 12 bytes for F32 [3], found 8"}},
      {"too many values",
       {make_tensor("w", {}, values)},
       {},
       {"tensor 'w'", "expected 4 bytes for F32 [], found 8"}},
      {"overflowing shape",
       {make_tensor("w", {large, large}, values)},
       {},
       {"fewer than 2^64", "found 8"}},
      {"header above the limit",
       {},
       {{"a", std::string(100'000'000, 'x')}},
       {"at most 100000000 bytes"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::invalid_argument>(
        [&] { vrfm::write_safetensors(folder / "a.safetensors", row.tensors, row.metadata); });
    CAPTURE(row.what, error);
    CHECK(has_all(error, row.words));
    CHECK(slurp(folder / "a.safetensors") == "earlier");
    CHECK(folder.names() == Names{"a.safetensors"});
  }
  const auto error = thrown<std::runtime_error>([&] {
    vrfm::write_safetensors(folder / "a.safetensors" / "b",
                            std::vector{make_tensor("w", {2}, values)});
  });
  CHECK(has_all(error, {"a.safetensors/b: cannot write", "Not a directory"}));
}
