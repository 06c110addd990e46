// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CIFAR-10 as Guo and Schwing 2025 train on it: torchcfm's U-Net and recipe (Tong et al. 2024), and
// the four variants of a latent variable of 768 dimensions.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/io/cifar10.hpp>
#include <vrfm/models/unet/networks.hpp>

#include <examples/images/data.hpp>

namespace images {

struct Cifar10Settings : TrainingSettings {
  static constexpr const char* encoder_inputs = "x0, x1, x_t, t joined by +, not t alone";
  static constexpr bool few_steps = true;

  int base = 128;
  std::vector<int> multipliers = {1, 2, 2, 2};
  int blocks = 2;
  std::vector<int> attention = {16};
  int head_channels = 64;
  int groups = 0;
  double dropout = 0.1;
  std::string conditioning = "additive";
  std::string fusion = "adaptive";
  int latent_width = 512;
  int posterior_base = 16;

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    each_training_setting(s, visit);
    visit("dropout", s.dropout,
          SettingRule{"share of features left out of a step", fraction_option()});
    each_network(s, visit);
  }

  template <class S, class Visit>
  static void each_network(S& s, const Visit& visit) {
    each_network_setting(s, visit);
    visit("base", s.base, SettingRule{"channels of the U-Net's first level", count_option()});
    visit("multipliers", s.multipliers,
          SettingRule{"channels of each level, in units of the base", count_option()});
    visit("blocks", s.blocks, SettingRule{"residual blocks a level", count_option()});
    visit("attention", s.attention,
          SettingRule{"heights of images with self-attention", count_option()});
    visit("head-channels", s.head_channels,
          SettingRule{"channels of an attention head", count_option()});
    visit(
        "groups", s.groups,
        SettingRule{.help = "groups of every norm; 0: at most 32, of at least 4 channels each, or "
                            "32 of weights that others trained with a base of 32, 64, ...",
                    .check = count_or_none_option(),
                    .unwritten = "0"});
    visit("conditioning", s.conditioning,
          SettingRule{"how t enters: additive, or by adaptive norm",
                      CLI::IsMember(std::vector<std::string>{"additive", "adaptive"})});
    visit("fusion", s.fusion,
          SettingRule{"how z enters: by adaptive norm, or added in the bottleneck",
                      CLI::IsMember(std::vector<std::string>{"adaptive", "bottleneck"}), true});
    visit("latent-width", s.latent_width,
          SettingRule{"width of z's embedding", count_option(), true});
    visit("posterior-base", s.posterior_base,
          SettingRule{"channels of the posterior's first level", count_option(), true});
  }
};

struct Cifar10 : PixelData {
  using Settings = Cifar10Settings;
  using Networks = vrfm::UnetNetworks;

  static constexpr const char* name = "cifar10";
  static constexpr const char* title = "CIFAR-10";
  static constexpr const char* files = "CIFAR-10's six binary files";

  /// Height, width and channels of the published images.
  static std::vector<int> shape() { return {32, 32, 3}; }

  static std::vector<std::string> recipes() {
    return method_recipes(
        {"vrfm-1", "vrfm-2", "vrfm-3", "vrfm-4", "vrfm-1-encoder-17", "vrfm-1-encoder-7"});
  }

  static std::int64_t iterations(const std::string& recipe) {
    if (is_small(recipe)) return 2'000;
    return method_of(recipe).loss == Loss::mean_flow ? 800'000 : 600'000;
  }

  static Settings recipe(const std::string& recipe) {
    Settings s;
    s.recipe = recipe;
    s.batch = 128;
    s.micro_batch = 16;
    s.learning_rate = 2e-4;
    s.weight_decay = 0;
    s.warmup = 5000;
    s.clip_norm = 1;
    s.ema_decay = 0.9999;
    s.mirror = true;
    const Method& method = use_method(s);
    if (is_small(recipe)) return small(s, method);
    if (method.loss == Loss::mean_flow) {  // as Geng et al. 2025; their t is 1 - t
      s.batch = 1024;
      s.learning_rate = 6e-4;
      s.warmup = 10'000;
      s.ema_decay = 0.99995;
      s.dropout = 0.2;
      s.time_mean = 2;
      s.time_deviation = 2;
      s.equal_times = 0.25;
      s.adaptive_power = 0.75;
    }
    if (!method.latent) return s;
    s.conditioning = "adaptive";
    s.latent = 768;
    s.beta = recipe == "vrfm-2" || recipe == "vrfm-3" ? 5e-3 : 2e-3;
    s.encoder_input = recipe == "vrfm-3" || recipe == "vrfm-4" ? "x1+t" : "x1";
    s.fusion = recipe == "vrfm-4" ? "bottleneck" : "adaptive";
    // The ablation of the posterior's size, 17.5 and 6.7 % of its parameters: these widths have 19 and 7 %.
    if (recipe == "vrfm-1-encoder-17") s.posterior_base = 6;
    if (recipe == "vrfm-1-encoder-7") s.posterior_base = 3;
    return s;
  }

  /// What holds of weights without settings unless it is given: they are those of torchcfm's programs,
  /// whose norms all have 32 groups and whose channels are multiples of them.
  static void assume(Settings& s) {
    if (s.groups == 0 && s.base % 32 == 0) s.groups = 32;
  }

  static Settings small(Settings s, const Method& method) {
    make_small(s, 1e-3);
    s.base = 16;
    s.multipliers = {1, 2, 2};
    s.blocks = 1;
    s.attention = {8};
    s.head_channels = 16;
    s.dropout = 0;
    s.conditioning = "adaptive";
    s.latent_width = 64;
    s.posterior_base = 8;
    if (!method.latent) return s;
    s.latent = 8;
    s.beta = 1e-3;
    s.encoder_input = "x1";
    return s;
  }

  static vrfm::Images read(const std::filesystem::path& folder, vrfm::Split split) {
    return vrfm::read_cifar10(folder, split);
  }

  /// training: with dropout.
  static vrfm::UnetFlowOptions networks(const Settings& s, const std::vector<int>& shape,
                                        bool training) {
    if (s.attention != recipe(s.recipe).attention) {
      for (const int height : s.attention) {
        bool found = false;
        for (std::size_t level = 0; level < s.multipliers.size(); ++level) {
          found = found || height == shape[0] >> level;
        }
        vrfm::expect(found, "option --attention ", height, " has no effect: images of height ",
                     shape[0], " are halved ", s.multipliers.size() - 1, " times");
      }
    }
    vrfm::UnetFlowOptions options;
    auto& path = options.velocity.path;
    path.grid = {shape[0], shape[1]};
    path.channels = shape[2];
    path.base = s.base;
    path.multipliers = s.multipliers;
    path.blocks = s.blocks;
    path.attention_extents = s.attention;
    path.head_channels = s.head_channels;
    path.groups = s.groups;
    path.dropout = training ? s.dropout : 0;
    path.conditioning = s.conditioning == "additive" ? vrfm::Conditioning::additive
                                                     : vrfm::Conditioning::adaptive_norm;
    options.velocity.latent = s.latent;
    options.velocity.fusion =
        s.fusion == "bottleneck" ? vrfm::Fusion::bottleneck_sum : vrfm::Fusion::adaptive_norm;
    options.velocity.latent_width = s.latent_width;
    options.posterior_base = s.posterior_base;
    options.prior = prior_kinds().at(s.prior);
    options.velocity.second_time = s.map();
    if (s.latent > 0) options.encoder_input = posterior_input(s);
    return options;
  }
};

}  // namespace images
