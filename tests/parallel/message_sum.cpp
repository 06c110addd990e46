// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums and agreement by messages, between ranks that are threads whose messages are delayed and overtake each other:
// the bits of one rank alone, and no more traffic than the formula says.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include <tests/support/adverse_ranks.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/nodes.hpp>

#include <vrfm/parallel/message_sum.hpp>

#if defined(KOKKOS_ENABLE_SERIAL)

using vrfm::Partition;
using vrfm::test::AdverseMessenger;
using vrfm::test::Mail;

namespace {

std::vector<float> leaf_values(int leaf, std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(leaf));
  std::vector<float> values(count);
  for (float& value : values) value = std::normal_distribution<float>(0, 100)(random);
  return values;
}

std::vector<std::vector<float>> nodes_of(const Partition& partition, const vrfm::LeafRange& range,
                                         std::size_t count) {
  return vrfm::test::nodes_of(partition, range, [&](int leaf) { return leaf_values(leaf, count); });
}

/// Calls use(messenger) on ranks that are threads.
template <class Use>
void on_ranks(int size, const Use& use) {
  Mail mail;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] { use(AdverseMessenger(mail, rank, size)); });
  }
  for (auto& thread : threads) thread.join();
}

struct RankResult {
  std::vector<float> sum;
  std::size_t bytes = 0;
  int messages = 0;
};

std::vector<RankResult> sum_of_ranks(const Partition& partition, int size, std::size_t count,
                                     bool in_place) {
  std::vector<RankResult> results(static_cast<std::size_t>(size));
  on_ranks(size, [&](const AdverseMessenger& messenger) {
    const int rank = messenger.rank();
    vrfm::MessageMemory memory;
    RankResult& mine = results[static_cast<std::size_t>(rank)];
    // Twice: the memory of the first call serves the second.
    for (int k = 0; k < 2; ++k) {
      auto nodes = nodes_of(partition, partition.owned(rank, size), count);
      std::vector<float*> roots;
      for (auto& node : nodes) roots.push_back(node.data());
      mine.sum.assign(count, -1);
      float* const result = in_place && !roots.empty() ? roots[0] : mine.sum.data();
      vrfm::tree_sum(messenger, Kokkos::Serial(), partition, std::span<float* const>(roots), result,
                     count, memory);
      if (result != mine.sum.data()) mine.sum = nodes[0];
    }
    mine.bytes = messenger.bytes() / 2;
    mine.messages = messenger.messages() / 2;
  });
  return results;
}

}  // namespace

TEST_CASE("ranks that exchange messages have the sum of one rank", "[parallel][ranks]") {
  for (const int leaves : {1, 4, 7, 8, 64, 90}) {
    const Partition partition(leaves, leaves);
    for (const std::size_t count : {std::size_t{1}, std::size_t{5}, std::size_t{193}}) {
      const auto alone = nodes_of(partition, {0, leaves}, count);
      REQUIRE(alone.size() == 1);
      for (const int size : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}) {
        INFO(leaves << " leaves, " << count << " elements, " << size << " ranks");
        for (const auto& rank : sum_of_ranks(partition, size, count, size % 2 == 0)) {
          CHECK(rank.sum == alone[0]);
        }
      }
    }
  }
}

TEST_CASE("a sum of ranks sends what the formula says", "[parallel][ranks]") {
  constexpr std::size_t count = 240;
  // One node a rank: recursive halving and doubling.
  for (const int size : {2, 4, 8, 16}) {
    int rounds = 0;
    for (int n = size; n > 1; n /= 2) ++rounds;
    for (const auto& rank : sum_of_ranks(Partition(64, 64), size, count, true)) {
      CHECK(rank.bytes == 2 * count * sizeof(float) * (std::size_t(size) - 1) / std::size_t(size));
      CHECK(rank.messages == 2 * rounds);
    }
  }
  // Other numbers: the parts of each node to their owners, then the sums.
  const Partition partition(64, 64);
  for (const int size : {3, 5, 6}) {
    const auto results = sum_of_ranks(partition, size, count, true);
    for (int rank = 0; rank < size; ++rank) {
      const auto nodes = partition.roots(partition.owned(rank, size)).size();
      const auto others = static_cast<std::size_t>(size) - 1;
      const auto& result = results[static_cast<std::size_t>(rank)];
      CHECK(result.bytes == (nodes + 1) * others * (count / std::size_t(size)) * sizeof(float));
      CHECK(result.messages == static_cast<int>((nodes + 1) * others));
    }
  }
}

TEST_CASE("sums that are on their way while ranks do something else are those of one rank",
          "[parallel][ranks]") {
  constexpr std::size_t count = 100, sums = 3;
  for (const int leaves : {3, 8, 11}) {
    const Partition partition(leaves, leaves);
    const auto alone = nodes_of(partition, {0, leaves}, sums * count)[0];
    for (const int size : {1, 2, 3, 4, 6, 8}) {
      INFO(leaves << " leaves, " << size << " ranks");
      const auto n = static_cast<std::size_t>(size);
      std::vector<std::vector<float>> results(n, std::vector<float>(sums * count));
      on_ranks(size, [&](const AdverseMessenger& messenger) {
        const auto rank = static_cast<std::size_t>(messenger.rank());
        vrfm::MessageMemory memory;
        auto nodes = nodes_of(partition, partition.owned(messenger.rank(), size), sums * count);
        for (std::size_t part = 0; part < sums; ++part) {
          std::vector<float*> roots;
          for (auto& node : nodes) roots.push_back(node.data() + part * count);
          vrfm::PendingSum<AdverseMessenger, Kokkos::Serial, float> sum(
              messenger, Kokkos::Serial(), partition, roots, results[rank].data() + part * count,
              count, memory);
          // Some ranks look again and again, others wait.
          while (rank % 2 == 0 && !sum.test()) std::this_thread::yield();
          sum.wait();
          if (!sum.test()) std::abort();
        }
      });
      CHECK(results == std::vector<std::vector<float>>(n, alone));
    }
  }
}

TEST_CASE("ranks own segments of whole units, which cover all elements once", "[parallel][ranks]") {
  for (const int leaves : {3, 64}) {
    const Partition partition(leaves, leaves);
    for (const std::size_t count :
         {std::size_t{0}, std::size_t{1}, std::size_t{256}, std::size_t{1000}}) {
      for (const std::size_t unit : {std::size_t{1}, std::size_t{256}}) {
        for (const int size : {1, 2, 3, 4, 7, 8, 16}) {
          INFO(leaves << " leaves, " << count << " elements, " << size << " ranks of units "
                      << unit);
          std::vector<int> owners(count, 0);
          std::size_t largest = 0;
          const std::size_t units = (count + unit - 1) / unit;
          for (int rank = 0; rank < size; ++rank) {
            const auto segment = vrfm::segment_of(partition, rank, size, count, unit);
            CHECK((segment.begin % unit == 0 || segment.count() == 0));
            CHECK((segment.end % unit == 0 || segment.end == count));
            for (std::size_t i = segment.begin; i < segment.end; ++i) ++owners[i];
            largest = std::max(largest, (segment.count() + unit - 1) / unit);
            // As promised of arrays with an element for each unit.
            const auto blocks = vrfm::segment_of(partition, rank, size, units, 1);
            CHECK(segment.begin == std::min(count, blocks.begin * unit));
            CHECK(segment.end == std::min(count, blocks.end * unit));
          }
          CHECK(owners == std::vector<int>(count, 1));
          const auto n = static_cast<std::size_t>(size);
          CHECK(largest == (units + n - 1) / n);  // as equal as can be
        }
      }
    }
  }
}

TEST_CASE("ranks own a segment of the sum of one rank, and gather all", "[parallel][ranks]") {
  constexpr float lost = -7;
  for (const int leaves : {1, 7, 64}) {
    const Partition partition(leaves, leaves);
    for (const auto& [count, unit] :
         {std::pair<std::size_t, std::size_t>{193, 16}, {1, 256}, {600, 256}}) {
      const auto alone = nodes_of(partition, {0, leaves}, count);
      for (const int size : {1, 2, 3, 4, 5, 8, 12, 16}) {
        INFO(leaves << " leaves, " << count << " elements, " << size << " ranks");
        const auto n = static_cast<std::size_t>(size);
        std::vector<char> same(n);
        std::vector<std::vector<float>> gathered(n);
        on_ranks(size, [&, count = count, unit = unit](const AdverseMessenger& messenger) {
          const auto rank = static_cast<std::size_t>(messenger.rank());
          vrfm::MessageMemory memory;
          auto nodes = nodes_of(partition, partition.owned(messenger.rank(), size), count);
          std::vector<float*> roots;
          for (auto& node : nodes) roots.push_back(node.data());
          std::vector<float> other(count, lost);
          auto& values = nodes.empty() || size % 2 == 0 ? other : nodes[0];
          vrfm::reduce_scatter(messenger, Kokkos::Serial(), partition,
                               std::span<float* const>(roots), values.data(), count, unit, memory);
          const auto own = vrfm::segment_of(partition, messenger.rank(), size, count, unit);
          same[rank] = 1;
          for (std::size_t i = 0; i < count; ++i) {
            const bool mine = own.begin <= i && i < own.end;
            if (mine && values[i] != alone[0][i]) same[rank] = 0;
            if (!mine) values[i] = lost;  // nobody asks for these
          }
          vrfm::all_gather(messenger, partition, values.data(), count, unit, memory);
          gathered[rank] = values;
        });
        CHECK(same == std::vector<char>(n, 1));
        CHECK(gathered == std::vector<std::vector<float>>(n, alone[0]));
      }
    }
  }
}

TEST_CASE("ranks that exchange messages agree", "[parallel][ranks]") {
  for (const int size : {1, 2, 3, 4, 7, 8, 13}) {
    INFO(size << " ranks");
    const auto n = static_cast<std::size_t>(size);
    for (std::size_t who = 0; who <= n; ++who) {  // n: nobody
      std::vector<char> heard(n);
      std::vector<std::array<int, 2>> values(n);
      on_ranks(size, [&](const AdverseMessenger& messenger) {
        const auto rank = static_cast<std::size_t>(messenger.rank());
        heard[rank] = vrfm::any_by_messages(messenger, rank == who);
        values[rank] = {messenger.rank(), 7 * messenger.rank() + 1};
        vrfm::broadcast_by_messages(messenger, values[rank].data(), sizeof values[rank]);
      });
      CHECK(heard == std::vector<char>(n, who < n));
      CHECK(values == std::vector<std::array<int, 2>>(n, {0, 1}));
    }
  }
}

TEST_CASE("what ranks share out is gathered in order", "[parallel][ranks]") {
  for (const int size : {1, 2, 3, 5}) {
    for (const std::size_t all : {0u, 1u, 4u, 10u}) {
      INFO(size << " ranks, " << all << " samples");
      std::vector<int> everything(all), gathered(99);
      for (std::size_t i = 0; i < all; ++i) everything[i] = static_cast<int>(i * i);
      on_ranks(size, [&](const AdverseMessenger& messenger) {
        const vrfm::Share mine = vrfm::share_of(all, messenger.rank(), size);
        const auto found = vrfm::gather(
            messenger, std::span<const int>(everything).subspan(mine.first, mine.count));
        if (messenger.rank() == 0) gathered = found;
        if (messenger.rank() != 0 && !found.empty()) std::abort();
      });
      CHECK(gathered == everything);
    }
  }
}

#endif
