// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the commands share: the objective and the precision of settings, and flows from files.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/common/few_steps.hpp>
#include <examples/common/run.hpp>
#include <examples/images/pictures.hpp>
#include <examples/images/settings.hpp>

namespace images {

template <class Set>
using FlowOf = vrfm::Flow<float, Exec, typename Set::Networks>;

/// The flow of settings. Throws std::invalid_argument that names the options of the networks, if their values
/// do not fit together.
template <class Set>
FlowOf<Set> make_flow(const typename Set::Settings& settings, const std::vector<int>& shape,
                      bool training, std::uint32_t seed) {
  try {
    return FlowOf<Set>(Exec(), Set::networks(settings, shape, training), seed);
  } catch (const std::invalid_argument& error) {
    if (std::string(error.what()).find("--") != std::string::npos) throw;
    std::string options;
    Set::Settings::each_network(
        settings, [&](const char* name, const auto& value, const SettingRule& rule) {
          if (rule.latent && settings.latent == 0) return;
          options += (options.empty() ? "" : " ") + flag(name) + ' ' + to_text(value);
        });
    throw std::invalid_argument(error.what() + std::string("; the networks' options are ") +
                                options);
  }
}

/// Calls use(objective) with the settings' objective of the velocity at these times: means over pixels and latent
/// dimensions.
template <class Times, class Use>
void with_velocity_objective(const TrainingSettings& settings, const Times& times, const Use& use) {
  constexpr auto mean = vrfm::Reduction::mean;
  if (settings.latent > 0) {
    use(vrfm::BasicElbo<vrfm::LinearSchedule, Times>{
        .beta = settings.beta, .velocity = mean, .kl = mean, .times = times});
  } else {
    use(vrfm::BasicVelocityLoss<vrfm::LinearSchedule, Times>{.velocity = mean, .times = times});
  }
}

inline ChosenTimes times_of(const TrainingSettings& s) { return {s.time_mean, s.time_deviation}; }

#if defined(KOKKOS_ENABLE_CUDA)
inline constexpr bool has_matmul_precisions = std::is_same_v<Exec, Kokkos::Cuda>;
#else
inline constexpr bool has_matmul_precisions = false;
#endif

/// Throws std::invalid_argument for a precision that this program does not have.
inline void check_matmul_precision(const TrainingSettings& settings) {
  vrfm::expect(has_matmul_precisions || settings.matmul_precision == "float32",
               "option --matmul-precision ", settings.matmul_precision,
               " needs a program built for CUDA, this one is for ", Exec::name());
}

/// Calls use(flow) with the flow in the settings' precision.
template <class FlowType, class Use>
void with_matmul_precision(const TrainingSettings& settings, const FlowType& flow, const Use& use) {
  using T = typename FlowType::value_type;
  using Networks = std::decay_t<decltype(flow.networks())>;
  if constexpr (has_matmul_precisions) {
    if (settings.matmul_precision == "tf32") {
      return use(vrfm::Flow<T, Exec, Networks, vrfm::Compute::tf32>(flow));
    }
    if (settings.matmul_precision == "bfloat16") {
      return use(vrfm::Flow<T, Exec, Networks, vrfm::Compute::bfloat16>(flow));
    }
  }
  use(flow);
}

/// The same, in the settings' storage, too, where there is one.
template <class Settings, class FlowType, class Use>
void with_precision(const Settings& settings, const FlowType& flow, const Use& use) {
  if constexpr (requires { settings.storage; }) {
    using Networks = std::decay_t<decltype(flow.networks())>;
    using Half = vrfm::Stored<vrfm::BFloat16, Networks>;
    if (settings.storage == "bfloat16") {
      return with_matmul_precision(settings, vrfm::Flow<float, Exec, Half>(flow), use);
    }
  }
  with_matmul_precision(settings, flow, use);
}

/// Throws std::invalid_argument for guidance of a flow that never saw a sample without its class.
template <class Settings>
void check_guidance(const Settings& settings, const SamplingOptions& sampling,
                    const std::string& path) {
  vrfm::expect(
      sampling.guidance == 1 || settings.class_dropout > 0,
      "option --guidance needs a flow that is trained with --class-dropout above 0; that of ", path,
      " is 0");
}

inline std::string model_name(const TrainingSettings& settings) {
  const std::string name = settings.objective == "consistency" ? "Consistency-FM"
                           : settings.objective == "meanflow"  ? "MeanFlow"
                           : settings.objective == "soflow"    ? "SoFlow"
                                                               : "RFM";
  const std::string whole = settings.latent > 0 ? "V-" + name : name;
  if (settings.pairs != "transport") return whole;
  return whole == "RFM" ? "OT-FM" : whole + ", OT";
}

/// The metadata of weights that tells by what an autoencoder's latents were multiplied for the training.
inline constexpr const char* latent_scale_key = "latent_scale";

/// What a weights file of another program does not say.
template <class Set>
struct GivenNetworks {
  typename Set::Settings settings;
  std::vector<int> shape;  ///< height, width and channels of an image
};

/// A flow from a file of weights or a checkpoint, which carry the settings that they were trained with.
template <class Set>
struct LoadedFlow {
  enum class Kind { weights, checkpoint, as_given };

  Kind kind;
  typename Set::Settings settings;
  std::vector<int> shape;
  FlowOf<Set> flow;
  std::optional<std::int64_t> steps = {};  ///< that it was trained for, if the file says so
  std::optional<double> latent_scale =
      {};  ///< of latents, by what the autoencoder's were multiplied

  /// Of a checkpoint, the moving average if there is one. Networks that are given are those of files
  /// without settings. Throws std::runtime_error if the file is none of this program, or has no
  /// settings and does not fit the networks that were given.
  static LoadedFlow read(const std::string& path,
                         const std::optional<GivenNetworks<Set>>& given = {}) {
    const auto file = vrfm::SafetensorsFile::read(path);
    auto metadata = file.metadata();
    Kind kind = Kind::weights;
    if (const auto stored = vrfm::checkpoint_settings(file); stored.contains("set")) {
      kind = Kind::checkpoint;
      metadata = stored;
    }
    if (given && !metadata.contains("set")) {
      return read(path, Kind::as_given, given->settings, given->shape);
    }
    const auto value = [&](const std::string& name) {
      const auto found = metadata.find(name);
      if (found == metadata.end()) {
        throw std::runtime_error(path + ": expected weights that vrfm_" + Set::name +
                                 " wrote, found no setting '" + name +
                                 "'; --recipe names the networks of others");
      }
      return found->second;
    };
    if (value("set") != Set::name) {
      throw std::runtime_error(path + ": expected weights of vrfm_" + Set::name +
                               ", found those of vrfm_" + value("set"));
    }
    auto settings = Set::recipe(value("recipe"));
    std::vector<int> shape;
    try {
      restore(settings, metadata);
      from_text(value("image"), shape);
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ": " + error.what());
    }
    if (shape.size() != 3) {
      throw std::runtime_error(path + ": setting 'image' has not three extents");
    }
    LoadedFlow loaded = read(path, kind, settings, shape);
    const auto record = kind == Kind::checkpoint ? file.metadata().find("step")
                                                 : file.metadata().find(trained_steps);
    if (record != file.metadata().end()) from_text(record->second, loaded.steps.emplace());
    const auto scale = metadata.find(latent_scale_key);
    if (scale != metadata.end()) from_text(scale->second, loaded.latent_scale.emplace());
    return loaded;
  }

 private:
  static LoadedFlow read(const std::string& path, Kind kind, const typename Set::Settings& settings,
                         const std::vector<int>& shape) {
    LoadedFlow loaded{kind, settings, shape, make_flow<Set>(settings, shape, false, 0)};
    if (kind == Kind::checkpoint && settings.ema_decay > 0) {
      vrfm::load_average(path, loaded.flow);
    } else {
      vrfm::load_weights(path, loaded.flow);
    }
    return loaded;
  }
};

}  // namespace images
