// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All settings of a run that have an effect, as its report shows them: where methods differ, each value with its
// methods.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <examples/synthetic/options.hpp>

namespace synthetic {

namespace detail {

/// A setting of the trainings: its values, each with the methods that have it.
struct SharedSetting {
  std::string name;
  std::vector<std::pair<std::string, std::string>> values;
  bool usual = true;

  void add(const std::string& value, const std::string& model) {
    auto same = std::find_if(values.begin(), values.end(),
                             [&](const auto& known) { return known.first == value; });
    if (same == values.end()) same = values.insert(values.end(), {value, ""});
    same->second += (same->second.empty() ? "" : ", ") + model;
  }

  Setting row() const {
    std::string text;
    for (const auto& [value, models] : values) {
      text += (text.empty() ? "" : "; ") + value;
      if (values.size() > 1) text += " (" + models + ")";
    }
    return {name, text, usual};
  }
};

inline void add_training_rows(const Options& o, std::vector<Setting>& rows) {
  std::vector<SharedSetting> shared;
  for (const std::string& model : o.models) {
    const Method& method = method_named(model);
    const vrfm::Settings usual = texts(usual_settings(o.experiment, method));
    for (const Setting& row : rows_of(settings_of(o, method))) {
      auto found = std::find_if(shared.begin(), shared.end(),
                                [&](const SharedSetting& known) { return known.name == row.name; });
      if (found == shared.end()) found = shared.insert(shared.end(), {row.name, {}});
      found->add(row.value, model);
      const auto other = usual.find(row.name);
      found->usual = found->usual && other != usual.end() && other->second == row.value;
    }
  }
  for (const SharedSetting& setting : shared) rows.push_back(setting.row());
}

/// Those of one list of Options.
template <class Each>
void add_rows(const Options& o, const Each& each, std::vector<Setting>& rows) {
  const std::size_t first = rows.size();
  each(Options(), [&](const char* name, const auto& value, const SettingRule&) {
    rows.push_back({name, to_text(value)});
  });
  auto row = rows.begin() + static_cast<std::ptrdiff_t>(first);
  each(o, [&](const char*, const auto& value, const SettingRule&) {
    row->usual = row->value == to_text(value);
    row++->value = to_text(value);
  });
}

}  // namespace detail

inline std::vector<Setting> report_rows(const Options& o) {
  std::vector<Setting> rows{{"experiment", o.experiment}};
  const auto of_runs = [](const Options& s, const auto& visit) { Options::each_of_runs(s, visit); };
  const auto of_sampling = [](const Options& s, const auto& visit) {
    Options::each_of_sampling(s, visit);
  };
  detail::add_rows(o, of_runs, rows);
  detail::add_training_rows(o, rows);
  detail::add_rows(o, of_sampling, rows);
  std::erase_if(rows, [&](const Setting& row) {
    return row.name == (o.adaptive() ? "steps" : "tolerance") || row.value.empty() ||
           (row.name == "iterations" && !o.load.empty());
  });
  return rows;
}

}  // namespace synthetic
