// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The Objective concept: the loss of some rows of a batch, and its gradient. An objective knows no layer;
// it asks the networks to run forward and backward. It chooses where on the path and at what times it
// asks: it draws the times, and may ask for several points, a second time, or a teacher's answer.
//
//   terms                     names of the losses it reports, an std::array of const char*
//   check(networks)           throws std::invalid_argument if the networks do not fit
//   operator()(ctx, problem, arena)
//       writes problem.losses(i, k), term k of row i without weights, and to problem.gradient that of
//       sum_i row_weight * (weighted sum of row i's terms), unless it is ignored
//   uses_teacher              optional: true if problem.teacher is read; a trainer without a moving
//                             average then refuses it
//   needs_condition           optional: true if each row's condition must be given; a coupling that
//                             drops some of them is then refused
//
// Numbers that vary over a training, such as beta, are StepFunctions, evaluated at problem.draws.step
// inside kernels.
#pragma once

#include <array>
#include <string_view>

#include <vrfm/core/step_function.hpp>
#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/context.hpp>
#include <vrfm/models/latent_model.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

/// How a loss term is reduced over its own dimensions; over the batch it is always the mean.
enum class Reduction { sum, mean };

KOKKOS_INLINE_FUNCTION double reduction_factor(Reduction reduction, int count) {
  return reduction == Reduction::mean ? 1.0 / count : 1.0;
}

/// What an objective is given.
template <class Networks, class T>
struct LossProblem {
  using Parameter = storage_of<Networks, T>;

  const Networks& networks;
  const Parameter* parameters;
  const Parameter* teacher;  ///< the parameters' moving average; null if there is none
  Gradient<T> gradient;
  Matrix<T> x0, x1;        ///< rows x dimension
  Condition<T> condition;  ///< with z where the coupling or an objective around this one gives it
  DrawAddress draws;
  double row_weight;   ///< 1 / (global batch)
  Matrix<T> losses;    ///< rows x terms
  Matrix<T> dz = {};   ///< where the gradient of condition.z goes, overwritten; empty: not wanted
  Matrix<T> dx0 = {};  ///< the same of x0, by objectives that say gives_source_gradient

  KOKKOS_INLINE_FUNCTION int rows() const { return x0.rows; }
  /// Where dropout is drawn; null: it is left out, because this is no training.
  KOKKOS_INLINE_FUNCTION const DrawAddress* dropout() const {
    return draws.use == Use::training ? &draws : nullptr;
  }
};

/// How many losses an objective reports.
template <class O>
inline constexpr int term_count = static_cast<int>(O::terms.size());

template <class O>
inline constexpr bool uses_teacher = requires { requires O::uses_teacher; };

template <class O>
inline constexpr bool needs_condition = requires { requires O::needs_condition; };
/// Whether an objective trains the networks' source posterior: see VariationalCoupling.
template <class O>
inline constexpr bool trains_source = requires { requires O::trains_source; };

namespace detail {

/// An objective's terms and one more.
template <class O>
constexpr auto terms_and(const char* term) {
  std::array<const char*, O::terms.size() + 1> all{};
  std::size_t n = 0;
  for (const char* each : O::terms) all[n++] = each;
  all[n] = term;
  return all;
}

template <class O>
concept HasTerms = requires {
  O::terms.size();
  { O::terms[0] } -> std::convertible_to<const char*>;
};

/// Reports and loss files tell the terms apart by their names.
template <class O>
constexpr bool distinct_terms() {
  for (std::size_t i = 0; i < O::terms.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (std::string_view(O::terms[i]) == O::terms[j]) return false;
    }
  }
  return true;
}

template <class O, class Networks>
concept CallableObjective =
    requires(const O& objective, const MeasureContext& ctx,
             const LossProblem<Networks, float>& problem, Arena<float>& arena) {
      { objective(ctx, problem, arena) } -> std::same_as<void>;
    };

}  // namespace detail

template <class O, class Networks>
concept Objective =
    std::is_trivially_copyable_v<O> && detail::HasTerms<O> &&
    detail::CallableObjective<O, Networks> &&
    requires(const O& objective, const Networks& networks) { objective.check(networks); };

/// Says in one sentence what an objective lacks.
template <class O, class Networks>
struct RequireObjective {
  static_assert(std::is_trivially_copyable_v<O>,
                "vrfm: an objective needs to be trivially copyable, as it travels into kernels");
  static_assert(detail::HasTerms<O>,
                "vrfm: an objective needs `static constexpr std::array<const char*, n> terms`, the "
                "names of the losses that it reports");
  static_assert(!detail::HasTerms<O> || detail::distinct_terms<O>(),
                "vrfm: an objective needs terms whose names differ from each other");
  static_assert(
      requires(const O& objective, const Networks& networks) { objective.check(networks); },
      "vrfm: an objective needs check(networks) const, which throws if they do not fit");
  static_assert(detail::CallableObjective<O, Networks>,
                "vrfm: an objective needs operator()(const Ctx&, const LossProblem<Networks, T>&, "
                "Arena<T>&) const -> void");
  static constexpr bool ok = Objective<O, Networks>;
};

}  // namespace vrfm
