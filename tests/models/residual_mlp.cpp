// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ResidualMlpNetworks: the conformance of velocity and posterior with and without z, a condition, a second time and
// sinusoids; one time for all rows; blocks that add nothing at first; parameter names, and options that cannot be.
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/model_conformance.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/models/residual_mlp/networks.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Host = Kokkos::DefaultHostExecutionSpace;

/// Small and with every extent different.
ResidualMlpVelocityOptions small(int dimension, int latent) {
  return {.dimension = dimension,
          .latent = latent,
          .trunk = {.width = 8, .blocks = 2},
          .encoder = {.features = 6, .width = 5, .depth = 2, .scale = 2, .max_period = 50}};
}

template <class Exec>
void check(const ResidualMlpVelocityOptions& options) {
  INFO("dimension " << options.dimension << ", latent " << options.latent << ", classes "
                    << options.classes << ", vector " << options.condition_columns
                    << ", second time " << options.second_time << ", features "
                    << options.features);
  ParameterList list;
  const ResidualMlpVelocity<> network(list, "velocity", options);
  conform_velocity<Exec>(network, list.count(), {.roughness = 16});
}

ResidualMlpPosteriorOptions small_posterior(unsigned input) {
  return {.dimension = 2,
          .latent = 3,
          .input = static_cast<EncoderInput>(input),
          .trunk = {.width = 7, .blocks = 2},
          .encoder = {.features = 4, .width = 5, .depth = 2, .scale = 1, .max_period = 20}};
}

std::string error(const ResidualMlpVelocityOptions& options) {
  return thrown<std::invalid_argument>([&] {
    ParameterList list;
    ResidualMlpVelocity<>(list, "velocity", options);
  });
}

/// v of three rows, at parameters as they begin or, with `changed`, at others.
std::vector<double> velocity_of(const ResidualMlpVelocityOptions& options, Matrix<const double> t,
                                Matrix<const double> s, bool changed) {
  ParameterList list;
  const ResidualMlpVelocity<> network(list, "velocity", options);
  Array<double, Host> p("p", list.count());
  initialize<Host, double>(Host(), list, p, 3);
  Kokkos::fence();
  Numbers numbers(7);
  for (std::size_t k = 0; changed && k < list.count(); ++k) p(k) = numbers.next();
  const auto of_z = static_cast<std::size_t>(options.latent);
  const std::vector<double> x = numbers.take(6), z = numbers.take(3 * of_z);
  std::vector<double> v(6), block(8192);
  Arena<double> arena(block.data(), block.size());
  const TileContext<Host> ctx;
  const Matrix<double> prepared = arena.take(3, network.prepared_cols());
  ResidualMlpVelocity<>::PreparedSaved<double>* const none = nullptr;
  Condition<double> condition{};
  if (options.latent > 0) condition.z = {z.data(), 3, options.latent, options.latent};
  network.prepare(ctx, p.data(), condition, prepared, none, arena);
  ResidualMlpVelocity<>::Saved<double>* const unsaved = nullptr;
  network.forward(ctx, p.data(), Query<double>{t, {x.data(), 3, 2, 2}, s}, prepared, nullptr,
                  Matrix<double>(v.data(), 3, 2, 2), unsaved, arena);
  return v;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the residual MLP's velocity conforms", "[models]", Spaces) {
  check<TestType>(small(3, 0));
  check<TestType>(small(1, 2));
  auto options = small(2, 3);
  options.features = 4;
  check<TestType>(options);
}

TEMPLATE_LIST_TEST_CASE("the residual MLP's velocity conforms with conditions and a second time",
                        "[models]", Spaces) {
  auto options = small(2, 3);
  options.classes = 3;
  options.condition_columns = 4;
  options.second_time = true;
  SECTION("everything") { check<TestType>(options); }
  options.classes = options.latent = 0;
  options.features = 2;
  SECTION("a vector, a second time and sinusoids") { check<TestType>(options); }
}

TEMPLATE_LIST_TEST_CASE("the residual MLP's posterior conforms", "[models]", Spaces) {
  for (const unsigned input : {1u, 2u, 6u, 15u}) {
    INFO("input " << input);
    ParameterList list;
    const auto options = small_posterior(input);
    const ResidualMlpPosterior<> network(list, "posterior", options);
    CHECK(network.input() == options.input);
    conform_latent<TestType>(network, list.count(), options.dimension, {.roughness = 16});
  }
  auto options = small_posterior(9);
  options.classes = 3;
  options.condition_columns = 4;
  SECTION("with conditions") {}
  SECTION("of conditions alone") { options.input = EncoderInput::none; }
  ParameterList list;
  const ResidualMlpPosterior<> network(list, "prior", options);
  conform_latent<TestType>(network, list.count(), options.dimension, {.roughness = 16});
}

TEST_CASE("a residual MLP's time for all rows is a column of equal times", "[models]") {
  auto options = small(2, 3);
  options.second_time = true;
  const double time = 0.375, end = 0.75;
  const std::vector<double> times(3, time), ends(3, end);
  const Matrix<const double> t(times.data(), 3, 1, 1), s(ends.data(), 3, 1, 1),
      shared_t(&time, 3, 1, 0), shared_s(&end, 3, 1, 0);
  CHECK(velocity_of(options, t, s, true) == velocity_of(options, shared_t, shared_s, true));
  CHECK(velocity_of(options, t, {}, true) == velocity_of(options, t, t, true));
  CHECK(velocity_of(options, t, s, true) != velocity_of(options, t, t, true));
  options.latent = 0;
  CHECK(velocity_of(options, t, s, true) == velocity_of(options, shared_t, shared_s, true));
}

TEST_CASE("a residual MLP's blocks add nothing at first", "[models]") {
  const double time = 0.375, other = 0.5;
  const Matrix<const double> t(&time, 3, 1, 0), u(&other, 3, 1, 0);
  CHECK(velocity_of(small(2, 3), t, {}, false) == velocity_of(small(2, 3), u, {}, false));
  CHECK(velocity_of(small(2, 3), t, {}, true) != velocity_of(small(2, 3), u, {}, true));
}

TEST_CASE("a residual MLP's parameters have their names", "[models]") {
  ParameterList list;
  ResidualMlpNetworks<>(list, {.dimension = 3,
                               .latent = 2,
                               .prior = PriorKind::given_source,
                               .trunk = {.width = 8, .blocks = 1},
                               .posterior_trunk = {.width = 7, .blocks = 1},
                               .encoder = {.features = 6, .width = 5, .depth = 1}});
  const std::vector<std::string> trunk = {".trunk.in.weight",
                                          ".trunk.in.bias",
                                          ".trunk.blocks.0.norm.weight",
                                          ".trunk.blocks.0.norm.bias",
                                          ".trunk.blocks.0.in.weight",
                                          ".trunk.blocks.0.in.bias",
                                          ".trunk.blocks.0.out.weight",
                                          ".trunk.blocks.0.out.bias",
                                          ".trunk.norm.weight",
                                          ".trunk.norm.bias",
                                          ".trunk.out.weight",
                                          ".trunk.out.bias"};
  std::vector<std::string> expected = {
      "velocity.time_encoder.0.weight", "velocity.time_encoder.0.bias",
      "velocity.latent_encoder.0.weight", "velocity.latent_encoder.0.bias"};
  const auto add = [&](const std::string& network) {
    for (const auto& name : trunk) expected.push_back(network + name);
  };
  add("velocity");
  expected.insert(expected.end(), {"velocity.modulation.weight", "velocity.modulation.bias"});
  add("posterior");
  add("prior");
  std::vector<std::string> names;
  for (const auto& slot : list.entries()) names.push_back(slot.name);
  CHECK(names == expected);
}

TEST_CASE("impossible residual MLPs are refused in words", "[models]") {
  CHECK(error(small(0, 0)) == "vrfm: velocity network needs dimension >= 1, got 0");
  CHECK(error(small(1, -1)) == "vrfm: velocity network needs latent >= 0, got -1");
  auto options = small(1, 0);
  options.trunk.blocks = 17;
  CHECK(error(options) == "vrfm: network 'velocity.trunk' needs 0 to 16 blocks, got 17");
  options.trunk.blocks = 0;
  CHECK(error(options) == "vrfm: velocity network needs at least 1 block, got 0");
  options = small(1, 0);
  options.features = 3;
  CHECK(error(options) ==
        "vrfm: sinusoidal embedding needs an even number of features >= 2, got 3");
  CHECK(thrown<std::invalid_argument>([] {
          ParameterList list;
          ResidualMlpPosterior<>(list, "posterior", small_posterior(0));
        }) == "vrfm: posterior network needs at least one input of {x0, x1, x_t, t}");
}
