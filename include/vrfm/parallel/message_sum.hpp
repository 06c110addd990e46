// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// tree_sum of ranks: the sum along a Partition's tree of what ranks hold in memories of their own, by
// messages. A sum goes through two phases: reduce_scatter, after which each rank owns the sum of its segment
// of the elements (see segment.hpp), added in the tree's order; then all_gather of the segments. Where each
// of 2^k ranks holds one node of the same level, which is the usual case, ranks at distances 1, 2, 4, ...
// exchange halves, and halves of halves (recursive halving and doubling, Thakur, Rabenseifner and Gropp
// 2005): log2 n messages a phase, 2 (n - 1) / n elements sent a rank for each element of the sum. Otherwise
// each rank sends parts of its nodes to their owners directly: n - 1 messages a node, as many elements if
// it holds one node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/partition.hpp>
#include <vrfm/parallel/segment.hpp>

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

/// What of `all` is not `kept`, one of its ends.
inline Segment rest_of(const Segment& all, const Segment& kept) {
  return kept.begin == all.begin ? Segment{kept.end, all.end} : Segment{all.begin, kept.begin};
}

/// What a rank adds up before each exchange of halves, and at last its segment.
struct Halves {
  Segment parts[32];
  int levels = 0;

  Halves(std::size_t count, std::size_t unit, int rank, int size) : parts{{0, count}} {
    for (int distance = 1; distance < size; distance *= 2, ++levels) {
      parts[levels + 1] = half_of(parts[levels], (rank & distance) == 0, unit);
    }
  }
};

template <class S, Messenger M, class Exec>
void scatter_halves(const M& messenger, const Exec& exec, S* sums, const Halves& halves,
                    MessageMemory& memory) {
  for (int level = 0; level < halves.levels; ++level) {
    const Segment kept = halves.parts[level + 1], given = rest_of(halves.parts[level], kept);
    const int partner = messenger.rank() ^ (1 << level);
    S* const received = memory.take<S>(kept.count());
    const Outgoing out{partner, sums + given.begin, given.count() * sizeof(S)};
    const Incoming in{partner, received, kept.count() * sizeof(S)};
    messenger.exchange(std::span(&out, 1), std::span(&in, 1));
    add_message(exec, sums + kept.begin, received, kept.count());
  }
}

template <class S, Messenger M>
void gather_halves(const M& messenger, S* values, const Halves& halves) {
  for (int level = halves.levels - 1; level >= 0; --level) {
    const Segment mine = halves.parts[level + 1], theirs = rest_of(halves.parts[level], mine);
    const int partner = messenger.rank() ^ (1 << level);
    const Outgoing out{partner, values + mine.begin, mine.count() * sizeof(S)};
    const Incoming in{partner, values + theirs.begin, theirs.count() * sizeof(S)};
    messenger.exchange(std::span(&out, 1), std::span(&in, 1));
  }
}

template <class S, Messenger M, class Exec>
void scatter_parts(const M& messenger, const Exec& exec, const Partition& partition,
                   std::span<S* const> roots, S* result, std::size_t count, std::size_t unit,
                   MessageMemory& memory) {
  const int rank = messenger.rank(), size = messenger.size();
  const Segment mine = part_of(count, rank, size, unit);
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
    const Segment theirs = part_of(count, r, size, unit);
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
}

template <class S, Messenger M>
void gather_parts(const M& messenger, S* values, std::size_t count, std::size_t unit,
                  MessageMemory& memory) {
  const int rank = messenger.rank(), size = messenger.size();
  const Segment mine = part_of(count, rank, size, unit);
  memory.outgoing.clear();
  memory.incoming.clear();
  for (int r = 0; r < size; ++r) {
    if (r == rank) continue;
    const Segment theirs = part_of(count, r, size, unit);
    memory.outgoing.push_back({r, values + mine.begin, mine.count() * sizeof(S)});
    memory.incoming.push_back({r, values + theirs.begin, theirs.count() * sizeof(S)});
  }
  messenger.exchange(memory.outgoing, memory.incoming);
}

}  // namespace detail

/// The first phase: the elements of result[0 .. count) that are this rank's segment_of(partition, ..., unit)
/// become the sum of all leaves; what the others hold is lost. roots[k] is the sum of the k-th node of
/// partition.roots(partition.owned(rank, size)), in memory of the host; what the roots hold is lost.
/// roots[0] may be result. All ranks call it with the same partition, count and unit.
template <Messenger M, class Exec, class S>
void reduce_scatter(const M& messenger, const Exec& exec, const Partition& partition,
                    std::span<S* const> roots, S* result, std::size_t count, std::size_t unit,
                    MessageMemory& memory) {
  const int size = messenger.size();
  if (detail::one_node_each(partition, size)) {
    if (roots[0] != result) std::copy(roots[0], roots[0] + count, result);
    detail::scatter_halves(messenger, exec, result,
                           detail::Halves(count, unit, messenger.rank(), size), memory);
  } else {
    detail::scatter_parts(messenger, exec, partition, roots, result, count, unit, memory);
  }
}

/// The second phase: each rank's segment of values[0 .. count) becomes that of all ranks. As above.
template <Messenger M, class S>
void all_gather(const M& messenger, const Partition& partition, S* values, std::size_t count,
                std::size_t unit, MessageMemory& memory) {
  const int size = messenger.size();
  if (detail::one_node_each(partition, size)) {
    detail::gather_halves(messenger, values, detail::Halves(count, unit, messenger.rank(), size));
  } else {
    detail::gather_parts(messenger, values, count, unit, memory);
  }
}

/// The sum of all leaves on every rank: both phases.
template <Messenger M, class Exec, class S>
void tree_sum(const M& messenger, const Exec& exec, const Partition& partition,
              std::span<S* const> roots, S* result, std::size_t count, MessageMemory& memory) {
  reduce_scatter(messenger, exec, partition, roots, result, count, 1, memory);
  all_gather(messenger, partition, result, count, 1, memory);
}

}  // namespace vrfm
