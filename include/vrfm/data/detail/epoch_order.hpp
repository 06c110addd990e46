// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The order in which the rows of a data set are drawn. Position n = step batch + sample of all draws runs through
// epochs of `count` draws, each shuffled on its own (data/shuffle.hpp). Without weights the draw at position p of an
// epoch is row k = shuffled(p). With weights it is systematic resampling in that order (Kitagawa 1996): the weights'
// sum is cut into as many equal parts as there are rows, u is uniform in (0, 1), one for the epoch, and part k gives
// the row whose weight lies at k + u,
//   the first with c[row] > k + u,   c the cumulative weights times count / sum.
// So a row of w times the mean weight comes floor(w) or ceil(w) times an epoch, w times on average, and rows of equal
// weights once each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/data/shuffle.hpp>

namespace vrfm::detail {

struct EpochPlace {
  std::uint64_t epoch;
  std::uint32_t position;  ///< in it
};

KOKKOS_INLINE_FUNCTION EpochPlace epoch_place(std::uint32_t count, std::uint32_t batch,
                                              std::uint32_t step, std::uint64_t sample) {
  const std::uint64_t n = std::uint64_t{step} * batch + sample;
  return {n / count, static_cast<std::uint32_t>(n % count)};
}

/// u of an epoch, of blocks that are not the order's.
KOKKOS_INLINE_FUNCTION double epoch_uniform(std::uint64_t epoch, const RandomStream& stream) {
  return stream.uniform<double>(epoch, 0, 0);
}

/// Whether the point of part k lies before the cumulative weight c.
KOKKOS_INLINE_FUNCTION bool lies_before(double c, std::uint32_t k, std::uint64_t epoch,
                                        const RandomStream& stream) {
  // c - k is exact where it is a close call.
  return c - k > epoch_uniform(epoch, stream);
}

/// The first of `count` rows whose cumulative weight is beyond the point of part k; there is one.
KOKKOS_INLINE_FUNCTION std::uint32_t weighted_row(const double* cumulative, std::uint32_t count,
                                                  std::uint32_t k, std::uint64_t epoch,
                                                  const RandomStream& stream) {
  const double u = epoch_uniform(epoch, stream);
  std::uint32_t low = 0, high = count - 1;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (cumulative[middle] - k > u) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// The row that the draw at (sample, step) of `stream` takes. cumulative: null without weights.
struct EpochOrder {
  std::uint32_t count, batch;
  const double* cumulative = nullptr;

  KOKKOS_INLINE_FUNCTION std::uint32_t operator()(std::uint64_t sample, std::uint32_t step,
                                                  const RandomStream& stream) const {
    const EpochPlace place = epoch_place(count, batch, step, sample);
    const std::uint32_t k = shuffled(place.position, count, place.epoch, stream);
    return cumulative == nullptr ? k : weighted_row(cumulative, count, k, place.epoch, stream);
  }
};

/// Writes the cumulative weights of `count` rows, scaled to reach from `begin` to `end`; returns the weights' sum, in
/// order. With a sum of 0 writes nothing.
template <class WeightOf>
double cumulate_weights(std::size_t count, double begin, double end, double* cumulative,
                        const WeightOf& weight_of) {
  double sum = 0, part = 0;
  std::size_t beyond = 0;  // the last row that has a weight
  for (std::size_t i = 0; i < count; ++i) {
    const double weight = static_cast<double>(weight_of(i));
    sum += weight;
    if (weight > 0) beyond = i;
  }
  if (!(sum > 0)) return sum;
  const double scale = (end - begin) / sum;
  for (std::size_t i = 0; i < count; ++i) {
    part += static_cast<double>(weight_of(i));
    cumulative[i] = i < beyond ? math::minimum(end, begin + part * scale) : end;
  }
  return sum;
}

/// Whether weights differ from each other at all.
struct WeightRange {
  double least = (std::numeric_limits<double>::max)(), most = 0;

  void add(double weight) {
    least = math::minimum(least, weight);
    most = math::maximum(most, weight);
  }
  bool equal() const { return least == most; }
};

}  // namespace vrfm::detail
