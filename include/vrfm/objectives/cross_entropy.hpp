// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CrossEntropy: E -ln p(c | x1), p the softmax of a classifier's logits at the samples x1 of a coupling with labels c;
// with label smoothing s (Szegedy et al. 2016) -sum_k q_k ln p_k, q_k = (1 - s) [k = c] + s / classes, as
// PyTorch's cross_entropy. The second term is the share of samples whose largest logit, the first of equal ones, is not
// that of c; it has no gradient. Networks have a member `classifier`, a Layer from x1 to logits, and inputs() that ask
// for its labels.
#pragma once

#include <limits>

#include <vrfm/layers/layer.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm {

namespace detail {

template <class Networks>
concept HasClassifier = requires(const Networks& networks) {
  networks.classifier;
} && Layer<std::remove_cvref_t<decltype(std::declval<const Networks&>().classifier)>>;

template <class T>
inline constexpr T no_loss = std::numeric_limits<T>::quiet_NaN();

/// Row function: losses of logits, which become the gradient of row_weight times the first. The largest logit is taken
/// off all, so that no exponential overflows. Without a label that is one of the columns all is NaN, which ends a
/// training.
template <class T>
struct CrossEntropyRow {
  Matrix<const std::int32_t> label, dropped;  ///< may be empty
  Matrix<T> logits;
  Matrix<T> losses;
  T smoothing, row_weight;

  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const int classes = logits.cols;
    const int c = label.empty() ? -1 : label(i, 0);
    if (c < 0 || c >= classes || (!dropped.empty() && dropped(i, 0) != 0)) {
      losses(i, 0) = losses(i, 1) = no_loss<T>;
      for (int k = 0; k < classes; ++k) logits(i, k) = no_loss<T>;
      return;
    }
    int best = 0;
    for (int k = 1; k < classes; ++k) {
      if (logits(i, k) > logits(i, best)) best = k;
    }
    const T most = logits(i, best), of_label = logits(i, c) - most;
    T others = T(0), sum = T(0);  // of exponentials but the largest, which is 1; of differences
    for (int k = 0; k < classes; ++k) {
      const T difference = logits(i, k) - most;
      sum += difference;
      logits(i, k) = math::exp(difference);
      if (k != best) others += logits(i, k);
    }
    const T share = smoothing / static_cast<T>(classes);
    losses(i, 0) = math::log1p(others) - (T(1) - smoothing) * of_label;
    if (smoothing > T(0)) losses(i, 0) -= share * sum;  // which may be infinite
    losses(i, 1) = best == c ? T(0) : T(1);
    for (int k = 0; k < classes; ++k) {
      const T target = (k == c ? T(1) - smoothing : T(0)) + share;
      logits(i, k) = row_weight * (logits(i, k) / (T(1) + others) - target);
    }
  }
};

}  // namespace detail

struct CrossEntropy {
  static constexpr std::array<const char*, 2> terms = {"cross_entropy", "error"};
  static constexpr bool needs_condition = true;

  double label_smoothing = 0;

  /// Throws std::invalid_argument unless label_smoothing is in [0, 1).
  template <class Networks>
  void check(const Networks&) const {
    require<Networks>();
    expect(label_smoothing >= 0 && label_smoothing < 1,
           "CrossEntropy's label_smoothing must be in [0, 1), got ", label_smoothing);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    require<Networks>();
    if constexpr (detail::HasClassifier<Networks>) {
      const auto mark = arena.used();
      const auto& classifier = problem.networks.classifier;
      using Model = std::remove_cvref_t<decltype(classifier)>;
      const bool wanted = !problem.gradient.ignored();
      const Matrix<T> logits = arena.take(problem.rows(), classifier.outputs());
      typename Model::template Saved<T> saved;
      classifier.forward(ctx, problem.parameters, problem.x1, logits, wanted ? &saved : nullptr,
                         arena);
      ctx.each_row(problem.rows(),
                   detail::CrossEntropyRow<T>{
                       problem.condition.label, problem.condition.dropped, logits, problem.losses,
                       static_cast<T>(label_smoothing), static_cast<T>(problem.row_weight)});
      if (wanted) {
        classifier.backward(ctx, problem.parameters, problem.gradient, problem.x1, logits,
                            Matrix<T>(), saved, arena);
      }
      arena.rewind(mark);
    }
  }

 private:
  template <class Networks>
  KOKKOS_INLINE_FUNCTION static constexpr void require() {
    static_assert(
        detail::HasClassifier<Networks>,
        "vrfm: CrossEntropy trains networks with a member `classifier`, a Layer from x1 to "
        "logits");
  }
};

}  // namespace vrfm
