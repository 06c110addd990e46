// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a host matrix product copies a part of an operand into the order in which its micro kernel
// reads, and into its type: rows of matrices and of patches, 8 x 8 transposes of a right-hand side,
// strips of a transposed left one. Rows of patches need no copy: pointers say where they lie.
#pragma once

#include <cstring>

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/micro_kernel.hpp>

namespace vrfm::detail {

/// The most of the depth that is summed before C is written.
template <class T>
inline constexpr int most_depth = 2048 / static_cast<int>(sizeof(T));
/// Elements between two strips of a transposed A: block_rows columns, and most of the depth.
template <class T>
inline constexpr int strip_stride = most_depth<T> * block_rows + 64 / static_cast<int>(sizeof(T));

/// Eight elements. They are written to a reference: what is returned would depend on the processor.
template <class T>
struct EightOf {
  typedef T type __attribute__((vector_size(8 * sizeof(T)), aligned(sizeof(T)), may_alias));
  static void read(const T* in, type& out) { out = *reinterpret_cast<const type*>(in); }
  static void read(const BFloat16* in, type& out)
    requires(std::is_same_v<T, float>)
  {
    typedef std::uint16_t Shorts __attribute__((vector_size(16), aligned(2), may_alias));
    typedef std::uint32_t Longs __attribute__((vector_size(32)));
    const auto words = __builtin_convertvector(*reinterpret_cast<const Shorts*>(in), Longs);
    out = __builtin_bit_cast(type, words << 16);
  }
};

/// 8 x 8 elements: out(j, i) = in(i, j).
template <class X, class T>
void transpose_8x8(const X* in, std::ptrdiff_t ld_in, T* out, std::ptrdiff_t ld_out) {
  using Row = typename EightOf<T>::type;
  Row a[8], b[8];
  for (int i = 0; i < 8; ++i) EightOf<T>::read(in + i * ld_in, a[i]);
  for (int i = 0; i < 8; i += 2) {
    b[i] = __builtin_shufflevector(a[i], a[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    b[i + 1] = __builtin_shufflevector(a[i], a[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int h = i; h < i + 2; ++h) {
      a[h] = __builtin_shufflevector(b[h], b[h + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      a[h + 2] = __builtin_shufflevector(b[h], b[h + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int h = 0; h < 4; ++h) {
    *reinterpret_cast<Row*>(out + h * ld_out) =
        __builtin_shufflevector(a[h], a[h + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *reinterpret_cast<Row*>(out + (h + 4) * ld_out) =
        __builtin_shufflevector(a[h], a[h + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

/// out[j] = in[j]; zeros where `in` is nullptr.
template <class T>
void copy(const T* in, int count, T* out) {
  using Vector = typename VectorOf<T>::type;
  constexpr int width = VectorOf<T>::width;
  if (in == nullptr) {
    std::memset(out, 0, static_cast<std::size_t>(count) * sizeof(T));
    return;
  }
  int j = 0;
  for (; j + width <= count; j += width) {
    *reinterpret_cast<Vector*>(out + j) = *reinterpret_cast<const Vector*>(in + j);
  }
  if (j < count) std::memcpy(out + j, in + j, static_cast<std::size_t>(count - j) * sizeof(T));
}

inline void copy(const BFloat16* in, int count, float* out) {
  if (in == nullptr) {
    std::memset(out, 0, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  int j = 0;
  for (; j + 8 <= count; j += 8) {
    EightOf<float>::read(in + j, *reinterpret_cast<EightOf<float>::type*>(out + j));
  }
  for (; j < count; ++j) out[j] = in[j];
}

/// out(i, j) = X(row + i, col + j) for rows x cols elements.
template <class X, class T>
void copy_rows(const Matrix<const X>& x, int row, int rows, int col, int cols, T* out, int ld) {
  for (int i = 0; i < rows; ++i) copy(&x(row + i, col), cols, out + i * ld);
}

// Patches are passed by value, here and below, so that the compiler knows that no store changes
// them.
template <class X, class T>
void copy_rows(const Patches<X> x, int row, int rows, int col, int cols, T* out, int ld) {
  const int channels = x.x.cols, kernel = x.window.kernel.x, tap = col / channels;
  auto pixel = x.pixel(row);
  for (int i = 0; i < rows; ++i) {
    int k = tap / kernel, l = tap % kernel, channel = col % channels;
    for (int j = 0; j < cols;) {
      const X* segment = x.segment(pixel, k, l);
      const int taps = x.adjoining(pixel, l);
      const int count = math::minimum(taps * channels - channel, cols - j);
      copy(segment == nullptr ? nullptr : segment + channel, count, out + i * ld + j);
      j += count;
      channel = 0;
      l += taps;
      if (l == kernel) {
        l = 0;
        ++k;
      }
    }
    x.advance(pixel);
  }
}

/// Rows and columns of patches, which are packed.
template <class X>
struct PatchesPart {
  Patches<X> patches;
  int first_row, rows, first_col, cols;

  PatchesPart row_range(int first, int count) const {
    return {patches, first_row + first, count, first_col, cols};
  }
  PatchesPart col_range(int first, int count) const {
    return {patches, first_row, rows, first_col + first, count};
  }
};

/// An operand as one that can be cut.
template <class X>
PatchesPart<X> cuttable(const Patches<X>& x) {
  return {x, 0, x.rows(), 0, x.cols()};
}
template <class X>
Matrix<X> cuttable(const Matrix<X>& x) {
  return x;
}

template <class X, class T>
void copy_rows(const PatchesPart<X>& x, int row, int rows, int col, int cols, T* out, int ld) {
  copy_rows(x.patches, x.first_row + row, rows, x.first_col + col, cols, out, ld);
}

/// From this many channels on, patches are read where they lie: shorter segments cost more than
/// copies.
inline constexpr int least_channels = 16;
/// Segments that a part of the depth may touch.
template <class T>
inline constexpr int most_segments = most_depth<T> / least_channels + 2;
/// The zeros that lie outside an image.
template <class T>
alignas(64) inline constexpr T zeros[most_depth<T>] = {};

/// Where columns [col, col + cols) of `rows` rows of patches lie: a segment for each tap, in the
/// order of PointedRows, one block of rows after the other. Returns the segments of a row.
template <class T>
int point_rows(const Patches<T> x, int row, int rows, int col, int cols, const T** out) {
  const int channels = x.x.cols, kernel = x.window.kernel.x;
  const int tap = col / channels, segments = (col + cols - 1) / channels + 1 - tap;
  std::ptrdiff_t offsets[most_segments<T>] = {};
  for (int s = 0; s < segments; ++s) offsets[s] = x.offset(tap + s);
  offsets[0] += col % channels;
  auto pixel = x.pixel(row);
  for (int i = 0; i < rows; ++i) {
    const T** to = out + i / block_rows * segments * block_rows + i % block_rows;
    const T* corner = x.corner(pixel);
    if (corner != nullptr) {
      for (int s = 0; s < segments; ++s) to[s * block_rows] = corner + offsets[s];
    } else {
      int k = tap / kernel, l = tap % kernel, channel = col % channels;
      for (int s = 0; s < segments; ++s) {
        const T* segment = x.segment(pixel, k, l);
        to[s * block_rows] = segment == nullptr ? zeros<T> : segment + channel;
        channel = 0;
        if (++l == kernel) {
          l = 0;
          ++k;
        }
      }
    }
    x.advance(pixel);
  }
  return segments;
}

/// Taps of a window up to which patches on the right are read where they lie.
inline constexpr int most_pointed_taps = 9;

/// Where the channels of taps [tap, tap + taps) of `rows` rows of patches begin, in the order of
/// PointedPanel: those of one tap one after the other, most_depth of them from tap to tap.
template <class T>
void point_taps(const Patches<T> x, int row, int rows, int tap, int taps, const T** out) {
  std::ptrdiff_t offsets[most_pointed_taps] = {};
  for (int s = 0; s < taps; ++s) offsets[s] = x.offset(tap + s);
  auto pixel = x.pixel(row);
  for (int i = 0; i < rows; ++i) {
    const T* corner = x.corner(pixel);
    for (int s = 0; s < taps; ++s) {
      const T*& to = out[s * most_depth<T> + i];
      if (corner != nullptr) {
        to = corner + offsets[s];
      } else {
        const int k = (tap + s) / x.window.kernel.x, l = (tap + s) % x.window.kernel.x;
        const T* segment = x.segment(pixel, k, l);
        to = segment == nullptr ? zeros<T> : segment;
      }
    }
    x.advance(pixel);
  }
}

/// out(i, j) = op(X)(row + i, col + j) for rows x cols elements, then zeros up to column `padded`.
template <Op op, class T, class X>
void pack(const X& x, int row, int rows, int col, int cols, int padded, T* out, int ld) {
  int done_rows = 0, done_cols = 0;
  if constexpr (op == Op::none) {
    done_rows = rows;
    done_cols = cols;
    copy_rows(x, row, rows, col, cols, out, ld);
  } else {
    // By strips of 64 rows of X: from each row one line is read at a time.
    done_rows = rows / 8 * 8;
    done_cols = cols / 8 * 8;
    for (int strip = 0; strip < done_cols; strip += 64) {
      const int end = math::minimum(strip + 64, done_cols);
      for (int i = 0; i < done_rows; i += 16) {
        const int last = math::minimum(i + 16, done_rows);
        for (int j = strip; j < end; j += 8) {
          for (int k = i; k < last; k += 8) {
            transpose_8x8(&x(col + j, row + k), x.stride, out + k * ld + j, ld);
          }
        }
      }
    }
  }
  for (int i = 0; i < rows; ++i) {
    if constexpr (op == Op::transpose) {
      for (int j = i < done_rows ? done_cols : 0; j < cols; ++j) {
        out[i * ld + j] = x(col + j, row + i);
      }
    }
    for (int j = cols; j < padded; ++j) out[i * ld + j] = T(0);
  }
}

/// A transposed A as strips of block_rows columns, which the kernel reads from beginning to end:
/// out[s * strip_stride + i * block_rows + j] = x(row + i, col + s * block_rows + j) for rows x
/// cols elements.
template <class X, class T>
void pack_strips(const Matrix<const X>& x, int row, int rows, int col, int cols, T* out) {
  using Row = typename EightOf<T>::type;
  static_assert(block_rows <= 8);
  // A row may be copied too far; the next one overwrites that.
  const int whole = math::minimum(cols / block_rows, (x.cols - col - 8 + block_rows) / block_rows);
  // A few rows at a time, so that whole lines of a strip are written one after the other.
  for (int first = 0; first < rows; first += 8) {
    const int last = math::minimum(first + 8, rows);
    for (int j = 0; j < cols; j += block_rows) {
      for (int i = first; i < last; ++i) {
        const X* in = &x(row + i, col + j);
        T* to = out + j / block_rows * strip_stride<T> + i * block_rows;
        if (j < whole * block_rows) {
          EightOf<T>::read(in, *reinterpret_cast<Row*>(to));
        } else {
          for (int k = 0; k < math::minimum(block_rows, cols - j); ++k) to[k] = in[k];
        }
      }
    }
  }
}

}  // namespace vrfm::detail
