// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The settings of a training of vrfm_table, for both kinds of networks. Those that are 0 (features, latent: -1; lists:
// empty) when the data are opened are chosen by their shape.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <examples/common/settings.hpp>
#include <examples/table/dataset.hpp>

namespace table {

using namespace common;

struct TableSettings : StepSettings {
  std::string model = "vrfm", network = "auto";
  int latent = -1;
  double rate = 3;
  int blocks = 0;
  int width = 0, features = -1;  // of an mlp
  int posterior_width = 128, posterior_blocks = 2;
  int base = 0, posterior_base = 0, micro_batch = 0;  // of a unet
  std::vector<int> multipliers, attention;
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
    visit("network", s.network,
          SettingRule{.help = "mlp, or unet: for fields; auto: by the data",
                      .check = CLI::IsMember({"auto", "mlp", "unet"}),
                      .unwritten = "mlp"});
    visit("latent", s.latent, SettingRule{"dimensions of z; -1: by the data", chosen(-1)});
    visit("rate", s.rate,
          SettingRule{.help = "nats that z tells of a row; beta is found so that it does",
                      .check = positive_option(),
                      .latent = true});
    visit("blocks", s.blocks,
          SettingRule{"residual blocks, of a unet of each level; 0: by the data",
                      range_option(0, 16)});
    const auto only = [&](const std::string& kind, const std::string& help,
                          const CLI::Validator& check, bool of_latent = false) {
      return SettingRule{.help = kind + ": " + help,
                         .check = check,
                         .latent = of_latent,
                         .unused = s.network != kind && s.network != "auto"};
    };
    visit("width", s.width, only("mlp", "of the velocity's layers; 0: by the data", chosen(0)));
    visit("features", s.features,
          only("mlp", "sinusoids of each column beside it; -1: by the data", chosen(-1)));
    visit("posterior-width", s.posterior_width,
          only("mlp", "of the posterior's layers", count_option(), true));
    visit("posterior-blocks", s.posterior_blocks,
          only("mlp", "of the posterior", range_option(0, 16), true));
    visit("base", s.base, only("unet", "channels of the first level; 0: by the data", chosen(0)));
    visit("multipliers", s.multipliers,
          only("unet", "channels of each level, in units of the base; by the data",
               range_option(1, 64)));
    visit(
        "attention", s.attention,
        only("unet", "heights of fields with self-attention, 0: nowhere; by the data", chosen(0)));
    visit("posterior-base", s.posterior_base,
          only("unet", "channels of the posterior's first level; 0: by the data", chosen(0), true));
    visit("micro-batch", s.micro_batch,
          only("unet", "fields of a step at a time, which bounds the memory; 0: by the data",
               chosen(0)));
    visit("condition-dropout", s.condition_dropout,
          SettingRule{"share of rows whose condition is left out, for guidance", part_option()});
    each_of_step(s, "rows", visit);
    visit("cosine", s.cosine, SettingRule{"the rate falls to 0 along a cosine"});
    visit("seed", s.seed, SettingRule{"of everything that is drawn", seed_option()});
  }

  /// Fills what is left to the data, of `rows` rows. Throws std::invalid_argument for settings of another network
  /// than the one that there is.
  void choose(const RowShape& shape, std::size_t rows) {
    const TableSettings given = *this;
    choose_network(shape);
    if (model == "rfm") latent = 0;
    if (latent < 0) latent = std::clamp(shape.dimension(), 1, 8);
    network == "mlp" ? choose_mlp(shape.dimension(), rows) : choose_unet(shape, rows);
    refuse_unused_of(given);
  }

  /// The usual one, a name of --solver. Of fields, waves of little power are what Euler steps leave out: 20 of them a
  /// fifth, 20 of the midpoint rule a thousandth.
  std::string solver() const { return network == "mlp" && model == "rfm" ? "dopri5" : "midpoint"; }

 private:
  void choose_network(const RowShape& shape) {
    const Extents& grid = shape.x1.grid;
    const bool wide = std::all_of(grid.begin(), grid.end(), [](int n) { return n >= 4; });
    if (network == "auto") network = shape.x1.is_field() && wide ? "unet" : "mlp";
    if (network == "unet") {
      vrfm::expect(shape.x1.is_field(),
                   "--network unet: expected fields, an array [n, h, w], [n, h, w, c] or "
                   "[n, c, h, w], of signals or volumes likewise, or --grid, found rows of ",
                   shape.dimension(), " numbers");
    } else {
      vrfm::expect(shape.field_channels == 0,
                   "--field: an mlp takes no field; expected --network unet");
    }
  }

  void choose_mlp(int dimension, std::size_t rows) {
    if (width == 0) width = dimension <= 8 ? 128 : dimension <= 128 ? 256 : 512;
    if (blocks == 0) blocks = dimension <= 8 ? 3 : 4;
    if (features < 0) features = dimension <= 8 ? 16 : 0;
    if (batch == 0) batch = rows < 10'000 ? 256 : rows < 200'000 ? 512 : 2048;
  }

  /// Levels down to an extent of 4, at most 4 of them, with twice the channels of the one above, up to four times the
  /// first's; attention where there are at most 64 points.
  void choose_unet(const RowShape& shape, std::size_t rows) {
    const Extents& grid = shape.x1.grid;
    const int points = shape.points();
    if (base == 0) base = rows < 20'000 ? 16 : 32;
    if (blocks == 0) blocks = 1;
    const auto halved = [&](std::size_t level) {
      return std::all_of(grid.begin(), grid.end(),
                         [&](int n) { return n % (1 << level) == 0 && n >> level >= 4; });
    };
    if (multipliers.empty()) {
      multipliers = {1};
      while (multipliers.size() < 4 && halved(multipliers.size())) {
        multipliers.push_back(std::min(4, 2 * multipliers.back()));
      }
    }
    if (attention.empty()) {
      for (std::size_t level = 0; level < multipliers.size(); ++level) {
        if (points >> (grid.size() * level) <= 64) attention.push_back(grid[0] >> level);
      }
      if (attention.empty()) attention = {0};
    }
    if (posterior_base == 0) posterior_base = std::max(1, base / 2);
    if (batch == 0) batch = rows < 10'000 ? 32 : 64;
    if (micro_batch == 0) micro_batch = std::clamp((1 << 14) / points, 1, batch);
  }

  /// What was given although it has no effect.
  void refuse_unused_of(const TableSettings& given) const {
    const auto all_texts = [](const TableSettings& settings) {
      vrfm::Settings result;
      each(settings, [&](const char* name, const auto& value, const SettingRule&) {
        result[name] = to_text(value);
      });
      return result;
    };
    vrfm::Settings usual = all_texts(TableSettings()), wanted = all_texts(given);
    each(*this, [&](const char* name, const auto&, const SettingRule& rule) {
      vrfm::expect(!rule.unused || usual[name] == wanted[name], "option --", name,
                   " has no effect with --network ", network);
    });
  }
};

}  // namespace table
