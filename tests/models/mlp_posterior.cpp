// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpPosterior: the conformance of models for every set of inputs and for conditions, that it sees its
// inputs and no others, as a prior, parameter names, and options that cannot be.
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/model_conformance.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/models/mlp/posterior.hpp>
#include <vrfm/models/mlp/source_posterior.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// Small and with every extent different.
MlpPosteriorOptions small(unsigned input) {
  return {.dimension = 2,
          .latent = 3,
          .input = static_cast<EncoderInput>(input),
          .encoder = {.features = 4, .width = 5, .depth = 2, .scale = 1, .max_period = 20},
          .head_width = 7,
          .head_depth = 3};
}

std::string error(const MlpPosteriorOptions& options) {
  return thrown<std::invalid_argument>([&] {
    ParameterList list;
    MlpPosterior<Gelu>(list, "posterior", options);
  });
}

}  // namespace

TEST_CASE("sets of inputs", "[models]") {
  constexpr auto set = EncoderInput::x0 | EncoderInput::t;
  STATIC_REQUIRE(contains(set, EncoderInput::x0));
  STATIC_REQUIRE_FALSE(contains(set, EncoderInput::x1));
  STATIC_REQUIRE_FALSE(contains(set, EncoderInput::x_t));
  STATIC_REQUIRE(contains(set, EncoderInput::t));
}

TEMPLATE_LIST_TEST_CASE("the posterior network conforms for every set of inputs", "[models]",
                        Spaces) {
  for (unsigned input = 1; input < 16; ++input) {
    INFO("input " << input);
    ParameterList list;
    const auto options = small(input);
    const MlpPosterior<Gelu> network(list, "posterior", options);
    CHECK(network.input() == options.input);
    conform_latent<TestType>(network, list.count(), options.dimension);
  }
}

TEMPLATE_LIST_TEST_CASE("the source posterior conforms", "[models]", Spaces) {
  ParameterList list;
  const MlpSourcePosterior<Gelu> network(
      list, "coupling",
      {.dimension = 2, .encoder = small(2).encoder, .head_width = 7, .head_depth = 3});
  CHECK((network.latent() == 2 && network.input() == EncoderInput::x1));
  conform_latent<TestType>(network, list.count(), 2);
  std::string names;
  for (const auto& slot : list.entries()) names += slot.name + ' ';
  CHECK(names ==
        "coupling.x1_encoder.0.weight coupling.x1_encoder.0.bias coupling.x1_encoder.1.weight "
        "coupling.x1_encoder.1.bias coupling.head.0.weight coupling.head.0.bias "
        "coupling.head.1.weight "
        "coupling.head.1.bias coupling.head.2.weight coupling.head.2.bias ");
  CHECK(MlpSourcePosterior<Gelu>().latent() == 0);
}

TEMPLATE_LIST_TEST_CASE("the posterior network conforms with conditions", "[models]", Spaces) {
  const auto check = [](MlpPosteriorOptions options, int classes, int columns) {
    options.classes = classes;
    options.condition_columns = columns;
    ParameterList list;
    const MlpPosterior<Gelu> network(list, "posterior", options);
    CHECK(network.inputs() ==
          ModelInputs{.latent = 3, .classes = classes, .condition_columns = columns});
    conform_latent<TestType>(network, list.count(), options.dimension);
  };
  SECTION("a label") { check(small(7), 3, 0); }
  SECTION("a vector") { check(small(2), 0, 4); }
  SECTION("a label and a vector") { check(small(15), 2, 3); }
  SECTION("nothing else") { check(small(0), 2, 3); }
}

TEMPLATE_LIST_TEST_CASE("a learned prior conforms", "[models]", Spaces) {
  auto options = small(1);
  options.classes = 2;
  ParameterList list;
  const GaussianPrior prior(MlpPosterior<Gelu>(list, "prior", options));
  STATIC_REQUIRE(PriorModel<decltype(prior)>);
  CHECK_FALSE(prior.standard());
  CHECK((prior.latent() == 3 && prior.input() == EncoderInput::x0));
  CHECK(prior.inputs() == ModelInputs{.latent = 3, .classes = 2});
  conform_latent<TestType>(prior, list.count(), options.dimension);
}

TEST_CASE("priors see x0 at most", "[models]") {
  using Prior = GaussianPrior<MlpPosterior<Gelu>>;
  const auto error_of = [](unsigned input) {
    ParameterList list;
    return thrown<std::invalid_argument>(
        [&] { Prior(MlpPosterior<Gelu>(list, "prior", small(input))); });
  };
  CHECK(error_of(1) == "(nothing thrown)");
  CHECK(error_of(3) == "vrfm: a prior sees x0 at most, because a trajectory begins with its z");
  CHECK(error_of(8) == error_of(3));
  const Prior standard(5);
  CHECK((standard.standard() && standard.latent() == 5 && standard.input() == EncoderInput::none));
  CHECK((StandardPrior(4).standard() && StandardPrior(4).inputs() == ModelInputs{.latent = 4}));
}

TEST_CASE("the posterior sees its inputs and no others", "[models]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  for (unsigned input = 1; input < 16; ++input) {
    ParameterList list;
    const LatentLayer<MlpPosterior<Gelu>> layer{
        HeldModel(MlpPosterior<Gelu>(list, "posterior", small(input))), 2};
    Numbers numbers(6);
    const auto p = numbers.take(list.count());
    const auto at = numbers.take(7);
    const auto moments = [&](const std::vector<double>& x) {
      std::vector<double> y(6), block(1024);
      Arena<double> arena(block.data(), block.size());
      MlpPosterior<Gelu>::Saved<double>* const none = nullptr;
      layer.forward(TileContext<Host>{}, p.data(), Matrix<const double>(x.data(), 1, 7, 7),
                    Matrix<double>(y.data(), 1, 6, 6), none, arena);
      return y;
    };
    const auto y = moments(at);
    for (std::size_t column = 0; column < 7; ++column) {
      // Columns x0 x0 x1 x1 x_t x_t t belong to bits 0 0 1 1 2 2 3.
      INFO("input " << input << ", column " << column);
      auto moved = at;
      moved[column] += 0.25;
      const bool seen = (input >> (column / 2) & 1u) != 0;
      CHECK((moments(moved) != y) == seen);
    }
  }
}

TEST_CASE("the posterior network's parameters have their PyTorch names", "[models]") {
  const auto names = [](EncoderInput input) {
    ParameterList list;
    MlpPosterior<Gelu>(list, "posterior", small(static_cast<unsigned>(input)));
    return names_and_shapes(list);
  };
  CHECK(
      names(EncoderInput::x1 | EncoderInput::t) ==
      std::vector<std::string>{"posterior.x1_encoder.0.weight 5 8", "posterior.x1_encoder.0.bias 5",
                               "posterior.x1_encoder.1.weight 5 5", "posterior.x1_encoder.1.bias 5",
                               "posterior.t_encoder.0.weight 5 4", "posterior.t_encoder.0.bias 5",
                               "posterior.t_encoder.1.weight 5 5", "posterior.t_encoder.1.bias 5",
                               "posterior.head.0.weight 7 10", "posterior.head.0.bias 7",
                               "posterior.head.1.weight 7 7", "posterior.head.1.bias 7",
                               "posterior.head.2.weight 6 7", "posterior.head.2.bias 6"});
  const auto all = names(EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t);
  REQUIRE(all.size() == 4 * 4 + 6);
  CHECK(all[0] == "posterior.x0_encoder.0.weight 5 8");
  CHECK(all[8] == "posterior.xt_encoder.0.weight 5 8");
  CHECK(all[16] == "posterior.head.0.weight 7 20");
}

TEST_CASE("impossible posterior networks are refused in words", "[models]") {
  const auto with = [](auto change) {
    MlpPosteriorOptions options = small(7);
    change(options);
    return error(options);
  };
  using O = MlpPosteriorOptions;
  CHECK(with([](O& o) { o.dimension = 0; }) ==
        "vrfm: posterior network needs dimension >= 1, got 0");
  CHECK(with([](O& o) { o.latent = 0; }) == "vrfm: posterior network needs latent >= 1, got 0");
  CHECK(with([](O& o) { o.input = EncoderInput{}; }) ==
        "vrfm: posterior network needs at least one input of {x0, x1, x_t, t}");
  CHECK(with([](O& o) { o.encoder.width = -1; }) ==
        "vrfm: dense layer 'posterior.x0_encoder.0' needs at least one input and one output, got 8 "
        "and -1");
  CHECK(with([](O& o) { o.head_depth = 0; }) ==
        "vrfm: network 'posterior.head' needs 1 to 8 layers, got 0");
  CHECK(with([](O& o) { o.head_width = 0; }) ==
        "vrfm: dense layer 'posterior.head.0' needs at least one input and one output, got 15 and "
        "0");
  CHECK(error(small(7)) == "(nothing thrown)");
}
