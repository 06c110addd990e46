// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DrawnBatch: all samples of a step as another coupling draws them, in tables. A coupling over the batch pairs each
// x0 with the x1 of another sample, its partner; condition and z go with x1.
#pragma once

#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/couplings/coupling.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm::detail {

template <Real T, ExecutionSpace Exec, class Inner>
class DrawnBatch {
  static_assert(RequireCoupling<Inner, T>::ok);

 public:
  /// Throws std::invalid_argument if `inner` was made for another batch.
  DrawnBatch(const Inner& inner, int batch)
      : inner_(inner),
        rows_(Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::DrawnBatch::rows"),
              static_cast<std::size_t>(batch), static_cast<std::size_t>(row_columns(inner))),
        marks_("vrfm::DrawnBatch::marks", static_cast<std::size_t>(batch), 3) {
    check_batch(inner, batch);
  }

  KOKKOS_FUNCTION int batch() const { return static_cast<int>(rows_.extent(0)); }
  KOKKOS_FUNCTION int dimension() const { return inner_.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return condition_of(inner_); }
  const Inner& inner() const { return inner_; }

  /// x0 and x1: [batch][dimension].
  Matrix<T> x0() const { return matrix(rows_).col_range(0, dimension()); }
  Matrix<T> x1() const { return matrix(rows_).col_range(dimension(), dimension()); }
  /// [batch][1], to be filled.
  Matrix<std::int32_t> partners() const { return matrix(marks_).col_range(2, 1); }

  /// Draws the batch at `address`, and lets each sample be its own partner. Does not fence.
  void fill(const Exec& exec, const DrawAddress& address) const {
    prepare_coupling(exec, inner_, address, batch());
    launch_each(exec, "vrfm::DrawnBatch::fill", batch(), Fill{*this, address});
  }

  /// Writes x0 of `sample` and x1, condition and z of its partner.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, const Slot<T>& slot) const {
    const auto row = static_cast<int>(sample);
    const int other = marks_(row, 2), columns = dimension();
    const auto shape = condition();
    for (int d = 0; d < columns; ++d) slot.x0[d] = rows_(row, d);
    for (int d = 0; d < columns; ++d) slot.x1[d] = rows_(other, columns + d);
    const int behind = 2 * columns + shape.columns + shape.field_columns;
    for (int j = 0; j < shape.latent; ++j) slot.z[j] = rows_(other, behind + j);
    if (!shape.conditional()) return;
    if (shape.classes > 0) *slot.label = marks_(other, 0);
    *slot.dropped = marks_(other, 1);
    if (marks_(other, 1) != 0) return;
    for (int j = 0; j < shape.columns; ++j) slot.vector[j] = rows_(other, 2 * columns + j);
    for (int j = 0; j < shape.field_columns; ++j) {
      slot.field[j] = rows_(other, 2 * columns + shape.columns + j);
    }
  }

  struct Fill {
    DrawnBatch batch;
    DrawAddress address;

    KOKKOS_FUNCTION void operator()(int i) const {
      const int columns = batch.dimension();
      const auto shape = batch.condition();
      T* const x0 = &batch.rows_(i, 0);
      std::int32_t* const marks = &batch.marks_(i, 0);
      T* const vector = x0 + 2 * columns;
      T* const field = vector + shape.columns;
      marks[1] = 0;
      marks[2] = i;
      batch.inner_.draw(
          address.at(i),
          Slot<T>{x0, x0 + columns, shape.classes > 0 ? marks : nullptr,
                  shape.columns > 0 ? vector : nullptr, shape.field_columns > 0 ? field : nullptr,
                  shape.conditional() ? marks + 1 : nullptr,
                  shape.latent > 0 ? field + shape.field_columns : nullptr});
    }
  };

 private:
  static int row_columns(const Inner& inner) {
    const auto shape = condition_of(inner);
    return 2 * inner.dimension() + shape.columns + shape.field_columns + shape.latent;
  }

  Inner inner_;
  Table<T, Exec> rows_;              // x0, x1, vector, field, z
  Table<std::int32_t, Exec> marks_;  // label, dropped, partner
};

/// The blocks of a batch inside which it is paired anew: of at most `block` samples, 0: one. Throws
/// std::invalid_argument, naming the coupling, if a size is out of range.
inline Partition transport_blocks(const char* coupling, int batch, int block) {
  expect(batch >= 1, coupling, ": expected a batch of at least 1 sample, got ", batch);
  expect(block >= 0 && block <= batch, coupling, ": block must be in 0 (all) to ", batch,
         ", the batch, got ", block);
  return Partition::of_leaves(batch, block);
}

/// Throws std::invalid_argument unless a step draws the batch that the coupling was made for.
inline void check_transport_batch(const char* coupling, int own, int batch) {
  expect(batch == own, coupling, " was made for batches of ", own, ", but a step draws ", batch);
}

}  // namespace vrfm::detail
