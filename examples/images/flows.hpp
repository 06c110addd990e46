// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the commands share: flows from settings and from files, the objective, folders, and the
// losses of every step.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <vrfm/data/image_draws.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/checkpoint.hpp>

#include <examples/images/pictures.hpp>
#include <examples/images/settings.hpp>

namespace images {

template <class Set>
using FlowOf = vrfm::Flow<float, Exec, typename Set::Networks>;

/// Calls use(objective) with the settings' objective: means over pixels and latent dimensions.
template <class Use>
void with_objective(const TrainingSettings& settings, const Use& use) {
  constexpr auto mean = vrfm::Reduction::mean;
  if (settings.latent > 0) {
    use(vrfm::Elbo{settings.beta, mean, mean});
  } else {
    use(vrfm::VelocityLoss{mean});
  }
}

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

inline std::string model_name(const TrainingSettings& settings) {
  return settings.latent > 0 ? "V-RFM" : "RFM";
}

inline std::vector<int> shape_of(const vrfm::Images& images) {
  return {static_cast<int>(images.height), static_cast<int>(images.width),
          static_cast<int>(images.channels)};
}

/// Makes a folder. Throws std::runtime_error that names --output.
inline void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw std::runtime_error("--output " + folder.string() +
                             ": cannot create the folder: " + error.message());
  }
}

inline std::string backend() {
  const int threads = Exec().concurrency();
  return std::string(Exec::name()) + ", " + std::to_string(threads) +
         (threads == 1 ? " thread" : " threads");
}

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
      assign(settings, metadata);
      from_text(value("image"), shape);
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ": " + error.what());
    }
    if (shape.size() != 3) {
      throw std::runtime_error(path + ": setting 'image' has not three extents");
    }
    return read(path, kind, settings, shape);
  }

 private:
  static LoadedFlow read(const std::string& path, Kind kind, const typename Set::Settings& settings,
                         const std::vector<int>& shape) {
    LoadedFlow loaded{kind, settings, shape,
                      FlowOf<Set>(Exec(), Set::networks(settings, shape, false), 0)};
    if (kind == Kind::checkpoint && settings.ema_decay > 0) {
      vrfm::load_average(path, loaded.flow);
    } else {
      vrfm::load_weights(path, loaded.flow);
    }
    return loaded;
  }
};

/// The losses of every step, kept in losses.npy: [steps][velocity, KL, gradient norm].
class LossLog {
 public:
  static constexpr std::size_t columns = 3;

  static std::filesystem::path in(const std::filesystem::path& folder) {
    return folder / "losses.npy";
  }

  void add(const vrfm::StepLosses& losses) {
    values_.insert(values_.end(), {losses.velocity, losses.kl, losses.gradient_norm});
  }
  std::size_t steps() const { return values_.size() / columns; }

  void write(const std::filesystem::path& path) const {
    vrfm::write_npy(path, {steps(), columns}, values_);
  }

  /// The first `steps` steps of a file; -1: all. Throws std::runtime_error if it has fewer.
  static LossLog read(const std::filesystem::path& path, std::int64_t steps = -1) {
    LossLog log;
    log.values_ = vrfm::read_npy<double>(path).values;
    const std::size_t wanted =
        steps < 0 ? log.values_.size() : columns * static_cast<std::size_t>(steps);
    if (log.values_.size() < wanted) {
      throw std::runtime_error(path.string() + ": expected the losses of at least " +
                               std::to_string(steps) + " steps, found " +
                               std::to_string(log.steps()));
    }
    log.values_.resize(wanted);
    return log;
  }

  double mean(std::size_t first, std::size_t last, std::size_t column) const {
    double sum = 0;
    for (std::size_t s = first; s < last; ++s) sum += values_[columns * s + column];
    return sum / static_cast<double>(last - first);
  }

  /// Few enough points for a figure, each the mean of the steps between them.
  Curve curve(std::size_t column) const {
    Curve curve;
    const std::size_t points = std::min<std::size_t>(steps(), 400);
    for (std::size_t k = 0; k < points; ++k) {
      const std::size_t first = steps() * k / points, last = steps() * (k + 1) / points;
      curve.x.push_back(0.5 * static_cast<double>(first + last));
      curve.y.push_back(mean(first, last, column));
    }
    return curve;
  }

 private:
  std::vector<double> values_;
};

}  // namespace images
