// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums whose shape depends on the number of terms alone, so that any number of threads gives the
// same bits: first the terms, then partial sums of 256 neighbours, then the sum of those in order.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm::detail::metrics {

template <class Term, class Values>
struct StoreTerm {
  Term term;
  Values values;

  KOKKOS_FUNCTION void operator()(std::int64_t i) const { values(i) = term(i); }
};

inline constexpr std::int64_t sum_block = 256;

template <class Values>
struct SumBlock {
  Values values, partials;

  KOKKOS_FUNCTION void operator()(std::int64_t block) const {
    const auto count = static_cast<std::int64_t>(values.extent(0));
    const std::int64_t last = math::min((block + 1) * sum_block, count);
    double sum = 0;
    for (std::int64_t i = block * sum_block; i < last; ++i) sum += values(i);
    partials(block) = sum;
  }
};

/// The sum of `values`. Fences `exec`.
template <ExecutionSpace Exec>
double fixed_sum(const Exec& exec, const Array<double, Exec>& values) {
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>;
  const auto count = static_cast<std::int64_t>(values.extent(0));
  const std::int64_t blocks = (count + sum_block - 1) / sum_block;
  const Array<double, Exec> partials(
      Kokkos::view_alloc("vrfm::metrics::partials", exec, Kokkos::WithoutInitializing), blocks);
  Kokkos::parallel_for("vrfm::metrics::sum_block", Policy(exec, 0, blocks),
                       SumBlock<Array<double, Exec>>{values, partials});
  const auto host = Kokkos::create_mirror_view(partials);
  Kokkos::deep_copy(exec, host, partials);
  exec.fence();
  double sum = 0;
  for (std::int64_t block = 0; block < blocks; ++block) sum += host(block);
  return sum;
}

/// The `count` values term(0), term(1), ...; `label` names their kernel. Does not fence.
template <ExecutionSpace Exec, class Term>
Array<double, Exec> terms(const Exec& exec, const std::string& label, std::int64_t count,
                          const Term& term) {
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>;
  const Array<double, Exec> values(Kokkos::view_alloc(label, exec, Kokkos::WithoutInitializing),
                                   count);
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
