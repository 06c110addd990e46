// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Partition: leaves cover a batch, ranks cover its leaves, and what any number of ranks add, in any
// of the ways in which leaves are added, are the additions of one tree by distance doubling. Sums are
// texts here, so that the order and the brackets are compared and not only the numbers.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/parallel/communicator.hpp>
#include <vrfm/training/detail/add_leaves.hpp>

using vrfm::LeafRange;
using vrfm::Partition;
using vrfm::TreeNode;
using vrfm::test::contains;
using vrfm::test::thrown;

namespace {

constexpr int most_leaves = 70;
constexpr int sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 33};

using Texts = std::vector<std::string>;

std::string plus(const std::string& a, const std::string& b) { return '(' + a + '+' + b + ')'; }

Texts leaf_texts(const LeafRange& range) {
  Texts texts;
  for (int leaf = range.first; leaf < range.end(); ++leaf) texts.push_back(std::to_string(leaf));
  return texts;
}

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// The sums of all nodes of the tree: by level, then by index.
std::vector<Texts> tree_of(int leaves) {
  std::vector<Texts> levels{leaf_texts({0, leaves})};
  while (levels.back().size() > 1) {
    const Texts& below = levels.back();
    Texts level;
    for (std::size_t k = 0; k < below.size(); k += 2)
      level.push_back(k + 1 < below.size() ? plus(below[k], below[k + 1]) : below[k]);
    levels.push_back(level);
  }
  return levels;
}

/// Leaf by leaf with distance doubling.
std::string doubled(int leaves) {
  Texts sums = leaf_texts({0, leaves});
  for (int distance = 1; distance < leaves; distance *= 2)
    for (int k = 0; k + distance < leaves; k += 2 * distance)
      sums[at(k)] = plus(sums[at(k)], sums[at(k + distance)]);
  return sums.front();
}

/// A stack of nodes with their sums.
struct Stack {
  std::vector<TreeNode> nodes;
  Texts sums;

  void push(const Partition& partition, const TreeNode& node, const std::string& sum) {
    sums.push_back(sum);
    for (int merged = partition.push(nodes, node); merged > 0; --merged) {
      const std::string last = sums.back();
      sums.pop_back();
      sums.back() = plus(sums.back(), last);
    }
  }
};

struct AddTexts {
  Texts* sums;
  void operator()(int k, int l) const { (*sums)[at(k)] = plus((*sums)[at(k)], (*sums)[at(l)]); }
};

}  // namespace

TEST_CASE("leaves cover the batch once, as equal as may be", "[parallel][partition]") {
  for (const int samples : {1, 2, 7, 64, 100, 1000, 12345, std::numeric_limits<int>::max()}) {
    for (const int leaves : {1, 2, 3, 7, 64, 100, 256, 1000}) {
      if (leaves > samples) continue;
      INFO(samples << " samples in " << leaves << " leaves");
      const Partition partition(samples, leaves);
      CHECK((partition.samples() == samples && partition.leaves() == leaves));
      int next = 0, smallest = samples, largest = 0;
      bool adjacent = true;
      for (int leaf = 0; leaf < leaves; ++leaf) {
        adjacent = adjacent && partition.first_sample(leaf) == next;
        const int count = partition.sample_count(leaf);
        next += count;
        smallest = std::min(smallest, count);
        largest = std::max(largest, count);
      }
      CHECK(adjacent);
      CHECK(next == samples);
      CHECK(smallest >= 1);
      CHECK(largest - smallest <= 1);
      CHECK(partition.largest_leaf() == largest);
    }
  }
}

TEST_CASE("leaves have at most as many samples as asked", "[parallel][partition]") {
  constexpr int highest = std::numeric_limits<int>::max();
  for (const int samples : {1, 5, 64, 1000, highest}) {
    for (const int most : {1, 3, 64, 999, 1000, 1001, highest}) {
      if (samples == highest && most < 64) continue;
      INFO(samples << " samples, at most " << most);
      const auto partition = Partition::of_leaves(samples, most);
      CHECK(partition.samples() == samples);
      CHECK(partition.largest_leaf() <= most);
      // And there are no more leaves than that takes.
      CHECK(std::int64_t(partition.leaves() - 1) * most < samples);
    }
    CHECK(Partition::of_leaves(samples, 0).leaves() == 1);
  }
  const auto refusal = [](int samples, int leaves) {
    return thrown<std::invalid_argument>([&] { Partition(samples, leaves); });
  };
  CHECK(refusal(0, 1) == "vrfm: a batch has at least 1 sample, got 0");
  CHECK(refusal(3, 0) == "vrfm: a batch of 3 samples has 1 to 3 leaves, got 0");
  CHECK(refusal(3, 4) == "vrfm: a batch of 3 samples has 1 to 3 leaves, got 4");
  CHECK(thrown<std::invalid_argument>([] { Partition::of_leaves(0, 4); }) ==
        "vrfm: a batch has at least 1 sample, got 0");
}

TEST_CASE("ranks cover the leaves once, as equal as may be", "[parallel][partition]") {
  for (int leaves = 1; leaves <= most_leaves; ++leaves) {
    const Partition partition(leaves, leaves);
    for (const int size : sizes) {
      INFO(leaves << " leaves on " << size << " ranks");
      int next = 0;
      bool adjacent = true, equal = true;
      for (int rank = 0; rank < size; ++rank) {
        const LeafRange range = partition.owned(rank, size);
        adjacent = adjacent && range.first == next;
        equal = equal && range.count >= leaves / size && range.count <= (leaves + size - 1) / size;
        next = range.end();
      }
      CHECK(adjacent);
      CHECK(equal);
      CHECK(next == leaves);
    }
  }
}

TEST_CASE("any number of ranks adds as one does", "[parallel][partition]") {
  for (int leaves = 1; leaves <= most_leaves; ++leaves) {
    const Partition partition(leaves, leaves);
    const auto tree = tree_of(leaves);
    const std::string whole = doubled(leaves);
    REQUIRE(tree.back().front() == whole);
    for (const int size : sizes) {
      INFO(leaves << " leaves on " << size << " ranks");
      Stack all;
      bool in_tree = true, same_roots = true, same_additions = true, fewest = true;
      for (int rank = 0; rank < size; ++rank) {
        const LeafRange range = partition.owned(rank, size);
        Stack own;
        for (int leaf = range.first; leaf < range.end(); ++leaf)
          own.push(partition, {0, leaf}, std::to_string(leaf));
        same_roots = same_roots && own.nodes == partition.roots(range);
        // The same without a stack.
        Texts sums = leaf_texts(range);
        vrfm::detail::each_addition(range, leaves, AddTexts{&sums});
        for (std::size_t k = 0; k < own.nodes.size(); ++k) {
          const TreeNode& node = own.nodes[k];
          in_tree = in_tree && own.sums[k] == tree.at(at(node.level)).at(at(node.index));
          same_additions =
              same_additions && own.sums[k] == sums.at(at(node.first_leaf() - range.first));
          // The parent has leaves of other ranks: no node could be larger.
          const int begin = node.index / 2 * 2 << node.level;
          const int end = std::min(leaves, begin + (2 << node.level));
          fewest = fewest && (own.nodes.size() == 1 || begin < range.first || end > range.end());
        }
        if (range.count > 0) {
          CHECK(vrfm::detail::is_one_node(range, leaves) == (own.nodes.size() == 1));
        }
        for (std::size_t k = 0; k < own.nodes.size(); ++k)
          all.push(partition, own.nodes[k], own.sums[k]);
      }
      CHECK(same_roots);
      CHECK(same_additions);
      CHECK(in_tree);
      CHECK(fewest);
      CHECK(all.sums == Texts{whole});
    }
  }
}

TEST_CASE("any range of leaves is added as the tree adds it", "[parallel][partition]") {
  for (const int leaves : {1, 2, 3, 5, 8, 13, 16, 31, 33}) {
    const Partition partition(leaves, leaves);
    const auto tree = tree_of(leaves);
    bool in_tree = true, covered = true, one_node = true;
    for (int first = 0; first < leaves; ++first) {
      for (int count = 1; first + count <= leaves; ++count) {
        const LeafRange range{first, count};
        Texts sums = leaf_texts(range);
        vrfm::detail::each_addition(range, leaves, AddTexts{&sums});
        const auto roots = partition.roots(range);
        int next = first;
        for (const TreeNode& node : roots) {
          covered = covered && node.first_leaf() == next;
          next = std::min(leaves, (node.index + 1) << node.level);
          in_tree = in_tree && sums.at(at(node.first_leaf() - first)) ==
                                   tree.at(at(node.level)).at(at(node.index));
        }
        covered = covered && next == range.end();
        one_node = one_node && vrfm::detail::is_one_node(range, leaves) == (roots.size() == 1);
      }
    }
    INFO(leaves << " leaves");
    CHECK(in_tree);
    CHECK(covered);
    CHECK(one_node);
  }
}

TEST_CASE("leaves one after the other are a binary counter", "[parallel][partition]") {
  for (const int leaves : {1, 2, 7, 8, 64, 65}) {
    const Partition partition(leaves, leaves);
    std::vector<TreeNode> stack;
    std::size_t most = 0;
    for (int leaf = 0; leaf < leaves; ++leaf) {
      partition.push(stack, {0, leaf});
      most = std::max(most, stack.size());
    }
    CHECK(stack.size() == 1);
    std::size_t digits = 0;
    for (int n = leaves - 1; n > 0; n /= 2) ++digits;
    INFO(leaves << " leaves");
    CHECK(most <= std::max<std::size_t>(1, digits));
  }
}

TEST_CASE("one process is all ranks", "[parallel][communicator]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  static_assert(vrfm::RequireCommunicator<vrfm::SelfCommunicator>::ok);
  const vrfm::SelfCommunicator self;
  CHECK((self.rank() == 0 && self.size() == 1 && self.is_root()));
  CHECK((self.any(true) && !self.any(false)));
  const Host exec;
  const Partition partition(3, 3);
  std::vector<double> root{1, 2, 3}, result(3);
  double* const roots[] = {root.data()};
  self.sum(exec, partition, std::span<double* const>(roots), result.data(), 3);
  exec.fence();
  CHECK(result == root);
  self.sum(exec, partition, std::span<double* const>(roots), root.data(), 3);
  exec.fence();
  CHECK(result == root);
  const vrfm::Array<float, Host> values("values", 2);
  Kokkos::deep_copy(values, 4.0f);
  self.broadcast(exec, values);
  CHECK((values(0) == 4 && values(1) == 4));
}
