// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of objectives share: a tiny flow, a fixed batch of pairs, and one call that
// evaluates an objective on them in either context.
#pragma once

#include <vector>

#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm::test {

enum class Where { tile, batch };

/// One call of an objective, for launch_tiles with one worker.
template <class T, class Networks, class Objective>
struct CallObjective {
  Networks networks;
  Objective objective;
  const T* parameters;
  Gradient<T> gradient;
  Pairs<T> pairs;
  DrawAddress draws;
  double weight;
  Matrix<T> losses;
  T* block;
  std::size_t capacity;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    Arena<T> arena(block, capacity);
    objective(ctx, networks, parameters, gradient, pairs, draws, weight, losses, arena);
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
  std::vector<double> losses;  // rows x 2: velocity, KL

  /// The number whose gradient `gradient` is.
  double total(double weight, double beta) const {
    double sum = 0;
    for (std::size_t i = 0; i < losses.size(); i += 2)
      sum += weight * (losses[i] + beta * losses[i + 1]);
    return sum;
  }
};

template <class T, class Exec>
class Problem {
 public:
  static constexpr double weight = 0.25;
  static constexpr DrawAddress draws{.seed = 9, .step = 3, .first_sample = 1000};

  Problem(const FlowOptions& options, int rows)
      : flow_(Exec(), options, 17),
        rows_(rows),
        dimension_(options.dimension),
        x0_(rows, dimension_),
        x1_(rows, dimension_),
        x_t_(rows, dimension_),
        u_(rows, dimension_),
        t_(rows, 1),
        losses_(rows, 2),
        gradient_(1, count(), 0) {
    Numbers numbers(5);
    const auto n = static_cast<std::size_t>(rows), d = static_cast<std::size_t>(dimension_);
    const auto x0 = numbers.take(n * d), x1 = numbers.take(n * d);
    auto t = numbers.take(n);
    std::vector<double> x_t, u;
    for (std::size_t i = 0; i < n; ++i) {
      t[i] = 0.5 + 0.5 * t[i];
      for (std::size_t k = i * d; k < (i + 1) * d; ++k) {
        x_t.push_back(t[i] * x1[k] + (1 - t[i]) * x0[k]);
        u.push_back(x1[k] - x0[k]);
      }
    }
    x0_.write(x0);
    x1_.write(x1);
    x_t_.write(x_t);
    u_.write(u);
    t_.write(t);
  }

  const Flow<T, Exec>& flow() const { return flow_; }
  Pairs<T> pairs() const {
    return {x0_.matrix(), x1_.matrix(), x_t_.matrix(), u_.matrix(), t_.matrix()};
  }
  int count() const { return static_cast<int>(flow_.parameters().count()); }

  std::vector<double> parameters() const {
    const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), flow_.values());
    return {host.data(), host.data() + host.extent(0)};
  }

  void set_parameter(std::size_t index, double value) {
    Kokkos::deep_copy(Kokkos::subview(flow_.values(), index), static_cast<T>(value));
  }

  /// The objective's gradient and losses. `before` is what the gradient's array holds before.
  template <class Objective>
  Evaluation evaluate(const Objective& objective, Where where, bool accumulate = false,
                      double before = 0) {
    const auto& networks = flow_.networks();
    gradient_.write(std::vector<double>(static_cast<std::size_t>(count()), before));
    const Gradient<T> gradient{gradient_.data(), accumulate};
    Arena<T> measure = Arena<T>::measure();
    objective(MeasureContext{}, networks, flow_.values().data(), gradient, pairs(), draws, weight,
              losses_.matrix(), measure);
    const Array<T, Exec> block("vrfm::test::Problem", measure.peak());
    if (where == Where::tile) {
      launch_tiles(flow_.exec(), "vrfm::test::Problem::evaluate", 1,
                   CallObjective<T, MlpNetworks<Gelu>, Objective>{
                       networks, objective, flow_.values().data(), gradient, pairs(), draws, weight,
                       losses_.matrix(), block.data(), block.extent(0)});
    } else {
      Arena<T> arena(block.data(), block.extent(0));
      objective(BatchContext<Exec>(flow_.exec()), networks, flow_.values().data(), gradient,
                pairs(), draws, weight, losses_.matrix(), arena);
    }
    return {gradient_.read(), losses_.read()};
  }

 private:
  Flow<T, Exec> flow_;
  int rows_, dimension_;
  Padded<T, Exec> x0_, x1_, x_t_, u_, t_, losses_, gradient_;
};

}  // namespace vrfm::test
