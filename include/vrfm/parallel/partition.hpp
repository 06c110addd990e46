// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Partition: a global batch as a tree. Its leaves are blocks of consecutive samples, of sizes as
// equal as possible; a leaf's sums depend on the leaf alone. One binary tree adds the leaves: node
// (level, i) is the sum of leaves i 2^level ... (i + 1) 2^level - 1, as far as they exist, and also
// the sum of its children. Rank r of n owns leaves r L / n ... (r + 1) L / n - 1. So the additions
// and their order are the same for any number of threads and ranks, and for leaves that are
// computed at once or one after the other.
#pragma once

#include <cstdint>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>

namespace vrfm {

/// Leaves [first, first + count).
struct LeafRange {
  int first = 0;
  int count = 0;

  KOKKOS_INLINE_FUNCTION int end() const { return first + count; }
};

/// The sum of leaves [index << level, (index + 1) << level); those beyond the last leaf are left
/// out.
struct TreeNode {
  int level = 0;
  int index = 0;

  bool operator==(const TreeNode&) const = default;

  int first_leaf() const { return index << level; }
};

class Partition {
 public:
  Partition() = default;

  /// Throws std::invalid_argument unless 1 <= leaves <= samples.
  Partition(int samples, int leaves) : samples_(samples), leaves_(leaves) {
    expect(samples >= 1, "a batch has at least 1 sample, got ", samples);
    expect(leaves >= 1 && leaves <= samples, "a batch of ", samples, " samples has 1 to ", samples,
           " leaves, got ", leaves);
  }

  /// Leaves of at most `most` samples; 0: one leaf.
  static Partition of_leaves(int samples, int most) {
    return Partition(samples, most > 0 ? (samples - 1) / most + 1 : 1);
  }

  bool operator==(const Partition&) const = default;

  KOKKOS_INLINE_FUNCTION int samples() const { return samples_; }
  KOKKOS_INLINE_FUNCTION int leaves() const { return leaves_; }
  /// The first sample of a leaf, and its number of samples.
  KOKKOS_INLINE_FUNCTION int first_sample(int leaf) const {
    return static_cast<int>(std::int64_t(leaf) * samples_ / leaves_);
  }
  KOKKOS_INLINE_FUNCTION int sample_count(int leaf) const {
    return first_sample(leaf + 1) - first_sample(leaf);
  }
  /// Samples of the largest leaf.
  KOKKOS_INLINE_FUNCTION int largest_leaf() const { return (samples_ - 1) / leaves_ + 1; }

  /// The leaves of rank `rank` of `size`. If there are more ranks than leaves, some ranks own none.
  LeafRange owned(int rank, int size) const {
    const int first = static_cast<int>(std::int64_t(leaves_) * rank / size);
    return {first, static_cast<int>(std::int64_t(leaves_) * (rank + 1) / size) - first};
  }

  /// The fewest nodes that together cover the leaves of `range`, from left to right: what a rank
  /// can add by itself.
  std::vector<TreeNode> roots(const LeafRange& range) const {
    std::vector<TreeNode> nodes;
    for (int leaf = range.first; leaf < range.end(); ++leaf) push(nodes, {0, leaf});
    return nodes;
  }

  /// Appends `node`, which follows the nodes of `stack`, and merges the last two as long as they
  /// are siblings. Returns the number of merges: for each, the caller adds its last sum to the last
  /// but one.
  int push(std::vector<TreeNode>& stack, TreeNode node) const {
    int merged = 0;
    for (;;) {
      // A node without a right sibling becomes its parent.
      while (node.index > 0 && node.index % 2 == 0 && !exists({node.level, node.index + 1})) {
        node = {node.level + 1, node.index / 2};
      }
      const TreeNode left{node.level, node.index - 1};
      if (node.index % 2 == 0 || stack.empty() || !(stack.back() == left)) break;
      stack.pop_back();
      node = {node.level + 1, node.index / 2};
      ++merged;
    }
    stack.push_back(node);
    return merged;
  }

 private:
  bool exists(const TreeNode& node) const {
    return (std::int64_t(node.index) << node.level) < leaves_;
  }

  int samples_ = 1;
  int leaves_ = 1;
};

}  // namespace vrfm
