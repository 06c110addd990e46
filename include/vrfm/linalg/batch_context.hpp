// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BatchContext: the verbs of linalg/context.hpp as launches over the whole batch on one
// execution-space instance, in order and without fences. On host spaces a gemm is cut into row
// tiles of fixed height (so the result does not depend on the number of threads) and its epilogue
// runs while the tile is in cache. On devices it is a portable product, one thread an element. Every
// sum is added by one thread in order.
#pragma once

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/detail/eigen_gemm.hpp>
#include <vrfm/linalg/detail/gemm_element.hpp>

namespace vrfm {

namespace detail {

inline constexpr int gemm_tile_rows = 64;

/// Rows [tile * gemm_tile_rows, ...) of a host product.
template <Op OpA, Op OpB, class T, class Epilogue>
struct HostGemmTile {
  ConstMatrix<T> a, b;
  Matrix<T> c;
  Update update;
  Epilogue epilogue;

  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION void operator()(int tile) const {
    const int first = tile * gemm_tile_rows;
    const int rows = math::min(gemm_tile_rows, c.rows - first);
    const auto left = OpA == Op::none ? a.row_range(first, rows) : a.col_range(first, rows);
    eigen_gemm<OpA, OpB, T>(left, b, c.row_range(first, rows), update);
    for (int i = first; i < first + rows; ++i) {
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < c.cols; ++j) epilogue(i, j);
    }
  }
};

/// One row on hosts (a vector loop inside), one element on devices.
template <bool by_row, class F>
struct MapElement {
  int cols;
  F f;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    if constexpr (by_row) {
      const int i = static_cast<int>(index);
      VRFM_INDEPENDENT_ITERATIONS
      for (int j = 0; j < cols; ++j) f(i, j);
    } else {
      f(static_cast<int>(index / cols), static_cast<int>(index % cols));
    }
  }
};

template <class F>
struct RowElement {
  F f;
  KOKKOS_FUNCTION void operator()(int i) const { f(i); }
};

/// One column, added from the first row to the last.
template <class T, class S>
struct ColumnSum {
  ConstMatrix<T> x;
  S* out;
  Update update;

  KOKKOS_FUNCTION void operator()(int j) const {
    S sum = update == Update::accumulate ? out[j] : S(0);
    for (int i = 0; i < x.rows; ++i) sum += static_cast<S>(x(i, j));
    out[j] = sum;
  }
};

}  // namespace detail

template <ExecutionSpace Exec>
class BatchContext {
 public:
  explicit BatchContext(const Exec& exec) : exec_(exec) {}

  VRFM_UNCHECKED_HOST_DEVICE
  template <Op OpA, Op OpB, class T, class Epilogue = NoEpilogue>
  KOKKOS_FUNCTION void gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update,
                            const Epilogue& epilogue = {}) const {
    launch_gemm<OpA, OpB, T>(a, b, c, update, epilogue);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void map(int rows, int cols, const F& f) const {
    launch_map(rows, cols, f);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class F>
  KOKKOS_FUNCTION void each_row(int rows, const F& f) const {
    Kokkos::parallel_for("vrfm::BatchContext::each_row", range<int>(rows),
                         detail::RowElement<F>{f});
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class T, class S>
  KOKKOS_FUNCTION void column_sum(const Matrix<T>& x, S* out, Update update) const {
    Kokkos::parallel_for("vrfm::BatchContext::column_sum", range<int>(x.cols),
                         detail::ColumnSum<T, S>{x, out, update});
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class S>
  KOKKOS_FUNCTION S read(const S* number) const {
    return copy_to_host(number);
  }

 private:
  template <class Index>
  auto range(Index count) const {
    return Kokkos::RangePolicy<Exec, Kokkos::IndexType<Index>>(exec_, 0, count);
  }

  template <class S>
  S copy_to_host(const S* number) const {
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    S value;
    Kokkos::deep_copy(exec_, Kokkos::View<S, Kokkos::HostSpace, Unmanaged>(&value),
                      Kokkos::View<const S, typename Exec::memory_space, Unmanaged>(number));
    exec_.fence();
    return value;
  }

  template <Op OpA, Op OpB, class T, class Epilogue>
  void launch_gemm(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, Update update,
                   const Epilogue& epilogue) const {
    if constexpr (is_host_space<Exec>) {
      const int tiles = (c.rows + detail::gemm_tile_rows - 1) / detail::gemm_tile_rows;
      Kokkos::parallel_for("vrfm::BatchContext::gemm", range<int>(tiles),
                           detail::HostGemmTile<OpA, OpB, T, Epilogue>{a, b, c, update, epilogue});
    } else {
      Kokkos::parallel_for("vrfm::BatchContext::gemm",
                           range<std::int64_t>(std::int64_t(c.rows) * c.cols),
                           detail::GemmElement<OpA, OpB, T, Epilogue>{a, b, c, update, epilogue});
    }
  }

  template <class F>
  void launch_map(int rows, int cols, const F& f) const {
    constexpr bool by_row = is_host_space<Exec>;
    const std::int64_t count = by_row ? rows : std::int64_t(rows) * cols;
    Kokkos::parallel_for("vrfm::BatchContext::map", range<std::int64_t>(count),
                         detail::MapElement<by_row, F>{cols, f});
  }

  Exec exec_;
};

}  // namespace vrfm
