// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LabelEmbedding: one row of a table for each class label, as PyTorch's nn.Embedding: weight of
// shape [classes + 1, width]. The last row is the null class, which stands for a
// label that is not given. The table, e and de may be of types of their own, such as BFloat16; the table's gradient
// is of the type of sums.
#pragma once

#include <limits>

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/elementwise.hpp>

namespace vrfm {

namespace detail {

// Evaluated on the host: device code may not call numeric_limits.
template <class T>
inline constexpr T embedding_nan = std::numeric_limits<T>::quiet_NaN();

/// The labels of a batch; dropped ones count as the null class.
struct Labels {
  Matrix<const std::int32_t> label, dropped;
  int classes;

  KOKKOS_INLINE_FUNCTION int operator()(int i) const {
    return !dropped.empty() && dropped(i, 0) != 0 ? classes : label(i, 0);
  }
};

/// Element: e(i, j) (+)= row label(i) of the table; NaN if the label is no class.
template <class T, class P>
struct LookUpLabel {
  Labels labels;
  const P* table;
  Matrix<T> e;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const int label = labels(i);
    const bool known = label >= 0 && label <= labels.classes;
    e(i, j) = known ? T(table[std::ptrdiff_t(label) * e.cols + j]) : T(embedding_nan<sum_type<T>>);
  }
};

/// Column j of the table's gradient: adds each row of de to the row of its label, in order.
template <class T, class D>
struct AddLabelGradient {
  Labels labels;
  Matrix<const D> de;
  T* gradient;
  KOKKOS_INLINE_FUNCTION void operator()(int j) const {
    for (int i = 0; i < de.rows; ++i) {
      const int label = labels(i);
      if (label >= 0 && label <= labels.classes) {
        gradient[std::ptrdiff_t(label) * de.cols + j] += de(i, j);
      }
    }
  }
};

}  // namespace detail

class LabelEmbedding {
 public:
  LabelEmbedding() = default;

  /// Adds `name`.weight to `list`, drawn from N(0, deviation^2). Throws std::invalid_argument for extents below 1.
  LabelEmbedding(ParameterList& list, const std::string& name, int classes, int width,
                 double deviation = 1)
      : classes_(classes), width_(width) {
    expect(classes >= 1 && width >= 1, "label embedding '", name,
           "' needs at least one class and one column, got ", classes, " and ", width);
    weight_ = list.add(name + ".weight",
                       {static_cast<std::size_t>(classes) + 1, static_cast<std::size_t>(width)},
                       Initializer::normal(deviation));
  }

  KOKKOS_INLINE_FUNCTION int classes() const { return classes_; }
  KOKKOS_INLINE_FUNCTION int outputs() const { return width_; }

  /// e(i, :) = the table's row label(i, 0), or the null class's where dropped(i, 0) is not 0.
  /// dropped may be empty. A label outside 0 ... classes gives NaN.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, Matrix<const std::int32_t> label,
                               Matrix<const std::int32_t> dropped, Matrix<T> e) const {
    ctx.map(e.rows, e.cols, detail::LookUpLabel<T, P>{{label, dropped, classes_}, p + weight_, e});
  }

  template <class Ctx, class T, class D>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, Gradient<T> g, Matrix<const std::int32_t> label,
                                Matrix<const std::int32_t> dropped, Matrix<D> de) const {
    if (g.ignored()) return;
    const Matrix<T> table(g.values + weight_, classes_ + 1, width_, width_);
    if (!g.accumulate) ctx.map(table.rows, table.cols, Fill<T>{table, T(0)});
    ctx.each_row(width_, detail::AddLabelGradient<T, std::remove_const_t<D>>{
                             {label, dropped, classes_}, de, table.data});
    g.done(weight_, static_cast<std::size_t>(table.rows) * static_cast<std::size_t>(width_));
  }

 private:
  int classes_ = 0;
  int width_ = 0;
  std::size_t weight_ = 0;
};

}  // namespace vrfm
