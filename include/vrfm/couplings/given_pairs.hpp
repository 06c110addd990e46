// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GivenPairs: a coupling of pairs (x0, x1), or (x0, z, x1), that were computed beforehand, such as reflow pairs
// (sampling/draw_pairs.hpp) or an optimal assignment, in tables. Each draw picks a row with equal probability, with
// replacement. Those of a file, each once in an epoch, are StoredPairs (data/stored_pairs.hpp).
#pragma once

#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/distribution.hpp>

namespace vrfm {

template <Real T, ExecutionSpace Exec>
class GivenPairs {
 public:
  using value_type = T;

  /// x0 and x1: [N][D]; z: [N][L], or without extents if there is none. Row n of each belongs to row n of the others.
  /// They are shared, not copied. Throws std::invalid_argument if there are no rows or the shapes differ.
  GivenPairs(const Table<const T, Exec>& x0, const Table<const T, Exec>& x1,
             const Table<const T, Exec>& z = {})
      : x0_(x0), x1_(x1), z_(z) {
    expect_same("x0", x0.extent(0), "x1", x1.extent(0), "rows");
    expect_same("x0", x0.extent(1), "x1", x1.extent(1), "columns");
    expect(x0.extent(0) > 0 && x0.extent(1) > 0, "GivenPairs: expected at least one pair, but got ",
           x0.extent(0), " rows of ", x0.extent(1), " columns");
    if (z.extent(0) > 0 || z.extent(1) > 0) {
      expect_same("x0", x0.extent(0), "z", z.extent(0), "rows");
    }
    narrow<int>(x0.extent(0), "GivenPairs: the number of pairs");
    narrow<int>(x0.extent(1), "GivenPairs: the number of columns");
    narrow<int>(z.extent(1), "GivenPairs: the number of columns of z");
  }

  KOKKOS_FUNCTION int dimension() const { return static_cast<int>(x0_.extent(1)); }
  KOKKOS_FUNCTION ConditionShape condition() const {
    return {.latent = static_cast<int>(z_.extent(1))};
  }

  /// The row that the draw at `address` picks.
  KOKKOS_FUNCTION int row(const SampleAddress& address) const {
    return address.stream(Purpose::source)
        .index(address.sample, address.step, 0, static_cast<int>(x0_.extent(0)));
  }

  /// Writes the pair at `address`.
  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    const int n = row(address), latent = condition().latent;
    for (int d = 0; d < dimension(); ++d) {
      slot.x0[d] = x0_(n, d);
      slot.x1[d] = x1_(n, d);
    }
    for (int j = 0; j < latent; ++j) slot.z[j] = z_(n, j);
  }

 private:
  Table<const T, Exec> x0_, x1_, z_;
};

}  // namespace vrfm
