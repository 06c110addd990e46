// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Column sums of a whole batch, in an order that follows from their shape alone. On hosts each
// column is added from the first row to the last; on devices in parts, which a tree adds.
#pragma once

#include <cstdint>

#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/team_launch.hpp>

namespace vrfm::detail {

/// Columns [part_cols * part, ...), each added from the first row to the last.
template <class F, class S>
struct ColumnSums {
  int rows, cols;
  F f;
  S* out;
  Update update;
  int part_cols;

  KOKKOS_FUNCTION void operator()(int part) const {
    const int first = part * part_cols, last = math::minimum(first + part_cols, cols);
    if (update == Update::overwrite) {
      for (int j = first; j < last; ++j) out[j] = S(0);
    }
    for (int i = 0; i < rows; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = first; j < last; ++j) out[j] += static_cast<S>(f(i, j));
    }
  }
};

/// Team t: columns [width t, width (t + 1)), each in parts = column_units / width. Part p adds the
/// rows p, p + parts, ... in order; then the upper half of the parts is added to the lower half
/// until one part is left.
template <class F, class S>
struct TeamColumnSums {
  static constexpr int units = 1024;  // one sum each
  static constexpr std::size_t scratch_bytes = units * sizeof(S);

  int rows, cols;
  F f;
  S* out;
  Update update;
  int width;

  /// Eight columns a team, because memory gives 32 bytes of floats at a time; fewer if there are no
  /// more.
  TeamColumnSums(int row_count, int col_count, const F& function, S* sums, Update how)
      : rows(row_count), cols(col_count), f(function), out(sums), update(how), width(1) {
    while (width < 8 && width < cols) width *= 2;
  }
  int teams() const { return (cols + width - 1) / width; }

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    S* shared = static_cast<S*>(
        member.team_scratch(0).get_shmem_aligned(static_cast<int>(scratch_bytes), 16));
    const int size = member.team_size(), rank = member.team_rank();
    const int first = member.league_rank() * width;
    for (int u = rank; u < units; u += size) {
      const int j = first + u % width;
      shared[u] = j < cols ? part_of_column(u / width, j) : S(0);
    }
    member.team_barrier();
    for (int half = units / 2; half >= width; half /= 2) {
      for (int u = rank; u < half; u += size) shared[u] += shared[u + half];
      member.team_barrier();
    }
    for (int u = rank; u < math::minimum(width, cols - first); u += size) {
      S& sum = out[first + u];
      sum = update == Update::accumulate ? sum + shared[u] : shared[u];
    }
  }

 private:
  KOKKOS_INLINE_FUNCTION S part_of_column(int part, int j) const {
    constexpr int ahead = 8;  // elements read before the first is added
    const int parts = units / width;
    S sum = S(0);
    for (std::int64_t first = part; first < rows; first += ahead * parts) {
      S value[ahead];
      VRFM_UNROLL
      for (int n = 0; n < ahead; ++n) {
        const std::int64_t i = first + n * parts;
        value[n] = i < rows ? static_cast<S>(f(static_cast<int>(i), j)) : S(0);
      }
      VRFM_UNROLL
      for (int n = 0; n < ahead; ++n) sum += value[n];
    }
    return sum;
  }
};

template <class Exec, class F, class S>
void launch_column_sums(const Exec& exec, int rows, int cols, const F& f, S* out, Update update) {
  const char* label = "vrfm::BatchContext::column_sum";
  if constexpr (is_host_space<Exec>) {
    constexpr int part = 16;  // a cache line
    launch_each(exec, label, (cols + part - 1) / part,
                ColumnSums<F, S>{rows, cols, f, out, update, part});
  } else {
    using Sums = TeamColumnSums<F, S>;
    const Sums sums(rows, cols, f, out, update);
    constexpr int threads = math::minimum(Sums::units, DeviceTraits<Exec>::most_team_threads);
    launch_teams<threads, 1>(exec, label, sums.teams(), Sums::scratch_bytes + 16, sums);
  }
}

}  // namespace vrfm::detail
