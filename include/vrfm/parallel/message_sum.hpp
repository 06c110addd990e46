// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// tree_sum of ranks: the sum along a Partition's tree of what ranks hold in memories of their own, by
// messages. A sum goes through two phases: each rank becomes owner of a part of the elements and adds that
// part of all ranks' nodes in the tree's order; then the parts are gathered. Where each of 2^k ranks holds
// one node of the same level, which is the usual case, ranks at distances 1, 2, 4, ... exchange halves, and
// halves of halves (recursive halving and doubling, Thakur, Rabenseifner and Gropp 2005): log2 n messages
// a phase, 2 (n - 1) / n elements sent a rank for each element of the sum. Otherwise each rank sends parts
// of its nodes to their owners directly: n - 1 messages a node, as many elements if it holds one node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm {

/// Working memory that calls share, so that the second one of the same partition allocates nothing.
struct MessageMemory {
  std::vector<std::byte> bytes;
  std::vector<Outgoing> outgoing;
  std::vector<Incoming> incoming;
  std::vector<TreeNode> nodes;
  std::vector<void*> sums;
  Partition partition;
  std::vector<std::vector<TreeNode>> roots;  // of each rank

  void prepare(const Partition& next, int size) {
    if (partition == next && roots.size() == static_cast<std::size_t>(size)) return;
    partition = next;
    roots.clear();
    for (int rank = 0; rank < size; ++rank) roots.push_back(next.roots(next.owned(rank, size)));
  }

  const std::vector<TreeNode>& roots_of(int rank) const {
    return roots[static_cast<std::size_t>(rank)];
  }

  template <class S>
  S* take(std::size_t count) {
    if (bytes.size() < count * sizeof(S)) bytes.resize(count * sizeof(S));
    return reinterpret_cast<S*>(bytes.data());
  }
};

namespace detail {

/// into[i] += from[i]
template <class S>
struct AddMessage {
  S* into;
  const S* from;
  KOKKOS_INLINE_FUNCTION void operator()(std::size_t i) const { into[i] += from[i]; }
};

template <class Exec, class S>
void add_message(const Exec& exec, S* into, const S* from, std::size_t count) {
  static_assert(is_host_space<Exec>);
  if (count == 0) return;
  Kokkos::parallel_for("vrfm::tree_sum::add",
                       Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::size_t>>(exec, 0, count),
                       AddMessage<S>{into, from});
  exec.fence();
}

/// The elements of rank `rank` of `size`.
struct Part {
  std::size_t begin, end;
  std::size_t count() const { return end - begin; }
};
inline Part part_of(std::size_t count, int rank, int size) {
  const Share share = share_of(count, rank, size);
  return {share.first, share.first + share.count};
}

template <class S, Messenger M, class Exec>
void sum_by_halves(const M& messenger, const Exec& exec, S* sums, std::size_t count,
                   MessageMemory& memory) {
  const int rank = messenger.rank(), size = messenger.size();
  S* const received = memory.take<S>((count + 1) / 2);
  Part parts[32] = {{0, count}};  // before each exchange
  int level = 0;
  for (int distance = 1; distance < size; distance *= 2, ++level) {
    const Part all = parts[level];
    const std::size_t middle = all.begin + all.count() / 2;
    const bool lower = (rank & distance) == 0;
    const Part kept = lower ? Part{all.begin, middle} : Part{middle, all.end};
    const Part given = lower ? Part{middle, all.end} : Part{all.begin, middle};
    const Outgoing out{rank ^ distance, sums + given.begin, given.count() * sizeof(S)};
    const Incoming in{rank ^ distance, received, kept.count() * sizeof(S)};
    messenger.exchange(std::span(&out, 1), std::span(&in, 1));
    add_message(exec, sums + kept.begin, received, kept.count());
    parts[level + 1] = kept;
  }
  for (int distance = size / 2; distance >= 1; distance /= 2, --level) {
    const Part mine = parts[level], all = parts[level - 1];
    const Part theirs =
        mine.begin == all.begin ? Part{mine.end, all.end} : Part{all.begin, mine.begin};
    const Outgoing out{rank ^ distance, sums + mine.begin, mine.count() * sizeof(S)};
    const Incoming in{rank ^ distance, sums + theirs.begin, theirs.count() * sizeof(S)};
    messenger.exchange(std::span(&out, 1), std::span(&in, 1));
  }
}

template <class S, Messenger M, class Exec>
void sum_by_parts(const M& messenger, const Exec& exec, const Partition& partition,
                  std::span<S* const> roots, S* result, std::size_t count, MessageMemory& memory) {
  const int rank = messenger.rank(), size = messenger.size();
  const Part mine = part_of(count, rank, size);
  memory.prepare(partition, size);
  std::size_t nodes = 0;
  for (int r = 0; r < size; ++r) {
    if (r != rank) nodes += memory.roots_of(r).size();
  }
  S* next = memory.take<S>(nodes * mine.count());
  memory.outgoing.clear();
  memory.incoming.clear();
  memory.sums.clear();
  for (int r = 0; r < size; ++r) {
    if (r == rank) {
      for (S* const root : roots) memory.sums.push_back(root + mine.begin);
      continue;
    }
    const Part theirs = part_of(count, r, size);
    for (S* const root : roots) {
      memory.outgoing.push_back({r, root + theirs.begin, theirs.count() * sizeof(S)});
    }
    for (std::size_t k = memory.roots_of(r).size(); k > 0; --k) {
      memory.incoming.push_back({r, next, mine.count() * sizeof(S)});
      memory.sums.push_back(next);
      next += mine.count();
    }
  }
  messenger.exchange(memory.outgoing, memory.incoming);

  // As a rank alone would: the last sum is added to the last but one when their nodes are siblings.
  memory.nodes.clear();
  std::size_t node = 0, depth = 0;
  for (int r = 0; r < size; ++r) {
    for (const TreeNode& root : memory.roots_of(r)) {
      memory.sums[depth++] = memory.sums[node++];
      for (int merged = partition.push(memory.nodes, root); merged > 0; --merged, --depth) {
        add_message(exec, static_cast<S*>(memory.sums[depth - 2]),
                    static_cast<const S*>(memory.sums[depth - 1]), mine.count());
      }
    }
  }
  const S* const sum = static_cast<const S*>(memory.sums[0]);
  if (sum != result + mine.begin) std::copy(sum, sum + mine.count(), result + mine.begin);

  memory.outgoing.clear();
  memory.incoming.clear();
  for (int r = 0; r < size; ++r) {
    if (r == rank) continue;
    const Part theirs = part_of(count, r, size);
    memory.outgoing.push_back({r, result + mine.begin, mine.count() * sizeof(S)});
    memory.incoming.push_back({r, result + theirs.begin, theirs.count() * sizeof(S)});
  }
  messenger.exchange(memory.outgoing, memory.incoming);
}

/// True if each of 2^k ranks holds one node, all of one level.
inline bool one_node_each(const Partition& partition, int size) {
  const int width = partition.owned(0, size).count;
  if (width == 0 || (size & (size - 1)) != 0 || (width & (width - 1)) != 0) return false;
  for (int rank = 0; rank < size; ++rank) {
    const LeafRange range = partition.owned(rank, size);
    if (range.first != rank * width || range.count > width || range.count == 0) return false;
    if (range.count < width && rank != size - 1) return false;
  }
  return true;
}

}  // namespace detail

/// The sum of all leaves on every rank: result[0 .. count). roots[k] is the sum of the k-th node of
/// partition.roots(partition.owned(rank, size)), in memory of the host; what the roots hold is lost.
/// roots[0] may be result. All ranks call it with the same partition and count.
template <Messenger M, class Exec, class S>
void tree_sum(const M& messenger, const Exec& exec, const Partition& partition,
              std::span<S* const> roots, S* result, std::size_t count, MessageMemory& memory) {
  if (messenger.size() == 1 || detail::one_node_each(partition, messenger.size())) {
    if (roots[0] != result) std::copy(roots[0], roots[0] + count, result);
    detail::sum_by_halves(messenger, exec, result, count, memory);
  } else {
    detail::sum_by_parts(messenger, exec, partition, roots, result, count, memory);
  }
}

}  // namespace vrfm
