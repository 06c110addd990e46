// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The contracts are open: code of one's own, one short file a contract, written against the public
// headers alone, is trained, sampled and compared here.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/extension/batch_coupling.hpp>
#include <tests/extension/coupling.hpp>
#include <tests/extension/objective.hpp>
#include <tests/extension/optimizer.hpp>
#include <tests/extension/posterior.hpp>
#include <tests/extension/prior.hpp>
#include <tests/extension/solver.hpp>
#include <tests/extension/velocity_model.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/sum.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace extension {

/// The networks of a flow of one's own.
struct Networks {
  struct Options {
    int dimension = 2, latent = 0, width = 32;
  };

  ResidualMlp velocity;
  LinearPosterior posterior;
  ShiftedPrior prior;

  Networks() = default;
  Networks(vrfm::ParameterList& list, const Options& o)
      : velocity(list, "velocity", o.dimension, o.latent, o.width) {
    if (o.latent == 0) return;
    posterior = LinearPosterior(list, "posterior", o.dimension, o.latent);
    prior = ShiftedPrior(list, "prior", o.latent);
  }
};

}  // namespace extension

using namespace extension;

namespace {

/// The means of each term over the first and the last ten of `steps` steps.
template <class TrainerType>
std::pair<std::vector<double>, std::vector<double>> train(TrainerType& trainer, int steps) {
  std::vector<double> first(8), last(8);
  trainer.run(steps, 10, [&](const vrfm::TrainingReport& report) {
    auto& means = report.step == 10 ? first : last;
    means.assign(report.means.begin(), report.means.end());
  });
  return {first, last};
}

}  // namespace

TEST_CASE("a network, a posterior and a prior of one's own", "[extension]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  STATIC_REQUIRE(vrfm::FlowNetworks<Networks>);
  const vrfm::Flow<float, Exec, Networks> flow(exec, {.latent = 2}, 1);
  const auto source = vrfm::standard_normal<float>(exec, 2);
  const auto target = vrfm::mixture_on_circle<float>(exec, 3, 2.0, 0.1);
  for (const auto execution : {vrfm::Execution::tiles, vrfm::Execution::batch}) {
    vrfm::Trainer trainer(flow, vrfm::Elbo{.beta = 0.1}, RmsProp{.learning_rate = 3e-3},
                          vrfm::independent(source, target),
                          {.batch = 256, .ema_decay = 0.9, .launch = {.execution = execution}});
    const auto [first, last] = train(trainer, 400);
    CHECK(last[0] < 0.8 * first[0]);
  }
  // z of a sample is drawn from the prior, which moved.
  const auto x = vrfm::sample(flow, source, AdamsBashforth2{8}, {.count = 100, .seed = 3});
  CHECK(x.extent(0) == 100);
  const auto z = vrfm::draw_latents(flow, 1000, {.seed = 3});
  CHECK(z.extent(1) == 2);
}

TEST_CASE("an objective of one's own, with terms of its own", "[extension]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Exec exec;
  STATIC_REQUIRE(vrfm::Objective<AgreementLoss, vrfm::MlpNetworks<>>);
  const vrfm::Flow<float> flow(exec,
                               {.dimension = 2, .encoder = {.width = 16}, .decoder_width = 16}, 1);
  const auto pairs = vrfm::independent(vrfm::standard_normal<float>(exec, 2),
                                       vrfm::mixture_on_circle<float>(exec, 3, 2.0, 0.1));
  vrfm::Trainer trainer(flow, AgreementLoss{vrfm::StepFunction::warmup(0.5, 20)},
                        vrfm::AdamW{.learning_rate = 3e-3}, pairs, {.batch = 256});
  const auto [first, last] = train(trainer, 200);
  CHECK(last[0] < first[0]);
  trainer.run(201, 1, [](const vrfm::TrainingReport& report) {
    REQUIRE(report.terms.size() == 2);
    CHECK(report.mean("agreement") > 0);
  });
  // Joined to another objective, its terms follow.
  using Both = vrfm::SumOf<vrfm::VelocityLoss, AgreementLoss>;
  STATIC_REQUIRE(Both::terms.size() == 3);
}

TEST_CASE("a coupling of one's own, with labels", "[extension]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  STATIC_REQUIRE(vrfm::Coupling<LabelledMoons, float>);
  const vrfm::FlowOptions options{
      .dimension = 2, .classes = 2, .encoder = {.width = 16}, .decoder_width = 16};
  const vrfm::Flow<float> flow(Exec(), options, 1);
  vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{.learning_rate = 3e-3},
                        LabelledMoons{}, {.batch = 256});
  const auto [first, last] = train(trainer, 400);
  CHECK(last[0] < 0.9 * first[0]);
  // A flow that knows no label is not trained on them.
  const vrfm::Flow<float> plain(Exec(), {.dimension = 2}, 1);
  CHECK(vrfm::test::thrown<std::invalid_argument>([&] {
          vrfm::Trainer(plain, vrfm::VelocityLoss{}, vrfm::AdamW{}, LabelledMoons{});
        }) == "vrfm: the flow's condition has 0 classes but the coupling's has 2 classes");
}

TEMPLATE_LIST_TEST_CASE("a coupling over the batch of one's own", "[extension]",
                        vrfm::test::Spaces) {
  using Exec = TestType;
  const Exec exec;
  const auto source = vrfm::standard_normal<float>(exec, 1);
  const auto target = vrfm::mixture_1d<float>(exec, {-3.0, 3.0}, 0.5);
  using Sorted =
      SortedCoupling<std::decay_t<decltype(source)>, std::decay_t<decltype(target)>, Exec>;
  STATIC_REQUIRE(vrfm::Coupling<Sorted, float>);
  // Tiles, whole batches and parts of them read the same pairs: sorted ones have the straightest
  // velocity, so that the loss at t is far below that of independent pairs.
  const auto losses_of = [&](const auto& coupling, const vrfm::Launch& launch) {
    const vrfm::Flow<float, Exec> flow(exec, {.dimension = 1}, 1);
    vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, coupling,
                          {.batch = 300, .launch = launch});
    std::vector<double> losses;
    trainer.run(60, 10, [&](const vrfm::TrainingReport& report) {
      for (const auto& loss : report.losses) losses.push_back(loss.terms[0]);
    });
    return losses;
  };
  const Sorted sorted(source, target, 300);
  const auto tiles = losses_of(sorted, {.execution = vrfm::Execution::tiles});
  const auto whole = losses_of(sorted, {.execution = vrfm::Execution::batch});
  const auto parts = losses_of(sorted, {.execution = vrfm::Execution::batch, .batch = 77});
  const auto independent =
      losses_of(vrfm::independent(source, target), {.execution = vrfm::Execution::tiles});
  // The first step is at the same weights; after it they differ by rounding.
  for (const auto& others : {whole, parts}) {
    CHECK(std::fabs(others[0] - tiles[0]) <=
          300 * std::numeric_limits<float>::epsilon() * tiles[0]);
  }
  CHECK(tiles.back() < 0.7 * independent.back());
  CHECK(vrfm::test::thrown<std::invalid_argument>([&] {
          const vrfm::Flow<float, Exec> flow(exec, {.dimension = 1}, 1);
          vrfm::Trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, sorted, {.batch = 299});
        }) == "vrfm: SortedCoupling sorts batches of 300, but a step draws 299");
}

namespace extension {

/// dx/dt = -2 x
struct Decay {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) const {
    v[0] = T(-2) * x[0];
  }
};

}  // namespace extension

TEST_CASE("a solver of one's own has its order", "[extension]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const auto error = [](int steps) {
    const vrfm::Table<double, Exec> x("x", 1, 1);
    x(0, 0) = 1;
    const auto result =
        vrfm::integrate_all(Exec(), vrfm::pointwise<double>(Decay{}, 1), x, AdamsBashforth2{steps});
    CHECK(result.max_evaluations == steps);
    return std::fabs(x(0, 0) - std::exp(-2.0));
  };
  CHECK(std::log2(error(200) / error(400)) > 1.9);
}
