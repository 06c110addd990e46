// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entrance of every metric of ensembles, [cases][members][columns] against truths [cases][columns]; and means
// over a case's columns, in their order.
#pragma once

#include <string>

#include <vrfm/core/launch.hpp>
#include <vrfm/metrics/detail/samples.hpp>
#include <vrfm/metrics/estimate.hpp>

namespace vrfm::detail::metrics {

/// Element (n, m, d) is column d of member m of case n.
template <class T>
struct Ensemble {
  Matrix<const T> members;  // [cases members][columns]
  Matrix<const T> truth;    // [cases][columns]
  int cases, size;

  KOKKOS_FUNCTION int columns() const { return truth.cols; }
  KOKKOS_FUNCTION const T* member(int n, int m) const {
    return members.data + (std::int64_t(n) * size + m) * members.stride;
  }
};

/// Throws std::invalid_argument, naming `name`, for different cases or columns, fewer than `least` members, or
/// numbers that are not finite.
template <ExecutionSpace Exec, class Ensembles, class Truths>
Ensemble<Value<Truths>> ensemble(const Exec& exec, const std::string& name,
                                 const Ensembles& ensembles, const Truths& truths, int least) {
  using T = Value<Truths>;
  static_assert(Kokkos::is_view<Ensembles>::value,
                "vrfm: a metric needs ensembles as a Kokkos view");
  static_assert(Ensembles::rank == 3, "vrfm: ensembles need rank 3, [cases][members][columns]");
  static_assert(std::is_same_v<typename Ensembles::array_layout, Kokkos::LayoutRight>,
                "vrfm: ensembles need to be row-major (Kokkos::LayoutRight)");
  static_assert(std::is_same_v<T, Value<Ensembles>>,
                "vrfm: a metric needs ensembles and truths of one type, float or double");
  expect_same("ensembles", ensembles.extent(0), "truths", truths.extent(0), "cases");
  expect_same("ensembles", ensembles.extent(2), "truths", truths.extent(1), "columns");
  expect(ensembles.extent(1) >= static_cast<std::size_t>(least), name, ": expected at least ",
         least, " members, but got ", ensembles.extent(1));
  expect(ensembles.span_is_contiguous(), name,
         ": expected ensembles without gaps, but their view has some");
  using Rows = Kokkos::View<const T**, Kokkos::LayoutRight, typename Ensembles::memory_space,
                            Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  const Rows rows(ensembles.data(), ensembles.extent(0) * ensembles.extent(1), ensembles.extent(2));
  const auto truth = samples(exec, name + ": truths", truths);
  return {samples(exec, name + ": ensembles (one row a member)", rows), truth, truth.rows,
          static_cast<int>(ensembles.extent(1))};
}

/// sum over d of of(n, d), over their number
template <class Of>
struct ColumnMean {
  Of of;
  int columns;

  KOKKOS_FUNCTION double operator()(std::int64_t n) const {
    double sum = 0;
    for (int d = 0; d < columns; ++d) sum += of(static_cast<int>(n), d);
    return sum / columns;
  }
};

/// The mean over its columns of each case [cases]. Does not fence.
template <ExecutionSpace Exec, class Of>
Array<double, Exec> column_means(const Exec& exec, const std::string& label, int cases, int columns,
                                 const Of& of) {
  return terms(exec, label, 0, cases, ColumnMean<Of>{of, columns});
}

}  // namespace vrfm::detail::metrics
