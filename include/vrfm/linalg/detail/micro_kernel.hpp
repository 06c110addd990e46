// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The innermost loop of a host matrix product: a block of C, held in vector registers while the
// depth passes by as outer products (Goto and van de Geijn 2008, "Anatomy of high-performance
// matrix multiplication"). The order of an element's sum follows from the shape of the product and
// not from its block, so a row's bits depend neither on its neighbours nor on how the rows are cut.
#pragma once

#include <cstddef>

#include <vrfm/linalg/context.hpp>

namespace vrfm::detail {

// A block of 6 x 4 AVX-512 registers leaves 8 of 32 for operands, 6 x 2 others leave 4 of 16.
#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64, block_vectors = 4;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32, block_vectors = 2;
#else
inline constexpr int vector_bytes = 16, block_vectors = 2;
#endif
inline constexpr int block_rows = 6;

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(vector_bytes), aligned(sizeof(T)), may_alias));
  static constexpr int width = vector_bytes / static_cast<int>(sizeof(T));
};

/// Columns of a whole block.
template <class T>
inline constexpr int block_cols = block_vectors * VectorOf<T>::width;

/// Rows of A at equal distances: element k of row i is data[i * stride + k], or data[k * stride + i]
/// if A is transposed.
template <class T, Op op>
struct StridedRows {
  const T* data;
  std::ptrdiff_t stride;

  StridedRows from_row(int i) const { return {data + (op == Op::none ? i * stride : i), stride}; }

  /// From depth `begin` on, all that can be read before one must look again at where the rows lie.
  template <int rows>
  struct Segment {
    const T* data;
    std::ptrdiff_t stride;
    int end;
    Segment(StridedRows& a, int, int depth) : data(a.data), stride(a.stride), end(depth) {}
    T operator()(int i) const { return op == Op::none ? data[i * stride] : data[i]; }
    void advance() { data += op == Op::none ? 1 : stride; }
  };
};

/// Rows of A in segments of `length` elements, the first segment of `first`. Pointers say where
/// they are: segment s of row i begins at data[s * block_rows + i].
template <class T>
struct PointedRows {
  const T* const* data;
  int first, length;

  PointedRows from_row(int i) const { return {data + i, first, length}; }

  template <int rows>
  struct Segment {
    const T* row[std::size_t(rows)];
    std::ptrdiff_t k = 0;
    int end;
    Segment(PointedRows& a, int begin, int depth)
        : end(math::minimum(begin + (begin == 0 ? a.first : a.length), depth)) {
      VRFM_UNROLL
      for (int i = 0; i < rows; ++i) row[i] = a.data[i];
      a.data += block_rows;
    }
    T operator()(int i) const { return row[i][k]; }
    void advance() { ++k; }
  };
};

/// Rows of B at equal distances, one after the other.
template <class T>
struct StridedPanel {
  const T* data;
  std::ptrdiff_t stride;
  const T* next() {
    const T* row = data;
    data += stride;
    return row;
  }
};

/// Rows of B, one after the other, each beginning `offset` elements behind where its pointer says.
template <class T>
struct PointedPanel {
  const T* const* rows;
  std::ptrdiff_t offset;
  const T* next() { return *rows++ + offset; }
};

/// C (+)= A B for `rows` x (`vectors` registers) of C. The types `A` and `B` say how the rows lie.
template <class T, int rows, int vectors, class A, class B>
void micro_kernel(int depth, A a, B b, T* c, std::ptrdiff_t ldc, bool add) {
  using Vector = typename VectorOf<T>::type;
  constexpr int width = VectorOf<T>::width;
  Vector sum[std::size_t(rows)][std::size_t(vectors)];
  VRFM_UNROLL
  for (int i = 0; i < rows; ++i) {
    VRFM_UNROLL
    for (int v = 0; v < vectors; ++v) {
      sum[i][v] = Vector{};
      __builtin_prefetch(c + i * ldc + v * width, 1);
    }
  }
  for (int k = 0; k < depth;) {
    typename A::template Segment<rows> left(a, k, depth);
    for (; k < left.end; ++k) {
      const T* row = b.next();
      Vector right[std::size_t(vectors)];
      VRFM_UNROLL
      for (int v = 0; v < vectors; ++v) {
        right[v] = *reinterpret_cast<const Vector*>(row + v * width);
      }
      VRFM_UNROLL
      for (int i = 0; i < rows; ++i) {
        const T element = left(i);
        VRFM_UNROLL
        for (int v = 0; v < vectors; ++v) sum[i][v] += element * right[v];
      }
      left.advance();
    }
  }
  VRFM_UNROLL
  for (int i = 0; i < rows; ++i) {
    VRFM_UNROLL
    for (int v = 0; v < vectors; ++v) {
      auto* out = reinterpret_cast<Vector*>(c + i * ldc + v * width);
      *out = add ? *out + sum[i][v] : sum[i][v];
    }
  }
}

/// Rows for which there is a kernel. A tail of 3 or 5 rows is two blocks: few products have one, and
/// the kernels are a good part of what a program compiles.
inline constexpr int kernel_rows(int rows) { return rows > 2 ? rows / 2 * 2 : rows; }

template <class T, class A, class B>
using MicroKernel = void (*)(int, A, B, T*, std::ptrdiff_t, bool);

template <class T, int vectors, class A, class B>
MicroKernel<T, A, B> micro_kernel_of(int rows) {
  switch (rows) {
    case 1:
      return micro_kernel<T, 1, vectors, A, B>;
    case 2:
      return micro_kernel<T, 2, vectors, A, B>;
    case 4:
      return micro_kernel<T, 4, vectors, A, B>;
    default:
      return micro_kernel<T, block_rows, vectors, A, B>;
  }
}

/// The kernel for a block of kernel_rows(1) to kernel_rows(block_rows) rows and 1 to block_vectors
/// registers; a panel that is pointed at always has all registers.
template <class T, class A, class B>
MicroKernel<T, A, B> micro_kernel_of(int rows, int vectors) {
  if constexpr (std::is_same_v<B, PointedPanel<T>>) {
    return micro_kernel_of<T, block_vectors, A, B>(rows);
  } else {
    if constexpr (block_vectors == 4) {
      if (vectors == 4) return micro_kernel_of<T, 4, A, B>(rows);
      if (vectors == 3) return micro_kernel_of<T, 3, A, B>(rows);
    }
    return vectors == 2 ? micro_kernel_of<T, 2, A, B>(rows) : micro_kernel_of<T, 1, A, B>(rows);
  }
}

/// The sum of a vector's `width` elements: halves are added until one element is left.
template <class T, int width, class Vector>
T sum_lanes(const Vector& x) {
  if constexpr (width == 16) {
    const auto half = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum_lanes<T, 8>(half);
  } else if constexpr (width == 8) {
    const auto half =
        __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7);
    return sum_lanes<T, 4>(half);
  } else if constexpr (width == 4) {
    return (x[0] + x[2]) + (x[1] + x[3]);
  } else {
    static_assert(width == 2);
    return x[0] + x[1];
  }
}

/// C (+)= A B^T where B has so few rows that a block of C would be mostly padding: one dot product
/// for each element, its terms spread over the lanes of a register.
template <class T>
void dot_products(ConstMatrix<T> a, ConstMatrix<T> b, Matrix<T> c, bool add) {
  using Vector = typename VectorOf<T>::type;
  constexpr int width = VectorOf<T>::width;
  const int whole = a.cols / width * width;
  for (int i = 0; i < c.rows; ++i) {
    for (int j = 0; j < c.cols; ++j) {
      const T *left = a.row(i), *right = b.row(j);
      Vector terms{};
      for (int k = 0; k < whole; k += width) {
        terms += *reinterpret_cast<const Vector*>(left + k) *
                 *reinterpret_cast<const Vector*>(right + k);
      }
      T sum = sum_lanes<T, width>(terms);
      for (int k = whole; k < a.cols; ++k) sum += left[k] * right[k];
      c(i, j) = add ? c(i, j) + sum : sum;
    }
  }
}

}  // namespace vrfm::detail
