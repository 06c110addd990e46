// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GivenPairs: a source of pairs (x0, x1) that were computed beforehand, such as reflow pairs or an
// optimal assignment. Each draw picks a row with equal probability, with replacement.
#pragma once

#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
class GivenPairs {
 public:
  using value_type = T;

  /// x0 and x1: [N][D], row n of one belongs to row n of the other; shared, not copied. Throws
  /// std::invalid_argument if there are no rows or the shapes differ.
  GivenPairs(const Table<const T, Exec>& x0, const Table<const T, Exec>& x1) : x0_(x0), x1_(x1) {
    expect_same("x0", x0.extent(0), "x1", x1.extent(0), "rows");
    expect_same("x0", x0.extent(1), "x1", x1.extent(1), "columns");
    expect(x0.extent(0) > 0 && x0.extent(1) > 0, "GivenPairs: expected at least one pair, but got ",
           x0.extent(0), " rows of ", x0.extent(1), " columns");
  }

  KOKKOS_FUNCTION int dimension() const { return static_cast<int>(x0_.extent(1)); }

  /// Which row the draw at (sample, step) under `seed` is.
  KOKKOS_FUNCTION int row(std::uint64_t sample, std::uint32_t step, std::uint32_t seed) const {
    return RandomStream(seed, Purpose::source)
        .index(sample, step, 0, static_cast<int>(x0_.extent(0)));
  }

  /// Writes the pair at (sample, step) under `seed` to x0 [D] and x1 [D].
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, std::uint32_t seed, T* x0,
                            T* x1) const {
    const int n = row(sample, step, seed);
    for (int d = 0; d < dimension(); ++d) {
      x0[d] = x0_(n, d);
      x1[d] = x1_(n, d);
    }
  }

 private:
  Table<const T, Exec> x0_, x1_;
};

}  // namespace vrfm
