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
#include <utility>
#include <vector>

#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>

#include <examples/images/data.hpp>

namespace images {

/// Rows of numbers and their classes on the host.
struct Labelled {
  using Rows = vrfm::Table<float, Kokkos::DefaultHostExecutionSpace>;
  Rows rows;
  std::vector<int> labels;
};

/// One query: the class of its nearest neighbours.
struct NearestClass {
  static constexpr int most_neighbours = 16;

  vrfm::Matrix<const float> known, queries;
  const int* labels;
  int neighbours;
  int* found;

  void operator()(int q) const {
    std::pair<float, int> nearest[most_neighbours + 1];  // squared distance, label; sorted
    int held = 0;
    for (int k = 0; k < known.rows; ++k) {
      float distance = 0;
      for (int d = 0; d < known.cols; ++d) {
        const float difference = known(k, d) - queries(q, d);
        distance += difference * difference;
      }
      if (held == neighbours && !(distance < nearest[held - 1].first)) continue;
      int place = std::min(held, neighbours - 1);
      if (held < neighbours) ++held;
      for (; place > 0 && distance < nearest[place - 1].first; --place) {
        nearest[place] = nearest[place - 1];
      }
      nearest[place] = {distance, labels[k]};
    }
    // Most votes; of equal ones the nearer.
    int best = -1, votes = 0;
    for (int k = 0; k < held; ++k) {
      int count = 0;
      for (int other = 0; other < held; ++other)
        count += nearest[other].second == nearest[k].second;
      if (count > votes) {
        votes = count;
        best = nearest[k].second;
      }
    }
    found[q] = best;
  }
};

/// How many of `queries` have the label of their nearest neighbours in `known`.
inline std::size_t recognised(const Labelled& known, const Labelled& queries, int neighbours) {
  std::vector<int> found(queries.labels.size());
  vrfm::launch_each(
      Kokkos::DefaultHostExecutionSpace(), "images::recognised", static_cast<int>(found.size()),
      NearestClass{vrfm::matrix(known.rows), vrfm::matrix(queries.rows), known.labels.data(),
                   std::min(neighbours, NearestClass::most_neighbours), found.data()});
  std::size_t right = 0;
  for (std::size_t q = 0; q < found.size(); ++q) right += found[q] == queries.labels[q];
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
