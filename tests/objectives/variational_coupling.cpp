// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The learned coupling: gradients of every parameter against differences, its divergence in closed form, the objective
// itself where q is the source, the same on tiles and batches, and what it refuses.
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "check_gradient.hpp"

#include <vrfm/models/mlp/source_posterior.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/variational_coupling.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

using vrfm::Elbo;
using vrfm::EncoderInput;
using vrfm::FlowOptions;
using vrfm::Reduction;
using vrfm::VariationalCoupling;
using vrfm::VelocityLoss;
using vrfm::test::check_gradient;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::Mode;
using vrfm::test::thrown;
using vrfm::test::tiny_flow;
using vrfm::test::Where;

namespace {

using Networks = vrfm::MlpCouplingNetworks<vrfm::Gelu>;
template <class T, class Exec>
using Problem = vrfm::test::Problem<T, Exec, Networks>;

FlowOptions seeing(EncoderInput input, int latent = 3) {
  FlowOptions options = tiny_flow(latent);
  options.encoder_input = input;
  return options;
}

/// Makes q the Gaussian of these moments for every x1.
template <class P>
void set_moments(P& problem, const std::vector<double>& moments) {
  for (const auto& slot : problem.flow().parameters().entries()) {
    if (!slot.name.starts_with("coupling.head.1")) continue;
    const bool bias = slot.name.ends_with("bias");
    for (std::size_t k = 0; k < slot.count; ++k) {
      problem.set_parameter(slot.offset + k, bias ? moments.at(k) : 0);
    }
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("gradient of a learned coupling", "[objectives][coupling][gradient]",
                        vrfm::test::Spaces) {
  const auto plain = tiny_flow(0);
  using Loss = VariationalCoupling<VelocityLoss>;
  CHECK(check_gradient<TestType, Networks>(Loss{.lambda = 0.7}, plain, {1, 0.7}) == "");
  CHECK(check_gradient<TestType, Networks>(
            Loss{.objective = {.velocity = Reduction::mean}, .lambda = 0.7, .kl = Reduction::mean},
            plain, {1, 0.7}) == "");
  CHECK(check_gradient<TestType, Networks>(Loss{.lambda = 0}, plain, {1, 0}) == "");
  using Curved = vrfm::BasicVelocityLoss<vrfm::TrigonometricSchedule>;
  CHECK(check_gradient<TestType, Networks>(VariationalCoupling<Curved>{.lambda = 0.7}, plain,
                                           {1, 0.7}) == "");
}

TEMPLATE_LIST_TEST_CASE("gradient of the evidence bound of a learned coupling",
                        "[objectives][coupling][gradient]", vrfm::test::Spaces) {
  auto options = seeing(EncoderInput::x1 | EncoderInput::t);
  options.classes = 2;
  CHECK(check_gradient<TestType, Networks>(
            VariationalCoupling<Elbo>{.objective = {.beta = 0.6}, .lambda = 0.7}, options,
            {1, 0.6, 0.7}) == "");
}

TEMPLATE_LIST_TEST_CASE("a learned coupling's divergence, and the coupling that is the source's",
                        "[objectives][coupling]", vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  constexpr int rows = 5;
  Problem<T, typename TestType::Exec> problem(tiny_flow(0), rows);
  const VariationalCoupling<VelocityLoss> objective{.lambda = 0.5};
  STATIC_REQUIRE(objective.terms.size() == 2);
  CHECK(std::string(objective.terms[1]) == "source_kl");
  for (const auto where : {Where::tile, Where::batch}) {
    set_moments(problem, {0, 0, 0, 0});
    const auto same = problem.evaluate(objective, where);
    CHECK(same.column(0, 2) == problem.evaluate(VelocityLoss{}, where).losses);
    CHECK(same.column(1, 2) == std::vector<double>(rows, 0));

    set_moments(problem, {0.3, -1.5, 0.8, -0.4});
    const double expected =
        0.5 * (0.3 * 0.3 + std::exp(0.8) - 1 - 0.8 + 1.5 * 1.5 + std::exp(-0.4) - 1 + 0.4);
    CHECK(difference(problem.evaluate(objective, where).column(1, 2),
                     std::vector<double>(rows, expected), 16 * epsilon<T> * expected) == "");
  }
  // x_t of every row moves with x0, so the losses differ from the source's.
  CHECK(problem.evaluate(objective, Where::tile).column(0, 2) !=
        problem.evaluate(VelocityLoss{}, Where::tile).losses);
}

TEST_CASE("a learned coupling refuses what has no gradient of x0",
          "[objectives][coupling][check]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const auto refused = [](const auto& objective, const FlowOptions& options) {
    const vrfm::Flow<float, Exec, Networks> flow(Exec(), options, 1);
    return thrown<std::invalid_argument>([&] { objective.check(flow.networks()); });
  };
  using Bound = VariationalCoupling<Elbo>;
  CHECK(refused(Bound{}, seeing(EncoderInput::x1 | EncoderInput::t)) == "(nothing thrown)");
  CHECK(
      refused(Bound{}, seeing(EncoderInput::x0 | EncoderInput::x1)) ==
      "vrfm: VariationalCoupling needs a posterior that sees neither x0 nor x_t, whose gradient it "
      "would need, got x0+x1");
  CHECK(vrfm::test::contains(refused(Bound{}, seeing(EncoderInput::x_t)), "got x_t"));
  auto learned = seeing(EncoderInput::x1);
  learned.prior = vrfm::PriorKind::given_source;
  CHECK(
      refused(Bound{}, learned) ==
      "vrfm: VariationalCoupling needs a prior that does not see x0, whose gradient it would need");
  CHECK(refused(VariationalCoupling<VelocityLoss>{}, seeing(EncoderInput::none)) ==
        "vrfm: VariationalCoupling draws x0 anew, but this flow's z is that of given pairs");
  CHECK(refused(VariationalCoupling<VelocityLoss>{.lambda = -1}, tiny_flow(0)) ==
        "vrfm: VariationalCoupling's lambda must be a finite number >= 0, got -1");
  CHECK(vrfm::test::contains(refused(VariationalCoupling<VelocityLoss>{}, tiny_flow(2)),
                             "VelocityLoss trains a flow without latent variable"));
}
