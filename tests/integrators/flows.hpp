// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A network to integrate.
#pragma once

#include <vrfm/sampling/bound_velocity.hpp>

namespace vrfm::test {

inline constexpr int small_width = 16;

/// A small flow whose velocity depends strongly on x, t and z.
template <class T, class Exec>
Flow<T, Exec> small_flow(int latent) {
  Flow<T, Exec> flow(Exec(),
                     {.dimension = 2,
                      .latent = latent,
                      .encoder = {.features = 8, .width = small_width, .depth = 1},
                      .latent_width = small_width,
                      .latent_depth = 2,
                      .decoder_width = small_width,
                      .decoder_depth = 2},
                     3);
  const auto host = Kokkos::create_mirror_view(flow.values());
  Kokkos::deep_copy(host, flow.values());
  for (std::size_t i = 0; i < host.extent(0); ++i) host(i) *= T(3);
  Kokkos::deep_copy(flow.values(), host);
  return flow;
}

}  // namespace vrfm::test
