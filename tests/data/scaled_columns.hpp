// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of standardizations share: columns of every kind, numbers for them, and a fit to numbers.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <vrfm/data/standardization_fit.hpp>

namespace vrfm::test {

inline const std::vector<ColumnOptions> every_kind = {
    {.kind = ScaleKind::identity},
    {.kind = ScaleKind::deviation},
    {.kind = ScaleKind::quantiles},
    {.kind = ScaleKind::log, .shift = 0.5},
    {.kind = ScaleKind::logit, .low = -2, .high = 5},
    {.kind = ScaleKind::deviation, .discrete = true},
    {.kind = ScaleKind::log, .discrete = true},
    {.kind = ScaleKind::logit, .discrete = true, .low = 0, .high = 10}};
inline constexpr int columns = 8;

/// Numbers that each of these takes, spread over its domain; row-major.
inline std::vector<double> data_of(std::size_t rows) {
  std::vector<double> numbers;
  const RandomStream stream(1, Purpose::user);
  for (std::size_t n = 0; n < rows; ++n) {
    double z[columns];
    stream.normal(n, 0, 0, columns, z);
    numbers.insert(numbers.end(),
                   {z[0], 30 + 7 * z[1], -4 + 0.01 * z[2], std::exp(2 * z[3]) - 0.5,
                    -2 + 7 / (1 + std::exp(-3 * z[4])), std::round(20 * z[5]),
                    std::floor(std::exp(3 + z[6])), std::floor(9.99 / (1 + std::exp(-z[7])))});
  }
  return numbers;
}

inline Standardization fit(const std::vector<double>& numbers, int width,
                           const StandardizationOptions& options) {
  const std::size_t rows = numbers.size() / static_cast<std::size_t>(width);
  StandardizationFit result(width, rows, options);
  for (std::size_t n = 0; n < rows; ++n)
    result.add(numbers.data() + n * static_cast<std::size_t>(width));
  return result.finish();
}

}  // namespace vrfm::test
