// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums whose shape depends on the number of terms alone, so that any number of threads and ranks gives the
// same bits: first the terms, then partial sums of the leaves of a Partition, of at most 256 terms, then
// those along its tree. A rank computes the terms of its leaves.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/parallel/tree_sum.hpp>

namespace vrfm::detail::metrics {

template <class Term, class Values>
struct StoreTerm {
  Term term;
  std::int64_t first;
  Values values;

  KOKKOS_FUNCTION void operator()(std::int64_t i) const { values(i) = term(first + i); }
};

inline constexpr int sum_block = 256;

/// The sum of each leaf's values, in order; values(0) is the first leaf's first.
template <class Values>
struct SumLeaf {
  Partition partition;
  int first_leaf;
  Values values, partials;

  KOKKOS_FUNCTION void operator()(int k) const {
    const int leaf = first_leaf + k, before = partition.first_sample(first_leaf);
    double sum = 0;
    for (int i = partition.first_sample(leaf); i < partition.first_sample(leaf + 1); ++i) {
      sum += values(i - before);
    }
    partials(k) = sum;
  }
};

/// The `count` values term(first), term(first + 1), ...; `label` names their kernel. Does not fence.
template <ExecutionSpace Exec, class Term>
Array<double, Exec> terms(const Exec& exec, const std::string& label, std::int64_t first,
                          std::int64_t count, const Term& term) {
  const Array<double, Exec> values(Kokkos::view_alloc(label, exec, Kokkos::WithoutInitializing),
                                   static_cast<std::size_t>(count));
  launch_each(exec, label, count, StoreTerm<Term, Array<double, Exec>>{term, first, values});
  return values;
}

inline Partition leaves_of_terms(std::int64_t count) {
  return Partition::of_leaves(narrow<int>(count, "the number of a metric's terms"), sum_block);
}

/// The sum of all leaves, of which `values` are those of `range`.
template <ExecutionSpace Exec, class Comm>
double sum_of_leaves(const Exec& exec, const Partition& partition, const LeafRange& range,
                     const Array<double, Exec>& values, const Comm& communicator) {
  const Array<double, Exec> partials(
      Kokkos::view_alloc("vrfm::metrics::partials", exec, Kokkos::WithoutInitializing),
      static_cast<std::size_t>(range.count));
  launch_each(exec, "vrfm::metrics::sum_leaf", range.count,
              SumLeaf<Array<double, Exec>>{partition, range.first, values, partials});
  double sum = 0;
  sum_of_ranks(communicator, partition, range, to_host(exec, partials).data(), 1, &sum);
  return sum;
}

/// The sum of `values`. Fences `exec`. Throws std::invalid_argument for 2^31 values or more.
template <ExecutionSpace Exec>
double fixed_sum(const Exec& exec, const Array<double, Exec>& values) {
  if (values.extent(0) == 0) return 0;
  const Partition partition = leaves_of_terms(static_cast<std::int64_t>(values.extent(0)));
  return sum_of_leaves(exec, partition, {0, partition.leaves()}, values, SelfCommunicator{});
}

/// term(0) + ... + term(count - 1). Fences `exec`.
template <ExecutionSpace Exec, class Term, class Comm = SelfCommunicator>
double fixed_sum(const Exec& exec, const std::string& label, std::int64_t count, const Term& term,
                 const Comm& communicator = {}) {
  if (count == 0) return 0;
  const Partition partition = leaves_of_terms(count);
  const LeafRange range = partition.owned(communicator.rank(), communicator.size());
  const int first = partition.first_sample(range.first);
  return sum_of_leaves(exec, partition, range,
                       terms(exec, label, first, partition.first_sample(range.end()) - first, term),
                       communicator);
}

}  // namespace vrfm::detail::metrics
