// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a training depends on, as values with names: one list serves the command line, the checkpoints
// (which compare them), the metadata of weights and the report. A struct of settings has a static
//   each(settings, visit)   which calls visit(name, member, rule) for every setting
// and a member `latent`, the dimensions of z; 0: the settings of z have no effect.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <vrfm/training/adam.hpp>
#include <vrfm/training/checkpoint.hpp>

#include <examples/common/options.hpp>
#include <examples/common/setting.hpp>

namespace common {

/// What --help says of a setting, how its value is checked, and when it has an effect.
struct SettingRule {
  std::string help;
  CLI::Validator check = CLI::Validator(std::string());
  bool latent = false;  ///< only with a latent variable
  /// The value that is not written, so that files older than the setting have it; empty: none.
  std::string unwritten = {};
  bool unused = false;  ///< beside the other settings it has no effect
};

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
  vrfm::Settings result;
  S::each(settings, [&](const char* name, const auto& value, const SettingRule& rule) {
    if (rule.unused || (rule.latent && settings.latent == 0)) return;
    const std::string text = to_text(value);
    if (rule.unwritten.empty() || text != rule.unwritten) result[name] = text;
  });
  return result;
}

/// The same as rows of the report, in the order of the list.
template <class S>
std::vector<Setting> rows_of(const S& settings) {
  std::vector<Setting> rows;
  S::each(settings, [&](const char* name, const auto& value, const SettingRule& rule) {
    if (!rule.unused && (!rule.latent || settings.latent > 0))
      rows.push_back({name, to_text(value)});
  });
  return rows;
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

/// The settings that texts() wrote: what is not written has the value that is not.
template <class S>
void restore(S& settings, const vrfm::Settings& written) {
  vrfm::Settings values = written;
  S::each(settings, [&](const char* name, const auto&, const SettingRule& rule) {
    if (!rule.unwritten.empty()) values.try_emplace(name, rule.unwritten);
  });
  assign(settings, values);
}

/// The option of a setting.
inline std::string flag(const std::string& name) { return std::string("--").append(name); }

/// Adds the option of a setting, whose default is the value that it has.
template <class T>
CLI::Option* add_setting(CLI::App* command, const std::string& name, T& value,
                         const SettingRule& rule) {
  if constexpr (std::is_same_v<T, bool>) {
    return command->add_flag(flag(name) + ",!--no-" + name, value,
                             rule.help + (value ? " [on]" : " [off]"));
  } else {
    CLI::Option* option = command->add_option(flag(name), value, rule.help);
    if constexpr (is_list<T>) option->delimiter(',');
    return option->check(rule.check)->default_str(to_text(value));
  }
}

/// A visitor that adds the option of every setting to one group of --help.
struct AddSettings {
  CLI::App* command;
  std::string group;

  template <class T>
  void operator()(const char* name, T& value, const SettingRule& rule) const {
    add_setting(command, name, value, rule)->group(group);
  }
};

/// Throws std::invalid_argument for an option that was given and has no effect.
inline void refuse_unused(const CLI::App& command, const std::string& name, bool used,
                          const std::string& reason) {
  vrfm::expect(used || command.get_option(name)->count() == 0, "option ", name, " has no effect ",
               reason);
}

/// The settings of every training's steps.
struct StepSettings {
  int batch = 1'000;
  double learning_rate = 1e-3;
  std::int64_t warmup = 0;
  double weight_decay = 0.01;
  double clip_norm = 0;
  double ema_decay = 0;

  /// `samples`: what a batch consists of.
  template <class S, class Visit>
  static void each_of_step(S& s, const std::string& samples, const Visit& visit) {
    visit("batch", s.batch, SettingRule{samples + " a step", count_option()});
    visit("learning-rate", s.learning_rate, SettingRule{"AdamW's rate", positive_option()});
    visit("warmup", s.warmup, SettingRule{"steps of linear warm-up", steps_or_none_option()});
    visit("weight-decay", s.weight_decay, SettingRule{"AdamW's decay", not_negative_option()});
    visit("clip-norm", s.clip_norm,
          SettingRule{"largest gradient norm; 0: off", not_negative_option()});
    visit("ema-decay", s.ema_decay,
          SettingRule{"decay of the moving average of the weights a step; 0: off",
                      fraction_option()});
  }

  /// cosine: the step at which the rate has come down to zero along a cosine; 0: it stays.
  vrfm::AdamW optimizer(std::int64_t cosine = 0) const {
    vrfm::AdamW adam;
    adam.learning_rate = cosine > 0 ? vrfm::StepFunction::cosine(learning_rate, warmup, cosine)
                                    : vrfm::StepFunction::warmup(learning_rate, warmup);
    adam.weight_decay = weight_decay;
    return adam;
  }

  vrfm::TrainerOptions trainer_options(std::uint32_t seed, const vrfm::Launch& launch) const {
    return {.batch = batch,
            .seed = seed,
            .clip_norm = clip_norm,
            .ema_decay = ema_decay,
            .launch = launch};
  }
};

}  // namespace common
