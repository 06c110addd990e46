// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowScales: the standardizations of x1, vector and field of packed rows, fitted in one pass. Standardized: any
// distribution whose draws are standardised, so that a model is trained on them; its samples become data by
// scales.x1.restore.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/data/row_source.hpp>
#include <vrfm/data/standardization_fit.hpp>

namespace vrfm {

/// Of no columns where nothing is standardised.
struct RowScales {
  Standardization x1 = {}, vector = {}, field = {};
};

struct RowScalesOptions {
  StandardizationOptions x1 = {}, vector = {}, field = {};
};

/// Fits them to packed rows, which come one after the other.
class RowScalesFit {
 public:
  /// rows: how many will come, at most. Throws as StandardizationFit.
  RowScalesFit(const RowLayout& layout, std::size_t rows, const RowScalesOptions& options = {}) {
    const auto add_role = [&](int columns, int first, const StandardizationOptions& of_role,
                              Standardization RowScales::*member) {
      if (columns > 0) roles_.push_back({{columns, rows, of_role}, first, member});
    };
    add_role(layout.dimension, 0, options.x1, &RowScales::x1);
    add_role(layout.columns, layout.vector_at(), options.vector, &RowScales::vector);
    add_role(layout.field_columns, layout.field_at(), options.field, &RowScales::field);
  }

  template <Real T>
  void add(const T* row) {
    for (Role& role : roles_) role.fit.add(row + role.first);
  }

  RowScales finish() {
    RowScales scales;
    for (Role& role : roles_) scales.*role.member = role.fit.finish();
    return scales;
  }

 private:
  struct Role {
    StandardizationFit fit;
    int first;
    Standardization RowScales::*member;
  };

  std::vector<Role> roles_;
};

/// The same of all wanted rows, in one pass. Throws as RowSource::read and StandardizationFit.
template <Real T>
RowScales fit_scales(const RowSource& source, const RowScalesOptions& options = {}) {
  RowScalesFit fit(source.layout(), source.rows(), options);
  RowScratch<T> scratch;
  source.for_each_block<T>(RowSource::pass_rows, scratch, [&](const T* rows, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) fit.add(rows + i * source.row_columns());
  });
  return fit.finish();
}

template <class Inner, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace>
class Standardized {
 public:
  static constexpr bool prepares_on_host = vrfm::prepares_on_host<Inner>;

  /// Throws std::invalid_argument if a standardization has other columns than what `inner` draws. Allocates and fences.
  Standardized(const Exec& exec, const Inner& inner, const RowScales& scales) : inner_(inner) {
    const ConditionShape shape = condition_of(inner);
    take(exec, "x1", scales.x1, inner.dimension(), x1_);
    take(exec, "the vector", scales.vector, shape.columns, vector_);
    take(exec, "the field", scales.field, shape.field_columns, field_);
  }

  KOKKOS_FUNCTION int dimension() const { return inner_.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return condition_of(inner_); }
  const Inner& inner() const { return inner_; }
  void check(int batch) const { check_batch(inner_, batch); }
  void prepare(const Exec& exec, const DrawAddress& address, Purpose purpose, int batch) const {
    prepare_draws(exec, inner_, address, purpose, batch);
  }

  template <class T>
    requires ConditionalDistribution<Inner, T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    inner_.draw(sample, step, stream, slot);
    const ConditionShape shape = condition();
    map(x1_, slot.x1, dimension(), sample, step, stream, detail::scale_x1);
    // What is dropped need not be written.
    if (slot.dropped != nullptr && *slot.dropped != 0) return;
    map(vector_, slot.vector, shape.columns, sample, step, stream, detail::scale_vector);
    map(field_, slot.field, shape.field_columns, sample, step, stream, detail::scale_field);
  }
  template <class T>
    requires Distribution<Inner, T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    inner_.draw(sample, step, stream, x);
    map(x1_, x, dimension(), sample, step, stream, detail::scale_x1);
  }

 private:
  using Scales = Array<ColumnScale, Exec>;

  static void take(const Exec& exec, const char* role, const Standardization& scales, int columns,
                   Scales& taken) {
    if (scales.columns() == 0) return;
    expect(scales.columns() == columns, role, " has ", columns,
           " columns, but its standardization has ", scales.columns());
    taken = scales.scales_on(exec);
  }

  template <class T>
  KOKKOS_FUNCTION void map(const Scales& scales, T* row, int columns, std::uint64_t sample,
                           std::uint32_t step, const RandomStream& stream,
                           std::uint32_t element) const {
    const int count = static_cast<int>(scales.extent(0));
    if (count > 0) {
      detail::ScaleList{scales.data(), count}.apply(row, columns, sample, step, stream, element);
    }
  }

  Inner inner_;
  Scales x1_, vector_, field_;
};

/// The draws of `inner`, standardised.
template <ExecutionSpace Exec, class Inner>
Standardized<Inner, Exec> standardized(const Exec& exec, const Inner& inner,
                                       const RowScales& scales) {
  return Standardized<Inner, Exec>(exec, inner, scales);
}

}  // namespace vrfm
