// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Additions along the tree of a Partition: which they are, tree_sum, the sum of one number for each leaf, and
// sum_of_ranks, that of a few numbers for each leaf of which a rank has its own. all_ranks gathers one
// number of each rank.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm {

namespace detail {

/// Calls add(k, l) for each addition of element l to element k, elements being the leaves of `range`
/// counted from its first, in an order that the tree allows.
VRFM_UNCHECKED_HOST_DEVICE
template <class Add>
KOKKOS_INLINE_FUNCTION void each_addition(const LeafRange& range, int leaves, const Add& add) {
  for (int distance = 1; distance < leaves; distance *= 2) {
    // The first left child at or behind the range's first leaf.
    const int begin = (range.first + 2 * distance - 1) / (2 * distance) * (2 * distance);
    for (int left = begin; left + distance < range.end(); left += 2 * distance) {
      const int end = math::minimum(left + 2 * distance, leaves);
      if (end <= range.end()) add(left - range.first, left + distance - range.first);
    }
  }
}

/// True if the range is one node, so that its own tree is the batch's.
inline bool is_one_node(const LeafRange& range, int leaves) {
  int width = 1;
  while (width < range.count) width *= 2;
  return range.first % width == 0 && (range.count == width || range.end() == leaves);
}

/// values[k stride + i] += values[l stride + i]
template <class S>
struct AddElement {
  S* values;
  std::size_t stride, i;
  KOKKOS_INLINE_FUNCTION void operator()(int k, int l) const {
    values[static_cast<std::size_t>(k) * stride + i] +=
        values[static_cast<std::size_t>(l) * stride + i];
  }
};

}  // namespace detail

/// The sum of values[leaf stride] over all leaves, which is left in values[0]. By the calling thread.
template <class S>
S tree_sum(const Partition& partition, S* values, std::size_t stride = 1) {
  detail::each_addition({0, partition.leaves()}, partition.leaves(),
                        detail::AddElement<S>{values, stride, 0});
  return values[0];
}

/// The sums over all leaves of numbers that are rows [leaf of `range`][number] in the host's memory, which
/// they do not leave as they were: result[number], on all ranks, which call it together.
template <class Comm>
void sum_of_ranks(const Comm& communicator, const Partition& partition, const LeafRange& range,
                  double* rows, std::size_t numbers, double* result) {
  for (std::size_t k = 0; k < numbers; ++k) {
    detail::each_addition(range, partition.leaves(), detail::AddElement<double>{rows, numbers, k});
  }
  std::vector<double*> roots;
  for (const TreeNode& node : partition.roots(range)) {
    roots.push_back(rows + static_cast<std::size_t>(node.first_leaf() - range.first) * numbers);
  }
  communicator.sum(Kokkos::DefaultHostExecutionSpace(), partition, std::span<double* const>(roots),
                   result, numbers);
}

/// One number of each rank, of which each gives its own; all ranks call it together.
template <class C>
std::vector<double> all_ranks(const C& communicator, double own) {
  const auto size = static_cast<std::size_t>(communicator.size());
  std::vector<double> entries(size, 0.0);
  entries[static_cast<std::size_t>(communicator.rank())] = own;
  double* const root[] = {entries.data()};
  communicator.sum(Kokkos::DefaultHostExecutionSpace(),
                   Partition(communicator.size(), communicator.size()),
                   std::span<double* const>(root), entries.data(), size);
  return entries;
}

}  // namespace vrfm
