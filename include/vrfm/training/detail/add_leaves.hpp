// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adds the gradients of a rank's leaves along the tree of the batch (parallel/partition.hpp): the sum of
// each node whose leaves it owns stands in the place of the node's first leaf.
#pragma once

#include <vrfm/linalg/context.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/parallel/tree_sum.hpp>

namespace vrfm::detail {

/// Eight elements in the order of pairs, and of pairs of pairs.
template <class S>
KOKKOS_INLINE_FUNCTION S add_in_pairs(S a, S b, S c, S d, S e, S f, S g, S h) {
  return ((a + b) + (c + d)) + ((e + f) + (g + h));
}

/// values[k stride + i] += values[l stride + i] for i = first ... last - 1.
template <class S>
struct AddElements {
  S* values;
  std::size_t stride;
  std::int64_t first, last;
  KOKKOS_INLINE_FUNCTION void operator()(int k, int l) const {
    S* into = values + static_cast<std::size_t>(k) * stride;
    const S* from = values + static_cast<std::size_t>(l) * stride;
    VRFM_INDEPENDENT_ITERATIONS
    for (std::int64_t i = first; i < last; ++i) into[i] += from[i];
  }
};

/// Element i of each leaf.
template <class S>
struct AddLeavesOfElement {
  S* values;
  std::size_t stride;
  LeafRange range;
  int leaves;
  KOKKOS_INLINE_FUNCTION void operator()(int, int i) const {
    each_addition(range, leaves, AddElement<S>{values, stride, static_cast<std::size_t>(i)});
  }
};

/// The same where the leaves are one node, eight at a time: each is read once. What is missing of eight
/// counts as -0, which added to any number is that number, -0 too.
template <class S>
struct AddNodeOfElement {
  S* values;
  std::size_t stride;
  int count;
  KOKKOS_INLINE_FUNCTION void operator()(int, int i) const {
    for (int distance = 1; distance < count; distance *= 8) {
      for (int first = 0; first + distance < count; first += 8 * distance) {
        S x[8];
        VRFM_UNROLL
        for (int k = 0; k < 8; ++k) {
          const int leaf = first + k * distance;
          x[k] = leaf < count ? values[static_cast<std::size_t>(leaf) * stride + std::size_t(i)]
                              : -S(0);
        }
        values[static_cast<std::size_t>(first) * stride + std::size_t(i)] =
            add_in_pairs(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
      }
    }
  }
};

/// f(i, 0) = values[i]^2
template <class T>
struct SquareElement {
  const T* values;
  KOKKOS_INLINE_FUNCTION double operator()(int i, int) const {
    return static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
};

/// Block kernel: adds one block of elements of the leaves' gradients, and takes the sum of the first
/// leaf's squares, which is the batch's if its root is there; block 0 also adds the losses. By one
/// thread, or by those of a context.
template <class T>
struct AddLeaves {
  T* gradients;
  std::size_t stride;
  LeafRange range;  // of gradients; may be one leaf that is added up already
  int leaves;
  bool one_node;
  std::int64_t count;
  double* losses;  // loss_range.count x terms
  int terms;
  LeafRange loss_range;
  double* squares;  // one a block

  KOKKOS_FUNCTION void operator()(std::int64_t block) const {
    const std::int64_t first = block * flat_block;
    const std::int64_t last = math::minimum(first + flat_block, count);
    if (block == 0) {
      for (int i = 0; i < terms; ++i) loss_adder()(0, i);
    }
    if (one_node) {
      add_node(first, last);
    } else {
      each_addition(range, leaves, AddElements<T>{gradients, stride, first, last});
    }
    // Sums of their own for every eighth element, so that the loop can use vectors.
    constexpr int lanes = 8;
    double sums[lanes] = {};
    std::int64_t i = first;
    for (; i + lanes <= last; i += lanes) {
      VRFM_UNROLL
      for (int l = 0; l < lanes; ++l) sums[l] += square(gradients[i + l]);
    }
    for (int l = 0; i + l < last; ++l) sums[l] += square(gradients[i + l]);
    // As a team adds its parts, so that the bits do not depend on who does it.
    squares[block] =
        add_in_pairs(sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int block) const {
    const std::int64_t first = block * flat_block;
    const int n = static_cast<int>(math::minimum(flat_block, count - first));
    if (one_node) {
      ctx.map(1, n, AddNodeOfElement<T>{gradients + first, stride, range.count});
    } else {
      ctx.map(1, n, AddLeavesOfElement<T>{gradients + first, stride, range, leaves});
    }
    if (block == 0) ctx.map(1, terms, loss_adder());
    ctx.column_sum(n, 1, SquareElement<T>{gradients + first}, squares + block, Update::overwrite);
  }

 private:
  KOKKOS_INLINE_FUNCTION AddLeavesOfElement<double> loss_adder() const {
    return {losses, static_cast<std::size_t>(terms), loss_range, leaves};
  }

  KOKKOS_INLINE_FUNCTION T* leaf(int k) const {
    return gradients + static_cast<std::size_t>(k) * stride;
  }

  /// Of leaves that are one node, eight at a time: each is read once, and nothing but the sum is
  /// written.
  KOKKOS_INLINE_FUNCTION void add_node(std::int64_t first, std::int64_t last) const {
    const int n = range.count;
    for (int distance = 1; distance < n; distance *= 8) {
      for (int k = 0; k + distance < n; k += 8 * distance) {
        if (k + 7 * distance < n) {
          add_eight(k, distance, first, last);
        } else {
          add_fewer(k, distance, first, last);
        }
      }
    }
  }

  KOKKOS_INLINE_FUNCTION void add_eight(int k, int distance, std::int64_t first,
                                        std::int64_t last) const {
    T* into = leaf(k);
    const std::size_t next = static_cast<std::size_t>(distance) * stride;
    VRFM_INDEPENDENT_ITERATIONS
    for (std::int64_t i = first; i < last; ++i) {
      const T* x = into + i;
      into[i] = add_in_pairs(x[0], x[next], x[2 * next], x[3 * next], x[4 * next], x[5 * next],
                             x[6 * next], x[7 * next]);
    }
  }

  /// The same of as many of the eight as there are.
  KOKKOS_INLINE_FUNCTION void add_fewer(int begin, int distance, std::int64_t first,
                                        std::int64_t last) const {
    const int end = math::minimum(range.count, begin + 8 * distance);
    for (int step = distance; begin + step < end; step *= 2) {
      for (int k = begin; k + step < end; k += 2 * step) {
        AddElements<T>{gradients, stride, first, last}(k, k + step);
      }
    }
  }

  KOKKOS_INLINE_FUNCTION static double square(T x) {
    return static_cast<double>(x) * static_cast<double>(x);
  }
};

}  // namespace vrfm::detail
