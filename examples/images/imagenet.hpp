// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ImageNet 256 x 256 in the latents of an autoencoder, as Ma et al. 2024 train SiT on it, and Guo and Schwing 2025
// with a latent variable.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/models/transformer/networks.hpp>

#include <examples/images/autoencoder_file.hpp>
#include <examples/images/cut_files.hpp>
#include <examples/images/data.hpp>
#include <examples/images/options.hpp>

namespace images {

struct ImagenetSettings : TrainingSettings {
  static constexpr const char* encoder_inputs = "x0, x1, x_t, t joined by +, not t alone";
  static constexpr bool few_steps = false;

  int classes = 1'000;
  double class_dropout = 0.1;
  double latent_factor = 1;
  std::string storage = "float32";
  int embedding = 1'152;
  int depth = 28;
  int heads = 16;
  int patch = 2;
  bool learn_sigma = true;
  int posterior_depth = 0;
  bool recompute = false;  ///< no setting: the results are the same

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    each_training_setting(s, visit);
    visit("class-dropout", s.class_dropout,
          SettingRule{"share of samples whose class is not told, for guidance", fraction_option()});
    visit("latent-factor", s.latent_factor,
          SettingRule{"what the files' latents are multiplied by", positive_option()});
    visit(
        "storage", s.storage,
        SettingRule{"what wide activations, and the weights that they meet, are kept in: float32, "
                    "or bfloat16 for less memory; sums, and weights in files, stay float32",
                    CLI::IsMember(std::vector<std::string>{"float32", "bfloat16"})});
    each_network(s, visit);
  }

  template <class S, class Visit>
  static void each_network(S& s, const Visit& visit) {
    each_network_setting(s, visit);
    visit("class-count", s.classes, SettingRule{"classes that labels name", count_option()});
    visit("embedding", s.embedding, SettingRule{"columns of a token", count_option()});
    visit("depth", s.depth,
          SettingRule{"blocks of the velocity",
                      range_option(1, vrfm::TransformerOptions::most_depth)});
    visit("heads", s.heads, SettingRule{"attention heads of a block", count_option()});
    visit("patch", s.patch, SettingRule{"latent pixels of a token's side", count_option()});
    visit(
        "learn-sigma", s.learn_sigma,
        SettingRule{"a last layer of twice the channels, half of it unused, as in SiT's weights"});
    visit("posterior-depth", s.posterior_depth,
          SettingRule{"blocks of the posterior; 0: half the velocity's",
                      range_option(0, vrfm::TransformerOptions::most_depth), true});
  }
};

struct Imagenet : LatentData {
  using Settings = ImagenetSettings;
  using Networks = vrfm::TransformerNetworks;

  static constexpr const char* name = "imagenet";
  static constexpr const char* title = "ImageNet";
  static constexpr const char* files =
      "latents: train/*.safetensors and test/*.safetensors, as the command latents or "
      "vrfm_standins writes them";

  /// Height, width and channels of the latents of 256 x 256 pixels.
  static std::vector<int> shape() { return {32, 32, 4}; }

  static std::vector<std::string> recipes() {
    return {"v-sit-xl", "sit-xl", "v-sit-tiny", "sit-tiny"};
  }

  static std::int64_t iterations(const std::string& recipe) {
    return is_small(recipe) ? 2'000 : 800'000;
  }

  static Settings recipe(const std::string& recipe) {
    Settings s;
    s.recipe = recipe;
    s.batch = 256;
    s.micro_batch = 8;
    s.learning_rate = 1e-4;
    s.weight_decay = 0;
    s.ema_decay = 0.9999;
    s.mirror = true;
    if (is_small(recipe)) {
      make_small(s, 1e-3);
      s.classes = 10;
      s.embedding = 128;
      s.depth = 4;
      s.heads = 4;
    }
    if (!recipe.starts_with("v-")) return s;
    s.latent = is_small(recipe) ? 8 : 768;
    s.beta = is_small(recipe) ? 1e-2 : 2e-3;
    // With so few latents z also tells the class; drawn without a word of it, it would often tell another.
    if (is_small(recipe)) s.prior = "condition";
    s.encoder_input = "x1";
    return s;
  }

  /// As Ma et al. 2024 sample: 250 evaluations, guidance of the first 3 of 4 channels.
  static SamplingOptions sampling() {
    SamplingOptions o;
    o.solver = "sde";
    o.steps = 250;
    o.guidance_channels = 3;
    return o;
  }

  /// How the latents of a flow become pictures.
  static Developer developer_of(const SampleOptions& options, const std::vector<int>& shape,
                                const std::optional<double>& latent_scale) {
    return options.decoder.empty() ? developer(shape)
                                   : decoding(options.decoder, shape, 1, latent_scale);
  }

  static vrfm::LatentFiles read(const std::filesystem::path& folder, vrfm::Split split) {
    auto files = vrfm::LatentFiles::open(folder, split);
    end_clearly_if_cut(files, "vrfm_imagenet");
    return files;
  }

  static vrfm::TransformerFlowOptions networks(const Settings& s, const std::vector<int>& shape,
                                               bool training) {
    vrfm::TransformerFlowOptions options;
    auto& trunk = options.velocity.trunk;
    trunk.height = shape[0];
    trunk.width = shape[1];
    trunk.channels = shape[2];
    trunk.patch = s.patch;
    trunk.embedding = s.embedding;
    trunk.depth = s.depth;
    trunk.heads = s.heads;
    trunk.recompute = training && s.recompute;
    options.velocity.latent = s.latent;
    options.velocity.classes = s.classes;
    options.velocity.learn_sigma = s.learn_sigma;
    options.posterior_depth = s.posterior_depth;
    options.prior = prior_kinds().at(s.prior);
    if (s.latent > 0) options.encoder_input = posterior_input(s);
    return options;
  }
};

}  // namespace images
