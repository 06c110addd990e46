// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix: a non-owning row-major slice, which contexts, layers and integrators work on. A row is a
// sample, a column a feature. It is cut from a Kokkos view or from the arena. Cutting it further
// tiles a batch (rows) and concatenates features (columns) without a copy.
#pragma once

#include <type_traits>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

/// `rows` x `cols` elements; element (i, j) is `data[i * stride + j]`. Default: no data, 0 x 0.
template <class T>
struct Matrix {
  T* data = nullptr;
  int rows = 0;
  int cols = 0;
  int stride = 0;

  // Not defaulted: nvcc takes such a constructor for the host's alone if a host function is the first to
  // use it.
  KOKKOS_INLINE_FUNCTION constexpr Matrix() {}

  KOKKOS_INLINE_FUNCTION Matrix(T* first, int row_count, int col_count, int row_stride)
      : data(first), rows(row_count), cols(col_count), stride(row_stride) {}

  /// A Matrix<T> converts to a Matrix<const T>.
  template <class C>
    requires(!std::is_const_v<T> && std::is_same_v<C, const T>)
  KOKKOS_INLINE_FUNCTION operator Matrix<C>() const {
    return {data, rows, cols, stride};
  }

  KOKKOS_INLINE_FUNCTION T& operator()(int i, int j) const {
    return data[static_cast<std::size_t>(i) * static_cast<std::size_t>(stride) +
                static_cast<std::size_t>(j)];
  }

  KOKKOS_INLINE_FUNCTION T* row(int i) const { return &(*this)(i, 0); }

  KOKKOS_INLINE_FUNCTION bool empty() const { return data == nullptr; }

  /// Rows [first, first + count).
  KOKKOS_INLINE_FUNCTION Matrix row_range(int first, int count) const {
    return empty() ? Matrix(nullptr, count, cols, stride) : Matrix(row(first), count, cols, stride);
  }

  /// Columns [first, first + count).
  KOKKOS_INLINE_FUNCTION Matrix col_range(int first, int count) const {
    return Matrix(empty() ? nullptr : data + first, rows, count, stride);
  }
};

/// A matrix that is only read. It is not deduced in function templates, so a Matrix<T> converts to
/// it.
template <class T>
using ConstMatrix = std::type_identity_t<Matrix<const T>>;

namespace detail {

/// Host code throws, and does so in the dry run before each computation (core/arena.hpp).
KOKKOS_INLINE_FUNCTION void refuse_rows([[maybe_unused]] int rows, [[maybe_unused]] int parts) {
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
  Kokkos::abort("vrfm::split_rows: more than 2^31 - 1 rows");
#else
  expect(false, rows, " samples of ", parts,
         " parts (the pixels of an image) at a time are more than 2147483647 rows: expected fewer "
         "samples (launch.batch)");
#endif
}

}  // namespace detail

/// The rows of `rows` samples of `parts` rows each. Throws std::invalid_argument if an int does not hold them.
KOKKOS_INLINE_FUNCTION int rows_of_parts(int rows, int parts) {
  if (rows > 0x7fff'ffff / parts) detail::refuse_rows(rows, parts);
  return rows * parts;
}

/// Each row of `m` cut into `parts` rows: (rows parts) x (cols / parts). Ends the program unless
/// rows lie without gaps (stride == cols). On the host throws std::invalid_argument for 2^31 rows or
/// more.
template <class T>
KOKKOS_INLINE_FUNCTION Matrix<T> split_rows(Matrix<T> m, int parts) {
  const int rows = rows_of_parts(m.rows, parts);
  if (m.stride != m.cols) Kokkos::abort("vrfm::split_rows: the matrix has gaps between its rows");
  return Matrix<T>(m.data, rows, m.cols / parts, m.cols / parts);
}

/// The inverse: `parts` adjacent rows become one.
template <class T>
KOKKOS_INLINE_FUNCTION Matrix<T> join_rows(Matrix<T> m, int parts) {
  if (m.stride != m.cols) Kokkos::abort("vrfm::join_rows: the matrix has gaps between its rows");
  return Matrix<T>(m.data, m.rows / parts, m.cols * parts, m.cols * parts);
}

/// The matrix over a rank-2 view. Throws std::invalid_argument unless the view is row-major with
/// adjacent columns.
template <class View>
auto matrix(const View& view) {
  static_assert(View::rank == 2, "vrfm: a table needs rank 2, one sample a row");
  expect(view.extent(1) <= 1 || view.stride(1) == 1, "view '", view.label(),
         "' must be row-major (Kokkos::LayoutRight), but its columns are ", view.stride(1),
         " elements apart");
  return Matrix<typename View::value_type>(
      view.data(), narrow<int>(view.extent(0), "the number of rows of view '", view.label(), "'"),
      narrow<int>(view.extent(1), "the number of columns of view '", view.label(), "'"),
      narrow<int>(view.stride(0), "the stride of view '", view.label(), "'"));
}

}  // namespace vrfm
