// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiled for oneDNN.
#include "mixed.hpp"

std::vector<float> mixed::with_onednn() {
  return train<vrfm::Flow<float, Kokkos::OpenMP, vrfm::UnetNetworks>>();
}
