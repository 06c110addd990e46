// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Padded: a matrix in an execution space's memory whose rows have gaps and that lies inside a
// guarded block, so that a write outside the matrix is seen.
#pragma once

#include <cstddef>
#include <limits>
#include <stdexcept>
#include <vector>

#include <vrfm/core/matrix.hpp>

namespace vrfm::test {

/// `rows` x `cols` numbers of type T in Exec's memory, `pad` guard numbers after each row and
/// `margin` before the first and after the last. They start as NaN, which no sum can hide.
template <class T, ExecutionSpace Exec>
class Padded {
 public:
  static constexpr std::size_t margin = 64;

  Padded(int rows, int cols, int pad = 3)
      : rows_(rows),
        cols_(cols),
        stride_(cols + pad),
        block_("vrfm::test::Padded", 2 * margin + extent()),
        mirror_(Kokkos::create_mirror_view(block_)) {
    for (std::size_t i = 0; i < mirror_.extent(0); ++i) mirror_(i) = guard;
    write(std::vector<double>(count(), std::numeric_limits<double>::quiet_NaN()));
  }

  Padded(int rows, int cols, const std::vector<double>& values, int pad = 3)
      : Padded(rows, cols, pad) {
    write(values);
  }

  T* data() const { return block_.data() + margin; }
  Matrix<T> matrix() const { return Matrix<T>(data(), rows_, cols_, stride_); }

  /// Replaces the numbers, given row by row.
  void write(const std::vector<double>& values) {
    if (values.size() != count()) throw std::logic_error("Padded::write: wrong number of values");
    using Wide = std::conditional_t<std::is_arithmetic_v<T>, T, float>;  // what BFloat16 rounds
    std::size_t k = 0;
    for (std::size_t i = 0; i < mirror_.extent(0); ++i) {
      if (inside(i)) mirror_(i) = static_cast<T>(static_cast<Wide>(values[k++]));
    }
    Kokkos::deep_copy(block_, mirror_);
  }

  /// The numbers, row by row. Waits for all kernels. Throws std::runtime_error if a guard changed.
  std::vector<double> read() {
    Kokkos::fence();
    Kokkos::deep_copy(mirror_, block_);
    std::vector<double> values;
    values.reserve(count());
    for (std::size_t i = 0; i < mirror_.extent(0); ++i) {
      if (inside(i)) {
        values.push_back(static_cast<double>(mirror_(i)));
      } else if (mirror_(i) != guard) {
        throw std::runtime_error("a kernel wrote outside its matrix");
      }
    }
    return values;
  }

 private:
  // Far outside the range of the tests' numbers.
  static constexpr T guard = T(-0x1p102);

  std::size_t extent() const {
    return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(stride_);
  }
  std::size_t count() const {
    return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(cols_);
  }
  bool inside(std::size_t i) const {
    return i >= margin && i - margin < extent() &&
           (i - margin) % static_cast<std::size_t>(stride_) < static_cast<std::size_t>(cols_);
  }

  int rows_, cols_, stride_;
  Array<T, Exec> block_;
  typename Array<T, Exec>::host_mirror_type mirror_;
};

}  // namespace vrfm::test
