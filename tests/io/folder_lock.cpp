// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A folder's lock: one holder, whose process and host the next one is told; nothing stays of it; and what
// a crash left behind, on this host or another, does not block.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/folder_lock.hpp>

using namespace vrfm::test;
using vrfm::FolderLock;
using vrfm::FolderLockOptions;

namespace {

constexpr std::chrono::milliseconds beat(20);

std::string host() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string refusal(const std::filesystem::path& folder, const FolderLockOptions& options) {
  return thrown<std::runtime_error>([&] { const FolderLock lock(folder, options); });
}

}  // namespace

TEST_CASE("a folder has one holder, whom the next is told", "[io][folder_lock]") {
  const TemporaryFolder folder;
  const auto path = folder / "";
  for (const bool flock : {true, false}) {
    const FolderLockOptions options{.beat = beat, .flock = flock};
    {
      const FolderLock lock(path, options);
      CHECK(refusal(path, options) ==
            path.string() +
                ": expected a folder that no other run writes to, found the lock of process " +
                std::to_string(::getpid()) + " on host " + host() + " (" +
                (path / FolderLock::file_name).string() + ")");
    }
    CHECK(folder.names().empty());
    const FolderLock again(path, options);
  }
  CHECK(folder.names().empty());
  CHECK(contains(refusal(folder / "none", {}), "expected to create the folder's lock"));
}

TEST_CASE("a killed process does not block", "[io][folder_lock]") {
  const TemporaryFolder folder;
  const auto path = folder / "";
  for (const bool flock : {true, false}) {
    std::vector<std::string> waits;
    const FolderLockOptions options{
        .beat = beat, .flock = flock, .waiting = [&](const std::string& what) {
          waits.push_back(what);
        }};
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const FolderLock lock(path, options);
      ::_exit(0);  // without destructors
    }
    ::waitpid(child, nullptr, 0);
    CHECK(folder.names() == std::vector<std::string>{FolderLock::file_name});
    { const FolderLock lock(path, options); }
    CHECK(folder.names().empty());
    CHECK(waits.size() == (flock ? 0 : 1));
  }
}

TEST_CASE("a holder that is about to end does not block", "[io][folder_lock]") {
  const TemporaryFolder folder;
  auto first = std::make_unique<FolderLock>(folder / "");
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    first.reset();
  });
  { const FolderLock second(folder / ""); }
  end.join();
  CHECK(folder.names().empty());
}

TEST_CASE("another host's lock blocks while it changes", "[io][folder_lock]") {
  const TemporaryFolder folder;
  const auto path = folder / "", file = path / FolderLock::file_name;
  const std::string record = "pid 12\nhost far\nboot other\nbeat ";
  std::vector<std::string> waits;
  const FolderLockOptions options{
      .beat = beat, .waiting = [&](const std::string& what) { waits.push_back(what); }};
  std::atomic<bool> ended = false;
  std::thread holder([&] {
    for (int k = 10; !ended; ++k) {
      spill(folder / "next", record + std::to_string(k) + '\n');
      std::filesystem::rename(folder / "next", file);
      std::this_thread::sleep_for(beat / 2);
    }
  });
  while (!std::filesystem::exists(file)) std::this_thread::sleep_for(beat);
  const std::string error = refusal(path, options);
  ended = true;
  holder.join();
  CHECK(contains(error, "found the lock of process 12 on host far ("));
  CHECK(slurp(file).starts_with(record));

  waits.clear();
  { const FolderLock lock(path, options); }
  CHECK(waits ==
        std::vector{path.string() +
                    ": found the lock of process 12 on host far, watching whether it lives"});
  CHECK_FALSE(std::filesystem::exists(file));
}

TEST_CASE("an empty lock file belongs to nobody", "[io][folder_lock]") {
  const TemporaryFolder folder;
  spill(folder / FolderLock::file_name, "");
  { const FolderLock lock(folder / ""); }
  CHECK(folder.names().empty());
}
