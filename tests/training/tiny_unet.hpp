// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A variational U-Net of 4 x 4 grey images with a layer of each kind.
#pragma once

#include <vrfm/models/unet/networks.hpp>

namespace vrfm::test {

inline UnetFlowOptions tiny_unet(double dropout = 0) {
  return {.velocity = {.path = {.grid = {4, 4},
                                .channels = 1,
                                .base = 4,
                                .multipliers = {1, 1},
                                .blocks = 1,
                                .attention_extents = {2},
                                .head_channels = 4,
                                .dropout = dropout},
                       .latent = 2,
                       .latent_width = 4},
          .posterior_base = 4};
}

}  // namespace vrfm::test
