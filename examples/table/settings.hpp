// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The settings of a training of vrfm_table. Those that are 0 (features, latent: -1) when the data are opened are chosen
// by their shape.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <vrfm/models/residual_mlp/networks.hpp>

#include <examples/common/settings.hpp>
#include <examples/table/dataset.hpp>

namespace table {

using namespace common;

struct TableSettings : StepSettings {
  std::string model = "vrfm";
  int latent = -1;
  double rate = 3;
  int width = 0, blocks = 0, features = -1;
  int posterior_width = 128, posterior_blocks = 2;
  double condition_dropout = 0;
  bool cosine = true;
  std::uint32_t seed = 1;

  TableSettings() {
    batch = 0;
    clip_norm = 1;
    ema_decay = 0.995;  // a longer memory would hold the beginning of a short training
  }

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    const auto chosen = [](int least) { return whole_option(least, 1 << 20); };
    visit("model", s.model,
          SettingRule{"rfm, or vrfm: with a latent variable z, for few steps",
                      CLI::IsMember({"rfm", "vrfm"})});
    visit("latent", s.latent, SettingRule{"dimensions of z; -1: by the data", chosen(-1)});
    visit("rate", s.rate,
          SettingRule{.help = "nats that z tells of a row; beta is found so that it does",
                      .check = positive_option(),
                      .latent = true});
    visit("width", s.width, SettingRule{"of the velocity's layers; 0: by the data", chosen(0)});
    visit("blocks", s.blocks, SettingRule{"residual blocks; 0: by the data", range_option(0, 16)});
    visit("features", s.features,
          SettingRule{"sinusoids of each column beside it; -1: by the data", chosen(-1)});
    visit(
        "posterior-width", s.posterior_width,
        SettingRule{.help = "of the posterior's layers", .check = count_option(), .latent = true});
    visit("posterior-blocks", s.posterior_blocks,
          SettingRule{.help = "of the posterior", .check = range_option(0, 16), .latent = true});
    visit("condition-dropout", s.condition_dropout,
          SettingRule{"share of rows whose condition is left out, for guidance", part_option()});
    each_of_step(s, "rows", visit);
    visit("cosine", s.cosine, SettingRule{"the rate falls to 0 along a cosine"});
    visit("seed", s.seed, SettingRule{"of everything that is drawn", seed_option()});
  }

  /// Fills what is left to the data, of `rows` rows.
  void choose(const RowShape& shape, std::size_t rows) {
    const int dimension = static_cast<int>(shape.columns.size());
    if (model == "rfm") latent = 0;
    if (latent < 0) latent = std::clamp(dimension, 1, 8);
    if (width == 0) width = dimension <= 8 ? 128 : dimension <= 128 ? 256 : 512;
    if (blocks == 0) blocks = dimension <= 8 ? 3 : 4;
    if (features < 0) features = dimension <= 8 ? 16 : 0;
    if (batch == 0) batch = rows < 10'000 ? 256 : rows < 200'000 ? 512 : 2048;
  }

  vrfm::ResidualMlpFlowOptions flow(const RowShape& shape) const {
    const auto columns = static_cast<int>(shape.condition.size());
    return {.dimension = static_cast<int>(shape.columns.size()),
            .latent = latent,
            .encoder_input = vrfm::EncoderInput::x1,
            .prior = shape.conditional() && latent > 0 ? vrfm::PriorKind::given_condition
                                                       : vrfm::PriorKind::standard,
            .classes = shape.classes,
            .condition_columns = columns,
            .trunk = {.width = width, .blocks = blocks},
            .posterior_trunk = {.width = posterior_width, .blocks = posterior_blocks},
            .features = features};
  }
};

}  // namespace table
