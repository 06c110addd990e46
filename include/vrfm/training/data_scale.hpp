// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether the columns of training pairs are of a size near 1. Networks, learning rates and the squared error
// are made for that: of columns of 100 and of 0.01 the first is all that the loss sees.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/training/detail/leaf_kernels.hpp>
#include <vrfm/training/trainer_options.hpp>

namespace vrfm {

/// The root mean square of a column may be between these without a warning.
inline constexpr double least_scale = 0.1, most_scale = 10;

namespace detail {

/// One sentence on the smallest and the largest column of x, which the host can read; "" if all are near 1.
/// A column of zeros is no matter.
template <class T>
std::string scale_sentence(const char* name, Matrix<const T> x) {
  std::string sentence;
  double least = most_scale, most = least_scale;
  int smallest = 0, largest = 0;
  for (int d = 0; d < x.cols; ++d) {
    double squares = 0;
    for (int i = 0; i < x.rows; ++i) {
      squares += static_cast<double>(x(i, d)) * static_cast<double>(x(i, d));
    }
    const double size = std::sqrt(squares / x.rows);
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

/// A warning if a column of x0 or x1 is far from 1 in size, as the root mean square of at least 256 samples
/// of the first steps of `batch` says; "" otherwise. Allocates and fences.
template <class T, ExecutionSpace Exec, class C>
std::string scale_warning(const Exec& exec, const C& coupling, std::uint32_t seed, int batch) {
  // Of a batch of two, columns would be small by chance.
  constexpr int samples = 256;
  const int rows = math::minimum(batch, samples), steps = (samples + rows - 1) / rows;
  const ConditionShape shape = condition_of(coupling);
  const auto table = [](int count, int columns) {
    return Table<T, Exec>("vrfm::scale_warning", static_cast<std::size_t>(count),
                          static_cast<std::size_t>(columns));
  };
  const int dimension = coupling.dimension();
  const auto x0 = table(steps * rows, dimension), x1 = table(steps * rows, dimension);
  const auto vector = table(rows, shape.columns), field = table(rows, shape.field_columns),
             z = table(rows, shape.latent);
  const Array<std::int32_t, Exec> labels("vrfm::scale_warning::labels",
                                         2 * static_cast<std::size_t>(rows));
  detail::DrawRows<T, C> draw{coupling, {.seed = seed}, {}, {}, {}, {}, {}, {}};
  if (shape.classes > 0) draw.label = {labels.data(), rows, 1, 1};
  if (shape.columns > 0) draw.vector = matrix(vector);
  if (shape.field_columns > 0) draw.field = matrix(field);
  if (shape.latent > 0) draw.z = matrix(z);
  if (shape.conditional()) draw.dropped = {labels.data() + rows, rows, 1, 1};
  for (int step = 0; step < steps; ++step) {
    const auto of_step = [&](const Matrix<T>& all) {
      return Matrix<T>(all.row(step * rows), rows, all.cols, all.stride);
    };
    draw.x0 = of_step(matrix(x0));
    draw.x1 = of_step(matrix(x1));
    draw.draws.step = StepNumber(static_cast<std::uint32_t>(step));
    prepare_coupling(exec, coupling, draw.draws, batch);
    BatchContext<Exec, Compute::float32, CoreEngines>(exec).each_row(rows, draw);
  }
  const auto source = to_host(exec, x0), target = to_host(exec, x1);
  const std::string before = detail::scale_sentence<T>("the source", matrix(source));
  const std::string after = detail::scale_sentence<T>("the target", matrix(target));
  if (before.empty() && after.empty()) return "";
  return text(
      "training expects columns of a size near 1 (", least_scale, " to ", most_scale,
      ", root mean square), but ", before, before.empty() || after.empty() ? "" : ", ", after,
      "; subtract each column's mean and divide by its deviation, and undo that on samples");
}

/// Tells options.warn, if there is one.
template <class T, ExecutionSpace Exec, class C>
void warn_of_scale(const Exec& exec, const C& coupling, const TrainerOptions& options) {
  if (!options.warn) return;
  const auto warning = scale_warning<T>(exec, coupling, options.seed, options.batch);
  if (!warning.empty()) options.warn(warning);
}

}  // namespace vrfm
