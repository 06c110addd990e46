// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Model: what a training of vrfm_table leaves in its weights file, which is all that its use needs: the flow, the names
// of its columns, their standardization, and of models without a condition the codes of training rows, from whose
// aggregated posterior z is drawn.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vrfm/data/standardization_file.hpp>
#include <vrfm/data/standardized.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/table/flow.hpp>

namespace table {

/// Numbers of the host, row by row, on the device.
inline Rows to_rows(const Exec& exec, std::span<const float> numbers, std::size_t columns) {
  const Rows rows("table::rows", columns == 0 ? 0 : numbers.size() / columns, columns);
  using Host = Kokkos::View<const float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  vrfm::copy_elements(exec, rows, Host(numbers.data(), rows.extent(0), columns));
  exec.fence();
  return rows;
}

struct Model {
  std::unique_ptr<TableFlow> flow;
  TableSettings settings;
  RowShape shape;
  vrfm::RowScales scales;
  Codes codes;       ///< of no rows: z is drawn from the prior
  DataOptions data;  ///< what it was trained on

  bool aggregated() const { return codes.mean.extent(0) > 0; }
};

/// Whether z is drawn from the codes of training rows: where it depends on no condition.
inline bool keeps_codes(const TableSettings& settings, const RowShape& shape) {
  return settings.latent > 0 && !shape.conditional();
}

namespace detail {

inline constexpr const char* columns_key = "table.columns";
inline constexpr const char* condition_key = "table.condition";
inline constexpr const char* classes_key = "table.classes";
inline constexpr const char* data_key = "table.data";
inline constexpr const char* field_key = "table.field";
inline constexpr const char* array_key = "table.array";

inline std::string data_text(const DataOptions& o) {
  const nlohmann::ordered_json json{{"data", o.data},
                                    {"columns", o.columns},
                                    {"condition", o.condition},
                                    {"standardize", o.standardize},
                                    {"label", o.label},
                                    {"weight", o.weight},
                                    {"ids", o.ids},
                                    {"field", o.field},
                                    {"grid", o.grid},
                                    {"channels", o.channels},
                                    {"validation", o.validation},
                                    {"drop_nan", o.drop_nan}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline DataOptions data_of(const std::string& text, const std::string& file) {
  try {
    const auto json = nlohmann::json::parse(text);
    DataOptions o;
    o.data = json.at("data");
    o.columns = json.at("columns");
    o.condition = json.at("condition");
    o.standardize = json.at("standardize");
    o.label = json.at("label");
    o.weight = json.at("weight");
    o.ids = json.at("ids");
    o.field = json.value("field", o.field);  // files of earlier versions have none
    o.grid = json.value("grid", o.grid);
    o.channels = json.value("channels", o.channels);
    o.validation = json.at("validation");
    o.drop_nan = json.at("drop_nan");
    return o;
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error(file + ": '" + data_key +
                             "': expected the options of the data, found '" + text + "'");
  }
}

inline std::string field_json(const RowShape& shape) {
  const FieldShape& x1 = shape.x1;
  return nlohmann::ordered_json{{"grid", x1.grid},
                                {"channels", x1.channels},
                                {"channels_first", x1.channels_first},
                                {"channel_axis", x1.channel_axis},
                                {"flat", x1.flat},
                                {"condition_channels", shape.field_channels}}
      .dump();
}

/// Throws std::runtime_error that names the file.
inline void read_field(const std::string& text, const std::string& file, RowShape& shape) {
  try {
    const auto json = nlohmann::json::parse(text);
    shape.x1 = {json.at("grid"), json.at("channels"), json.at("channels_first"),
                json.at("channel_axis"), json.at("flat")};
    shape.field_channels = json.at("condition_channels");
    int numbers = 1;
    bool right = !shape.x1.grid.empty() && shape.field_channels >= 0 &&
                 static_cast<std::size_t>(shape.x1.channels) == shape.columns.size();
    for (const int extent : shape.x1.grid) {
      right = right && extent > 0 && extent <= (1 << 28) / numbers;
      if (right) numbers *= extent;
    }
    if (right) return;
  } catch (const nlohmann::json::exception&) {
  }
  throw std::runtime_error(file + ": '" + field_key + "': expected the shape of fields of " +
                           std::to_string(shape.columns.size()) + " channels, found '" + text +
                           "'");
}

inline constexpr const char* codes_key[] = {"data.codes.mean", "data.codes.log_variance"};

inline std::string list_text(const std::vector<std::string>& names) {
  return nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline std::vector<std::string> list_of(const vrfm::Metadata& metadata, const std::string& file,
                                        const char* key) {
  const auto entry = metadata.find(key);
  if (entry == metadata.end()) {
    throw std::runtime_error(file + ": expected weights of vrfm_table, found none ('" + key +
                             "' is missing)");
  }
  const auto list = nlohmann::json::parse(entry->second, nullptr, false);
  if (!list.is_array())
    throw std::runtime_error(file + ": '" + key + "': expected a list of names");
  return list.get<std::vector<std::string>>();
}

}  // namespace detail

/// What the weights' metadata tell besides the settings.
inline void note_shape(const RowShape& shape, const DataOptions& data, vrfm::Settings& record) {
  record[detail::columns_key] = detail::list_text(shape.columns);
  record[detail::condition_key] = detail::list_text(shape.condition);
  record[detail::classes_key] = std::to_string(shape.classes);
  record[detail::data_key] = detail::data_text(data);
  if (shape.x1.is_field()) record[detail::field_key] = detail::field_json(shape);
  if (!shape.array.empty()) record[detail::array_key] = shape.array;
}

/// Writes a flow, whose record note_shape has seen.
template <class AnyFlow>
void save_model(const std::filesystem::path& path, const AnyFlow& flow,
                const vrfm::Settings& record, const vrfm::RowScales& scales, const Codes& codes) {
  vrfm::Settings metadata = record;
  std::vector<vrfm::StandardizationRecord> records;
  records.emplace_back("x1", scales.x1);
  if (scales.vector.columns() > 0) records.emplace_back("vector", scales.vector);
  if (scales.field.columns() > 0) records.emplace_back("field", scales.field);
  std::vector<vrfm::Tensor> tensors;
  for (const auto& each : records) {
    each.note(metadata);
    tensors.push_back(each.tensor());
  }
  std::vector<float> numbers[2];
  for (const int k : {0, 1}) {
    const auto& table = k == 0 ? codes.mean : codes.log_variance;
    if (table.extent(0) == 0) continue;
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), table);
    numbers[k].assign(host.data(), host.data() + host.size());
    tensors.push_back(
        vrfm::make_tensor(detail::codes_key[k], {table.extent(0), table.extent(1)}, numbers[k]));
  }
  vrfm::save_weights(path, flow, metadata, tensors);
}

/// Reads the model of a run's folder, or of a file. Throws std::runtime_error that names the file.
inline Model load_model(const Exec& exec, const std::filesystem::path& load) {
  const auto path = std::filesystem::is_directory(load) ? load / "weights.safetensors" : load;
  const auto file = vrfm::SafetensorsFile::read(path);
  TableSettings settings;
  restore(settings, file.metadata());
  RowShape shape;
  shape.columns = detail::list_of(file.metadata(), file.name(), detail::columns_key);
  shape.condition = detail::list_of(file.metadata(), file.name(), detail::condition_key);
  const auto text_of = [&](const char* key) {
    const auto entry = file.metadata().find(key);
    return entry == file.metadata().end() ? std::string() : entry->second;
  };
  from_text(text_of(detail::classes_key), shape.classes);
  if (const std::string field = text_of(detail::field_key); !field.empty()) {
    detail::read_field(field, file.name(), shape);
  }
  shape.array = text_of(detail::array_key);
  Model model{make_flow(exec, settings, shape),
              settings,
              shape,
              {vrfm::read_standardization(file, "x1"), vrfm::read_standardization(file, "vector"),
               vrfm::read_standardization(file, "field")},
              {},
              detail::data_of(text_of(detail::data_key), file.name())};
  model.flow->load(path);
  if (!keeps_codes(settings, shape)) return model;
  for (const int k : {0, 1}) {
    const vrfm::Tensor& tensor = file.at(detail::codes_key[k]);
    vrfm::expect(tensor.shape.size() == 2 && tensor.shape[0] > 0 &&
                     tensor.shape[1] == static_cast<std::size_t>(settings.latent),
                 path.string(), ": '", tensor.name, "': expected codes of ", settings.latent,
                 " columns");
    const auto values = file.values<float>(tensor.name, tensor.shape);
    (k == 0 ? model.codes.mean : model.codes.log_variance) = to_rows(exec, values, tensor.shape[1]);
  }
  return model;
}

}  // namespace table
