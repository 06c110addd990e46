// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Condition and Query: what a velocity u(x, t, s | z, c) is asked about. A Condition is fixed along a
// trajectory: the latent variable z, and c, which is a class label, a vector of real elements or a field on
// the image's grid. A Query is one place and time; s is the second time of a flow map, for which
// x + (s - t) u is where the trajectory through (x, t) arrives at s.
#pragma once

#include <cstdint>

#include <vrfm/core/matrix.hpp>

namespace vrfm {

/// What a model takes besides x and t. A velocity model's inputs say what a Condition and a Query must
/// hold; those of a posterior or prior say what c must hold (latent is then the columns of z it tells).
struct ModelInputs {
  int latent = 0;             ///< columns of z; 0: none
  int classes = 0;            ///< labels are 0 ... classes - 1; 0: no label
  int condition_columns = 0;  ///< columns of the vector; 0: none
  int field_columns = 0;      ///< elements of a sample's field: pixels times channels; 0: none
  bool second_time = false;   ///< a flow map: s is asked for

  bool operator==(const ModelInputs&) const = default;

  /// True if there is a c: a label, a vector or a field.
  KOKKOS_INLINE_FUNCTION bool conditional() const {
    return classes > 0 || condition_columns > 0 || field_columns > 0;
  }
};

/// What is given of each row, and nothing of what the model does not take.
template <class T>
struct Condition {
  ConstMatrix<T> z;                  ///< rows x latent
  Matrix<const std::int32_t> label;  ///< rows x 1; `classes` is the null class
  ConstMatrix<T> vector;             ///< rows x condition_columns
  ConstMatrix<T> field;              ///< rows x field_columns, channels last
  Matrix<const std::int32_t>
      dropped{};  ///< rows x 1: not 0 where c counts as not given; may be empty

  KOKKOS_INLINE_FUNCTION bool is_dropped(int i) const {
    return !dropped.empty() && dropped(i, 0) != 0;
  }
};

/// Where gradients with respect to a Condition go; empty: not wanted. What the model takes is
/// overwritten.
template <class T>
struct ConditionGradient {
  Matrix<T> z, vector, field;
};

/// Where a velocity is asked for; as rates of change, a direction, in which what is empty stays.
template <class T>
struct Query {
  ConstMatrix<T> t;  ///< rows x 1; of stride 0 where all rows share one time
  ConstMatrix<T> x;  ///< rows x dimension
  ConstMatrix<T> s;  ///< rows x 1, as t; empty: s = t
};

/// Where gradients with respect to a Query go; empty: not wanted. What the model takes is overwritten.
template <class T>
struct QueryGradient {
  Matrix<T> t, x, s;
};

}  // namespace vrfm
