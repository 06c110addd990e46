// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ConditionEmbedding: what a network is told of c, e = table[label] + (vector ? W2 act(W1 vector + b1) +
// b2 : 0); where c is dropped, the table's null row and a learned null vector stand for them. A field is
// no part of it: a network of images reads that beside its image. Names: <prefix>label_emb,
// <prefix>vector_emb.0, .1 and <prefix>vector_emb.null.
#pragma once

#include <vrfm/layers/label_embedding.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/condition.hpp>

namespace vrfm {

namespace detail {

/// Element: e (+)= what the vector gives, or the null row where it is dropped.
template <class T, class P>
struct AddVectorOrNull {
  ConstMatrix<T> given;
  const P* null_row;
  Matrix<const std::int32_t> dropped;
  Matrix<T> e;
  bool add;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const bool none = !dropped.empty() && dropped(i, 0) != 0;
    const T value = none ? T(null_row[j]) : given(i, j);
    e(i, j) = add ? e(i, j) + value : value;
  }
};

/// Element: out = d where `dropped` is as wanted, else 0.
template <class T>
struct WhereDropped {
  ConstMatrix<T> d;
  Matrix<const std::int32_t> dropped;
  bool wanted;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    const bool none = !dropped.empty() && dropped(i, 0) != 0;
    out(i, j) = none == wanted ? d(i, j) : T(0);
  }
};

}  // namespace detail

/// What the table of labels is called, and how it starts.
struct LabelTable {
  const char* name = "label_emb";
  double deviation = 1;
};

template <Activation Act>
class ConditionEmbedding {
 public:
  template <class T>
  struct Saved {
    typename Mlp<Act>::template Saved<T> vector;
    Condition<T> condition;
  };

  /// Of nothing: outputs() is 0.
  ConditionEmbedding() = default;

  /// To `width` columns. `inputs`: its classes and condition_columns count. Throws std::invalid_argument
  /// naming the first impossible extent.
  ConditionEmbedding(ParameterList& list, const std::string& prefix, const ModelInputs& inputs,
                     int width, const LabelTable& table = {})
      : classes_(inputs.classes), columns_(inputs.condition_columns) {
    expect(classes_ >= 0 && columns_ >= 0, "a condition needs classes >= 0 and columns >= 0, got ",
           classes_, " and ", columns_);
    if (classes_ == 0 && columns_ == 0) return;
    width_ = width;
    if (classes_ > 0) {
      label_ = LabelEmbedding(list, prefix + table.name, classes_, width, table.deviation);
    }
    if (columns_ > 0) {
      vector_ = Mlp<Act>(list, prefix + "vector_emb", {columns_, width, width});
      null_ = list.add(prefix + "vector_emb.null", {static_cast<std::size_t>(width)},
                       Initializer::constant(0));
    }
  }

  KOKKOS_INLINE_FUNCTION int outputs() const { return width_; }

  /// e: rows x outputs(), overwritten. `saved`: null if no backward follows.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const P* p, const Condition<T>& condition,
                               Matrix<T> e, Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    if (classes_ > 0) label_.forward(ctx, p, condition.label, condition.dropped, e);
    if (columns_ > 0) {
      const Matrix<T> given = arena.take(e.rows, width_);
      vector_.forward(ctx, p, condition.vector, given, saved == nullptr ? nullptr : &saved->vector,
                      arena);
      ctx.map(e.rows, width_,
              detail::AddVectorOrNull<T, P>{given, p + null_, condition.dropped, e, classes_ > 0});
    }
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      saved->condition = condition;
    }
  }

  /// Gradients from de: of the parameters, and of the vector into dvector unless it is empty.
  template <class Ctx, class P, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const P* p, Gradient<T> g, ConstMatrix<T> de,
                                Matrix<T> dvector, const Saved<T>& saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Condition<T>& condition = saved.condition;
    if (classes_ > 0) label_.backward(ctx, g, condition.label, condition.dropped, de);
    if (columns_ > 0 && (!g.ignored() || !dvector.empty())) {
      const Matrix<T> d = arena.take(de.rows, width_);
      if (!g.ignored()) {
        ctx.map(de.rows, width_, detail::WhereDropped<T>{de, condition.dropped, true, d});
        ctx.column_sum(d, g.values + null_, g.accumulate ? Update::accumulate : Update::overwrite);
        g.done(null_, static_cast<std::size_t>(width_));
      }
      ctx.map(de.rows, width_, detail::WhereDropped<T>{de, condition.dropped, false, d});
      vector_.backward(ctx, p, g, condition.vector, d, dvector, saved.vector, arena);
    }
    arena.rewind(mark);
  }

 private:
  int classes_ = 0, columns_ = 0, width_ = 0;
  LabelEmbedding label_;
  Mlp<Act> vector_;
  std::size_t null_ = 0;
};

}  // namespace vrfm
