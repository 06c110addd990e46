// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// table.md: all methods at few and at many evaluations as a table for documents, mean and sample standard
// deviation over seeds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <vrfm/io/file.hpp>

#include <examples/common/report/format.hpp>
#include <examples/synthetic/labels.hpp>
#include <examples/synthetic/summary.hpp>

namespace synthetic {

namespace detail {

inline std::string markdown_number(const Spread& value, int digits) {
  std::string text = decimal(value.mean, digits);
  if (value.count > 1 && std::isfinite(value.mean)) {
    text += " ± " + decimal(value.deviation, digits);
  }
  return text;
}

/// A label in a cell, where | would end it.
inline std::string markdown_text(const std::string& label) {
  std::string text;
  for (const char c : label) {
    if (c == '|') text += '\\';
    text += c;
  }
  return text;
}

}  // namespace detail

/// One table a step count, a row a method.
inline std::string markdown_tables(const Results& results) {
  std::string text;
  const std::vector<Group> all = groups(results);
  for (std::size_t begin = 0, end = 0; begin < all.size(); begin = end) {
    while (end < all.size() && all[end].steps == all[begin].steps) ++end;
    const Group& first = all[begin];
    text += first.steps == 0 ? solver_label(first.solver, Markup::gnuplot)
                             : plural(static_cast<std::size_t>(first.evaluations()), "evaluation");
    text +=
        "\n\n| method | true LL | Parzen LL | Wasserstein-1 | MMD² · 10³ | straightness |\n"
        "|---|---|---|---|---|---|\n";
    for (std::size_t i = begin; i < end; ++i) {
      const Group& group = all[i];
      text += "| " + detail::markdown_text(variant_label(results, group.variant, Markup::gnuplot)) +
              " | " + detail::markdown_number(group.of(&Run::true_ll), 3) + " | " +
              detail::markdown_number(group.of(&Run::parzen_ll), 3) + " | " +
              detail::markdown_number(group.of(&Run::wasserstein1), 3) + " | " +
              detail::markdown_number(group.of(&Run::squared_mmd, 1000), 2) + " | " +
              detail::markdown_number(group.of(&Run::straightness), 3) + " |\n";
    }
    const Exact& exact = results.exact;
    text += "| exact samples | " + decimal(exact.true_ll) + " | " + decimal(exact.parzen_ll) +
            " | " + decimal(exact.wasserstein1) + " | " + decimal(1000 * exact.squared_mmd, 2) +
            " | |\n\n";
  }
  return text;
}

/// Replaces `path` in one step. Throws std::runtime_error if it cannot be written.
inline void write_markdown(const std::filesystem::path& path, const Results& results) {
  vrfm::write_file_atomically(path, markdown_tables(results));
}

}  // namespace synthetic
