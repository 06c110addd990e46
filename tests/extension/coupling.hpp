// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A coupling of one's own, drawn sample by sample: x0 is noise, x1 lies on one of two half moons, and the
// label says on which.
#pragma once

#include <vrfm/couplings/coupling.hpp>

namespace extension {

struct LabelledMoons {
  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION vrfm::ConditionShape condition() const { return {.classes = 2}; }

  template <class T>
  KOKKOS_FUNCTION void draw(const vrfm::SampleAddress& a, const vrfm::Slot<T>& slot) const {
    a.stream(vrfm::Purpose::source).normal(a.sample, a.step, 0, 2, slot.x0);
    const auto stream = a.stream(vrfm::Purpose::target);
    const T angle = T(3.14159265) * stream.template uniform<T>(a.sample, a.step, 0);
    const int side = stream.index(a.sample, a.step, 4, 2);
    const T sign = side == 0 ? T(1) : T(-1);
    slot.x1[0] = sign * (vrfm::math::cos(angle) - T(0.5));
    slot.x1[1] = sign * (vrfm::math::sin(angle) - T(0.25));
    *slot.label = side;
  }
};

}  // namespace extension
