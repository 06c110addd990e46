// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The networks of small images: the models' conformance test on narrow ones, and errors.
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/model_conformance.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/transformer/posterior.hpp>
#include <vrfm/models/unet/posterior.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

ResidualVelocityOptions small_velocity(int latent) {
  return {.grid = {6, 5}, .latent = latent, .features = 2, .blocks = 1};
}

ResidualPosteriorOptions small_posterior(EncoderInput input) {
  return {.grid = {6, 5}, .latent = 2, .features = 2, .input = input};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("velocity networks of small images conform", "[models][residual]", Spaces) {
  const auto check = [](const ResidualVelocityOptions& options) {
    ParameterList list;
    const ResidualVelocity network(list, "velocity", options);
    conform_velocity<TestType>(network, list.count(), {.roughness = 64});
  };
  SECTION("x and t") { check(small_velocity(0)); }
  SECTION("x, t and z") { check(small_velocity(2)); }
  SECTION("x, t, s and z") {
    auto options = small_velocity(2);
    options.second_time = true;
    check(options);
  }
  SECTION("three channels, two blocks") {
    auto options = small_velocity(1);
    options.channels = 3;
    options.blocks = 2;
    check(options);
  }
  SECTION("signals") {
    auto options = small_velocity(1);
    options.grid = 9;
    check(options);
  }
  SECTION("volumes") {
    auto options = small_velocity(1);
    options.grid = {2, 3, 4};
    check(options);
  }
}

TEMPLATE_LIST_TEST_CASE("posteriors of small images conform", "[models][residual]", Spaces) {
  const auto check = [](EncoderInput input, const PixelGrid& grid = {6, 5}) {
    ParameterList list;
    auto options = small_posterior(input);
    options.grid = grid;
    const ResidualPosterior network(list, "posterior", options);
    conform_latent<TestType>(network, list.count(), grid.pixels(), {.roughness = 64});
  };
  SECTION("one image") { check(EncoderInput::x1); }
  SECTION("three images") { check(EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t); }
  SECTION("a signal") { check(EncoderInput::x1, 9); }
  SECTION("a volume") { check(EncoderInput::x1, {4, 5, 4}); }
}

TEST_CASE("a learned prior of small images sees x0", "[models][residual]") {
  ParameterList list;
  const ResidualNetworks networks(list, {.grid = {6, 5},
                                         .latent = 2,
                                         .features = 2,
                                         .blocks = 1,
                                         .posterior_features = 2,
                                         .prior = PriorKind::given_source});
  CHECK_FALSE(networks.prior.standard());
  CHECK((networks.prior.input() == EncoderInput::x0 && networks.prior.latent() == 2));
  CHECK(list.entries().back().name == "prior.head.1.bias");
  ParameterList other;
  CHECK(ResidualNetworks(other, {.latent = 0}).prior.standard());
}

TEST_CASE("networks of small images name what is impossible", "[models][residual]") {
  ParameterList list;
  CHECK(thrown<std::invalid_argument>([&] {
          ResidualPosterior(list, "posterior", small_posterior(EncoderInput::x1 | EncoderInput::t));
        }) == "vrfm: the posterior of small images sees images of {x0, x1, x_t}, not t");
  auto options = small_velocity(-1);
  CHECK(thrown<std::invalid_argument>([&] { ResidualVelocity(list, "velocity", options); }) ==
        "vrfm: velocity network needs latent >= 0, got -1");
  options = small_velocity(2);
  options.blocks = 65;
  CHECK(thrown<std::invalid_argument>([&] { ResidualVelocity(list, "velocity", options); }) ==
        "vrfm: a residual stack must have at most 64 blocks, got 65");
  CHECK(thrown<std::invalid_argument>([&] {
          ParameterList none;
          ResidualNetworks(none, {.latent = 0, .prior = PriorKind::given_source});
        }) == "vrfm: a learned prior needs latent >= 1, got 0");
}

TEST_CASE("a flow whose encoder sees nothing has no posterior", "[models][residual]") {
  ParameterList list;
  const ResidualNetworks networks(list, {.grid = {6, 5},
                                         .latent = 2,
                                         .features = 2,
                                         .blocks = 1,
                                         .posterior_features = 2,
                                         .encoder_input = EncoderInput::none});
  CHECK((networks.velocity.inputs().latent == 2 && networks.prior.latent() == 2));
  CHECK((networks.posterior.latent() == 0 && networks.prior.standard()));
  for (const auto& slot : list.entries()) CHECK(slot.name.starts_with("velocity."));
  // So is that of the other networks of images.
  CHECK((UnetPosterior().latent() == 0 && TransformerPosterior().latent() == 0));
}
