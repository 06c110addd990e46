// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights as safetensors files: one tensor a parameter under its own name, so PyTorch loads it as a state
// dict, and what the parameters' shapes do not tell of the networks as metadata; a file without that is
// taken by its shapes. Weights are also read from checkpoints, and from files of networks that PyTorch
// wrapped.
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/training/average.hpp>

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

inline constexpr std::string_view network_prefix = "network.";
inline constexpr std::string_view data_prefix = "data.";  // of tensors that are no parameters
inline constexpr const char* step_key = "step";           // of checkpoints, and
inline constexpr const char* state_key = "state";         // the names of their state's arrays

/// A flat array on the host, and its slots as tensors over it.
template <class T>
class HostParameters {
 public:
  template <ExecutionSpace Exec>
  HostParameters(const Exec& exec, const ParameterList& list, const Array<T, Exec>& values)
      : HostParameters(list, to_host(exec, values)) {}
  HostParameters(const ParameterList& list, const Kokkos::View<T*, Kokkos::HostSpace>& host)
      : list_(list), host_(host) {}

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
    for (std::size_t k = 0; k < slot.count; ++k) {
      if (math::is_finite(host(slot.offset + k))) continue;
      throw std::runtime_error(text(file.name(), ": tensor '", prefix, slot.name, "': element ", k,
                                    " is ", host(slot.offset + k), ", expected a finite number"));
    }
  }
  return host;
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
    const auto is_parameter = [&](std::string_view of) {
      return std::ranges::any_of(list.entries(), [&](const auto& slot) { return slot.name == of; });
    };
    bool known =
        is_parameter(name) || list.disregards(std::string(name)) || name.starts_with(data_prefix);
    for (const auto& state : states) {
      known =
          known || (name.starts_with(state + '.') && is_parameter(name.substr(state.size() + 1)));
    }
    if (!known) {
      throw std::runtime_error(text(file.name(), ": tensor ", io::in_quotes(tensor.name),
                                    ": the model has no such parameter"));
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

/// Writes the flow's parameters under their names, with `settings` as metadata, and tensors `data` that tell how samples
/// become data, such as a standardization (data/standardization_file.hpp), whose names begin with "data.". Atomic: an
/// earlier file stays until the new one is complete. Of many ranks the root alone calls it. Throws std::runtime_error
/// if it cannot be written.
template <detail::HasParameters FlowType>
void save_weights(const std::filesystem::path& path, const FlowType& flow,
                  const Settings& settings = {}, std::span<const Tensor> data = {}) {
  using T = typename FlowType::value_type;
  for (const auto& [name, value] : settings) {
    expect(name != detail::step_key && name != detail::state_key &&
               !name.starts_with(detail::network_prefix),
           "save_weights: a setting may not be called '", name,
           "', which means something else in weights and checkpoints");
  }
  const detail::HostParameters<T> host(flow.exec(), flow.parameters(), flow.values());
  std::vector<Tensor> tensors;
  host.append_to(tensors, "");
  for (const Tensor& tensor : data) {
    expect(tensor.name.starts_with(detail::data_prefix),
           "save_weights: the name of a tensor of the data begins with ", detail::data_prefix,
           ", got '", tensor.name, "'");
    tensors.push_back(tensor);
  }
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
void save_weights(const std::filesystem::path&, const Other&, const Settings& = {},
                  std::span<const Tensor> = {}) {
  static_assert(detail::HasParameters<Other>, "vrfm: weights are those of a Flow or another model");
}
template <class Other>
  requires(!detail::HasParameters<Other>)
void load_weights(const std::filesystem::path&, const Other&) {
  static_assert(detail::HasParameters<Other>, "vrfm: weights are those of a Flow or another model");
}

}  // namespace vrfm
