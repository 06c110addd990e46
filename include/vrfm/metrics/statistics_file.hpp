// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feature statistics in the file of the tools that compute Frechet inception distances: an NPZ
// archive with the arrays "mu" [D] and "sigma" [D][D].
#pragma once

#include <filesystem>
#include <stdexcept>
#include <vector>

#include <vrfm/io/npz.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

/// Writes `statistics` in double, atomically. Throws as write_npz.
inline void save_statistics(const std::filesystem::path& path,
                            const FeatureStatistics& statistics) {
  const std::size_t dimension = statistics.mean.size();
  const std::vector arrays{make_tensor("mu", {dimension}, statistics.mean),
                           make_tensor("sigma", {dimension, dimension}, statistics.covariance)};
  write_npz(path, arrays);
}

/// Reads statistics in float or double; the archive may hold further arrays. Throws
/// std::runtime_error with the file, what was expected and what was found.
inline FeatureStatistics load_statistics(const std::filesystem::path& path) {
  NpzFile archive(path);
  auto mu = archive.read_reals("mu");
  auto sigma = archive.read_reals("sigma");
  const std::vector<std::size_t> square(2, mu.values.size());
  if (mu.shape.size() != 1 || mu.values.empty() || sigma.shape != square)
    throw std::runtime_error(
        path.string() + ": expected 'mu' of shape [D] and 'sigma' of shape [D, D], found " +
        detail::io::format_shape(mu.shape) + " and " + detail::io::format_shape(sigma.shape));
  return {std::move(mu.values), std::move(sigma.values)};
}

}  // namespace vrfm
