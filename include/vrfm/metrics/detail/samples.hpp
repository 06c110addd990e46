// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entrance of every metric: it checks a view of samples. An element that is not finite would
// turn a whole metric into NaN, so it is an error that names the place.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include <vrfm/core/compat.hpp>
#include <vrfm/core/matrix.hpp>

namespace vrfm::detail::metrics {

template <class View>
struct ValueOf {
  using type = double;
};
template <class View>
  requires Kokkos::is_view<View>::value
struct ValueOf<View> {
  using type = typename View::non_const_value_type;
};

/// The type of a view's numbers; of what is no view, and does not compile, any.
template <class View>
using Value = typename ValueOf<View>::type;

/// Reduces to the smallest index for which `bad(index)` holds.
template <class Bad>
struct FirstBad {
  Bad bad;

  KOKKOS_FUNCTION void operator()(std::int64_t index, std::int64_t& first) const {
    if (index < first && bad(index)) first = index;
  }
};

/// The smallest index below `count` for which `bad(index)` holds, or `count`. Fences `exec`.
template <ExecutionSpace Exec, class Bad>
std::int64_t first_bad(const Exec& exec, std::int64_t count, const Bad& bad) {
  std::int64_t first = count;
  using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>;
  Kokkos::parallel_reduce("vrfm::metrics::first_bad", Policy(exec, 0, count), FirstBad<Bad>{bad},
                          Kokkos::Min<std::int64_t>(first));
  return first < count ? first : count;
}

template <class T>
struct RowNotFinite {
  Matrix<const T> x;

  KOKKOS_FUNCTION bool operator()(std::int64_t row) const {
    bool finite = true;
    for (int j = 0; j < x.cols; ++j)
      finite = finite && math::is_finite(x(static_cast<int>(row), j));
    return !finite;
  }
};

/// The matrix over `view` [N][D]. Throws std::invalid_argument, naming `name`, if there are no
/// samples or one of them is not finite.
template <ExecutionSpace Exec, class View>
Matrix<const Value<View>> samples(const Exec& exec, std::string_view name, const View& view) {
  using T = Value<View>;
  static_assert(Kokkos::is_view<View>::value, "vrfm: a metric needs samples as a Kokkos view");
  if constexpr (Kokkos::is_view<View>::value) {
    static_assert(Real<T>, "vrfm: a metric needs samples of float or double");
    static_assert(Kokkos::SpaceAccessibility<Exec, typename View::memory_space>::accessible,
                  "vrfm: a metric needs samples in memory that the execution space can access");
    const Matrix<const T> x = matrix(view);
    expect(x.rows > 0 && x.cols > 0, name, ": expected at least one sample, but got ", x.rows,
           " rows of ", x.cols, " columns");
    const std::int64_t bad = first_bad(exec, x.rows, RowNotFinite<T>{x});
    expect(bad == x.rows, name, ": row ", bad, " holds a number that is not finite");
    return x;
  } else {
    return {};
  }
}

/// Throws std::invalid_argument unless samples `a` and `b` have as many columns.
template <class T>
void expect_same_columns(std::string_view name_a, const Matrix<const T>& a, std::string_view name_b,
                         const Matrix<const T>& b) {
  expect_same(name_a, static_cast<std::size_t>(a.cols), name_b, static_cast<std::size_t>(b.cols),
              "columns");
}

}  // namespace vrfm::detail::metrics
