// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// HDF5 files: what h5py writes, also in the manner of MATLAB and Julia (tests/golden/make_rows.py), is read; what is
// written is read back; and each way in which a file can be wrong has one error, which HDF5 does not print.
#if defined(VRFM_HAS_HDF5)
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/hdf5.hpp>
#include <vrfm/io/hdf5_writer.hpp>
#include <vrfm/io/open_rows.hpp>

namespace {

using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;
using Numbers = std::vector<double>;
using Shape = std::vector<std::size_t>;

vrfm::Hdf5File sets() { return vrfm::Hdf5File(golden("rows/sets.h5")); }

/// first + k step.
template <class T = double>
std::vector<T> line(std::size_t count, double first, double step) {
  std::vector<T> values;
  for (std::size_t k = 0; k < count; ++k)
    values.push_back(static_cast<T>(first + step * static_cast<double>(k)));
  return values;
}

template <class T>
std::vector<T> read(const vrfm::RowReader& rows, std::size_t first, std::size_t count) {
  std::vector<T> values(count * rows.columns());
  rows.read(first, std::span(values));
  return values;
}

/// The error without the file's folder; the file is `name` there.
template <class Call>
std::string error_of(const std::string& name, const Call& call) {
  const std::string error = thrown<std::runtime_error>(call);
  const std::size_t at = error.find(name + ": ");
  return at == error.npos ? error : error.substr(at);
}

const std::string in_sets =
    "'bool' bool [2, 2], 'complex' compound [2], 'compound' compound [2], 'f2' float16 [3, 2], "
    "'f4' float32 [4, 3], "
    "'f8' float64 [6], 'fixed' string [2], 'group/empty' float32 [0, 3], 'group/nested/cube' "
    "float64 [20, 3, 2], 'i2' "
    "int16 [3, 2], 'i8' int64 [2, 1], 'nothing' float32 [0], 'number' float64 [], 'ragged' vlen "
    "[2], 'texts' string "
    "[2], 'u1' uint8 [5]";

}  // namespace

TEST_CASE("hdf5: data sets of all groups, once each, with types and shapes", "[io]") {
  CHECK(vrfm::detail::io::listed(sets().arrays()) == in_sets);
  CHECK(vrfm::detail::io::listed(vrfm::list_arrays(golden("rows/sets.h5"))) == in_sets);
  // By any path to it.
  for (const std::string path :
       {"group/nested/cube", "/group/nested/cube", "again", "group/nested/up/nested/cube"})
    CHECK(sets().info(path).shape == Shape{20, 3, 2});
}

TEST_CASE("hdf5: numbers of all types become floats and doubles", "[io]") {
  const auto file = sets();
  CHECK(file.read<double>("f8") == line(6, -1, 0.25));
  CHECK(file.read<double>("f4") == line(12, -1, 0.25));
  CHECK(file.read<float>("f4") == line<float>(12, -1, 0.25));
  CHECK(file.read<double>("f2") == line(6, -1, 0.25));
  CHECK(file.read<float>("i2") == line<float>(6, 0, 1));
  CHECK(file.read<double>("u1") == line(5, 0, 1));
  CHECK(file.read<double>("bool") == Numbers{1, 0, 0, 1});
  CHECK(file.read<double>("number") == Numbers{2.5});
  CHECK(file.read<float>("group/empty").empty());
  CHECK(file.read<std::int64_t>("i8") == std::vector<std::int64_t>{std::int64_t{1} << 62, -1});
  CHECK(file.read<std::int32_t>("i2") == line<std::int32_t>(6, 0, 1));
  CHECK(file.read<std::int32_t>("u1") == line<std::int32_t>(5, 0, 1));
  CHECK(file.read<std::uint8_t>("u1") == line<std::uint8_t>(5, 0, 1));
  CHECK(file.read<std::uint8_t>("bool") == std::vector<std::uint8_t>{1, 0, 0, 1});
}

TEST_CASE("hdf5: hyperslabs of a compressed data set", "[io]") {
  const auto file = sets();
  const auto slab = [&](const Shape& begin, const Shape& count, std::size_t size) {
    Numbers values(size);
    file.read("group/nested/cube", begin, count, std::span(values));
    return values;
  };
  // Element (i, j, k) is (6 i + 2 j + k) / 4 - 1.
  CHECK(slab({3, 1, 0}, {2, 2, 1}, 4) == Numbers{4.0, 4.5, 5.5, 6.0});
  CHECK(slab({0, 0, 0}, {20, 3, 2}, 120) == line(120, -1, 0.25));
  CHECK(slab({20, 3, 2}, {0, 0, 0}, 0).empty());
  const auto refused = [&](const Shape& begin, const Shape& count, std::size_t size) {
    const std::string error = thrown<std::invalid_argument>([&] { slab(begin, count, size); });
    return error.substr(error.find("sets.h5"));
  };
  const std::string where =
      "sets.h5: 'group/nested/cube' float64 [20, 3, 2]: expected elements that are there, found ";
  CHECK(refused({19, 0, 0}, {2, 1, 1}, 2) ==
        where + "[2, 1, 1] from [19, 0, 0] on for a place of 2");
  CHECK(refused({0, 0}, {1, 1}, 1) == where + "[1, 1] from [0, 0] on for a place of 1");
  CHECK(refused({0, 0, 0}, {1, 1, 1}, 2) == where + "[1, 1, 1] from [0, 0, 0] on for a place of 2");
}

TEST_CASE("hdf5: rows in every range, and by several threads", "[io]") {
  const vrfm::Hdf5RowReader rows(golden("rows/sets.h5"), "/group/nested/cube");
  REQUIRE(rows.rows() == 20);
  REQUIRE(rows.columns() == 6);
  CHECK(rows.info().name == "group/nested/cube");
  std::size_t wrong = 0;
  for (std::size_t first = 0; first <= 20; ++first) {
    for (std::size_t count = 0; first + count <= 20; ++count) {
      const double begin = -1 + 1.5 * static_cast<double>(first);
      wrong += read<double>(rows, first, count) != line(count * 6, begin, 0.25);
      wrong += read<float>(rows, first, count) != line<float>(count * 6, begin, 0.25);
    }
  }
  CHECK(wrong == 0);
  std::vector<Numbers> found(4);
  std::vector<std::thread> threads;
  for (Numbers& values : found)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        values = read<double>(vrfm::Hdf5RowReader(golden("rows/old.h5")), 3, 5);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Numbers& values : found) CHECK(values == line(10, 0.5, 0.25));
  CHECK(has_all(
      thrown<std::invalid_argument>([&] { read<float>(rows, 19, 2); }),
      {"'group/nested/cube' float64 [20, 3, 2]: expected rows below 20, found 2 from row 19 on"}));
}

TEST_CASE("hdf5: one thread at a time calls the library, which may not be safe for more", "[io]") {
  const vrfm::Hdf5RowReader rows(golden("rows/old.h5"));
  std::atomic<bool> done = false;
  std::thread thread;
  {
    const vrfm::detail::io::Hdf5Lock lock;
    thread = std::thread([&] {
      read<double>(rows, 0, 10);
      done = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(!done);
  }
  thread.join();
  CHECK(done);
}

TEST_CASE("hdf5: files of MATLAB and Julia have their extents reversed", "[io]") {
  // x(i, j) = (i - 1) + 2 (j - 1), of 2 x 3 there.
  const auto matlab =
      vrfm::open_rows(golden("rows/matlab.mat"), "x");  // behind a block of 512 bytes
  CHECK(matlab->info().shape == Shape{3, 2});
  CHECK(read<double>(*matlab, 0, 3) == Numbers{0, 1, 2, 3, 4, 5});
  const auto attributes = vrfm::Hdf5File(golden("rows/matlab.mat")).attributes("x");
  REQUIRE(attributes.size() == 1);
  CHECK(attributes[0].name == "MATLAB_class");
  CHECK(attributes[0].texts == Names{"double"});
  const auto julia = vrfm::open_rows(golden("rows/julia.h5"), "x");
  CHECK(julia->info().shape == Shape{3, 2});
  CHECK(read<double>(*julia, 0, 3) == Numbers{1, 2, 3, 4, 5, 6});
  const auto flags = vrfm::open_rows(golden("rows/julia.h5"), "flags");
  CHECK(flags->info().type == "bool");
  CHECK(read<float>(*flags, 0, 3) == std::vector{1.0f, 0.0f, 1.0f});
}

TEST_CASE("hdf5: attributes are texts and numbers", "[io]") {
  const auto file = sets();
  const auto title = file.attributes();
  REQUIRE(title.size() == 1);
  CHECK(title[0].name == "title");
  CHECK(title[0].texts == Names{"a text of variable length"});
  std::string text;
  for (const auto& attribute : file.attributes("group/nested/cube")) {
    text += attribute.name + " " + attribute.type + " " +
            vrfm::detail::io::format_shape(attribute.shape) + ":";
    for (const std::string& one : attribute.texts) text += " " + one;
    for (const double number : attribute.numbers) text += " " + std::to_string(number).substr(0, 4);
    text += "; ";
  }
  CHECK(text ==
        "axes string [2]: x y; extents int32 [3]: 1.00 2.00 3.00; scale float64 []: 0.50; unit "
        "string []: m/s; "
        "valid bool []: 1.00; ");
  CHECK(file.attributes("group").empty());
  CHECK(error_of("sets.h5", [&] { file.attributes("none"); }) ==
        "sets.h5: expected a data set or a group 'none', found " + in_sets);
}

TEST_CASE("hdf5: what cannot be read is told with file, path and shape", "[io]") {
  const auto error = [](const std::string& file, const std::string& array) {
    return error_of(file, [&] { vrfm::open_rows(golden("rows/" + file), array); });
  };
  CHECK(error("sets.h5", "") == "sets.h5: expected the name of one of its arrays: " + in_sets);
  CHECK(error("sets.h5", "none") == "sets.h5: expected an array 'none', found " + in_sets);
  CHECK(error("sets.h5", "group") == "sets.h5: expected an array 'group', found " + in_sets);
  CHECK(error("sets.h5", "elsewhere") ==
        "sets.h5: expected an array 'elsewhere', found " + in_sets);
  CHECK(error("sets.h5", "texts") == "sets.h5: 'texts' string [2]: expected numbers, found string");
  CHECK(error("sets.h5", "fixed") == "sets.h5: 'fixed' string [2]: expected numbers, found string");
  CHECK(error("sets.h5", "compound") ==
        "sets.h5: 'compound' compound [2]: expected numbers, found compound");
  CHECK(error("sets.h5", "ragged") == "sets.h5: 'ragged' vlen [2]: expected numbers, found vlen");
  CHECK(error("sets.h5", "number") ==
        "sets.h5: 'number' float64 []: expected rows of numbers, found a single one");
  CHECK(error("filter.h5", "x") ==
        "filter.h5: 'x' float64 [2, 2]: expected filters that this HDF5 library has, found filter "
        "257, which is a "
        "plugin that HDF5_PLUGIN_PATH must lead to");
  CHECK(error_of("sets.h5", [] { sets().read<std::int32_t>("i8"); }) ==
        "sets.h5: 'i8' int64 [2, 1]: expected integers that fit in int32, found int64");
  CHECK(error_of("sets.h5", [] { sets().read<std::uint8_t>("f8"); }) ==
        "sets.h5: 'f8' float64 [6]: expected integers that fit in uint8, found float64");
}

TEST_CASE("hdf5: cut and damaged files, and others, in one error that HDF5 does not print",
          "[io]") {
  const TemporaryFolder folder;
  const std::string text = slurp(golden("rows/sets.h5"));
  const auto open = [&] { vrfm::Hdf5File(folder / "a.h5").arrays(); };

  // Standard error goes to a file meanwhile.
  std::fflush(stderr);
  const int kept = ::dup(2);
  REQUIRE(std::freopen((folder / "printed").c_str(), "w", stderr) != nullptr);
  spill(folder / "a.h5", text.substr(0, text.size() - 1000));
  const std::string cut = error_of("a.h5", open);
  std::string damaged = text;
  damaged.replace(damaged.find("OHDR") + 4, 60, std::string(60, '\xff'));
  spill(folder / "a.h5", damaged);
  const std::string broken = error_of("a.h5", open);
  std::fflush(stderr);
  ::dup2(kept, 2);
  ::close(kept);

  CHECK(slurp(folder / "printed").empty());
  CHECK(has_all(cut, {"a.h5: expected a whole HDF5 file, but HDF5 says: truncated file: eof = "}));
  CHECK(has_all(broken, {"a.h5: expected ", ", but HDF5 says: "}));
  spill(folder / "a.h5", "\x89PNG");
  CHECK(error_of("a.h5", open) == "a.h5: expected an HDF5 file, found a picture (.png)");
  spill(folder / "a.h5", "");
  CHECK(has_all(error_of("a.h5", open), {"a.h5: expected an HDF5 file, found an empty file"}));
  std::filesystem::remove(folder / "a.h5");
  CHECK(error_of("a.h5", open) ==
        "a.h5: cannot read: expected a readable file: No such file or directory");
}

TEST_CASE("hdf5: a program's own handling of HDF5's errors stays as it was", "[io]") {
  int calls = 0;
  const auto count = [](hid_t, void* data) -> herr_t {
    ++*static_cast<int*>(data);
    return 0;
  };
  H5E_auto2_t before = nullptr;
  void* data = nullptr;
  REQUIRE(H5Eget_auto2(H5E_DEFAULT, &before, &data) >= 0);
  H5Eset_auto2(H5E_DEFAULT, count, &calls);
  CHECK(thrown<std::runtime_error>([] { sets().info("none"); }) != "(nothing thrown)");
  CHECK(calls == 0);
  CHECK(H5Fopen("no/such/file", H5F_ACC_RDONLY, H5P_DEFAULT) < 0);
  CHECK(calls == 1);
  H5Eset_auto2(H5E_DEFAULT, before, data);
}

TEST_CASE("hdf5: what is written by rows is read back", "[io]") {
  const TemporaryFolder folder;
  for (const int deflate : {0, 6}) {
    vrfm::Hdf5Writer writer(folder / "a.h5");
    writer.add<float>("group/x", {2, 3}, {.chunk_rows = 4, .deflate = deflate});
    writer.add<double>("y", {}, {.deflate = deflate});
    writer.add<std::int32_t>("group/n", {1});
    for (std::size_t block = 0; block < 9; ++block) {
      const double first = 36 * static_cast<double>(block);
      writer.append("group/x", line<float>(36, first, 1));
      writer.append("y", line(block, 0, 0.1));
    }
    writer.append("group/n",
                  std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min(), 7});
    writer.append("group/n", std::vector<std::int32_t>{});
    writer.attribute("/", "title", "a t\xc3\xa4xt");
    writer.attribute("group/x", "scale", 0.1);
    writer.attribute("group", "sizes", std::vector{1.0, 2.0});
    writer.attribute("y", "none", Numbers());
    CHECK(folder.names().size() == (deflate == 0 ? 1 : 2));  // a temporary, and the file before
    writer.commit();
    CHECK(folder.names() == Names{"a.h5"});

    const vrfm::Hdf5File file(folder / "a.h5");
    CHECK(vrfm::detail::io::listed(file.arrays()) ==
          "'group/n' int32 [2, 1], 'group/x' float32 [54, 2, 3], 'y' float64 [36]");
    CHECK(file.read<float>("group/x") == line<float>(324, 0, 1));
    Numbers y;
    for (std::size_t block = 0; block < 9; ++block)
      for (const double number : line(block, 0, 0.1)) y.push_back(number);
    CHECK(file.read<double>("y") == y);
    CHECK(file.read<std::int32_t>("group/n") ==
          std::vector<std::int32_t>{std::numeric_limits<std::int32_t>::min(), 7});
    CHECK(file.attributes()[0].texts == Names{"a t\xc3\xa4xt"});
    CHECK(file.attributes("group/x")[0].numbers == Numbers{0.1});
    CHECK(file.attributes("group")[0].numbers == Numbers{1, 2});
    CHECK(file.attributes("y")[0].shape == Shape{0});
    CHECK(read<double>(*vrfm::open_rows(folder / "a.h5", "group/x"), 50, 2) == line(12, 300, 1));
  }
}

TEST_CASE("hdf5: the same calls write the same bytes, and compression makes fewer of them",
          "[io]") {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, int deflate) {
    vrfm::Hdf5Writer writer(folder / name);
    writer.add<float>("x", {4}, {.deflate = deflate});
    writer.append("x", line<float>(40'000, 0, 1));
    writer.attribute("x", "unit", "m");
    writer.commit();
    return slurp(folder / name);
  };
  const std::string plain = write("a.h5", 0);
  CHECK(write("b.h5", 0) == plain);
  CHECK(write("c.h5", 9).size() < plain.size() / 2);
}

TEST_CASE("hdf5: a file that is not committed leaves the earlier one, and nothing else", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.h5", "before");
  {
    vrfm::Hdf5Writer writer(folder / "a.h5");
    writer.add<double>("x");
    writer.append("x", Numbers{1, 2, 3});
  }
  CHECK(slurp(folder / "a.h5") == "before");
  CHECK(folder.names() == Names{"a.h5"});
}

TEST_CASE("hdf5: on a full disk the file is not there, and the program goes on", "[io]") {
  const TemporaryFolder folder;
  std::string error;
  {
    vrfm::Hdf5Writer writer(folder / "a.h5");
    writer.add<double>("x");
    writer.append("x", line(100'000, 0, 1));
    // No file may grow meanwhile: HDF5 has the rows in memory, and they cannot reach the disk.
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto action = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{0, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    error = error_of("a.h5", [&] { writer.commit(); });
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, action);
  }
  CHECK(has_all(
      error, {"a.h5: cannot write: expected to end the file, but HDF5 says: file write failed"}));
  CHECK(folder.names().empty());
}

TEST_CASE("hdf5: what a writer cannot write is refused", "[io]") {
  const TemporaryFolder folder;
  vrfm::Hdf5Writer writer(folder / "a.h5");
  writer.add<double>("x", {2});
  const auto refused = [&](const auto& call) {
    const std::string error = thrown<std::invalid_argument>(call);
    return error.substr(error.find("a.h5"));
  };
  CHECK(refused([&] { writer.add<float>("x"); }) ==
        "a.h5: 'x': expected a new data set of at least one number a row, found an old one of []");
  CHECK(refused([&] {
          writer.add<float>("y", {3, 0});
        }) == "a.h5: 'y': expected a new data set of at least one number a row, found [3, 0]");
  CHECK(refused([&] { writer.add<float>("y", {}, {.deflate = 10}); }) ==
        "a.h5: 'y': expected deflate from 0 to 9, found 10");
  CHECK(refused([&] {
          writer.append("y", Numbers{1, 2});
        }) == "a.h5: 'y': expected a data set that was added, found none of that path");
  CHECK(refused([&] {
          writer.append("x", std::vector<float>{1, 2});
        }) == "a.h5: 'x': expected values of type F64, found F32");
  CHECK(refused([&] {
          writer.append("x", Numbers{1, 2, 3});
        }) == "a.h5: 'x': expected whole rows of 2 numbers, found 3");
  CHECK(has_all(error_of("a.h5", [&] { writer.add<float>("x/y"); }),
                {"a.h5: 'x/y': cannot write: expected to add it, but HDF5 says: "}));
  CHECK(has_all(error_of("a.h5", [&] { writer.attribute("none", "a", 1.0); }),
                {"a.h5: 'none': cannot write: expected to add attribute 'a', but HDF5 says: "}));
  CHECK(has_all(error_of("none", [] { vrfm::Hdf5Writer("no/such/folder.h5"); }),
                {"no/such/folder.h5: cannot write: expected a folder"}));
}
#endif
