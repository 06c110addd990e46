// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checkpoints as safetensors files: weights (weights.hpp), and besides them, under the name of each array of
// the training's state (the optimizer's, the moving average's) and a point, one tensor a parameter, and as
// metadata the step and the settings. With counter-based random numbers that is the whole state of a run.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include <vrfm/parallel/together.hpp>
#include <vrfm/training/replicas.hpp>
#include <vrfm/training/trainer.hpp>
#include <vrfm/training/weights.hpp>

namespace vrfm {

namespace detail {

inline constexpr std::string_view setting_prefix = "setting.";

/// The number of steps that a checkpoint was made after.
inline std::int64_t read_step(const SafetensorsFile& file) {
  const auto entry = file.metadata().find(step_key);
  const std::string digits = entry == file.metadata().end() ? "" : entry->second;
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  constexpr std::int64_t most = (std::numeric_limits<std::uint32_t>::max)();
  if (error != std::errc() || end != digits.data() + digits.size() || step < 0 || step > most) {
    throw std::runtime_error(text(file.name(), ": expected the number of steps done, at most ",
                                  most, ", as metadata '", step_key, "', found ",
                                  io::in_quotes(digits), "; is this a checkpoint?"));
  }
  return step;
}

/// Throws std::runtime_error unless the file's state is that of a training whose arrays are `state`.
template <class State>
void expect_state(const SafetensorsFile& file, const State& state) {
  const auto stored = state_names(file);
  std::string wanted;
  for (const auto& array : state) wanted += (wanted.empty() ? "" : ", ") + array.name;
  for (const auto& name : stored) {
    bool known = false;
    for (const auto& array : state) known = known || array.name == name;
    for (const Tensor& tensor : file.tensors()) {
      if (known || !tensor.name.starts_with(name + '.')) continue;
      throw std::runtime_error(text(file.name(), ": tensor ", io::in_quotes(tensor.name),
                                    ": the checkpoint has '", name,
                                    "', but this run's state is: ", wanted));
    }
  }
}

}  // namespace detail

/// The settings that a checkpoint was made with; none of a weights file.
inline Settings checkpoint_settings(const SafetensorsFile& file) {
  using detail::setting_prefix;
  Settings stored;
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with(setting_prefix)) stored[key.substr(setting_prefix.size())] = value;
  }
  return stored;
}

namespace detail {

/// A tensor that is yet to be written.
struct TensorPlace {
  std::string name;
  DType dtype;
  std::vector<std::size_t> shape;
};

/// Where a checkpoint's numbers lie in its file, the same on all ranks.
template <HasTrainingState TrainerType>
SafetensorsLayout checkpoint_layout(const TrainerType& trainer, const Settings& settings) {
  std::vector<TensorPlace> places;
  const auto add = [&](const std::string& prefix) {
    for (const auto& slot : trainer.parameters().entries()) {
      places.push_back({prefix + slot.name, dtype_of<typename TrainerType::T>(), slot.shape});
    }
  };
  add("");
  std::string names;
  for (const auto& array : trainer.state()) {
    add(array.name + '.');
    names += (names.empty() ? "" : ",") + array.name;
  }
  Metadata metadata{{step_key, std::to_string(trainer.step())}, {state_key, names}};
  for (const auto& [name, value] : settings) {
    metadata[std::string(setting_prefix) + name] = value;
  }
  add_notes(metadata, trainer.parameters());
  return safetensors_layout(std::span<const TensorPlace>(places), metadata);
}

/// Calls write(offset, bytes) for the elements `own` of a flat array, which `values` are; begins[k]: where the
/// file has slot k of the list.
template <class T, class Write>
void write_segment(const ParameterList& list, std::span<const std::size_t> begins,
                   const Segment& own, const T* values, const Write& write) {
  for (std::size_t k = 0; k < list.entries().size(); ++k) {
    const auto& slot = list.entries()[k];
    const std::size_t first = (std::max)(slot.offset, own.begin);
    const std::size_t end = (std::min)(slot.offset + slot.count, own.end);
    if (first >= end) continue;
    write(begins[k] + (first - slot.offset) * sizeof(T),
          std::as_bytes(std::span(values + (first - own.begin), end - first)));
  }
}

/// Calls write(offset, bytes) for all that this rank writes: the root the parameters, and of the state each
/// rank its segment, or the root all if it is not in shards.
template <HasTrainingState TrainerType, class Write>
void write_own(const TrainerType& trainer, const SafetensorsLayout& layout, const Write& write) {
  const ParameterList& list = trainer.parameters();
  const std::size_t count = list.entries().size();
  const auto add = [&](std::size_t array, const Segment& own, const auto& values) {
    const auto host = to_host(trainer.exec(), values);
    trainer.exec().fence();
    write_segment(list, std::span(layout.begins).subspan(array * count, count), own, host.data(),
                  write);
  };
  const bool is_root = trainer.communicator().is_root();
  if (is_root) add(0, Segment{0, list.count()}, trainer.values());
  if (!is_root && !trainer.sharded()) return;
  for (std::size_t k = 0; k < trainer.state().size(); ++k) {
    add(k + 1, trainer.segment(), trainer.state()[k].values);
  }
}

/// Writes the whole state of a run, atomically. All ranks call it; throws on all or on none.
template <HasTrainingState TrainerType>
void write_checkpoint(const std::filesystem::path& path, const TrainerType& trainer,
                      const Settings& settings) {
  const auto& communicator = trainer.communicator();
  const bool is_root = communicator.is_root();
  std::optional<SafetensorsLayout> layout;
  std::optional<AtomicFile> file;  // the root's
  together(communicator, [&] {
    layout = checkpoint_layout(trainer, settings);
    if (!is_root) return;
    file.emplace(path);
    file->write(layout->head);
  });
  std::string temporary;
  if (trainer.sharded()) temporary = text_of_rank(communicator, 0, file ? file->temporary() : "");
  together(communicator, [&] {
    const auto write_into = [&](auto& into) {
      write_own(trainer, *layout, [&](std::size_t offset, std::span<const std::byte> bytes) {
        into.write_at(offset, bytes);
      });
    };
    if (is_root) {
      write_into(*file);
    } else if (trainer.sharded()) {
      FilePart part(path, temporary);
      write_into(part);
      part.commit();
    }
  });
  together(communicator, [&] {
    if (is_root) file->commit();
  });
}

}  // namespace detail

/// Writes the whole state of a run, atomically, in one file that any number of ranks can read, with shards or
/// without. All ranks call it. The communicator's root writes, and shards are written by the ranks that have
/// them, into the root's file: in a folder that all of them see.
/// Throws as check_replicas does, and std::runtime_error on all ranks if one of them cannot write.
template <detail::HasTrainingState TrainerType>
void save_checkpoint(const std::filesystem::path& path, const TrainerType& trainer,
                     const Settings& settings) {
  check_replicas(trainer);
  detail::write_checkpoint(path, trainer, settings);
}

/// Throws std::runtime_error naming the first setting of a checkpoint that differs from those of this run.
inline void check_checkpoint_settings(const SafetensorsFile& file, const Settings& settings) {
  Settings stored = checkpoint_settings(file);
  for (const auto& [name, value] : settings) {
    const auto found = stored.find(name);
    const std::string before = found == stored.end() ? "no value" : '\'' + found->second + '\'';
    if (before != '\'' + value + '\'') {
      throw std::runtime_error(text(file.name(), ": setting '", name, "' is '", value,
                                    "' but the checkpoint was made with ", before));
    }
    stored.erase(name);
  }
  if (!stored.empty()) {
    throw std::runtime_error(text(file.name(), ": the checkpoint was made with the setting '",
                                  stored.begin()->first, "', which this run does not have"));
  }
}

/// Restores the state of a run; the next step is the one after the checkpoint's.
/// Throws std::runtime_error naming the setting that differs, or the tensor that does not fit; the
/// trainer is then unchanged.
template <detail::HasTrainingState TrainerType>
void load_checkpoint(const SafetensorsFile& file, TrainerType& trainer, const Settings& settings) {
  using T = typename TrainerType::T;
  const std::int64_t step = detail::read_step(file);
  check_checkpoint_settings(file, settings);
  detail::reject_unknown(file, trainer.parameters());
  detail::expect_notes(file, trainer.parameters());
  detail::expect_state(file, trainer.state());
  // All is read and checked before anything of the trainer changes.
  const auto& list = trainer.parameters();
  const auto values = detail::read_parameters<T>(file, list, "");
  const Segment own = trainer.segment();
  std::vector<Kokkos::View<T*, Kokkos::HostSpace>> state;  // of the segment
  for (const auto& array : trainer.state()) {
    // The same had no compensation of the moving average: it is zero.
    const bool absent =
        array.name == average_compensation_name && !file.metadata().contains(detail::state_key);
    state.emplace_back("vrfm::load_checkpoint", own.count());
    if (absent) continue;
    const auto whole = detail::read_parameters<T>(file, list, array.name + '.');
    std::copy(whole.data() + own.begin, whole.data() + own.end, state.back().data());
  }
  copy_elements(trainer.exec(), trainer.values(), values);
  for (std::size_t k = 0; k < state.size(); ++k) {
    copy_elements(trainer.exec(), trainer.state()[k].values, state[k]);
  }
  trainer.exec().fence();
  trainer.resume_at(step);
}

/// The same from a file's path.
template <detail::HasTrainingState TrainerType>
void load_checkpoint(const std::filesystem::path& path, TrainerType& trainer,
                     const Settings& settings) {
  load_checkpoint(SafetensorsFile::read(path), trainer, settings);
}

/// For what is no trainer: says so.
template <class Other>
  requires(!detail::HasTrainingState<Other>)
void save_checkpoint(const std::filesystem::path&, const Other&, const Settings&) {
  static_assert(
      detail::HasTrainingState<Other>,
      "vrfm: a checkpoint is that of a Trainer; save_weights and load_weights take a Flow");
}
template <class File, class Other>
  requires(!detail::HasTrainingState<Other>)
void load_checkpoint(const File&, const Other&, const Settings&) {
  static_assert(
      detail::HasTrainingState<Other>,
      "vrfm: a checkpoint is that of a Trainer; save_weights and load_weights take a Flow");
}

}  // namespace vrfm
