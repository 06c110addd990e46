// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether the columns of training pairs are of a size near 1. Networks, learning rates and the squared error
// are made for that: of columns of 100 and of 0.01 the first is all that the loss sees.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/training/detail/leaf_kernels.hpp>

namespace vrfm {

/// The root mean square of a column may be between these without a warning.
inline constexpr double least_scale = 0.1, most_scale = 10;

namespace detail {

/// One sentence on the smallest and the largest column of x [rows][columns]; "" if all are near 1. A column
/// of zeros is no matter.
template <class HostTable>
std::string scale_sentence(const char* name, const HostTable& x) {
  std::string sentence;
  double least = most_scale, most = least_scale;
  std::size_t smallest = 0, largest = 0;
  for (std::size_t d = 0; d < x.extent(1); ++d) {
    double squares = 0;
    for (std::size_t i = 0; i < x.extent(0); ++i) squares += double(x(i, d)) * double(x(i, d));
    const double size = std::sqrt(squares / static_cast<double>(x.extent(0)));
    if (!std::isfinite(size) || size == 0) continue;
    if (size < least) least = size, smallest = d;
    if (size > most) most = size, largest = d;
  }
  if (least < least_scale) sentence += text("column ", smallest, " of ", least);
  if (most > most_scale) {
    sentence += text(sentence.empty() ? "" : " and ", "column ", largest, " of ", most);
  }
  return sentence.empty() ? "" : text(name, " has ", sentence);
}

}  // namespace detail

/// A warning if a column of x0 or x1 is far from 1 in size, as the root mean square of up to 256 samples of
/// the step at `address` says; "" otherwise. Allocates and fences.
template <class T, ExecutionSpace Exec, class C>
std::string scale_warning(const Exec& exec, const C& coupling, const DrawAddress& address,
                          int batch) {
  const int rows = std::min(batch, 256);
  const ConditionShape shape = condition_of(coupling);
  const auto table = [&](int columns) {
    return Table<T, Exec>("vrfm::scale_warning", rows, columns);
  };
  const auto x0 = table(coupling.dimension()), x1 = table(coupling.dimension());
  const auto vector = table(shape.columns), field = table(shape.field_columns);
  const Table<std::int32_t, Exec> label("vrfm::scale_warning", rows, 1),
      dropped("vrfm::scale_warning", rows, 1);
  detail::DrawRows<T, C> draw{coupling, address, matrix(x0), matrix(x1), {}, {}, {}, {}};
  if (shape.classes > 0) draw.label = matrix(label);
  if (shape.columns > 0) draw.vector = matrix(vector);
  if (shape.field_columns > 0) draw.field = matrix(field);
  if (shape != ConditionShape{}) draw.dropped = matrix(dropped);
  prepare_coupling(exec, coupling, address, batch);
  BatchContext<Exec>(exec).each_row(rows, draw);
  exec.fence();
  std::string found;
  for (const auto& [name, x] : {std::pair{"the source", x0}, std::pair{"the target", x1}}) {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
    const std::string sentence = detail::scale_sentence(name, host);
    if (!sentence.empty()) found += (found.empty() ? "" : ", ") + sentence;
  }
  if (found.empty()) return "";
  return text(
      "training expects columns of a size near 1 (", least_scale, " to ", most_scale,
      ", root mean square), but ", found,
      "; subtract each column's mean and divide by its deviation, and undo that on samples");
}

}  // namespace vrfm
