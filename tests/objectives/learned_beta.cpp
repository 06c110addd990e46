// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A learned beta: the networks' gradient is that of its value as a constant, its own is that of the constraint, in both
// contexts; from either side it brings z to tell the rate; and what does not fit is refused.
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "problem.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/variational.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

struct Learned : LearnedBeta<MlpNetworks<>> {
  using Options = FlowOptions;
  Learned() = default;
  Learned(ParameterList& list, const FlowOptions& options)
      : LearnedBeta<MlpNetworks<>>(list, {.networks = options, .beta = 2.5}) {}
};

template <class Objective>
std::string refusal(const Objective& objective, bool learned) {
  return thrown<std::invalid_argument>([&] {
    ParameterList list;
    const FlowOptions options = tiny_flow(2);
    if (learned) return objective.check(Learned(list, options));
    objective.check(MlpNetworks<>(list, options));
  });
}

/// The mean KL of the last of `steps` steps.
double trained_rate(double rate, double first_beta, int steps) {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  const Flow<float, Exec, LearnedBeta<MlpNetworks<>>> flow(
      exec,
      {.networks = {.dimension = 1,
                    .latent = 1,
                    .encoder_input = EncoderInput::x1,
                    .encoder = {.features = 8, .width = 16, .depth = 1},
                    .latent_width = 16,
                    .latent_depth = 2,
                    .decoder_width = 16,
                    .decoder_depth = 2},
       .beta = first_beta},
      3);
  Trainer trainer(
      flow, Elbo{.rate = rate}, AdamW{.learning_rate = 5e-3},
      independent(standard_normal<float>(exec, 1), mixture_1d<float>(exec, {-2, 2}, 0.1)),
      TrainerOptions{.batch = 128, .seed = 2});
  double sum = 0;
  const int window = math::minimum(100, steps);
  trainer.run(steps, 100, [&](const TrainingReport& report) {
    if (report.step < report.last_step) return;
    for (const auto& losses : report.losses) sum += losses.terms[1] / window;
  });
  return sum;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a learned beta counts as the constant that it is", "[objectives]",
                        Spaces) {
  const FlowOptions options = tiny_flow(3);
  constexpr int rows = 5;
  constexpr double rate = 0.75;
  Problem<double, TestType, Learned> learned(options, rows);
  Problem<double, TestType> plain(options, rows);
  const auto values = plain.parameters();
  for (std::size_t k = 0; k < values.size(); ++k) learned.set_parameter(k, values[k]);
  const double log_beta = std::log(0.375);
  const std::size_t place = values.size();
  REQUIRE(learned.flow().parameters().entries().back().name == "beta.log");
  REQUIRE(learned.parameters().at(place) == std::log(2.5));
  learned.set_parameter(place, log_beta);

  for (const Reduction reduction : {Reduction::sum, Reduction::mean}) {
    // A beta besides multiplies it.
    const auto expected = plain.evaluate(Elbo{.beta = 2 * std::exp(log_beta), .kl = reduction},
                                         Where::tile, Mode::overwrite);
    const double factor = reduction == Reduction::mean ? 1.0 / 3 : 1.0;
    double own = 0;
    for (const double kl : expected.column(1, 2)) {
      own += 1e-3 * learned.weight * (1 - kl / factor / rate);
    }
    for (const Where where : {Where::tile, Where::batch}) {
      const auto found =
          learned.evaluate(Elbo{.beta = 2, .kl = reduction, .rate = rate}, where, Mode::overwrite);
      CHECK(difference(found.losses, expected.losses, 1e-13) == "");
      auto gradient = expected.gradient;
      gradient.push_back(own);
      CHECK(difference(found.gradient, gradient, 1e-12) == "");
    }
  }
  CHECK(learned.evaluate(Elbo{.rate = rate}, Where::tile, Mode::accumulate, 1).gradient.at(place) !=
        1);
}

TEST_CASE("a learned beta brings z to tell the rate", "[objectives]") {
#if defined(VRFM_TEST_BRIEFLY)
  CHECK(trained_rate(0.5, 1, 2) >= 0);
  WARN("trained for 2 steps under the sanitizers: whether the rate is met is not checked");
#else
  CHECK(std::abs(trained_rate(0.5, 20, 1200) / 0.5 - 1) < 0.15);
  CHECK(std::abs(trained_rate(0.5, 0.1, 1200) / 0.5 - 1) < 0.15);
#endif
}

TEST_CASE("a rate without a learned beta, and the other way round, are refused", "[objectives]") {
  CHECK(refusal(Elbo{}, false) == "(nothing thrown)");
  CHECK(refusal(Elbo{.rate = 1}, true) == "(nothing thrown)");
  CHECK(refusal(Elbo{.rate = 1}, false) ==
        "vrfm: Elbo with a rate needs networks whose beta is learned, LearnedBeta<...>");
  CHECK(
      refusal(Elbo{}, true) ==
      "vrfm: LearnedBeta finds the beta at which z tells the objective's rate: expected Elbo with "
      "a rate above 0");
  CHECK(refusal(Elbo{.rate = -1}, true) == "vrfm: Elbo needs a finite rate >= 0, got -1");
  const auto error = [](const LearnedBeta<MlpNetworks<>>::Options& options) {
    return thrown<std::invalid_argument>([&] {
      ParameterList list;
      LearnedBeta<MlpNetworks<>>(list, options);
    });
  };
  CHECK(error({.networks = tiny_flow(2), .beta = 0}) ==
        "vrfm: a learned beta needs a first one above 0, got 0");
  CHECK(error({.networks = tiny_flow(0)}) ==
        "vrfm: a learned beta weighs what a posterior tells: expected networks with one");
}
