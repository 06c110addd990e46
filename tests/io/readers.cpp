// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table of files, golden/readers, through the readers and through the reference implementations
// (golden/make_readers.py): what NumPy, safetensors and gzip read is read to the same values, and
// what they refuse is refused. What is refused although they read it is listed here with the reason.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/idx.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/io/safetensors.hpp>

namespace {

using vrfm::test::golden;
using vrfm::test::thrown;
using Json = nlohmann::ordered_json;
using Shape = std::vector<std::size_t>;

/// "file" or "file array", and what the error must say: values that no type of C++ here takes,
/// methods of zip that need a library more, and files that could be read in two ways.
const std::map<std::string, std::string> stricter{
    {"complex128.npy", "expected one descr of"},
    {"structured.npy", "expected a plain element type as descr, found a structured one"},
    {"text.npy", "expected one descr of"},
    {"int16.npy", "expected values of type '|u1', found '<i2'"},
    {"bzip2.npz b", "expected method 0 (stored) or 8 (deflated), found 12"},
    {"two_arrays.npy", "expected 16 bytes of data for '<f8' [2], found 160"},
    {"twice.npz", "expected entries of different names, found 'a.npy' twice"},
    {"bytes_behind.npz", "expected a comment of 0 bytes behind the end record, found 2"},
    {"leading_space.safetensors", "expected '{' as the first byte"},
    {"tensor_twice.safetensors", "found a second key 'w'"},
};

void compare(const Json& expected, const Shape& shape, const auto& values) {
  CHECK(expected.at("shape").get<Shape>() == shape);
  const auto& golden_values = expected.at("values");
  const auto step = expected.at("step").get<std::size_t>();
  REQUIRE(golden_values.size() == (values.size() + step - 1) / step);
  std::size_t different = 0;
  for (std::size_t i = 0; i < golden_values.size(); ++i) {
    using Value = std::remove_cvref_t<decltype(values[0])>;
    different += golden_values[i].get<Value>() != values[i * step];
  }
  CHECK(different == 0);
}

/// Calls read.template operator()<T>() for each T that an array of that type is read as.
void for_each_type(const std::string& type, const auto& read) {
  const std::set<std::string> halves{"float16", "F16", "BF16"};
  if (halves.contains(type) || type == "float32" || type == "F32")
    read.template operator()<float>();
  if (halves.contains(type) || type == "float64" || type == "F64")
    read.template operator()<double>();
  else if (type == "int32" || type == "I32")
    read.template operator()<std::int32_t>();
  else if (type == "int64" || type == "I64")
    read.template operator()<std::int64_t>();
  else if (type == "uint64" || type == "U64")
    read.template operator()<std::uint64_t>();
  else if (!halves.contains(type) && type != "float32" && type != "F32")
    read.template operator()<std::uint8_t>();  // bytes, truth values, and what is refused
}

struct Reader {
  std::filesystem::path path;

  void npy(const Json& array) const {
    const auto type = array.at("type").get<std::string>();
    for_each_type(type, [&]<class T>() {
      const auto found = vrfm::read_npy<T>(path);
      compare(array, found.shape, found.values);
    });
    if (type.starts_with("float")) {
      const auto found = vrfm::read_npy_reals(path);
      compare(array, found.shape, found.values);
    }
  }

  void npz(const std::string& name, const Json& array) const {
    vrfm::NpzFile archive(path);
    const auto type = array.at("type").get<std::string>();
    for_each_type(type, [&]<class T>() {
      const auto found = archive.read<T>(name);
      compare(array, found.shape, found.values);
    });
    if (type.starts_with("float"))
      compare(array, Shape(array.at("shape")), archive.read_reals(name).values);
  }

  void safetensors(const std::string& name, const Json& array) const {
    const auto file = vrfm::SafetensorsFile::read(path);
    const auto type = array.at("type").get<std::string>();
    const vrfm::Tensor& tensor = file.at(name);
    CHECK(vrfm::detail::io::row(tensor.dtype).safetensors == type);
    CHECK(tensor.shape == array.at("shape").get<Shape>());
    const std::set<std::string> converted{"F16", "BF16", "F32", "F64", "I32",
                                          "I64", "U64",  "U8",  "BOOL"};
    if (!converted.contains(type)) return;
    for_each_type(type, [&]<class T>() {
      std::size_t count = 1;
      for (const std::size_t extent : tensor.shape) count *= extent;
      std::vector<T> values(count);
      file.copy_values(name, tensor.shape, std::span(values));
      compare(array, tensor.shape, values);
    });
  }

  void idx(const Json& array) const {
    const Shape shape = array.at("shape");
    const auto found = vrfm::read_idx(path, static_cast<int>(shape.size()));
    compare(array, found.shape, found.values);
  }

  void read(const std::string& name, const Json& array) const {
    const auto kind = path.extension();
    if (kind == ".npy") npy(array);
    if (kind == ".npz") npz(name, array);
    if (kind == ".safetensors") safetensors(name, array);
    if (kind == ".idx") idx(array);
  }

  /// Reads whatever is there.
  void read_any() const {
    const auto kind = path.extension();
    if (kind == ".npy") vrfm::read_npy_reals(path);
    if (kind == ".safetensors") vrfm::SafetensorsFile::read(path);
    if (kind == ".idx") vrfm::read_idx(path, 1);
    if (kind != ".npz") return;
    vrfm::NpzFile archive(path);
    for (const auto& name : archive.names()) archive.read_reals(name);
  }
};

}  // namespace

TEST_CASE("readers: files of others are read or refused as by the reference implementations",
          "[io]") {
  std::ifstream stream(golden("readers.json"));
  const Json results = Json::parse(stream);
  std::set<std::string> used;
  for (const auto& [file, arrays] : results.items()) {
    const Reader reader{golden("readers") / file};
    CAPTURE(file);
    if (arrays.is_null()) {
      const auto error = thrown<std::runtime_error>([&] { reader.read_any(); });
      CAPTURE(error);
      CHECK(error.starts_with(reader.path.string() + ": "));
      continue;
    }
    if (reader.path.extension() == ".npz" && !stricter.contains(file)) {
      std::vector<std::string> names;
      for (const auto& array : arrays.items()) names.push_back(array.key());
      CHECK(vrfm::NpzFile(reader.path).names() == names);
    }
    for (const auto& [name, array] : arrays.items()) {
      CAPTURE(name);
      auto reason = stricter.find(file);
      if (reason == stricter.end()) reason = stricter.find(file + " " + name);
      if (reason == stricter.end()) {
        CHECK_NOTHROW(reader.read(name, array));
        continue;
      }
      used.insert(reason->first);
      const auto error =
          thrown<std::runtime_error>([&, n = name, a = array] { reader.read(n, a); });
      CAPTURE(error);
      CHECK(error.starts_with(reader.path.string() + ": "));
      CHECK(vrfm::test::contains(error, reason->second));
    }
  }
  CHECK(used.size() == stricter.size());
  CHECK(results.size() > 50);
  for (const auto& entry : std::filesystem::directory_iterator(golden("readers")))
    CHECK(results.contains(entry.path().filename().string()));
}
