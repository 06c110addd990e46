// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// together: all ranks go on, or end in the error of the lowest of them.
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <tests/support/adverse_ranks.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/parallel/together.hpp>

using namespace vrfm::test;

namespace {

/// What each rank throws if those of `failing` fail.
std::vector<std::string> errors_of(int size, const std::set<int>& failing) {
  Mail mail;
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      const AdverseCommunicator ranks(mail, rank, size);
      errors[static_cast<std::size_t>(rank)] = thrown<std::runtime_error>([&] {
        vrfm::together(ranks, [&] {
          if (failing.contains(rank)) throw std::logic_error("no room for " + std::to_string(rank));
        });
      });
    });
  }
  for (auto& thread : threads) thread.join();
  return errors;
}

}  // namespace

TEST_CASE("one rank's error is that of all", "[parallel]") {
  for (const int size : {2, 3, 4, 7}) {
    for (const auto& error : errors_of(size, {})) CHECK(error == "(nothing thrown)");
    for (const auto& error : errors_of(size, {size - 1})) {
      const std::string last = std::to_string(size - 1);
      CHECK(error == "rank " + last + ": no room for " + last);
    }
    for (const auto& error : errors_of(size, {1, size - 1})) {
      CHECK(error == "rank 1: no room for 1");
    }
  }
  // Alone, an exception stays what it is.
  CHECK_THROWS_AS(vrfm::together(vrfm::SelfCommunicator(), [] { throw std::bad_alloc(); }),
                  std::bad_alloc);
}
