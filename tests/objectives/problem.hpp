// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of objectives share: a tiny flow, a fixed batch of x0, x1 and conditions, and one
// call that evaluates an objective on them in either context.
#pragma once

#include <vector>

#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/table.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm::test {

enum class Where { tile, batch };

/// What becomes of a gradient: it replaces what its array held, is added to it, or is not wanted.
enum class Mode { overwrite, accumulate, ignore };

/// One call of an objective, for launch_tiles with one worker. All but `networks` of the problem is
/// set; kernels carry their own copy of these.
template <class T, class Networks, class Objective>
struct CallObjective {
  Networks networks;
  Objective objective;
  const T* parameters;
  Gradient<T> gradient;
  Matrix<T> x0, x1;
  Condition<T> condition;
  DrawAddress draws;
  double weight;
  Matrix<T> losses;
  T* block;
  std::size_t capacity;

  LossProblem<Networks, T> problem() const {
    return {networks, parameters, nullptr, gradient, x0, x1, condition, draws, weight, losses};
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    Arena<T> arena(block, capacity);
    const LossProblem<Networks, T> problem{networks, parameters, nullptr, gradient, x0,
                                           x1,       condition,  draws,   weight,   losses};
    objective(ctx, problem, arena);
  }
};

/// Width 4, features 4; the posterior sees everything.
inline FlowOptions tiny_flow(int latent, int dimension = 2) {
  const auto all = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t;
  return {.dimension = dimension,
          .latent = latent,
          .encoder_input = all,
          .encoder = {.features = 4, .width = 4, .depth = 1},
          .latent_width = 4,
          .latent_depth = 2,
          .decoder_width = 4,
          .decoder_depth = 2};
}

/// What an objective says about a batch.
struct Evaluation {
  std::vector<double> gradient;
  std::vector<double> losses;  // rows x terms

  /// The number whose gradient `gradient` is: term k of every row counts `weights[k]`.
  double total(const std::vector<double>& weights) const {
    double sum = 0;
    for (std::size_t i = 0; i < losses.size(); ++i) sum += weights[i % weights.size()] * losses[i];
    return sum;
  }

  /// Column `term` of the losses.
  std::vector<double> column(std::size_t term, std::size_t terms) const {
    std::vector<double> result;
    for (std::size_t i = term; i < losses.size(); i += terms) result.push_back(losses[i]);
    return result;
  }
};

/// A flow with a latent variable that has no posterior is given z. If the options ask for a condition, row i has label i % classes and a vector of its own; every
/// third row's condition is dropped, from row 1 on.
template <class T, class Exec, class Networks = MlpNetworks<Gelu>>
class Problem {
 public:
  static constexpr double weight = 0.25;

  /// May be changed: the draws' address.
  DrawAddress draws{.seed = 9, .step = 3, .first_sample = 1000};

  Problem(const FlowOptions& options, int rows)
      : flow_(Exec(), options, 17),
        rows_(rows),
        x0_(rows, options.dimension),
        x1_(rows, options.dimension),
        vector_(rows, options.condition_columns),
        z_(rows, options.latent),
        gradient_(1, count(), 0) {
    Numbers numbers(5);
    const auto n = static_cast<std::size_t>(rows), d = static_cast<std::size_t>(options.dimension);
    x0_.write(numbers.take(n * d));
    x1_.write(numbers.take(n * d));
    vector_.write(numbers.take(n * static_cast<std::size_t>(options.condition_columns)));
    z_.write(numbers.take(n * static_cast<std::size_t>(options.latent)));
    if (options.encoder_input == EncoderInput::none) condition_.z = z_.matrix();
    std::vector<double> labels, dropped;
    for (int i = 0; i < rows; ++i) {
      labels.push_back(options.classes > 0 ? i % options.classes : 0);
      dropped.push_back(i % 3 == 1 ? 1 : 0);
    }
    label_ = table<std::int32_t, Exec>(n, 1, labels);
    dropped_ = table<std::int32_t, Exec>(n, 1, dropped);
    if (options.classes > 0) condition_.label = vrfm::matrix(label_);
    if (options.condition_columns > 0) condition_.vector = vector_.matrix();
    if (options.classes > 0 || options.condition_columns > 0)
      condition_.dropped = vrfm::matrix(dropped_);
  }

  const Flow<T, Exec, Networks>& flow() const { return flow_; }
  Matrix<const T> x0() const { return x0_.matrix(); }
  Matrix<const T> x1() const { return x1_.matrix(); }
  const Condition<T>& condition() const { return condition_; }
  int count() const { return static_cast<int>(flow_.parameters().count()); }

  /// Other pairs, row by row.
  void set_pairs(const std::vector<double>& x0, const std::vector<double>& x1) {
    x0_.write(x0);
    x1_.write(x1);
  }

  std::vector<double> parameters() const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), flow_.values());
    return {host.data(), host.data() + host.extent(0)};
  }

  void set_parameter(std::size_t index, double value) {
    Kokkos::deep_copy(Kokkos::subview(flow_.values(), index), static_cast<T>(value));
  }

  /// Other parameters than the initial ones, of which some layers have zeros.
  void draw_parameters() {
    Numbers numbers(23);
    for (std::size_t k = 0; k < static_cast<std::size_t>(count()); ++k)
      set_parameter(k, 0.5 * numbers.next());
  }

  /// The objective's gradient and losses. `before` is what the gradient's array holds before.
  template <class Objective>
  Evaluation evaluate(const Objective& objective, Where where, Mode mode = Mode::overwrite,
                      double before = 0) {
    gradient_.write(std::vector<double>(static_cast<std::size_t>(count()), before));
    Padded<T, Exec> losses(rows_, term_count<Objective>);
    CallObjective<T, Networks, Objective> call{
        flow_.networks(),
        objective,
        flow_.values().data(),
        {mode == Mode::ignore ? nullptr : gradient_.data(), mode == Mode::accumulate},
        x0_.matrix(),
        x1_.matrix(),
        condition_,
        draws,
        weight,
        losses.matrix(),
        nullptr,
        0};
    Arena<T> measure = Arena<T>::measure();
    objective(MeasureContext{}, call.problem(), measure);
    const Array<T, Exec> block("vrfm::test::Problem", measure.peak());
    call.block = block.data();
    call.capacity = block.extent(0);
    if (where == Where::tile) {
      launch_tiles(flow_.exec(), "vrfm::test::Problem::evaluate", 1, call);
    } else {
      Arena<T> arena(call.block, call.capacity);
      objective(BatchContext<Exec>(flow_.exec()), call.problem(), arena);
    }
    return {gradient_.read(), losses.read()};
  }

 private:
  Flow<T, Exec, Networks> flow_;
  int rows_;
  Padded<T, Exec> x0_, x1_, vector_, z_, gradient_;
  Table<std::int32_t, Exec> label_, dropped_;
  Condition<T> condition_;
};

}  // namespace vrfm::test
