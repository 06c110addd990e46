// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a rank holds of a sum: its nodes of a partition, each the sum of leaves along the tree.
#pragma once

#include <cstddef>
#include <vector>

#include <vrfm/parallel/partition.hpp>

namespace vrfm::test {

/// The sums of partition.roots(range); `leaf(k)` is the vector of leaf k.
template <class Leaf>
auto nodes_of(const Partition& partition, const LeafRange& range, const Leaf& leaf) {
  std::vector<TreeNode> stack;
  std::vector<decltype(leaf(0))> sums;
  for (int k = range.first; k < range.end(); ++k) {
    sums.push_back(leaf(k));
    for (int merged = partition.push(stack, {0, k}); merged > 0; --merged) {
      auto& into = sums[sums.size() - 2];
      for (std::size_t i = 0; i < into.size(); ++i) into[i] += sums.back()[i];
      sums.pop_back();
    }
  }
  return sums;
}

}  // namespace vrfm::test
