// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gradients of the objectives with respect to every parameter, in double, against central
// differences of the total loss: with priors, conditions, a second time, and other distances. The
// draws are addressed, so they stay the same. One context is enough here: objectives.cpp compares
// the two.
#include <string>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include "check_gradient.hpp"

#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/sum.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/paths/stochastic_path.hpp>

using vrfm::Elbo;
using vrfm::FlowOptions;
using vrfm::Reduction;
using vrfm::VelocityLoss;
using vrfm::test::check_gradient;
using vrfm::test::tiny_flow;

namespace vrfm::test {

// Not unnamed: nvcc misses a use of its call for float.
struct LateSquareWeight {
  template <class T>
  KOKKOS_INLINE_FUNCTION T operator()(T t) const {
    return T(0.5) + t * t;
  }
};

}  // namespace vrfm::test

namespace {

/// A label of two classes and a vector, dropped in one row of four.
FlowOptions conditional(FlowOptions options) {
  options.classes = 2;
  options.condition_columns = 3;
  return options;
}

FlowOptions with_prior(FlowOptions options) {
  options.prior = vrfm::PriorKind::given_source;
  return options;
}

FlowOptions with_second_time(FlowOptions options) {
  options.second_time = true;
  return options;
}

template <class Distance>
using VelocityBy = vrfm::BasicVelocityLoss<vrfm::LinearSchedule, vrfm::UniformTime, Distance,
                                           vrfm::test::LateSquareWeight>;

template <class Distance>
using ElboBy = vrfm::BasicElbo<vrfm::LinearSchedule, vrfm::UniformTime, Distance,
                               vrfm::test::LateSquareWeight>;

}  // namespace

TEMPLATE_LIST_TEST_CASE("gradient of the velocity loss", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(VelocityLoss{}, tiny_flow(0), {1}) == "");
  CHECK(check_gradient<TestType>(VelocityLoss{.velocity = Reduction::mean}, tiny_flow(0), {1}) ==
        "");
}

TEMPLATE_LIST_TEST_CASE("gradient of the velocity loss whose z is given", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  auto options = conditional(tiny_flow(3));
  options.encoder_input = vrfm::EncoderInput::none;
  CHECK(check_gradient<TestType>(VelocityLoss{}, options, {1}) == "");
}

TEMPLATE_LIST_TEST_CASE("gradient of the evidence bound", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, tiny_flow(3), {1, 0.7}) == "");
  CHECK(
      check_gradient<TestType>(Elbo{.beta = 2, .velocity = Reduction::mean, .kl = Reduction::mean},
                               tiny_flow(3), {1, 2}) == "");
  CHECK(check_gradient<TestType>(Elbo{.beta = 0}, tiny_flow(3), {1, 0}) == "");
}

TEMPLATE_LIST_TEST_CASE("gradient of the evidence bound with a learned prior",
                        "[objectives][gradient]", vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, with_prior(tiny_flow(3)), {1, 0.7}) == "");
  // Nothing but the KL reaches the prior.
  CHECK(check_gradient<TestType>(Elbo{.beta = 0}, with_prior(tiny_flow(2)), {1, 0}) ==
        "prior.x0_encoder.0.weight prior.x0_encoder.0.bias prior.head.0.weight prior.head.0.bias "
        "prior.head.1.weight prior.head.1.bias ");
}

TEMPLATE_LIST_TEST_CASE("gradients with conditions that are given and dropped",
                        "[objectives][gradient]", vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(VelocityLoss{}, conditional(tiny_flow(0)), {1}) == "");
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, conditional(tiny_flow(3)), {1, 0.7}) == "");
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, with_prior(conditional(tiny_flow(2))),
                                 {1, 0.7}) == "");
  auto label = conditional(tiny_flow(2)), vector = label;
  label.condition_columns = 0;
  vector.classes = 0;
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, label, {1, 0.7}) == "");
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, vector, {1, 0.7}) == "");
  // Without a dropped row the null class and the null vector have no part in the loss.
  CHECK(check_gradient<TestType>(VelocityLoss{}, conditional(tiny_flow(0)), {1}, 1) ==
        "velocity.label_emb.weight velocity.vector_emb.null ");
}

TEMPLATE_LIST_TEST_CASE("gradients of a flow map that is asked for s = t", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  // The sine of s - t = 0 is zero, so its weights of the first layer have no part in the loss.
  const std::string sine = "velocity.span_encoder.0.weight ";
  CHECK(check_gradient<TestType>(VelocityLoss{}, with_second_time(tiny_flow(0)), {1}) == sine);
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7}, with_second_time(tiny_flow(3)), {1, 0.7}) ==
        sine);
}

TEMPLATE_LIST_TEST_CASE("gradients of other distances, weighted over time",
                        "[objectives][gradient]", vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(VelocityBy<vrfm::AbsoluteDistance>{}, tiny_flow(0), {1}) == "");
  // 0.5: errors on both sides of it.
  CHECK(check_gradient<TestType>(
            VelocityBy<vrfm::HuberDistance>{.velocity = Reduction::mean, .distance = {0.5}},
            tiny_flow(0), {1}) == "");
  CHECK(check_gradient<TestType>(ElboBy<vrfm::HuberDistance>{.beta = 0.7, .distance = {0.5}},
                                 tiny_flow(2), {1, 0.7}) == "");
}

TEMPLATE_LIST_TEST_CASE("gradient of the evidence bound with free bits", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  // Some of the draws' dimensions lie below this; the second problem's all do.
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7, .free_bits = 0.05}, tiny_flow(3), {1, 0.7}) ==
        "");
  CHECK(check_gradient<TestType>(Elbo{.beta = 0.7, .free_bits = 100}, tiny_flow(3), {1, 0.7}) ==
        "");
}

TEMPLATE_LIST_TEST_CASE("gradient of a sum of objectives", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  CHECK(check_gradient<TestType>(
            vrfm::sum_of(Elbo{.beta = 0.7},
                         ElboBy<vrfm::AbsoluteDistance>{.beta = 0.2, .kl = Reduction::mean}),
            with_prior(tiny_flow(2)), {1, 0.7, 1, 0.2}) == "");
}

TEMPLATE_LIST_TEST_CASE("gradients on paths with noise", "[objectives][gradient]",
                        vrfm::test::Spaces) {
  using Constant = vrfm::StochasticPath<vrfm::ConstantNoise>;
  using Bridge = vrfm::StochasticPath<vrfm::BridgeNoise>;
  CHECK(check_gradient<TestType>(vrfm::BasicVelocityLoss<Constant>{.path = {{0.5}}}, tiny_flow(0),
                                 {1}) == "");
  CHECK(check_gradient<TestType>(vrfm::BasicVelocityLoss<Bridge>{.path = {{0.5}}}, tiny_flow(0),
                                 {1}) == "");
  CHECK(check_gradient<TestType>(vrfm::BasicElbo<Bridge>{.beta = 0.7, .path = {{0.5}}},
                                 tiny_flow(3), {1, 0.7}) == "");
}
