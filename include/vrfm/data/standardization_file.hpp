// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Standardization in a safetensors file, beside the weights of the model that was trained with it: tensor
//   data.<name> [scales, 5] F64    shift, low, high, centre, deviation of each scale
// and the metadata
//   data.<name>                    the columns; each scale's kind, "discrete" before that of a discrete column:
//                                  "4: deviation log, discrete deviation"
#pragma once

#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/data/standardization.hpp>
#include <vrfm/io/safetensors.hpp>

namespace vrfm {

namespace detail {

inline constexpr const char* scale_kinds[] = {"identity", "deviation", "quantiles", "log", "logit"};
inline constexpr std::string_view discrete_word = "discrete ";

inline ColumnOptions scale_options(std::string_view word, const std::string& where) {
  ColumnOptions options;
  options.discrete = word.starts_with(discrete_word);
  if (options.discrete) word.remove_prefix(discrete_word.size());
  for (int k = 0; k < 5; ++k) {
    options.kind = static_cast<ScaleKind>(k);
    if (word == scale_kinds[k]) return options;
  }
  throw std::runtime_error(where +
                           ": expected identity, deviation, quantiles, log or logit, found " +
                           io::in_quotes(word));
}

}  // namespace detail

/// What a file holds of one standardization.
struct StandardizationRecord {
  std::string key;              ///< "data." and the name
  std::vector<double> numbers;  ///< [scales, 5]
  std::string kinds;

  StandardizationRecord(const std::string& name, const Standardization& of) : key("data." + name) {
    kinds = text(of.columns(), ':');
    for (const ColumnScale& scale : of.scales()) {
      const ColumnOptions& o = scale.options;
      numbers.insert(numbers.end(), {o.shift, o.low, o.high, scale.centre, scale.deviation});
      kinds += text(numbers.size() > 5 ? ", " : " ", o.discrete ? detail::discrete_word : "",
                    detail::scale_kinds[static_cast<int>(o.kind)]);
    }
  }

  /// The tensor, over this record's numbers.
  Tensor tensor() const { return make_tensor(key, {numbers.size() / 5, 5}, numbers); }
  /// The metadata besides.
  void note(Metadata& metadata) const { metadata[key] = kinds; }
};

/// The standardization of that name; of no columns if the file has none. Throws std::runtime_error, naming the file,
/// for what is not one.
inline Standardization read_standardization(const SafetensorsFile& file, const std::string& name) {
  const std::string key = "data." + name, where = file.name() + ": " + detail::io::in_quotes(key);
  const Tensor* const tensor = file.find(key);
  const auto entry = file.metadata().find(key);
  if (tensor == nullptr && entry == file.metadata().end()) return {};
  if (tensor == nullptr || entry == file.metadata().end()) {
    throw std::runtime_error(where +
                             ": expected a tensor and metadata of a standardization, found only " +
                             (tensor == nullptr ? "the metadata" : "the tensor"));
  }
  std::vector<ColumnScale> scales;
  int columns = 0;
  char colon = 0;
  std::istringstream kinds(entry->second);
  kinds >> columns >> colon >> std::ws;
  for (std::string word; std::getline(kinds, word, ',');) {
    word.erase(0, word.find_first_not_of(' '));
    scales.push_back({detail::scale_options(word, where)});
  }
  if (colon != ':' || columns <= 0 || scales.empty() ||
      static_cast<std::size_t>(columns) % scales.size() != 0) {
    throw std::runtime_error(where +
                             ": expected columns and the kinds of scales that divide them, found " +
                             detail::io::in_quotes(entry->second));
  }
  const auto numbers = file.values<double>(key, std::vector<std::size_t>{scales.size(), 5});
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (math::is_finite(numbers[k]) && (k % 5 != 4 || numbers[k] > 0)) continue;
    throw std::runtime_error(text(where, ": element ", k, " is ", numbers[k],
                                  ", expected a finite ",
                                  k % 5 == 4 ? "deviation above 0" : "number"));
  }
  for (std::size_t k = 0; k < scales.size(); ++k) {
    const double* const row = numbers.data() + 5 * k;
    ColumnOptions& o = scales[k].options;
    o.shift = row[0];
    o.low = row[1];
    o.high = row[2];
    scales[k].centre = row[3];
    scales[k].deviation = row[4];
    if (o.kind != ScaleKind::logit || o.low < o.high) continue;
    throw std::runtime_error(
        text(where, ": expected low < high of a logit, found ", o.low, " and ", o.high));
  }
  return Standardization(columns, std::move(scales));
}

}  // namespace vrfm
