// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two kinds of networks, MlpKind and UnetKind, and their options by the settings and the data's shape.
#pragma once

#include <vrfm/models/residual_mlp/networks.hpp>
#include <vrfm/models/unet/networks.hpp>

#include <examples/table/settings.hpp>

namespace table {

inline vrfm::PriorKind prior_of(const TableSettings& settings, const RowShape& shape) {
  if (settings.latent == 0 || !shape.conditional()) return vrfm::PriorKind::standard;
  // A network that is given the condition alone sees no field.
  return shape.field_channels > 0 ? vrfm::PriorKind::given_source
                                  : vrfm::PriorKind::given_condition;
}

struct MlpKind {
  using Networks = vrfm::ResidualMlpNetworks<>;

  static Networks::Options options(const TableSettings& s, const RowShape& shape) {
    return {.dimension = shape.dimension(),
            .latent = s.latent,
            .encoder_input = vrfm::EncoderInput::x1,
            .prior = prior_of(s, shape),
            .classes = shape.classes,
            .condition_columns = static_cast<int>(shape.condition.size()),
            .trunk = {.width = s.width, .blocks = s.blocks},
            .posterior_trunk = {.width = s.posterior_width, .blocks = s.posterior_blocks},
            .features = s.features};
  }
};

struct UnetKind {
  using Networks = vrfm::UnetNetworks;

  static vrfm::PixelGrid pixels_of(const Extents& grid) {
    if (grid.size() == 1) return {grid[0]};
    if (grid.size() == 2) return {grid[0], grid[1]};
    return {grid[0], grid[1], grid[2]};
  }

  static Networks::Options options(const TableSettings& s, const RowShape& shape) {
    vrfm::UnetOptions velocity;
    velocity.path = {.grid = pixels_of(shape.x1.grid),
                     .channels = shape.x1.channels,
                     .base = s.base,
                     .multipliers = s.multipliers,
                     .blocks = s.blocks,
                     .attention_extents = s.attention,
                     .head_channels = 32,
                     .dropout = 0};
    velocity.latent = s.latent;
    velocity.latent_width = 128;
    velocity.classes = shape.classes;
    velocity.condition_columns = static_cast<int>(shape.condition.size());
    velocity.field_channels = shape.field_channels;
    return {.velocity = velocity,
            .posterior_base = s.posterior_base,
            .encoder_input = vrfm::EncoderInput::x1,
            .prior = prior_of(s, shape)};
  }
};

}  // namespace table
