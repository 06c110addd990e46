// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MNIST as Guo and Schwing 2025 train on it: residual networks, a latent variable of two dimensions.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/io/mnist.hpp>
#include <vrfm/models/residual/networks.hpp>

#include <examples/images/data.hpp>

namespace images {

struct MnistSettings : TrainingSettings {
  static constexpr const char* encoder_inputs = "x0, x1, x_t joined by +";
  static constexpr bool few_steps = true;

  int features = 64;
  int blocks = 5;
  int posterior_features = 32;

  template <class S, class Visit>
  static void each(S& s, const Visit& visit) {
    each_training_setting(s, visit);
    each_network(s, visit);
  }

  template <class S, class Visit>
  static void each_network(S& s, const Visit& visit) {
    each_network_setting(s, visit);
    visit("features", s.features, SettingRule{"channels of the velocity's stacks", count_option()});
    visit("blocks", s.blocks,
          SettingRule{"residual blocks of each of them",
                      range_option(1, vrfm::ResidualStack::most_blocks)});
    visit("posterior-features", s.posterior_features,
          SettingRule{"channels of the posterior", count_option(), true});
  }
};

struct Mnist : PixelData {
  using Settings = MnistSettings;
  using Networks = vrfm::ResidualNetworks;

  static constexpr const char* name = "mnist";
  static constexpr const char* title = "MNIST";
  static constexpr const char* files = "MNIST's four IDX files, plain or .gz";

  /// Height, width and channels of the published images.
  static std::vector<int> shape() { return {28, 28, 1}; }

  static std::vector<std::string> recipes() { return method_recipes({"vrfm"}); }

  static std::int64_t iterations(const std::string& recipe) {
    return is_small(recipe) ? 4'000 : 100'000;
  }

  static Settings recipe(const std::string& recipe) {
    Settings s;
    s.recipe = recipe;
    s.batch = 256;
    s.micro_batch = 32;
    if (is_small(recipe)) {
      make_small(s, 2e-3);
      s.features = 16;
      // With fewer, the pixels in the middle would be too far from the edge to know where they are.
      s.blocks = 4;
      s.posterior_features = 8;
    }
    const Method& method = use_method(s);
    if (!method.latent) return s;
    s.latent = 2;
    s.beta = is_small(recipe) ? 3e-4 : 1e-3;
    s.encoder_input = is_small(recipe) || method.map() ? "x1" : "x0+x1+x_t";
    return s;
  }

  static vrfm::Images read(const std::filesystem::path& folder, vrfm::Split split) {
    return vrfm::read_mnist(folder, split);
  }

  /// There is no dropout in these networks.
  static vrfm::ResidualFlowOptions networks(const Settings& s, const std::vector<int>& shape,
                                            bool /*training*/) {
    vrfm::ResidualFlowOptions options{.grid = {shape[0], shape[1]},
                                      .channels = shape[2],
                                      .latent = s.latent,
                                      .features = s.features,
                                      .blocks = s.blocks,
                                      .posterior_features = s.posterior_features,
                                      .prior = prior_kinds().at(s.prior),
                                      .second_time = s.map()};
    if (s.latent > 0) {
      options.encoder_input = parse_encoder_input(s.encoder_input);
      vrfm::expect(!contains(options.encoder_input, vrfm::EncoderInput::t),
                   "--encoder-input: expected names of x0, x1, x_t joined by +, found 't' in ",
                   s.encoder_input);
    }
    return options;
  }
};

}  // namespace images
