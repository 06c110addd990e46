// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Segments: which elements of a sum a rank owns between the sum's two phases, see message_sum.hpp. Elements
// come in units, of which the last may be shorter, and a segment is some consecutive units, maybe none. Where
// ranks exchange halves, a rank's segment is its half of its half and so on; otherwise segments follow each
// other as ranks do. Of c elements in units of u, a segment is u times that of the ceil(c / u) units.
#pragma once

#include <cstddef>

#include <vrfm/parallel/messenger.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm {

/// Elements [begin, end).
struct Segment {
  std::size_t begin = 0, end = 0;

  std::size_t count() const { return end - begin; }
  bool operator==(const Segment&) const = default;
};

namespace detail {

/// True if each of 2^k ranks holds one node, all of one level: ranks exchange halves.
inline bool one_node_each(const Partition& partition, int size) {
  if (size == 1) return true;
  const int width = partition.owned(0, size).count;
  if (width == 0 || (size & (size - 1)) != 0 || (width & (width - 1)) != 0) return false;
  for (int rank = 0; rank < size; ++rank) {
    const LeafRange range = partition.owned(rank, size);
    if (range.first != rank * width || range.count > width || range.count == 0) return false;
    if (range.count < width && rank != size - 1) return false;
  }
  return true;
}

/// The half of `all` that a rank keeps.
inline Segment half_of(const Segment& all, bool lower, std::size_t unit) {
  const std::size_t units = (all.count() + unit - 1) / unit;
  const std::size_t middle = all.begin + units / 2 * unit;
  return lower ? Segment{all.begin, middle} : Segment{middle, all.end};
}

/// The segment of rank `rank` of `size` where segments follow each other as ranks do.
inline Segment part_of(std::size_t count, int rank, int size, std::size_t unit) {
  const Share share = share_of((count + unit - 1) / unit, rank, size);
  const auto first = static_cast<std::size_t>(share.first);
  return {math::minimum(count, first * unit), math::minimum(count, (first + share.count) * unit)};
}

}  // namespace detail

/// The segment of rank `rank` of `size` in a sum of `count` elements along `partition`.
inline Segment segment_of(const Partition& partition, int rank, int size, std::size_t count,
                          std::size_t unit) {
  if (!detail::one_node_each(partition, size)) return detail::part_of(count, rank, size, unit);
  Segment segment{0, count};
  for (int distance = 1; distance < size; distance *= 2) {
    segment = detail::half_of(segment, (rank & distance) == 0, unit);
  }
  return segment;
}

}  // namespace vrfm
