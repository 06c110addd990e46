// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SumRounds: the sum along a Partition's tree of what ranks hold in memories of their own, as rounds of
// messages. A sum goes through two phases: scatter, after which each rank owns the sum of its segment of the
// elements (see segment.hpp), added in the tree's order; then gather of the segments. Where each of 2^k
// ranks holds one node of the same level, which is the usual case, ranks at distances 1, 2, 4, ... exchange
// halves, and halves of halves (recursive halving and doubling, Thakur, Rabenseifner and Gropp 2005): log2 n
// rounds a phase, 2 (n - 1) / n elements sent a rank for each element of the sum. Otherwise each rank
// sends parts of its nodes to their owners directly: one round a phase, n - 1 messages a node, as many
// elements if it holds one node.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <vrfm/core/concepts.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/partition.hpp>
#include <vrfm/parallel/segment.hpp>

namespace vrfm {

/// Working memory that sums share, one after the other, so that the second one of the same partition allocates
/// nothing.
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

}  // namespace detail

/// Which of its two phases a sum goes through.
enum class SumPhases { scatter, gather, both };

/// A sum as rounds of messages, each of which is prepared from what the one before brought:
///
///     while (rounds.next()) messenger.exchange(memory.outgoing, memory.incoming);
///
/// All ranks make it with the same partition, count, unit and phases. roots, result: as of Communicator, in
/// memory of the host, and the roots' memory is there until the end. The memory serves one sum at a time.
template <class Exec, class S>
class SumRounds {
  static_assert(is_host_space<Exec>);

 public:
  SumRounds(int rank, int size, const Exec& exec, const Partition& partition,
            std::span<S* const> roots, S* result, std::size_t count, std::size_t unit,
            SumPhases phases, MessageMemory& memory)
      : exec_(exec),
        partition_(partition),
        memory_(&memory),
        result_(result),
        rank_(rank),
        size_(size),
        count_(count),
        unit_(unit),
        halving_(detail::one_node_each(partition, size)),
        halves_(count, unit, rank, halving_ ? size : 1) {
    const int each = halving_ ? halves_.levels : 1;
    next_ = phases == SumPhases::gather ? each : 0;
    end_ = phases == SumPhases::scatter ? each : 2 * each;
    first_gather_ = each;
    if (phases == SumPhases::gather) return;
    if (halving_) {
      if (roots[0] != result) std::copy(roots[0], roots[0] + count, result);
    } else {
      memory.prepare(partition, size);
      memory.sums.assign(roots.begin(), roots.end());
    }
  }

  /// Adds what the round before brought, and puts the next round's messages into the memory; false after the
  /// last round.
  bool next() {
    if (absorb_) halving_ ? add_half() : add_parts();
    absorb_ = next_ < first_gather_;
    if (next_ == end_) return false;
    const int round = next_++;
    if (halving_) {
      round < first_gather_ ? give_half(round) : show_half(end_ - 1 - round);
    } else {
      round < first_gather_ ? give_parts() : show_part();
    }
    return true;
  }

 private:
  void give_half(int level) {
    kept_ = halves_.parts[level + 1];
    const Segment given = detail::rest_of(halves_.parts[level], kept_);
    received_ = memory_->template take<S>(kept_.count());
    exchange_with(rank_ ^ (1 << level), result_, given, received_, kept_.count());
  }

  void add_half() { add(result_ + kept_.begin, received_, kept_.count()); }

  void show_half(int level) {
    const Segment mine = halves_.parts[level + 1];
    const Segment theirs = detail::rest_of(halves_.parts[level], mine);
    exchange_with(rank_ ^ (1 << level), result_, mine, result_ + theirs.begin, theirs.count());
  }

  void exchange_with(int partner, const S* from, const Segment& sent, S* into, std::size_t count) {
    memory_->outgoing.assign(1, {partner, from + sent.begin, sent.count() * sizeof(S)});
    memory_->incoming.assign(1, {partner, into, count * sizeof(S)});
  }

  /// To each rank its part of each of this rank's nodes, of which `sums` has the beginnings; behind, `sums`
  /// has this rank's part of all nodes, as ranks follow each other.
  void give_parts() {
    MessageMemory& memory = *memory_;
    kept_ = part_of(rank_);
    std::size_t others = 0;
    for (int r = 0; r < size_; ++r) others += r == rank_ ? 0 : memory.roots_of(r).size();
    S* next = memory.template take<S>(others * kept_.count());
    const std::size_t own = memory.sums.size();
    memory.outgoing.clear();
    memory.incoming.clear();
    for (int r = 0; r < size_; ++r) {
      const Segment theirs = part_of(r);
      for (std::size_t k = 0; k < own && r != rank_; ++k) {
        const S* const root = static_cast<const S*>(memory.sums[k]);
        memory.outgoing.push_back({r, root + theirs.begin, theirs.count() * sizeof(S)});
      }
      for (std::size_t k = 0; k < memory.roots_of(r).size(); ++k) {
        if (r == rank_) {
          memory.sums.push_back(static_cast<S*>(memory.sums[k]) + kept_.begin);
          continue;
        }
        memory.incoming.push_back({r, next, kept_.count() * sizeof(S)});
        memory.sums.push_back(next);
        next += kept_.count();
      }
    }
    memory.sums.erase(memory.sums.begin(), memory.sums.begin() + static_cast<std::ptrdiff_t>(own));
  }

  /// As a rank alone would: the last sum is added to the last but one when their nodes are siblings.
  void add_parts() {
    MessageMemory& memory = *memory_;
    memory.nodes.clear();
    std::size_t node = 0, depth = 0;
    for (int r = 0; r < size_; ++r) {
      for (const TreeNode& root : memory.roots_of(r)) {
        memory.sums[depth++] = memory.sums[node++];
        for (int merged = partition_.push(memory.nodes, root); merged > 0; --merged, --depth) {
          add(static_cast<S*>(memory.sums[depth - 2]),
              static_cast<const S*>(memory.sums[depth - 1]), kept_.count());
        }
      }
    }
    const S* const sum = static_cast<const S*>(memory.sums[0]);
    if (sum != result_ + kept_.begin) std::copy(sum, sum + kept_.count(), result_ + kept_.begin);
  }

  void show_part() {
    const Segment mine = part_of(rank_);
    memory_->outgoing.clear();
    memory_->incoming.clear();
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      const Segment theirs = part_of(r);
      memory_->outgoing.push_back({r, result_ + mine.begin, mine.count() * sizeof(S)});
      memory_->incoming.push_back({r, result_ + theirs.begin, theirs.count() * sizeof(S)});
    }
  }

  Segment part_of(int rank) const { return detail::part_of(count_, rank, size_, unit_); }

  void add(S* into, const S* from, std::size_t count) const {
    if (count == 0) return;
    flat_map(exec_, "vrfm::SumRounds::add", static_cast<std::int64_t>(count),
             AddArray<S>{into, from});
    exec_.fence();
  }

  Exec exec_;
  Partition partition_;
  MessageMemory* memory_;
  S* result_;
  int rank_, size_;
  std::size_t count_, unit_;
  bool halving_;
  detail::Halves halves_;
  int next_ = 0, end_ = 0, first_gather_ = 0;
  bool absorb_ = false;
  Segment kept_;
  S* received_ = nullptr;
};

}  // namespace vrfm
