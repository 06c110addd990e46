// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AtomicFile and the inputs: a file appears complete or not at all, and every failure names the
// path and the reason.
#include <array>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/file.hpp>
#include <vrfm/io/input.hpp>

namespace {

using vrfm::test::bytes_of;
using vrfm::test::has_all;
using vrfm::test::slurp;
using vrfm::test::spill;
using vrfm::test::TemporaryFolder;
using vrfm::test::thrown;
using Names = std::vector<std::string>;

// A disk that is full after `bytes`, as far as this process can tell, even for root.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &earlier_);
    const rlimit limit{bytes, earlier_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &earlier_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit earlier_{};
};

}  // namespace

TEST_CASE("a file is replaced as a whole", "[io]") {
  const TemporaryFolder folder;
  vrfm::write_file_atomically(folder / "a.txt", "first");
  CHECK(slurp(folder / "a.txt") == "first");

  vrfm::write_file_atomically(folder / "a.txt", [&](vrfm::AtomicFile& file) {
    file.write("sec");
    CHECK(slurp(folder / "a.txt") == "first");
    file.write(bytes_of("ond"));
  });
  CHECK(slurp(folder / "a.txt") == "second");

  vrfm::write_file_atomically(folder / "a.txt", "");
  CHECK(slurp(folder / "a.txt").empty());
  CHECK(folder.names() == Names{"a.txt"});
}

TEST_CASE("others write parts of a file", "[io]") {
  const TemporaryFolder folder;
  vrfm::AtomicFile file(folder / "a.txt");
  file.write("head ");
  {
    vrfm::FilePart part(folder / "a.txt", file.temporary());
    part.write_at(8, bytes_of("re"));
    part.commit();
  }
  file.write_at(5, bytes_of("the"));
  file.commit();
  CHECK(slurp(folder / "a.txt") == "head there");

  const auto error = thrown<std::runtime_error>(
      [&] { vrfm::FilePart part(folder / "a.txt", file.temporary() + "x"); });
  CHECK(has_all(error, {(folder / "x").string(), "that another process began", "No such file"}));
  vrfm::AtomicFile small(folder / "b.txt");
  vrfm::FilePart part(folder / "b.txt", small.temporary());
  const FullDisk disk(4);
  CHECK(has_all(thrown<std::runtime_error>([&] { part.write_at(2, bytes_of("four")); }),
                {small.temporary(), "expected to store 4 bytes, stored 2", "File too large"}));
}

TEST_CASE("a name alone means the working folder, and may be as long as the system allows",
          "[io]") {
  const TemporaryFolder folder;
  const auto earlier = std::filesystem::current_path();
  std::filesystem::current_path(folder / "");
  const std::string name(255, 'n');
  vrfm::write_file_atomically(name, "here");
  std::filesystem::current_path(earlier);
  CHECK(slurp(folder / name) == "here");
  CHECK(folder.names() == Names{name});
}

TEST_CASE("a writer that fails leaves the earlier file and no other", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.txt", "earlier");
  const auto error = thrown<std::logic_error>([&] {
    vrfm::write_file_atomically(folder / "a.txt", [](vrfm::AtomicFile& file) {
      file.write("half of it");
      throw std::logic_error("the writer's own");
    });
  });
  CHECK(error == "the writer's own");
  CHECK(slurp(folder / "a.txt") == "earlier");
  CHECK(folder.names() == Names{"a.txt"});
}

TEST_CASE("a full disk leaves the earlier file and no other", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.txt", "earlier");
  const std::string large(10'000, 'x');
  std::string error;
  {
    const FullDisk full(4'096);
    error =
        thrown<std::runtime_error>([&] { vrfm::write_file_atomically(folder / "a.txt", large); });
  }
  CAPTURE(error);
  CHECK(has_all(error, {"a.txt: cannot write", "expected to store 10000 bytes, stored 4096",
                        "File too large"}));
  CHECK(slurp(folder / "a.txt") == "earlier");
  CHECK(folder.names() == Names{"a.txt"});
}

TEST_CASE("a device without space is reported with the system's reason", "[io]") {
  const vrfm::detail::io::Descriptor full(::open("/dev/full", O_WRONLY));
  REQUIRE(full.get() >= 0);
  const auto error = thrown<std::runtime_error>(
      [&] { vrfm::detail::io::write_all(full.get(), bytes_of("abc"), "out.bin"); });
  CHECK(has_all(error, {"out.bin: cannot write", "expected to store 3 bytes, stored 0",
                        "No space left on device"}));
}

TEST_CASE("an impossible place is refused before anything is written", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "file", "earlier");
  std::filesystem::create_directory(folder / "sub");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  // Through a link: a writer that went wrong would replace the link and not the device.
  std::filesystem::create_symlink("/dev/full", folder / "device");
  struct Row {
    std::filesystem::path path;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {folder / "file" / "a.txt", {"file/a.txt", "expected a folder", "Not a directory"}},
      {folder / "none" / "a.txt", {"none/a.txt", "expected a folder", "No such file or directory"}},
      {folder / "sub", {"sub", "expected a regular file or none"}},
      {folder / "pipe", {"pipe", "expected a regular file or none"}},
      {folder / "sub" / "", {"sub/", "expected a file name"}},
      {folder / "sub" / "..", {"sub/..", "expected a file name"}},
      {folder / std::string(256, 'n'), {"cannot write", "File name too long"}},
      {"", {"expected a file name"}},
      {folder / "device", {"device", "expected a regular file or none"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>(
        [&] { vrfm::write_file_atomically(row.path, std::string_view("text")); });
    CAPTURE(row.path, error);
    CHECK(has_all(error, row.words));
  }
  CHECK(slurp(folder / "file") == "earlier");
  CHECK(folder.names() == Names{"device", "file", "pipe", "sub"});
  CHECK(std::filesystem::is_symlink(folder / "device"));
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
}

TEST_CASE("another writer's temporary is left alone", "[io]") {
  const TemporaryFolder folder;
  const std::string stale = ".vrfm-" + std::to_string(::getpid()) + "-0.tmp";
  spill(folder / stale, "someone else's");
  vrfm::write_file_atomically(folder / "a.txt", "mine");
  CHECK(slurp(folder / "a.txt") == "mine");
  CHECK(slurp(folder / stale) == "someone else's");
  CHECK(folder.names() == Names{stale, "a.txt"});
}

TEST_CASE("an input reads a regular file front to back", "[io]") {
  const TemporaryFolder folder;
  spill(folder / "a.bin", "abcde");
  std::array<std::byte, 3> part{};

  vrfm::InputFile file(folder / "a.bin");
  vrfm::InputBytes memory(bytes_of("abcde"), "memory");
  CHECK(file.size() == 5);
  CHECK(memory.size() == 5);
  file.read(part);
  CHECK(std::equal(part.begin(), part.end(), bytes_of("abc").begin()));
  memory.read(part);
  CHECK(std::equal(part.begin(), part.end(), bytes_of("abc").begin()));
  CHECK(has_all(thrown<std::runtime_error>([&] { file.read(part); }),
                {"a.bin: cannot read", "expected 1 more bytes", "end of the file"}));
  CHECK(has_all(thrown<std::runtime_error>([&] { memory.read(part); }),
                {"memory: cannot read", "expected 3 more bytes, found 2"}));
}

TEST_CASE("what is no readable regular file is refused", "[io]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  struct Row {
    std::filesystem::path path;
    std::vector<std::string> words;
  };
  const Row rows[] = {
      {folder / "none", {"none: cannot read", "No such file or directory"}},
      {folder / "", {"cannot read", "expected a regular file"}},
      {folder / "pipe", {"pipe: cannot read", "expected a regular file"}},
      {"/dev/zero", {"/dev/zero: cannot read", "expected a regular file"}},
  };
  for (const Row& row : rows) {
    const auto error = thrown<std::runtime_error>([&] { vrfm::InputFile file(row.path); });
    CAPTURE(row.path, error);
    CHECK(has_all(error, row.words));
  }
}
