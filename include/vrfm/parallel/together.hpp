// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// together: what each rank does by itself, such as its part of a file, either succeeds on all ranks or ends in
// the same error on all of them, so that none waits for one that has left.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/parallel/tree_sum.hpp>

namespace vrfm {

/// A text of rank `from` on all ranks, which call it together.
template <class C>
std::string text_of_rank(const C& communicator, int from, const std::string& own) {
  if (communicator.size() == 1) return own;
  const bool mine = communicator.rank() == from;
  const auto sizes = all_ranks(communicator, static_cast<double>(own.size()));
  // A sum to which the others add zeros.
  std::vector<double> letters(static_cast<std::size_t>(sizes[static_cast<std::size_t>(from)]));
  if (letters.empty()) return {};
  if (mine) std::copy(own.begin(), own.end(), letters.begin());
  double* const root[] = {letters.data()};
  communicator.sum(Kokkos::DefaultHostExecutionSpace(),
                   Partition(communicator.size(), communicator.size()),
                   std::span<double* const>(root), letters.data(), letters.size());
  std::string text;
  for (const double letter : letters) text += static_cast<char>(letter);
  return text;
}

/// Calls act(), which may not call the communicator, on all ranks. If it throws on one, throws
/// std::runtime_error on all, of the lowest such rank: "rank 2: ...". A single rank's own exception comes
/// through.
template <class C, class Act>
void together(const C& communicator, const Act& act) {
  if (communicator.size() == 1) return act();
  std::string failure;
  try {
    act();
  } catch (const std::exception& error) {
    failure = error.what();
    if (failure.empty()) failure = "an error without words";
  }
  if (!communicator.any(!failure.empty())) return;
  const auto failed = all_ranks(communicator, failure.empty() ? 0.0 : 1.0);
  const auto lowest = std::find(failed.begin(), failed.end(), 1.0) - failed.begin();
  const std::string words = text_of_rank(communicator, static_cast<int>(lowest), failure);
  throw std::runtime_error(text("rank ", lowest, ": ", words));
}

}  // namespace vrfm
