// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ParameterUpdate: an optimizer with its state, one flat array a name, and the two launches that apply
// it to a segment of the parameters, or to all: one notes the step's losses, clips the gradient by its
// global norm as PyTorch's clip_grad_norm_ (the coefficient clip / (norm + 1e-6), at most 1) and computes
// what all elements have in common; the other updates every element of the segment.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/core/copy.hpp>
#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/parallel/segment.hpp>
#include <vrfm/training/detail/optimizer_pass.hpp>
#include <vrfm/training/step_log.hpp>

namespace vrfm {

/// An array of a training's state under its name in checkpoints.
template <class T, ExecutionSpace Exec>
struct NamedArray {
  std::string name;
  Array<T, Exec> values;
};

namespace detail {

/// One tile: the step's note in the log, and the input of its update; where something is not finite the
/// update is skipped.
template <class T, class O>
struct FinishStep {
  const double* losses;  // sums over the batch
  double row_weight;
  const double* squares;
  int blocks;
  double* square;    // their sum
  double clip_norm;  // 0: no clipping
  O optimizer;
  StepLogView log;
  StepInput<T, O>* input;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.column_sum(Matrix<const double>(squares, blocks, 1, 1), square, Update::overwrite);
    ctx.each_row(1, *this);
  }

  KOKKOS_FUNCTION void operator()(int) const {
    const std::int64_t now = *log.counter;
    const double norm = math::sqrt(*square);
    const bool bad = log.note(losses, row_weight, *square);
    const double scale = clip_norm > 0 ? math::minimum(1.0, clip_norm / (norm + 1e-6)) : 1.0;
    *input = {optimizer.template at<T>(now), static_cast<T>(scale), bad};
  }
};

}  // namespace detail

template <class T, ExecutionSpace Exec, Optimizer<T> O>
class ParameterUpdate {
 public:
  /// The state's arrays are zero, one element for each of the segment's. Of the segment, the elements that
  /// the list says no training changes are left out. Throws what the optimizer's check throws.
  ParameterUpdate(const Exec& exec, const O& optimizer, const ParameterList& list,
                  const Segment& segment)
      : exec_(exec),
        optimizer_(optimizer),
        segment_(segment),
        trained_(list.trained(segment.begin, segment.end)),
        input_("vrfm::ParameterUpdate::input", 1) {
    optimizer.check();
    for (const char* name : O::state) {
      state_.push_back(
          {name, Array<T, Exec>(text("vrfm::ParameterUpdate::", name), segment.count())});
    }
  }

  const std::vector<NamedArray<T, Exec>>& state() const { return state_; }
  /// The array of the state called `name`, which there is.
  const Array<T, Exec>& array(std::string_view name) const {
    return state_[static_cast<std::size_t>(state_index<O>(name))].values;
  }
  /// Copies the segment of `values` to that array.
  void fill(std::string_view name, const Array<T, Exec>& values) const {
    using Unmanaged = Kokkos::MemoryTraits<Kokkos::Unmanaged>;
    using View = Kokkos::View<T*, typename Exec::memory_space, Unmanaged>;
    copy_elements(exec_, array(name), View(values.data() + segment_.begin, segment_.count()));
  }

  /// Launches the update of the segment of `values` by a gradient. losses, squares: see BatchGradient, and
  /// of all ranks; behind the squares there is room for their sum.
  void enqueue(const Array<T, Exec>& values, const T* gradient, const double* losses,
               double row_weight, const Array<double, Exec>& squares, double clip_norm,
               const detail::StepLogView& log) {
    const auto blocks = static_cast<int>(squares.extent(0)) - 1;
    launch_tiles(exec_, "vrfm::ParameterUpdate::finish", 1,
                 detail::FinishStep<T, O>{losses, row_weight, squares.data(), blocks,
                                          squares.data() + blocks, clip_norm, optimizer_, log,
                                          input_.data()});
    for (const auto& [begin, end] : trained_) {
      detail::OptimizerPass<T, O> pass{values.data() + begin, gradient + begin, {}, input_.data()};
      for (std::size_t k = 0; k < state_.size(); ++k) {
        pass.state[k] = state_[k].values.data() + (begin - segment_.begin);
      }
      flat_map(exec_, "vrfm::ParameterUpdate::update", static_cast<std::int64_t>(end - begin),
               pass);
    }
  }

 private:
  Exec exec_;
  O optimizer_;
  Segment segment_;
  std::vector<std::pair<std::size_t, std::size_t>> trained_;
  std::vector<NamedArray<T, Exec>> state_;
  Array<detail::StepInput<T, O>, Exec> input_;
};

}  // namespace vrfm
