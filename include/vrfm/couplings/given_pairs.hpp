// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GivenPairs: a coupling of pairs (x0, x1) that were computed beforehand, such as reflow pairs or an
// optimal assignment. Each draw picks a row with equal probability, with replacement.
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

  /// x0 and x1: [N][D]; row n of x0 belongs to row n of x1. They are shared, not copied. Throws
  /// std::invalid_argument if there are no rows or the shapes differ.
  GivenPairs(const Table<const T, Exec>& x0, const Table<const T, Exec>& x1) : x0_(x0), x1_(x1) {
    expect_same("x0", x0.extent(0), "x1", x1.extent(0), "rows");
    expect_same("x0", x0.extent(1), "x1", x1.extent(1), "columns");
    expect(x0.extent(0) > 0 && x0.extent(1) > 0, "GivenPairs: expected at least one pair, but got ",
           x0.extent(0), " rows of ", x0.extent(1), " columns");
    narrow<int>(x0.extent(0), "GivenPairs: the number of pairs");
    narrow<int>(x0.extent(1), "GivenPairs: the number of columns");
  }

  KOKKOS_FUNCTION int dimension() const { return static_cast<int>(x0_.extent(1)); }

  /// The row that the draw at `address` picks.
  KOKKOS_FUNCTION int row(const SampleAddress& address) const {
    return address.stream(Purpose::source)
        .index(address.sample, address.step, 0, static_cast<int>(x0_.extent(0)));
  }

  /// Writes the pair at `address`.
  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    const int n = row(address);
    for (int d = 0; d < dimension(); ++d) {
      slot.x0[d] = x0_(n, d);
      slot.x1[d] = x1_(n, d);
    }
  }

 private:
  Table<const T, Exec> x0_, x1_;
};

}  // namespace vrfm
