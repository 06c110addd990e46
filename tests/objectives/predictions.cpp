// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weights under which the loss of velocities is that of a prediction: with PredictionWeight it is the squared error of
// what the network itself predicts, in plain loops; with MinSnrWeight the data's with weight min(SNR, gamma).
#include <cmath>
#include <stdexcept>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "problem.hpp"

#include <vrfm/models/predicting.hpp>
#include <vrfm/objectives/prediction_weight.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

namespace vrfm::test {

/// With the options of the inner networks. Not unnamed: nvcc misses a use of its call.
template <Prediction prediction, class Path>
struct PredictingMlp : Predicting<prediction, MlpNetworks<>, Path> {
  using Options = FlowOptions;
  PredictingMlp(ParameterList& list, const Options& options)
      : Predicting<prediction, MlpNetworks<>, Path>(list, {.networks = options}) {}
};

namespace {

using Host = Kokkos::DefaultHostExecutionSpace;
constexpr int rows = 40, dimension = 2;

/// Times and points of each row, and what a row's inner network predicts there.
template <Prediction prediction, class Path>
void check_loss() {
  INFO("prediction " << static_cast<int>(prediction));
  using Times = TimesWithin<UniformTime>;
  using Loss = BasicVelocityLoss<Path, Times, SquaredDistance, PredictionWeight<prediction, Path>>;
  Problem<double, Host, PredictingMlp<prediction, Path>> problem(tiny_flow(0, dimension), rows);
  problem.draw_parameters();
  const Loss loss{.times = {.first = 1e-3, .last = 1 - 1e-3}};

  const Path path;
  std::vector<double> t(rows), x(rows * dimension), o(rows * dimension), expected(rows),
      tolerance(rows), block(1u << 14);
  const auto x0 = problem.x0(), x1 = problem.x1();
  for (int i = 0; i < rows; ++i) {
    const auto r = static_cast<std::size_t>(i);
    t[r] = loss.times.template draw<double>(problem.draws.stream(Purpose::time),
                                            problem.draws.sample(i), problem.draws.step);
    const auto s = path.at(t[r]);
    for (int j = 0; j < dimension; ++j) {
      x[r * dimension + static_cast<std::size_t>(j)] = s.alpha * x1(i, j) + s.sigma * x0(i, j);
    }
  }
  Arena<double> arena(block.data(), block.size());
  MlpVelocity<>::Saved<double>* const unsaved = nullptr;
  problem.flow().networks().velocity.model().forward(
      TileContext<Host>(), problem.flow().values().data(),
      Query<double>{Matrix<double>(t.data(), rows, 1, 1),
                    Matrix<double>(x.data(), rows, dimension, dimension),
                    {}},
      Matrix<const double>(), nullptr, Matrix<double>(o.data(), rows, dimension, dimension),
      unsaved, arena);
  for (int i = 0; i < rows; ++i) {
    const auto r = static_cast<std::size_t>(i);
    const auto s = path.at(t[r]);
    const auto f = velocity_factors<prediction>(s);
    for (int j = 0; j < dimension; ++j) {
      const auto k = r * dimension + static_cast<std::size_t>(j);
      const double truth = prediction == Prediction::data    ? x1(i, j)
                           : prediction == Prediction::noise ? x0(i, j)
                                                             : -x0(i, j) / s.sigma;
      const double error = o[k] - truth;
      expected[r] += error * error;
      // v - u cancels a x against terms of u.
      const double size = std::fabs(o[k]) + std::fabs(truth) +
                          (std::fabs(f.x * x[k]) + std::fabs(s.alpha_rate * x1(i, j)) +
                           std::fabs(s.sigma_rate * x0(i, j))) /
                              std::fabs(f.output);
      tolerance[r] += 64 * epsilon<double> * size * (std::fabs(error) + size);
    }
  }
  for (const auto where : {Where::tile, Where::batch}) {
    CHECK(difference(problem.evaluate(loss, where).losses, expected,
                     [&](std::size_t k) { return tolerance[k]; }) == "");
  }
}

}  // namespace

TEST_CASE("the weighted loss of velocities is that of the prediction", "[objectives][prediction]") {
  check_loss<Prediction::data, LinearSchedule>();
  check_loss<Prediction::noise, LinearSchedule>();
  check_loss<Prediction::score, LinearSchedule>();
  check_loss<Prediction::data, VariancePreservingSchedule>();
  check_loss<Prediction::noise, TrigonometricSchedule>();
}

TEST_CASE("weights over t of predictions are the formulas", "[objectives][prediction]") {
  const PredictionWeight<Prediction::data> data{.times = {.last = 0.75}};
  const PredictionWeight<Prediction::noise> noise{.times = {.first = 0.25}};
  const MinSnrWeight<> snr{.gamma = 4};
  for (const double t : {0.125, 0.5, 0.875}) {
    const double after = std::fmin(t, 0.75), before = std::fmax(t, 0.25);
    CHECK(std::fabs(data(t) - (1 - after) * (1 - after)) <= 8 * epsilon<double>);
    CHECK(std::fabs(noise(t) - before * before) <= 8 * epsilon<double>);
    // min(SNR, gamma) of the data's error, which is (1 - t) that of the velocity.
    const double ratio = t * t / ((1 - t) * (1 - t));
    CHECK(std::fabs(snr(t) - std::fmin(ratio, 4) * (1 - t) * (1 - t)) <= 8 * epsilon<double>);
  }
  CHECK(thrown<std::invalid_argument>([] { MinSnrWeight<>{.gamma = 0}.check(); }) ==
        "vrfm: MinSnrWeight needs a finite gamma > 0, got 0");
  CHECK(thrown<std::invalid_argument>([&] {
          PredictionWeight<Prediction::score>{.times = {.first = 1}}.check();
        }) == "vrfm: this prediction needs times 0 < first < last < 1, got 1 and 0.999");
}

}  // namespace vrfm::test
