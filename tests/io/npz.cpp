// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NPZ archives: what is written is read back to the bit, NumPy's own archives are read, NumPy reads
// ours (tests/golden/make_io.py), and each way in which an archive can be wrong has its own error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <new>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/npz.hpp>
#include <vrfm/io/npz_parts.hpp>

// GCC says it by macros, Clang by features.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VRFM_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VRFM_TEST_SANITIZED
#endif
#endif

namespace {

using vrfm::test::bytes_of;
using vrfm::test::golden;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;
using Shape = std::vector<std::size_t>;

/// The arrays of make_io.py.
struct Arrays {
  std::vector<float> mu{0.5f, -0.25f};
  std::vector<double> sigma = [] {
    std::vector<double> values(256);
    std::iota(values.begin(), values.end(), 0.0);
    for (double& value : values) value -= 7 * static_cast<int>(value / 7);
    return values;
  }();
  std::vector<std::uint8_t> bytes{0, 127, 255};
  std::vector<double> none;

  std::vector<vrfm::Tensor> tensors() const {
    return {vrfm::make_tensor("mu", {2}, mu), vrfm::make_tensor("sigma", {16, 16}, sigma),
            vrfm::make_tensor("arr_0", {1, 3}, bytes), vrfm::make_tensor("empty", {3, 0}, none)};
  }
};

std::string encoded(const std::vector<vrfm::Tensor>& arrays) {
  std::string file;
  vrfm::encode_npz(arrays, [&](std::span<const std::byte> bytes) {
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return file;
}

template <class Archive>
void check_arrays(Archive&& archive) {
  const Arrays expected;
  CHECK(archive.names() == Names{"mu", "sigma", "arr_0", "empty"});
  // Not in the archive's order: each is found by itself.
  const auto sigma = archive.template read<double>("sigma");
  CHECK(sigma.shape == Shape{16, 16});
  CHECK(sigma.values == expected.sigma);
  const auto mu = archive.template read<float>("mu");
  CHECK(mu.shape == Shape{2});
  CHECK(mu.values == expected.mu);
  CHECK(archive.template read<std::uint8_t>("arr_0").values == expected.bytes);
  CHECK(archive.template read<double>("empty").shape == Shape{3, 0});
  CHECK(archive.read_reals("mu").values == std::vector{0.5, -0.25});
  CHECK(archive.read_reals("sigma").values == expected.sigma);
  CHECK(archive.contains("mu"));
  CHECK(!archive.contains("mu.npy"));
}

/// Reads all of it as doubles.
void read_all(const std::string& file) {
  vrfm::NpzBytes archive(bytes_of(file), "in.npz");
  for (const std::string& name : archive.names()) archive.read_reals(name);
}

/// `file` with `text` in place of what is at `position`; negative: from the end.
std::string patched(std::string file, std::ptrdiff_t position, std::string_view text) {
  const std::size_t at = position < 0 ? file.size() - static_cast<std::size_t>(-position)
                                      : static_cast<std::size_t>(position);
  return file.replace(at, text.size(), text);
}

/// While it lives, this process gets no more than `room` bytes of memory beyond what it has; false
/// where that cannot be: the sanitizers end the process instead.
class LessMemory {
 public:
  explicit LessMemory([[maybe_unused]] std::uint64_t room) {
#if !defined(VRFM_TEST_SANITIZED)
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    if (pages == 0 || ::getrlimit(RLIMIT_AS, &before_) != 0) return;
    const auto limit = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + room;
    const rlimit less{std::min<rlim_t>(limit, before_.rlim_max), before_.rlim_max};
    limited_ = ::setrlimit(RLIMIT_AS, &less) == 0;
#endif
  }
  LessMemory(const LessMemory&) = delete;
  LessMemory& operator=(const LessMemory&) = delete;
  ~LessMemory() {
    if (limited_) ::setrlimit(RLIMIT_AS, &before_);
  }
  explicit operator bool() const { return limited_; }

 private:
  rlimit before_{};
  bool limited_ = false;
};

std::string bytes(std::uint64_t value, int count) {
  std::string text;
  for (int byte = 0; byte < count; ++byte)
    text += static_cast<char>(byte < 8 ? value >> (8 * byte) & 0xff : 0);
  return text;
}

}  // namespace

TEST_CASE("npz: archives come back to the bit", "[io]") {
  const TemporaryFolder folder;
  const Arrays arrays;
  vrfm::write_npz(folder / "a.npz", arrays.tensors());
  check_arrays(vrfm::NpzFile(folder / "a.npz"));
  CHECK(folder.names() == Names{"a.npz"});

  vrfm::write_npz(folder / "none.npz", {});
  CHECK(vrfm::NpzFile(folder / "none.npz").names().empty());
}

TEST_CASE("npz: golden files of NumPy", "[io]") {
  check_arrays(vrfm::NpzFile(golden("io_stored.npz")));
  check_arrays(vrfm::NpzFile(golden("io_deflated.npz")));
  CHECK(std::filesystem::file_size(golden("io_deflated.npz")) < 1024);
}

TEST_CASE("npz: the bytes that NumPy was found to read", "[io]") {
  const Arrays arrays;
  CHECK((encoded(arrays.tensors()) == slurp(golden("io_written.npz"))));
}

TEST_CASE("npz: what is not there or of another type has its error", "[io]") {
  vrfm::NpzFile archive(golden("io_deflated.npz"));
  const auto error = [](const auto& call) { return thrown<std::runtime_error>(call); };
  CHECK(has_all(error([&] { archive.read<float>("nu"); }),
                {"io_deflated.npz: expected an array 'nu', found 'mu.npy', 'sigma.npy'"}));
  CHECK(has_all(error([&] { archive.read<double>("mu"); }),
                {"io_deflated.npz: 'mu.npy': expected values of type '<f8', found '<f4'"}));
  CHECK(has_all(error([&] { archive.read_reals("arr_0"); }),
                {"'arr_0.npy': expected values of type '<f2', '<f4' or '<f8', found '|u1'"}));
  CHECK(
      has_all(error([&] { vrfm::NpzFile(golden("io_f4.npy")); }),
              {"io_f4.npy: zip: expected the end record of a zip archive at its end, found an NPY "
               "file"}));
  CHECK(has_all(error([&] { vrfm::NpzFile(golden("none.npz")); }), {"none.npz: cannot read"}));
}

TEST_CASE("npz: every malformed archive has its error", "[io]") {
  // One array: its entry of 30 + 5 + 20 bytes before the data, a central record of 46 + 5 + 28
  // bytes, then the three end records of 56, 20 and 22.
  const std::vector<float> values{1, 2};
  const std::string good = encoded({vrfm::make_tensor("a", {2}, values)});
  constexpr std::ptrdiff_t local = 0, data = 55, end = -22, locator = end - 20,
                           end64 = locator - 56, central = end64 - 79;
  const auto total = static_cast<std::ptrdiff_t>(good.size());
  REQUIRE(data + 128 + 8 == total + central);
  REQUIRE_NOTHROW(read_all(good));
  const std::string deflated = slurp(golden("io_deflated.npz"));
  REQUIRE_NOTHROW(read_all(good));

  struct Row {
    const char* what;
    std::string file;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {"empty", "", {"expected an NPZ archive, found an empty file"}},
      {"too short", "PK", {"at least the 22 bytes", "found 2"}},
      {"not an archive", std::string(100, 'x'), {"end record of a zip archive", "found a text"}},
      {"cut", good.substr(0, good.size() - 22), {"at its end, found none: truncated"}},
      {"a cut comment",
       patched(good, end + 20, bytes(3, 2)) + "xy",
       {"a comment of 3 bytes behind the end record, found 2: truncated"}},
      {"bytes behind the archive", good + "xy", {"comment of 0 bytes", "found 2"}},
      {"volumes", patched(good, end + 4, bytes(1, 2)), {"expected an archive of one volume"}},
      {"entries elsewhere", patched(good, end + 8, bytes(1, 2)), {"an archive of one volume"}},
      {"end records differ", patched(good, end + 12, bytes(1, 4)), {"end records that agree"}},
      {"locator of something else",
       patched(good, locator + 8, bytes(1, 8)),
       {"expected a zip64 end record"}},
      {"no zip64 record", patched(good, end64, "x"), {"expected a zip64 end record"}},
      {"longer zip64 record", patched(good, end64 + 4, bytes(45, 8)), {"zip64 end record of 56"}},
      {"zip64 volumes", patched(good, end64 + 16, bytes(1, 4)), {"archive of one volume"}},
      {"count of 2^63",
       patched(good, end64 + 24,
               bytes(std::uint64_t{1} << 63, 8) + bytes(std::uint64_t{1} << 63, 8)),
       {"a directory of 9223372036854775808 entries", "its end within one"}},
      {"no entry", patched(good, end64 + 24, bytes(0, 8) + bytes(0, 8)), {"found 79 more bytes"}},
      {"directory too long",
       patched(good, end64 + 40, bytes(~std::uint64_t{0}, 8)),
       {"the directory right before the end records"}},
      {"directory elsewhere",
       patched(good, end64 + 48, bytes(0, 8)),
       {"the directory right before the end records", "79 bytes of it at byte 0"}},
      {"bytes before the archive", "x" + good, {"zip64 end record"}},
      {"no central record", patched(good, central, "x"), {"another signature"}},
      {"encrypted",
       patched(good, central + 8, bytes(1, 2)),
       {"'a.npy': zip: expected no encryption"}},
      {"method",
       patched(good, central + 10, bytes(12, 2)),
       {"expected method 0 (stored) or 8 (deflated), found 12"}},
      {"name too long", patched(good, central + 28, bytes(60000, 2)), {"its end within one"}},
      {"part of an extra field", patched(good, central + 53, bytes(25, 2)), {"whole extra fields"}},
      {"stored size differs",
       patched(good, central + 55, bytes(1, 8)),
       {"that 136 bytes can hold"}},
      {"packed size beyond the file",
       patched(good, central + 55, bytes(~0ull, 8) + bytes(~0ull, 8)),
       {"expected its data before the directory"}},
      {"offset beyond the file",
       patched(good, central + 71, bytes(~0ull, 8)),
       {"136 bytes of data at byte 18446744073709551615, found none there"}},
      {"offset at something else",
       patched(good, central + 71, bytes(1, 8)),
       {"136 bytes of data at byte 1, found none there"}},
      {"data beyond the directory",
       patched(good, local + 28, bytes(21, 2)),
       {"expected 136 bytes of data", "found none there"}},
      {"local name differs", patched(good, local + 30, "b"), {"the directory's name and method"}},
      {"local method differs", patched(good, local + 8, bytes(8, 2)), {"name and method"}},
      {"other data", patched(good, data + 130, "x"), {"data with the directory's checksum"}},
      {"broken npy", patched(good, data, "x"), {"'a.npy': expected the magic bytes"}},
      {"the same name twice",
       encoded({vrfm::make_tensor("a", {2}, values), vrfm::make_tensor("b", {2}, values)}),
       {"expected entries of different names, found 'a.npy' twice"}},
  };
  for (const Row& row : rows) {
    std::string file = row.file;
    if (row.what == std::string_view("the same name twice"))
      for (std::size_t at = 0; (at = file.find("b.npy", at)) != file.npos;) file[at] = 'a';
    const auto error = thrown<std::runtime_error>([&] { read_all(file); });
    CAPTURE(row.what, error);
    CHECK(error.starts_with("in.npz: "));
    CHECK(error.size() < 300);
    CHECK(has_all(error, row.words));
  }
}

TEST_CASE("npz: what is beside an array does not matter, until it is asked for", "[io]") {
  const std::vector<float> values{1, 2};
  const std::string good =
      encoded({vrfm::make_tensor("a", {2}, values), vrfm::make_tensor("b", {2}, values)});
  const std::size_t second = good.rfind("b.npy") - 46;
  const auto check = [&](const std::string& file, const std::string& error) {
    vrfm::NpzBytes archive(bytes_of(file), "in.npz");
    CHECK(archive.read<float>("a").values == values);
    CHECK(thrown<std::runtime_error>([&] { archive.read<float>("b"); }) == error);
  };
  const auto at = [&](std::size_t offset, std::uint64_t value) {
    return patched(good, static_cast<std::ptrdiff_t>(second + offset), bytes(value, 2));
  };
  check(at(8, 1), "in.npz: 'b.npy': zip: expected no encryption or patches, found its flag set");
  check(at(10, 12), "in.npz: 'b.npy': zip: expected method 0 (stored) or 8 (deflated), found 12");
  std::string other = good;
  for (std::size_t p = 0; (p = other.find("b.npy", p)) != other.npos;) other.replace(p, 5, "b.txt");
  check(other, "in.npz: expected an array 'b', found 'a.npy', 'b.txt'");
  vrfm::NpzBytes archive(bytes_of(other), "in.npz");
  CHECK(archive.names() == Names{"a"});
  CHECK(!archive.contains("b"));
}

TEST_CASE("npz: a comment that holds an end record's signature is read by the last one", "[io]") {
  const std::vector<float> values{1, 2};
  const std::string good = encoded({vrfm::make_tensor("a", {2}, values)});
  const auto commented = [&](const std::string& comment) {
    return patched(good, -2, bytes(comment.size(), 2)) + comment;
  };
  CHECK_NOTHROW(read_all(commented("made by tool")));
  CHECK_NOTHROW(read_all(commented(std::string(65'535, 'x'))));
  CHECK(has_all(
      thrown<std::runtime_error>([&] { read_all(commented("PK\5\6" + std::string(30, '\1'))); }),
      {"in.npz: zip: expected a comment of 257 bytes"}));
}

TEST_CASE("npz: an array that does not fit in memory names itself and its bytes", "[io]") {
  // The header of 2^30 floats, then nothing that could be decompressed: memory comes first. The size
  // of the packed data is all that vouches for it, 4 MB for 4 GB.
  constexpr std::uint64_t data = std::uint64_t{4} << 30;
  const std::vector<float> none;
  std::string header;
  vrfm::encode_npy(vrfm::make_tensor("a", {0}, none), [&](std::span<const std::byte> piece) {
    header.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  header.replace(header.find("(0,), }      "), 13, "(1073741824,)");
  header[header.find("(1073741824,)") + 13] = '}';
  // A stored block of 65,535 bytes that is not the last.
  std::string packed = bytes(0, 1) + bytes(65'535, 2) + bytes(0, 2) + header;
  packed.resize((data + header.size()) / 1032 + 1, '\7');
  const std::string name = bytes(5, 2) + bytes(0, 2) + "a.npy";
  const std::string common = bytes(20, 2) + bytes(0, 2) + bytes(8, 2) + bytes(0, 8) +
                             bytes(packed.size(), 4) + bytes(~0u, 4);
  const std::string local = bytes(0x04034b50, 4) + common + name + packed;
  const std::string extra = bytes(1, 2) + bytes(8, 2) + bytes(data + header.size(), 8);
  const std::string directory = bytes(0x02014b50, 4) + bytes(20, 2) + common + bytes(5, 2) +
                                bytes(extra.size(), 2) + bytes(0, 14) + "a.npy" + extra;
  const std::string file = local + directory + bytes(0x06054b50, 4) + bytes(0, 4) + bytes(1, 2) +
                           bytes(1, 2) + bytes(directory.size(), 4) + bytes(local.size(), 4) +
                           bytes(0, 2);
  vrfm::NpzBytes archive(bytes_of(file), "in.npz");
  const LessMemory limit(std::uint64_t{1} << 30);
  if (!limit) return;
  CHECK(thrown<std::bad_alloc>([&] { archive.read<float>("a"); }) ==
        "in.npz: 'a.npy': expected memory for 4294967296 bytes, found too little");
}

TEST_CASE("npz: an archive cut anywhere, or with a byte added or changed, is refused", "[io]") {
  const std::vector<float> values(40, 1);
  const std::string good = encoded({vrfm::make_tensor("a", {40}, values)});
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK(thrown<std::runtime_error>([&] { read_all(good.substr(0, size)); }) !=
          "(nothing thrown)");
  }
  CHECK(thrown<std::runtime_error>([&] { read_all(good + "x"); }) != "(nothing thrown)");
  // Any bit of the array changed: the checksum knows.
  const std::size_t begin = 55;
  for (std::size_t at = begin; at < begin + 128 + 160; ++at) {
    std::string file = good;
    file[at] = static_cast<char>(file[at] ^ 1);
    CAPTURE(at);
    CHECK(thrown<std::runtime_error>([&] { read_all(file); }) != "(nothing thrown)");
  }
}

TEST_CASE("npz: damaged compressed data are refused", "[io]") {
  const std::string good = slurp(golden("io_deflated.npz"));
  const auto all = [](const std::string& file) {
    vrfm::NpzBytes archive(bytes_of(file), "in.npz");
    return archive.read<double>("sigma").values;
  };
  REQUIRE_NOTHROW(all(good));
  const std::size_t entry = good.find("sigma.npy");
  const std::size_t directory = good.rfind("sigma.npy") - 46;
  const auto fields = vrfm::detail::io::ZipFields(bytes_of(good).subspan(directory + 20));
  const auto packed = vrfm::detail::io::ZipFields(fields).take<std::uint32_t>();
  // NumPy's entries have a zip64 field of 20 bytes between name and data.
  const std::size_t begin = entry + 9 + 20;
  // A few changes spell the same data: filling bits, another distance in periodic data.
  std::size_t refused = 0;
  for (std::size_t at = begin; at < begin + packed; ++at) {
    std::string file = good;
    file[at] = static_cast<char>(file[at] ^ 4);
    std::vector<double> values = Arrays().sigma;
    refused += thrown<std::runtime_error>([&] { values = all(file); }) != "(nothing thrown)";
    CAPTURE(at);
    CHECK(values == Arrays().sigma);
  }
  CHECK(refused > packed * 9 / 10);
  const auto patch = [&](std::size_t at, std::uint32_t value) {
    return patched(good, static_cast<std::ptrdiff_t>(at), bytes(value, 4));
  };
  const auto error = [&](const std::string& file) {
    return thrown<std::runtime_error>([&] { all(file); });
  };
  CHECK(has_all(error(patch(directory + 20, packed - 1)), {"'sigma.npy'", "truncated"}));
  CHECK(has_all(error(patch(directory + 20, packed + 1)), {"'sigma.npy'", "found 1 more bytes"}));
  CHECK(has_all(error(patch(directory + 24, packed * 1032 + 1032)), {"a size that"}));
}

TEST_CASE("npz: what cannot be written leaves the earlier file untouched", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.npz", "earlier");
  const std::vector<float> values{1, 2};
  const auto error = [&](std::vector<vrfm::Tensor> arrays) {
    return thrown<std::invalid_argument>([&] { vrfm::write_npz(folder / "a.npz", arrays); });
  };
  const auto array = [&](const std::string& name) { return vrfm::make_tensor(name, {2}, values); };
  CHECK(has_all(error({array("")}),
                {"npz: expected a name of printable ASCII characters, found ''"}));
  CHECK(has_all(error({array("\xc3\xa4")}), {"expected a name of printable ASCII"}));
  CHECK(has_all(error({array(std::string(65'532, 'x'))}), {"expected a name of printable ASCII"}));
  CHECK(
      has_all(error({array("a"), array("a")}), {"expected arrays of different names, found 'a'"}));
  CHECK(has_all(error({vrfm::make_tensor("a", {3}, values)}), {"expected 12 bytes", "found 8"}));
  CHECK(slurp(folder / "a.npz") == "earlier");
  CHECK(folder.names() == Names{"a.npz"});
}

TEST_CASE("npz: an array comes piece by piece", "[io]") {
  const Arrays expected;
  for (const char* name : {"io_stored.npz", "io_deflated.npz"}) {
    CAPTURE(name);
    vrfm::NpzFile archive(golden(name));
    auto pieces = archive.pieces<double>("sigma");
    CHECK(pieces.shape() == Shape{16, 16});
    std::vector<double> values(256);
    for (std::size_t done = 0; done < 256; done += 10) {
      CHECK(pieces.left() == 256 - done);
      pieces.read(std::span(values).subspan(done, std::min<std::size_t>(10, 256 - done)));
    }
    CHECK(values == expected.sigma);
    CHECK(has_all(thrown<std::invalid_argument>([&] { pieces.read(std::span(values).first(1)); }),
                  {"'sigma.npy': expected to be asked for at most 0 values more, found 1"}));
    CHECK(archive.pieces<float>("mu").left() == 2);
    CHECK(archive.pieces<double>("empty").left() == 0);
    CHECK(has_all(thrown<std::runtime_error>([&] { archive.pieces<float>("sigma"); }),
                  {"'sigma.npy': expected values of type '<f4', found '<f8'"}));
  }

  // Another order of indices would need all values at once.
  std::string turned = encoded(expected.tensors());
  turned.replace(turned.find("False", turned.find("sigma.npy")), 5, "True ");
  CHECK(has_all(thrown<std::runtime_error>(
                    [&] { vrfm::NpzBytes(bytes_of(turned), "in.npz").pieces<double>("sigma"); }),
                {"'sigma.npy': expected the last index to be the fastest, found the first"}));

  // The last piece tells that a value is another, and the directory at the end that the file is cut.
  const std::string good = encoded(expected.tensors());
  const auto damaged =
      patched(good, static_cast<std::ptrdiff_t>(good.find("sigma.npy") + 300), "\x01");
  vrfm::NpzBytes archive(bytes_of(damaged), "in.npz");
  auto pieces = archive.pieces<double>("sigma");
  std::vector<double> values(255);
  pieces.read(values);
  CHECK(has_all(thrown<std::runtime_error>([&] { pieces.read(std::span(values).first(1)); }),
                {"'sigma.npy': zip: expected data with the directory's checksum, found others"}));
  CHECK(
      has_all(thrown<std::runtime_error>([&] {
                vrfm::NpzBytes(bytes_of(std::string_view(good).substr(0, 900)), "cut.npz");
              }),
              {"cut.npz: zip: expected the end record of a zip archive at its end", "truncated"}));
}

TEST_CASE("npz: parts that grow beside each other make the file of write_npz", "[io]") {
  const TemporaryFolder folder;
  const Arrays arrays;
  vrfm::write_npz(folder / "whole.npz",
                  std::vector{vrfm::make_tensor("sigma", {16, 16}, arrays.sigma)});
  const std::span values(arrays.sigma);
  {
    vrfm::NpzParts<double> parts(folder / "parts.npz", "sigma", {16, 16},
                                 std::vector<std::size_t>{100, 0, 156});
    parts.write(2, values.subspan(100, 50));
    parts.write(0, values.first(99));
    parts.write(2, values.subspan(150));
    CHECK(has_all(thrown<std::invalid_argument>([&] { parts.write(0, values.first(2)); }),
                  {"npz: expected at most 1 values more of part 0, found 2"}));
    CHECK(has_all(thrown<std::invalid_argument>([&] { parts.commit(); }),
                  {"npz: expected all values of part 0 to be written, found 99 of 100"}));
    CHECK_FALSE(std::filesystem::exists(folder / "parts.npz"));
    parts.write(0, values.subspan(99, 1));
  }
  CHECK(folder.names() == Names{"whole.npz"});
  vrfm::NpzParts<double> parts(folder / "parts.npz", "sigma", {16, 16},
                               std::vector<std::size_t>{100, 0, 156});
  parts.write(0, values.first(100));
  parts.write(2, values.subspan(100));
  parts.commit();
  CHECK(slurp(folder / "parts.npz") == slurp(folder / "whole.npz"));
  CHECK(
      has_all(thrown<std::invalid_argument>([&] {
                vrfm::NpzParts<double>(folder / "a.npz", "a", {3}, std::vector<std::size_t>{1, 1});
              }),
              {"npz: array 'a': expected parts that fill [3], found parts of 2 values"}));
}

TEST_CASE("npz: what is larger than memory is written and read", "[io]") {
  const TemporaryFolder folder;
  // More than the C library may keep of what other tests gave back.
  constexpr std::size_t piece = std::size_t{1} << 20, count = 160;
  std::vector<std::uint8_t> values(piece);
  const LessMemory limit(16 * piece);
  vrfm::NpzParts<std::uint8_t> file(folder / "large.npz", "arr_0", {count, piece},
                                    std::vector{count * piece});
  for (std::size_t k = 0; k < count; ++k) {
    std::fill(values.begin(), values.end(), static_cast<std::uint8_t>(k));
    file.write(0, values);
  }
  file.commit();
  vrfm::NpzFile archive(folder / "large.npz");
  auto pieces = archive.pieces<std::uint8_t>("arr_0");
  for (std::size_t k = 0; k < count; ++k) {
    pieces.read(values);
    CHECK(
        std::all_of(values.begin(), values.end(), [k](std::uint8_t value) { return value == k; }));
  }
  CHECK(pieces.left() == 0);
  if (limit)
    CHECK_THROWS_AS(archive.read<std::uint8_t>("arr_0"), std::bad_alloc);  // that the limit is one
}
