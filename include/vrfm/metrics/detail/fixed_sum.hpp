// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums whose shape depends on the number of terms alone, so that any number of threads gives the same
// bits: first the terms, then partial sums of the leaves of a Partition, of at most 256 terms, then those
// along its tree.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/parallel/tree_sum.hpp>

namespace vrfm::detail::metrics {

template <class Term, class Values>
struct StoreTerm {
  Term term;
  Values values;

  KOKKOS_FUNCTION void operator()(std::int64_t i) const { values(i) = term(i); }
};

inline constexpr int sum_block = 256;

/// The sum of each leaf's values, in order.
template <class Values>
struct SumLeaf {
  Partition partition;
  Values values, partials;

  KOKKOS_FUNCTION void operator()(int leaf) const {
    double sum = 0;
    for (int i = partition.first_sample(leaf); i < partition.first_sample(leaf + 1); ++i) {
      sum += values(i);
    }
    partials(leaf) = sum;
  }
};

/// The sum of `values`. Fences `exec`. Throws std::invalid_argument for 2^31 values or more.
template <ExecutionSpace Exec>
double fixed_sum(const Exec& exec, const Array<double, Exec>& values) {
  const std::size_t count = values.extent(0);
  if (count == 0) return 0;
  const auto partition =
      Partition::of_leaves(narrow<int>(count, "the number of a metric's terms"), sum_block);
  const Array<double, Exec> partials(
      Kokkos::view_alloc("vrfm::metrics::partials", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(partition.leaves()));
  Kokkos::parallel_for(
      "vrfm::metrics::sum_leaf",
      Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>(exec, 0, partition.leaves()),
      SumLeaf<Array<double, Exec>>{partition, values, partials});
  return tree_sum(partition, to_host(exec, partials).data());
}

/// The `count` values term(0), term(1), ...; `label` names their kernel. Does not fence.
template <ExecutionSpace Exec, class Term>
Array<double, Exec> terms(const Exec& exec, const std::string& label, std::int64_t count,
                          const Term& term) {
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>;
  const Array<double, Exec> values(Kokkos::view_alloc(label, exec, Kokkos::WithoutInitializing),
                                   static_cast<std::size_t>(count));
  Kokkos::parallel_for(label, Policy(exec, 0, count),
                       StoreTerm<Term, Array<double, Exec>>{term, values});
  return values;
}

/// term(0) + ... + term(count - 1). Fences `exec`.
template <ExecutionSpace Exec, class Term>
double fixed_sum(const Exec& exec, const std::string& label, std::int64_t count, const Term& term) {
  return fixed_sum(exec, terms(exec, label, count, term));
}

}  // namespace vrfm::detail::metrics
