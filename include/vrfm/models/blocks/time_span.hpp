// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TimeSpan: s - t, of which a flow map's network sees an encoding that is added to that of t (t <= s
// are the times that the map goes from and to). Where no second time is asked for it is 0.
#pragma once

#include <vrfm/core/matrix.hpp>

namespace vrfm::detail {

/// Row: span = s - t, or 0 where no second time is asked for; as rates, either may be empty.
template <class T>
struct TimeSpan {
  ConstMatrix<T> t, s;
  bool asked;
  Matrix<T> span;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T end = s.empty() ? T(0) : s(i, 0), begin = t.empty() ? T(0) : t(i, 0);
    span(i, 0) = asked ? end - begin : T(0);
  }
};

/// Row: ds = dspan, dt -= dspan; what is empty of dt and ds is not wanted. Without a dspan, because no
/// second time was asked for, ds = 0.
template <class T>
struct TimeSpanBackward {
  ConstMatrix<T> dspan;
  Matrix<T> dt, ds;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const T d = dspan.empty() ? T(0) : dspan(i, 0);
    if (!ds.empty()) ds(i, 0) = d;
    if (!dt.empty()) dt(i, 0) -= d;
  }
};

}  // namespace vrfm::detail
