// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// run_in_parts: evaluates many rows some at a time, in working memory that a dry run of one part has measured.
#pragma once

#include <string>

#include <vrfm/core/arena.hpp>
#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

/// Calls part(ctx, first, rows, arena) for the rows first ... first + rows - 1 of `count`, at most `batch` at a time, with
/// a Batch, a BatchContext. Waits for the end. `label` names the memory.
template <class Batch, class T, ExecutionSpace Exec, class Part>
void run_in_parts(const Exec& exec, const std::string& label, int count, int batch,
                  const Part& part) {
  if (count == 0) return;
  auto measured = Arena<T>::measure();
  part(Batch::dry_run(exec), 0, math::minimum(batch, count), measured);
  const Array<T, Exec> memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, label),
                              measured.peak());
  for (int first = 0; first < count; first += batch) {
    Arena<T> arena(memory.data(), memory.extent(0));
    part(Batch(exec), first, math::minimum(batch, count - first), arena);
  }
  exec.fence();
}

}  // namespace vrfm
