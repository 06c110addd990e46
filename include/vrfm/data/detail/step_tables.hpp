// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StepTables: the samples of one step, which the host gathers from where they are, where kernels read them. Shared by
// what is larger than an execution space's memory: data/stored_pairs.hpp, data/row_stream.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>

namespace vrfm::detail {

/// Rows of samples as they are read or written; null: there is none.
template <class T>
struct SampleColumns {
  T *x0, *x1, *z, *vector, *field;
  std::conditional_t<std::is_const_v<T>, const std::int32_t, std::int32_t>* labels;

  /// The same, to be read.
  KOKKOS_INLINE_FUNCTION SampleColumns<const T> read_only() const {
    return {x0, x1, z, vector, field, labels};
  }
};

/// How many columns each has.
struct SampleShape {
  int source;     ///< of x0; 0: it is not written
  int dimension;  ///< of x1
  ConditionShape rest;

  KOKKOS_INLINE_FUNCTION int columns() const {
    return source + dimension + rest.latent + rest.columns + rest.field_columns;
  }
};

/// Copies row n of one table to row i of another.
template <class T>
KOKKOS_INLINE_FUNCTION void copy_row(const T* from, std::size_t n, T* to, std::size_t i,
                                     int columns) {
  const auto count = static_cast<std::size_t>(columns);
  for (std::size_t j = 0; j < count; ++j) to[i * count + j] = from[n * count + j];
}

/// The same of all of a sample.
template <class T>
KOKKOS_INLINE_FUNCTION void copy_sample(const SampleColumns<const T>& from, std::size_t n,
                                        const SampleColumns<T>& to, std::size_t i,
                                        const SampleShape& shape) {
  copy_row(from.x0, n, to.x0, i, shape.source);
  copy_row(from.x1, n, to.x1, i, shape.dimension);
  copy_row(from.z, n, to.z, i, shape.rest.latent);
  copy_row(from.vector, n, to.vector, i, shape.rest.columns);
  copy_row(from.field, n, to.field, i, shape.rest.field_columns);
  if (shape.rest.classes > 0) to.labels[i] = from.labels[n];
}

/// The space in which the host works for `Exec`.
template <ExecutionSpace Exec>
using HostExecOf = std::conditional_t<is_host_space<Exec>, Exec, Kokkos::DefaultHostExecutionSpace>;

template <ExecutionSpace Exec>
HostExecOf<Exec> host_exec_of(const Exec& exec) {
  if constexpr (is_host_space<Exec>) {
    return exec;
  } else {
    return HostExecOf<Exec>();
  }
}

/// Copies share their memory.
template <Real T, ExecutionSpace Exec>
class StepTables {
  using Labels = Array<std::int32_t, Exec>;

 public:
  StepTables() = default;
  StepTables(std::size_t batch, const SampleShape& shape)
      : shape_(shape),
        batch_(batch),
        numbers_(uninitialised("vrfm::StepTables::numbers"),
                 batch * static_cast<std::size_t>(shape.columns())),
        labels_(uninitialised("vrfm::StepTables::labels"), shape.rest.classes > 0 ? batch : 0),
        host_numbers_(Kokkos::create_mirror_view(numbers_)),
        host_labels_(Kokkos::create_mirror_view(labels_)) {}

  /// Where the host writes the samples. What was uploaded before must have arrived.
  SampleColumns<T> host() const { return columns_of(host_numbers_.data(), host_labels_.data()); }
  /// Sends them to where kernels read them. Allocates nothing; does not fence.
  void upload(const Exec& exec) const {
    copy_elements(exec, numbers_, host_numbers_);
    copy_elements(exec, labels_, host_labels_);
  }

  /// Writes sample number `sample` of the step.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, const Slot<T>& slot) const {
    const SampleColumns<T> to{slot.x0, slot.x1, slot.z, slot.vector, slot.field, slot.label};
    copy_sample(columns_of(numbers_.data(), labels_.data()).read_only(), sample, to, 0, shape_);
  }
  /// Its x1 alone.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, T* x) const {
    copy_row<T>(columns_of(numbers_.data(), labels_.data()).x1, sample, x, 0, shape_.dimension);
  }

 private:
  static auto uninitialised(const char* label) {
    return Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label));
  }

  /// The tables, one behind the other.
  KOKKOS_FUNCTION SampleColumns<T> columns_of(T* numbers, std::int32_t* labels) const {
    T* const x1 = numbers + batch_ * static_cast<std::size_t>(shape_.source);
    T* const z = x1 + batch_ * static_cast<std::size_t>(shape_.dimension);
    T* const vector = z + batch_ * static_cast<std::size_t>(shape_.rest.latent);
    T* const field = vector + batch_ * static_cast<std::size_t>(shape_.rest.columns);
    return {numbers, x1, z, vector, field, labels};
  }

  SampleShape shape_ = {};
  std::size_t batch_ = 0;
  Array<T, Exec> numbers_;
  Labels labels_;
  typename Array<T, Exec>::host_mirror_type host_numbers_;
  typename Labels::host_mirror_type host_labels_;
};

}  // namespace vrfm::detail
