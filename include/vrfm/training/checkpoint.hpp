// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights and checkpoints as safetensors files. A weights file holds one tensor a parameter under
// its own name, so PyTorch loads it as a state dict. A checkpoint adds, under the name of each array of
// the training's state (the optimizer's, the moving average's) and a point, one tensor a parameter, and
// as metadata the step and the settings: with counter-based random numbers that is the whole state of a
// run. Both carry what the shapes of the parameters do not tell of the networks; a file without that is
// taken by its shapes.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sstream>
#include <string_view>

#include <vrfm/core/copy.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm {

/// Named settings of a run: whatever must be equal for a continued run to be the same run.
using Settings = Metadata;

namespace detail {

template <class F>
concept HasParameters = requires(const F& f) {
  f.exec();
  f.parameters();
  f.values();
};

/// A Trainer, or what has its state.
template <class X>
concept HasTrainingState = HasParameters<X> && requires(const X& trainer) {
  typename X::T;
  trainer.step();
  trainer.state();
  trainer.communicator();
};

inline constexpr std::string_view setting_prefix = "setting.";
inline constexpr std::string_view network_prefix = "network.";
inline constexpr const char* step_key = "step";
inline constexpr const char* state_key = "state";

/// A flat array on the host, and its slots as tensors over it.
template <class T>
class HostParameters {
 public:
  template <ExecutionSpace Exec>
  HostParameters(const Exec& exec, const ParameterList& list, const Array<T, Exec>& values)
      : list_(list), host_(Kokkos::create_mirror_view(Kokkos::HostSpace(), values)) {
    copy_elements(exec, host_, values);
    exec.fence();
  }

  void append_to(std::vector<Tensor>& tensors, std::string_view prefix) const {
    for (const auto& slot : list_.entries()) {
      tensors.push_back(make_tensor(std::string(prefix) + slot.name, slot.shape,
                                    std::span<const T>(host_.data() + slot.offset, slot.count)));
    }
  }

 private:
  const ParameterList& list_;
  Kokkos::View<T*, Kokkos::HostSpace> host_;
};

/// The tensors prefix + slot name of `file` as one flat array; throws if one does not fit.
template <class T>
Kokkos::View<T*, Kokkos::HostSpace> read_parameters(const SafetensorsFile& file,
                                                    const ParameterList& list,
                                                    std::string_view prefix) {
  Kokkos::View<T*, Kokkos::HostSpace> host("vrfm::read_parameters", list.count());
  for (const auto& slot : list.entries()) {
    file.copy_values<T>(std::string(prefix) + slot.name, slot.shape,
                        std::span(host.data() + slot.offset, slot.count));
  }
  return host;
}

/// The number of steps that a checkpoint was made after.
inline std::int64_t read_step(const SafetensorsFile& file) {
  const auto entry = file.metadata().find(step_key);
  const std::string digits = entry == file.metadata().end() ? "" : entry->second;
  std::int64_t step = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (error != std::errc() || end != digits.data() + digits.size() || step < 0) {
    throw std::runtime_error(text(file.name(), ": expected the number of steps done as metadata '",
                                  step_key, "', found ", io::in_quotes(digits),
                                  "; is this a checkpoint?"));
  }
  return step;
}

/// The names of the state's arrays that a checkpoint holds; none of a weights file.
inline std::vector<std::string> state_names(const SafetensorsFile& file) {
  const auto entry = file.metadata().find(state_key);
  if (entry != file.metadata().end()) {
    std::vector<std::string> names;
    std::stringstream stream(entry->second);
    for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
    return names;
  }
  // The first checkpoints did not say: Adam was the only optimizer.
  if (!file.metadata().contains(step_key)) return {};
  return {"adam.first_moment", "adam.second_moment", average_name};
}

/// What the shapes do not tell of the networks, as metadata.
inline void add_notes(Metadata& metadata, const ParameterList& list) {
  for (const auto& [name, value] : list.notes()) {
    metadata[std::string(network_prefix) + name] = value;
  }
}

/// Throws std::runtime_error naming the first that differs; files of others have none.
inline void expect_notes(const SafetensorsFile& file, const ParameterList& list) {
  for (const auto& [key, stored] : file.metadata()) {
    if (!key.starts_with(network_prefix)) continue;
    const auto name = key.substr(network_prefix.size());
    const auto note = list.notes().find(name);
    const std::string here = note == list.notes().end() ? "no such property" : note->second;
    if (here == stored) continue;
    throw std::runtime_error(text(file.name(), ": '", name, "' is ", stored,
                                  " in the file's network, but ", here, " in this one"));
  }
}

/// What all names of a file begin with if PyTorch wrapped the network that it is of: DistributedDataParallel
/// and compile add a word each.
inline std::string wrapper_of(const SafetensorsFile& file) {
  std::string wrapper;
  const auto all_begin_with = [&](const std::string& prefix) {
    return std::all_of(file.tensors().begin(), file.tensors().end(),
                       [&](const Tensor& tensor) { return tensor.name.starts_with(prefix); });
  };
  for (bool found = !file.tensors().empty(); found;) {
    found = false;
    for (const char* word : {"module.", "_orig_mod."}) {
      if (!all_begin_with(wrapper + word)) continue;
      wrapper += word;
      found = true;
    }
  }
  return wrapper;
}

/// Throws std::runtime_error for a tensor that is neither a parameter nor a checkpoint's state.
inline void reject_unknown(const SafetensorsFile& file, const ParameterList& list,
                           const std::string& wrapper = {}) {
  const auto states = state_names(file);
  for (const Tensor& tensor : file.tensors()) {
    std::string_view name = tensor.name;
    name.remove_prefix(wrapper.size());
    for (const auto& state : states) {
      if (!name.starts_with(state + '.')) continue;
      name.remove_prefix(state.size() + 1);
      break;
    }
    bool known = false;
    for (const auto& slot : list.entries()) known = known || slot.name == name;
    if (!known) {
      throw std::runtime_error(text(file.name(), ": tensor ", io::in_quotes(tensor.name),
                                    ": the model has no such parameter"));
    }
  }
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

/// Fills the flow's parameters with the tensors prefix + name; returns the file's settings.
template <class FlowType>
Metadata load_values(const std::filesystem::path& path, const FlowType& flow,
                     std::string_view prefix) {
  const auto file = SafetensorsFile::read(path);
  const std::string wrapper = wrapper_of(file);
  reject_unknown(file, flow.parameters(), wrapper);
  expect_notes(file, flow.parameters());
  const auto host = read_parameters<typename FlowType::value_type>(file, flow.parameters(),
                                                                   wrapper + std::string(prefix));
  copy_elements(flow.exec(), flow.values(), host);
  flow.exec().fence();
  Metadata settings = file.metadata();
  std::erase_if(settings,
                [](const auto& entry) { return entry.first.starts_with(network_prefix); });
  return settings;
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

/// Writes the flow's parameters under their names, with `settings` as metadata. Atomic: an earlier
/// file stays until the new one is complete. Throws std::runtime_error if it cannot be written.
template <detail::HasParameters FlowType>
void save_weights(const std::filesystem::path& path, const FlowType& flow,
                  const Settings& settings = {}) {
  using T = typename FlowType::value_type;
  const detail::HostParameters<T> host(flow.exec(), flow.parameters(), flow.values());
  std::vector<Tensor> tensors;
  host.append_to(tensors, "");
  Metadata metadata = settings;
  detail::add_notes(metadata, flow.parameters());
  write_safetensors(path, tensors, metadata);
}

/// Fills the flow's parameters from a weights file or a checkpoint; returns the file's metadata. The
/// words before all names by which PyTorch tells a wrapped network are left out.
/// Throws std::runtime_error naming the tensor that is missing, unknown or of another shape, or the
/// property of the networks that differs; the flow is then unchanged.
template <detail::HasParameters FlowType>
Metadata load_weights(const std::filesystem::path& path, const FlowType& flow) {
  return detail::load_values(path, flow, "");
}

/// The same with the moving average of a checkpoint. Throws also where the checkpoint has none.
template <detail::HasParameters FlowType>
Metadata load_average(const std::filesystem::path& path, const FlowType& flow) {
  return detail::load_values(path, flow, std::string(average_name) + '.');
}

/// For what is no flow: says so.
template <class Other>
  requires(!detail::HasParameters<Other>)
void save_weights(const std::filesystem::path&, const Other&, const Settings& = {}) {
  static_assert(detail::HasParameters<Other>, "vrfm: weights are those of a Flow");
}
template <class Other>
  requires(!detail::HasParameters<Other>)
void load_weights(const std::filesystem::path&, const Other&) {
  static_assert(detail::HasParameters<Other>, "vrfm: weights are those of a Flow");
}

/// Writes the whole state of a run, atomically; the communicator's root does.
template <detail::HasTrainingState TrainerType>
void save_checkpoint(const std::filesystem::path& path, const TrainerType& trainer,
                     const Settings& settings) {
  using T = typename TrainerType::T;
  if (!trainer.communicator().is_root()) return;
  std::vector<detail::HostParameters<T>> arrays;
  arrays.reserve(trainer.state().size() + 1);
  arrays.emplace_back(trainer.exec(), trainer.parameters(), trainer.values());
  std::vector<Tensor> tensors;
  arrays.back().append_to(tensors, "");
  std::string names;
  for (const auto& array : trainer.state()) {
    arrays.emplace_back(trainer.exec(), trainer.parameters(), array.values);
    arrays.back().append_to(tensors, array.name + '.');
    names += (names.empty() ? "" : ",") + array.name;
  }
  Metadata metadata{{detail::step_key, std::to_string(trainer.step())}, {detail::state_key, names}};
  for (const auto& [name, value] : settings) {
    metadata[std::string(detail::setting_prefix) + name] = value;
  }
  detail::add_notes(metadata, trainer.parameters());
  write_safetensors(path, tensors, metadata);
}

/// Restores the state of a run; the next step is the one after the checkpoint's.
/// Throws std::runtime_error naming the setting that differs, or the tensor that does not fit; the
/// trainer is then unchanged.
template <detail::HasTrainingState TrainerType>
void load_checkpoint(const SafetensorsFile& file, TrainerType& trainer, const Settings& settings) {
  using T = typename TrainerType::T;
  const std::int64_t step = detail::read_step(file);
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
  detail::reject_unknown(file, trainer.parameters());
  detail::expect_notes(file, trainer.parameters());
  detail::expect_state(file, trainer.state());
  // All is read and checked before anything of the trainer changes.
  const auto& list = trainer.parameters();
  const auto values = detail::read_parameters<T>(file, list, "");
  std::vector<Kokkos::View<T*, Kokkos::HostSpace>> state;
  for (const auto& array : trainer.state()) {
    // The same had no compensation of the moving average: it is zero.
    const bool absent =
        array.name == average_compensation_name && !file.metadata().contains(detail::state_key);
    state.push_back(absent ? Kokkos::View<T*, Kokkos::HostSpace>("vrfm::zero", list.count())
                           : detail::read_parameters<T>(file, list, array.name + '.'));
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
