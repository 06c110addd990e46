// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows of files of every kind (tests/golden/make_rows.py): the same numbers as floats and as doubles, in whatever
// ranges they are read, by several threads at once; and errors that list what a file holds.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/npy.hpp>
#include <vrfm/io/open_rows.hpp>

namespace {

using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;
using Shape = std::vector<std::size_t>;

template <class T>
std::vector<T> read(const vrfm::RowReader& rows, std::size_t first, std::size_t count) {
  std::vector<T> values(count * rows.columns());
  rows.read(first, std::span(values));
  return values;
}

/// All ranges of the rows hold first + k step, k = 0, 1, ... row-major.
void check_rows(const std::string& file, const std::string& array, const std::string& type,
                const Shape& shape, double first, double step) {
  CAPTURE(file, array);
  const auto rows = vrfm::open_rows(golden("rows/" + file), array);
  CHECK(rows->info().type == type);
  CHECK(rows->info().shape == shape);
  REQUIRE(rows->rows() == shape.front());
  const std::size_t columns = rows->columns();
  std::size_t wrong = 0;
  for (std::size_t from = 0; from <= rows->rows(); ++from) {
    for (std::size_t count = 0; from + count <= rows->rows(); ++count) {
      const auto doubles = read<double>(*rows, from, count);
      const auto floats = read<float>(*rows, from, count);
      for (std::size_t i = 0; i < doubles.size(); ++i) {
        const double expected = first + step * static_cast<double>(from * columns + i);
        wrong += doubles[i] != expected || static_cast<double>(floats[i]) != expected;
      }
    }
  }
  CHECK(wrong == 0);
}

std::string error_of(const std::filesystem::path& path, const std::string& array = "") {
  return thrown<std::runtime_error>([&] { vrfm::open_rows(path, array); });
}

/// Pages of files that are resident, in bytes, as Linux counts them; nothing elsewhere.
std::optional<std::size_t> resident_of_files() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:")) return 1024 * std::stoull(line.substr(8));
  return std::nullopt;
}

}  // namespace

TEST_CASE("rows of a large file do not stay resident", "[io]") {
  if (!resident_of_files()) return;
  const TemporaryFolder folder;
  const auto path = folder.path() / "large.npy";
  constexpr std::size_t count = 300'000, columns = 61;  // blocks that begin and end within pages
  const std::vector<std::size_t> shape{count, columns};
  for (const bool fortran_order : {false, true}) {
    std::string start = vrfm::detail::io::npy_start(vrfm::DType::f32, shape);
    if (fortran_order) start.replace(start.find("False"), 5, "True ");
    spill(path, start);
    std::filesystem::resize_file(path, start.size() + count * columns * sizeof(float));
    const auto rows = vrfm::open_rows(path);
    const std::size_t before = *resident_of_files();
    double sum = 0;
    for (std::size_t first = 0; first < count; first += 4096)
      for (const float x : read<float>(*rows, first, std::min<std::size_t>(4096, count - first)))
        sum += static_cast<double>(x);
    CHECK(sum == 0);
    // 73 MB were read. What a thread's last fault mapped around each column may stay.
    CHECK(*resident_of_files() < before + 8'000'000);
  }
}

TEST_CASE("open_rows: NPY of either order of bytes and of indices", "[io]") {
  check_rows("fortran.npy", "", "float32", {5, 2, 3}, -1, 0.25);
  check_rows("big.npy", "", "int16", {4, 3}, 0, 1);
}

TEST_CASE("open_rows: NPZ, stored and compressed", "[io]") {
  check_rows("mixed.npz", "stored", "uint16", {4, 3}, 0, 1);
  check_rows("mixed.npz", "packed", "float16", {6, 2}, -1, 0.25);
  const auto flags = vrfm::open_rows(golden("rows/mixed.npz"), "flags");
  CHECK(flags->info().type == "bool");
  CHECK(read<double>(*flags, 0, 3) == std::vector{1.0, 0.0, 1.0});
}

TEST_CASE("open_rows: safetensors, also where a tensor is not aligned", "[io]") {
  check_rows("unaligned.safetensors", "byte", "uint8", {3, 1}, 0, 1);
  check_rows("unaligned.safetensors", "bf16", "bfloat16", {2, 3}, -1, 0.25);
  check_rows("unaligned.safetensors", "short", "int16", {3, 2}, 0, 1);
}

TEST_CASE("open_rows: CSV, all columns of numbers or those that are named", "[io]") {
  check_rows("savetxt.csv", "", "float64", {3, 2}, -1, 0.25);
  check_rows("savetxt.csv", "a", "float64", {3, 1}, -1, 0.5);
  check_rows("pandas.csv", "count", "float64", {4, 1}, 1, 1);
  const auto rows = vrfm::open_rows(golden("rows/semicolon.csv"), "count,x");
  CHECK(rows->info().columns == Names{"count", "x"});
  CHECK(read<double>(*rows, 2, 2) == std::vector{3.0, -3e-300, 4.0, 12345678.125});
  // A name with a comma is one name.
  CHECK(vrfm::open_rows(golden("rows/pandas.csv"), "the \"y\", in m")->columns() == 1);
}

TEST_CASE("open_rows: numbers of every type, and blocks larger than those that are converted",
          "[io]") {
  const TemporaryFolder folder;
  std::vector<double> expected;
  const auto check = [&](auto zero, const std::string& type) {
    using T = decltype(zero);
    std::vector<T> values;
    expected.clear();
    for (int k = 0; k < 30'000; ++k) {
      values.push_back(static_cast<T>(k % 251));
      expected.push_back(k % 251);
    }
    vrfm::write_npy(folder / "a", {10'000, 3}, values);  // the name does not matter
    const auto rows = vrfm::open_rows(folder / "a");
    CHECK(rows->info().type == type);
    CHECK(read<double>(*rows, 0, 10'000) == expected);
    // The same in the other order of bytes and of indices.
    std::string text = slurp(folder / "a");
    const std::size_t begin = text.size() - values.size() * sizeof(T);
    for (std::size_t i = 0; i < 10'000; ++i)
      for (std::size_t j = 0; j < 3; ++j)
        for (std::size_t byte = 0; byte < sizeof(T); ++byte)
          text[begin + (j * 10'000 + i) * sizeof(T) + sizeof(T) - 1 - byte] =
              reinterpret_cast<const char*>(&values[i * 3 + j])[byte];
    if (sizeof(T) > 1) text[text.find('<')] = '>';
    text.replace(text.find("False"), 5, "True ");
    spill(folder / "b", text);
    CHECK(read<double>(*vrfm::open_rows(folder / "b"), 0, 10'000) == expected);
    CHECK(read<double>(*vrfm::open_rows(folder / "b"), 9'000, 1'000) ==
          std::vector(expected.begin() + 27'000, expected.end()));
  };
  check(std::uint8_t{}, "uint8");
  check(std::int32_t{}, "int32");
  check(std::int64_t{}, "int64");
  check(std::uint64_t{}, "uint64");
  check(float{}, "float32");
  check(double{}, "float64");
}

TEST_CASE("open_rows: several threads read the same rows", "[io]") {
  for (const std::string file : {"fortran.npy", "big.npy"}) {
    const auto rows = vrfm::open_rows(golden("rows/" + file));
    const auto expected = read<double>(*rows, 0, rows->rows());
    std::vector<std::vector<double>> found(4);
    std::vector<std::thread> threads;
    for (auto& values : found)
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) values = read<double>(*rows, 0, rows->rows());
      });
    for (std::thread& thread : threads) thread.join();
    for (const auto& values : found) CHECK(values == expected);
  }
}

TEST_CASE("list_arrays: names, types and shapes, also of what is no number", "[io]") {
  const auto listed = [](const std::string& file) {
    std::string text;
    for (const auto& array : vrfm::list_arrays(golden("rows/" + file)))
      text +=
          array.name + " " + array.type + " " + vrfm::detail::io::format_shape(array.shape) + "; ";
    return text;
  };
  CHECK(listed("fortran.npy") == " float32 [5, 2, 3]; ");
  CHECK(listed("mixed.npz") ==
        "stored uint16 [4, 3]; packed float16 [6, 2]; flags bool [3]; names string [2]; records "
        "structured [2]; "
        "complex '<c16' [2]; number float32 []; ");
  CHECK(listed("unaligned.safetensors") ==
        "byte uint8 [3, 1]; bf16 bfloat16 [2, 3]; short int16 [3, 2]; f8 F8_E4M3 [2, 1]; ");
  CHECK(listed("pandas.csv") ==
        " float64 [4, 3]; x float64 [4]; count float64 [4]; label string [4]; the \"y\", in m "
        "float64 [4]; ");
  CHECK(vrfm::list_arrays(golden("rows/pandas.csv"))[0].columns ==
        Names{"x", "count", "the \"y\", in m"});
}

TEST_CASE("open_rows: an array that is not there, or no numbers, is told what is there", "[io]") {
  const std::string npz = golden("rows/mixed.npz").string(), npy = golden("rows/big.npy").string(),
                    csv = golden("rows/pandas.csv").string(),
                    tensors = golden("rows/unaligned.safetensors").string();
  const std::string in_npz =
      "'stored' uint16 [4, 3], 'packed' float16 [6, 2], 'flags' bool [3], 'names' string [2], "
      "'records' "
      "structured [2], 'complex' '<c16' [2], 'number' float32 []";
  CHECK(error_of(npz) == npz + ": expected the name of one of its arrays: " + in_npz);
  CHECK(error_of(npz, "x") == npz + ": expected an array 'x', found " + in_npz);
  CHECK(error_of(npz, "names") == npz + ": 'names': expected rows of numbers, found string [2]");
  CHECK(error_of(npz, "records") ==
        npz + ": 'records': expected rows of numbers, found structured [2]");
  CHECK(error_of(npz, "number") == npz + ": 'number': expected rows of numbers, found float32 []");
  CHECK(error_of(npy, "x") == npy + ": expected an array 'x', found (no name) int16 [4, 3]");
  CHECK(error_of(tensors, "f8") ==
        tensors + ": 'f8': expected rows of numbers, found F8_E4M3 [2, 1]");
  CHECK(has_all(error_of(tensors),
                {"expected the name of one of its arrays: 'byte' uint8 [3, 1], 'bf16'"}));
  const std::string in_csv = "; its columns are 'x', 'count', 'label' (text), 'the \"y\", in m'";
  CHECK(error_of(csv, "z") == csv + ": expected a column 'z', found none of that name" + in_csv);
  CHECK(error_of(csv, "label") ==
        csv + ": line 2, column 'label': expected a number, found 'plain'" + in_csv);
}

TEST_CASE("open_rows: a file of another kind, a cut one and a damaged one", "[io]") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text) {
    spill(folder / "a", text);
    const std::string error = error_of(folder / "a");
    CHECK(thrown<std::runtime_error>([&] { vrfm::list_arrays(folder / "a"); }) == error);
    return error.substr(error.find(": ") + 2);
  };
  const std::string wanted =
      "expected a file of arrays (NPY, NPZ, safetensors, CSV or HDF5), found ";
  CHECK(refused("") == wanted + "an empty file (0 bytes), as a download that failed leaves it");
  CHECK(refused("<html>") ==
        wanted + "a web page (HTML), which a server sent in place of the file");
  CHECK(refused(slurp(golden("io_labels_gz.idx"))) == wanted + "data compressed by gzip (.gz)");
  CHECK(refused(std::string("a\0b", 3)) == wanted + "other bytes");
  CHECK(has_all(refused(slurp(golden("rows/big.npy")).substr(0, 140)),
                {"24 bytes of data", "truncated"}));
  CHECK(has_all(refused(slurp(golden("rows/mixed.npz")).substr(0, 900)), {"truncated"}));
  CHECK(
      has_all(refused(slurp(golden("rows/unaligned.safetensors")).substr(0, 270)), {"truncated"}));
  // A type that has the name of another here, and no data.
  std::string named = slurp(golden("io_f4.npy"));
  named.replace(named.find("'<f4'"), 5, "'float32'").erase(named.find("    "), 4);
  CHECK(has_all(error_of((spill(folder / "a", named.substr(0, named.size() - 8)), folder / "a")),
                {"expected rows of numbers, found 'float32' [2, 3]"}));
  // One bit of a compressed array.
  std::string text = slurp(golden("rows/mixed.npz"));
  const std::size_t at = text.find("packed.npy") + 60;
  text[at] = static_cast<char>(text[at] ^ 1);
  spill(folder / "a", text);
  CHECK(error_of(folder / "a", "packed") != "(nothing thrown)");
}

TEST_CASE("open_rows: rows that are not there are refused", "[io]") {
  const auto rows = vrfm::open_rows(golden("rows/big.npy"));
  const auto refused = [&](std::size_t first, std::size_t size) {
    const std::string error = thrown<std::invalid_argument>([&] {
      std::vector<float> values(size);
      rows->read(first, std::span(values));
    });
    return error.substr(error.find(": ") + 2);
  };
  CHECK(refused(0, 4) == "expected a place for whole rows of 3 numbers, found one for 4 numbers");
  CHECK(refused(3, 6) == "expected rows below 4, found 2 from row 3 on");
  CHECK(refused(5, 0) == "expected rows below 4, found 0 from row 5 on");
  CHECK_NOTHROW(rows->read(4, std::span<float>()));
}

#if !defined(VRFM_HAS_HDF5)
TEST_CASE("open_rows: a program without HDF5 says what it lacks", "[io]") {
  const std::string file = golden("rows/matlab.mat").string();
  CHECK(error_of(file) ==
        file +
            ": expected an NPY, NPZ, safetensors or CSV file, found an HDF5 file, which this "
            "program cannot "
            "read: it was built without vrfm::hdf5, which needs libhdf5 (Debian: libhdf5-dev)");
}
#endif
