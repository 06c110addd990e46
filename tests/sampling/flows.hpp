// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flows to sample from, and their conditions.
#pragma once

#include <vector>

#include <vrfm/sampling/model_velocity.hpp>

namespace vrfm::test {

inline constexpr int small_width = 16;

/// A small flow of two dimensions whose velocity depends strongly on x, t, z and c.
template <class T, class Exec>
Flow<T, Exec> small_flow(FlowOptions options) {
  options.dimension = 2;
  options.encoder = {.features = 8, .width = small_width, .depth = 1};
  options.latent_width = options.decoder_width = small_width;
  options.latent_depth = options.decoder_depth = 2;
  Flow<T, Exec> flow(Exec(), options, 3);
  const auto host = Kokkos::create_mirror_view(flow.values());
  Kokkos::deep_copy(host, flow.values());
  for (std::size_t i = 0; i < host.extent(0); ++i) host(i) *= T(3);
  Kokkos::deep_copy(flow.values(), host);
  return flow;
}

template <class T, class Exec>
Flow<T, Exec> small_flow(int latent) {
  return small_flow<T, Exec>({.latent = latent});
}

template <class Exec>
Array<std::int32_t, Exec> labels_of(const std::vector<std::int32_t>& values) {
  const Array<std::int32_t, Exec> labels("vrfm::test::labels", values.size());
  const auto host = Kokkos::create_mirror_view(labels);
  for (std::size_t i = 0; i < values.size(); ++i) host(i) = values[i];
  Kokkos::deep_copy(labels, host);
  return labels;
}

/// Rows [first, first + count) of elements with `cols` columns.
inline std::vector<double> rows_of(const std::vector<double>& elements, std::size_t cols,
                                   std::size_t first, std::size_t count) {
  const auto begin = elements.begin() + static_cast<std::ptrdiff_t>(first * cols);
  return {begin, begin + static_cast<std::ptrdiff_t>(count * cols)};
}

}  // namespace vrfm::test
