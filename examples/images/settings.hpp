// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a training depends on, as values with names: one list serves the command line, the
// checkpoints (which compare them), the weights (whose networks are built from them) and the report.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <vrfm/training/checkpoint.hpp>

#include <examples/common/options.hpp>
#include <examples/common/setting.hpp>

namespace images {

using namespace common;

/// Settings of every image set; the networks' own are in a struct derived from it, whose each()
/// visits all settings and whose each_network() those that the networks' parameters depend on.
struct TrainingSettings {
  std::string recipe;
  std::uint32_t seed = 1;
  int batch = 256;
  int micro_batch = 0;
  double learning_rate = 1e-3;
  std::int64_t warmup = 0;
  double weight_decay = 0;
  double clip_norm = 0;
  double ema_decay = 0;
  bool mirror = false;
  std::string matmul_precision = "float32";
  double beta = 0;

  int latent = 0;
  std::string encoder_input;
};

/// How the value of one setting is checked, and when it has an effect.
struct SettingRule {
  const char* help;
  CLI::Validator check = CLI::Validator(std::string());
  bool latent = false;  ///< only with a latent variable
};

/// visit(name, member, rule) for each setting of the training alone.
template <class S, class Visit>
void each_training_setting(S& s, Visit&& visit) {
  const auto none = [](const char* help) { return SettingRule{help}; };
  visit("seed", s.seed,
        SettingRule{"seed of weights, order of images and draws", count_or_none_option()});
  visit("batch", s.batch, SettingRule{"images a step", count_option()});
  visit("micro-batch", s.micro_batch,
        SettingRule{"images of a step at a time, which bounds the memory; 0: all",
                    count_or_none_option()});
  visit("learning-rate", s.learning_rate, SettingRule{"AdamW's rate", positive_option()});
  visit("warmup", s.warmup, SettingRule{"steps of linear warm-up", count_or_none_option()});
  visit("weight-decay", s.weight_decay, SettingRule{"AdamW's decay", not_negative_option()});
  visit("clip-norm", s.clip_norm,
        SettingRule{"largest gradient norm; 0: off", not_negative_option()});
  visit(
      "ema-decay", s.ema_decay,
      SettingRule{"decay of the moving average of the weights a step; 0: off", fraction_option()});
  visit("mirror", s.mirror, none("exchange left and right of half of the images"));
  visit("matmul-precision", s.matmul_precision,
        SettingRule{"what factors of matrix products are rounded to: float32, or on CUDA tf32 or "
                    "bfloat16; weights, moments and sums stay float32",
                    CLI::IsMember(std::vector<std::string>{"float32", "tf32", "bfloat16"})});
  visit("beta", s.beta, SettingRule{"weight of the KL divergence", not_negative_option(), true});
}

/// The same for each setting that all networks depend on.
template <class S, class Visit>
void each_network_setting(S& s, Visit&& visit) {
  visit("latent", s.latent, SettingRule{"dimension of z", count_option(), true});
  visit("encoder-input", s.encoder_input,
        SettingRule{"what the posterior sees: x0, x1, x_t, t joined by +",
                    CLI::Validator(std::string()), true});
}

/// Recipes for narrow networks that learn the stand-in sets in minutes.
inline bool is_small(const std::string& recipe) { return recipe.ends_with("-small"); }

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

template <class T>
std::string to_text(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_floating_point_v<T>) {
    return exact_text(value);
  } else if constexpr (is_list<T>) {
    std::string text;
    for (const auto& element : value) {
      if (!text.empty()) text += ',';
      text += to_text(element);
    }
    return text;
  } else {
    return std::to_string(value);
  }
}

/// Throws std::invalid_argument if `text` is no such value.
template <class T>
void from_text(const std::string& text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    value = text;
  } else if constexpr (std::is_same_v<T, bool>) {
    vrfm::expect(text == "true" || text == "false", "expected true or false, found '", text, "'");
    value = text == "true";
  } else if constexpr (is_list<T>) {
    value.clear();
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) from_text(part, value.emplace_back());
  } else {
    std::istringstream stream(text);
    vrfm::expect(static_cast<bool>(stream >> value) && stream.peek() == EOF,
                 "expected a number, found '", text, "'");
  }
}

/// All settings by their names; those without an effect are left out.
template <class S>
vrfm::Settings texts(const S& settings) {
  vrfm::Settings result{{"recipe", settings.recipe}};
  S::each(settings, [&](const char* name, const auto& value, const SettingRule& rule) {
    if (!rule.latent || settings.latent > 0) result[name] = to_text(value);
  });
  return result;
}

/// Replaces the settings that `values` names. Throws std::runtime_error naming one that cannot be.
template <class S>
void assign(S& settings, const vrfm::Settings& values) {
  S::each(settings, [&](const char* name, auto& value, const SettingRule&) {
    const auto found = values.find(name);
    if (found == values.end()) return;
    try {
      from_text(found->second, value);
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error("setting '" + std::string(name) + "': " + error.what());
    }
  });
}

}  // namespace images
