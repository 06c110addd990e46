// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a user's project needs from the package: its headers, Kokkos and the components
// all compile, link and run. The known answer is Philox4x32-10's for counter and key 0, and
// (0 - 3)^2 + (1 - 2)^2 for the distance of two normal distributions.
#include <cstdio>

#include <Kokkos_Core.hpp>

#include <vrfm/core/random.hpp>
#include <vrfm/io/png.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/metrics/frechet_distance.hpp>
#include <vrfm/version.hpp>

int main(int argc, char* argv[]) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const auto block = vrfm::philox4x32_10({}, 0, 0);
  const double distance = vrfm::frechet_distance({{0}, {1}}, {{3}, {4}});
  std::printf("vrfm %d.%d.%d draws %08x\n", VRFM_VERSION_MAJOR, VRFM_VERSION_MINOR,
              VRFM_VERSION_PATCH, static_cast<unsigned>(block.word[0]));
  return block.word[0] == 0x6627e8d5u && distance > 9.9999 && distance < 10.0001 ? 0 : 1;
}
