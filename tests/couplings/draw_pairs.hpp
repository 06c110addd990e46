// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of couplings share: the samples of a coupling as a training kernel draws them.
#pragma once

#include <cstdint>
#include <vector>

#include <tests/support/padded.hpp>
#include <tests/support/table.hpp>

#include <vrfm/couplings/coupling.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/training/detail/leaf_kernels.hpp>

namespace vrfm::test {

/// Samples of a coupling, row by row.
struct DrawnPairs {
  std::vector<double> x0, x1, label, vector, field, dropped, z;

  bool operator==(const DrawnPairs&) const = default;
};

/// The samples address.first_sample ... + rows - 1. What the coupling does not have stays empty.
template <class T, class Exec, class C>
DrawnPairs draw_pairs(const Exec& exec, const C& coupling, int rows, const DrawAddress& address) {
  const ConditionShape shape = condition_of(coupling);
  const auto n = static_cast<std::size_t>(rows);
  Padded<T, Exec> x0(rows, coupling.dimension()), x1(rows, coupling.dimension());
  Padded<T, Exec> vector(rows, shape.columns), field(rows, shape.field_columns);
  Padded<T, Exec> z(rows, shape.latent);
  const Table<std::int32_t, Exec> label("label", n, 1), dropped("dropped", n, 1);
  vrfm::detail::DrawRows<T, C> draw{coupling, address, x0.matrix(), x1.matrix(), {}, {}, {}, {}};
  if (shape.classes > 0) draw.label = vrfm::matrix(label);
  if (shape.columns > 0) draw.vector = vector.matrix();
  if (shape.field_columns > 0) draw.field = field.matrix();
  if (shape.latent > 0) draw.z = z.matrix();
  const bool conditional = shape.conditional();
  if (conditional) draw.dropped = vrfm::matrix(dropped);
  BatchContext<Exec>(exec).each_row(rows, draw);
  return {
      x0.read(),     x1.read(),    shape.classes > 0 ? numbers_of(label) : std::vector<double>(),
      vector.read(), field.read(), conditional ? numbers_of(dropped) : std::vector<double>(),
      z.read()};
}

}  // namespace vrfm::test
