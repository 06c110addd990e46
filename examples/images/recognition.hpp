// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many samples of a flow with classes are of the class that was asked for, as the nearest neighbours among
// training data see it: a sample is of the class that most of its `neighbours` nearest ones have.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <vrfm/metrics/nearest_neighbours.hpp>

#include <examples/images/data.hpp>

namespace images {

/// Options stop here: votes are counted pair by pair.
inline constexpr int most_neighbours = 16;

/// Rows of numbers and their classes on the host.
struct Labelled {
  using Rows = vrfm::Table<float, Kokkos::DefaultHostExecutionSpace>;
  Rows rows;
  std::vector<int> labels;
};

/// The label that most of `count` neighbours have; of equally many the one of the nearest.
inline int most_frequent(const int* neighbours, std::size_t count, const std::vector<int>& labels) {
  const auto label = [&](std::size_t k) { return labels[static_cast<std::size_t>(neighbours[k])]; };
  int best = -1, votes = 0;
  for (std::size_t k = 0; k < count; ++k) {
    int equal = 0;
    for (std::size_t other = 0; other < count; ++other) equal += label(other) == label(k);
    if (equal > votes) {
      votes = equal;
      best = label(k);
    }
  }
  return best;
}

/// How many of `queries` have the label of their nearest neighbours in `known`.
inline std::size_t recognised(const Labelled& known, const Labelled& queries, int neighbours) {
  const int count = std::min(neighbours, static_cast<int>(known.labels.size()));
  const auto nearest = vrfm::nearest_neighbours(Kokkos::DefaultHostExecutionSpace(), known.rows,
                                                queries.rows, count);
  std::size_t right = 0;
  for (std::size_t q = 0; q < queries.labels.size(); ++q) {
    right += most_frequent(&nearest.rows(q, 0), nearest.rows.extent(1), known.labels) ==
             queries.labels[q];
  }
  return right;
}

/// `count` latents, evenly spread over the files, or all of fewer, as a flow's numbers. Throws std::invalid_argument for
/// files without labels, with those of other classes, or with numbers that are not finite.
inline Labelled labelled_latents(const vrfm::LatentFiles& files, double factor, int classes,
                                 std::size_t count) {
  vrfm::expect(files.classes() > 0 && files.classes() <= classes, files.name(),
               ": expected labels of at most ", classes, " classes, found ",
               files.classes() == 0 ? "none" : std::to_string(files.classes()));
  const std::size_t rows = std::min(count, files.count()), pixels = files.height() * files.width();
  Labelled result{Labelled::Rows("images::known", rows, files.dimension()), {}};
  std::size_t first = 0;
  for (const auto& shard : files.shards()) {
    while (result.labels.size() < rows) {
      const std::size_t row = result.labels.size(), k = row * files.count() / rows - first;
      if (k >= shard.count) break;
      for (std::size_t d = 0; d < files.dimension(); ++d) {
        const float number = shard.latents[k * files.dimension() + d];
        vrfm::expect(std::isfinite(number), files.name(), ": expected finite latents, found ",
                     number, " in latent number ", first + k, " of all files");
        result.rows(row, d % pixels * files.channels() + d / pixels) =
            static_cast<float>(factor) * number;
      }
      result.labels.push_back(shard.labels[k]);
    }
    first += shard.count;
  }
  return result;
}

}  // namespace images
