// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VelocityNetwork: the conformance of layers with and without a latent variable, parameter names,
// results that are wanted one at a time, and options that cannot be.
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/models/networks.hpp>
#include <tests/support/conformance.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// Small and with every extent different.
VelocityOptions small(int dimension, int latent) {
  return {.dimension = dimension,
          .latent = latent,
          .encoder = {.features = 6, .width = 5, .depth = 2, .scale = 2, .max_period = 50},
          .latent_width = 7,
          .latent_depth = 3,
          .decoder_width = 8,
          .decoder_depth = 4};
}

template <class Exec>
void check(const VelocityOptions& options) {
  INFO("dimension " << options.dimension << ", latent " << options.latent);
  ParameterList list;
  const VelocityLayer<Gelu> layer{VelocityNetwork<Gelu>(list, "velocity", options)};
  conform<Exec>(layer, list.count(), Columns{1, options.dimension + options.latent},
                Columns{1, options.dimension});
}

std::string error(VelocityOptions options) {
  return thrown<std::invalid_argument>([&] {
    ParameterList list;
    VelocityNetwork<Gelu>(list, "velocity", options);
  });
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the velocity network conforms", "[models]", Spaces) {
  check<TestType>(small(2, 3));
  check<TestType>(small(1, 1));
  check<TestType>(small(2, 0));
}

TEST_CASE("an activation chooses the functions of the encodings, too", "[models]") {
  ParameterList list;
  const auto network = make_encoder<BasicGelu<ExactMath>>(list, "encoder", 1, {});
  STATIC_REQUIRE(std::is_same_v<std::decay_t<decltype(network)>,
                                Sequential<BasicSinusoidalEmbedding<ExactMath>,
                                           Mlp<BasicGelu<ExactMath>, BasicGelu<ExactMath>>>>);
  STATIC_REQUIRE(std::is_same_v<MathOf<Relu>::type, FastMath>);
  CHECK(network.outputs() == EncoderOptions{}.width);
}

TEST_CASE("one time for all rows gives what a column of equal times gives", "[models]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  for (const int depth : {1, 4}) {
    VelocityOptions options = small(2, 3);
    options.decoder_depth = depth;
    ParameterList list;
    const VelocityNetwork<Gelu> network(list, "velocity", options);
    const int rows = 5, n = static_cast<int>(list.count());
    Numbers numbers(6);
    Padded<double, Host> p(1, n, numbers.take(list.count())), x(rows, 2, numbers.take(10)),
        z(rows, 3, numbers.take(15)), dx(rows, 2, numbers.take(10));
    std::vector<double> block(8192);
    const TileContext<Host> ctx;
    const auto run = [&](Matrix<const double> t, bool tangent) {
      Arena<double> arena(block.data(), block.size());
      const Matrix<double> part = arena.take(rows, network.part_cols());
      network.encode_latent(ctx, p.data(), ConstMatrix<double>(z.matrix()), part, arena);
      Padded<double, Host> v(rows, 2);
      VelocityNetwork<Gelu>::Saved<double> saved;
      network.forward_encoded(ctx, p.data(), t, x.matrix(), part, v.matrix(),
                              tangent ? &saved : nullptr, arena);
      if (tangent) network.tangent(ctx, p.data(), dx.matrix(), v.matrix(), saved, arena);
      return v.read();
    };
    const double time = 0.375;
    const std::vector<double> times(rows, time);
    const Matrix<const double> column(times.data(), rows, 1, 1), shared(&time, rows, 1, 0);
    CHECK(run(column, false) == run(shared, false));
    CHECK(run(column, true) == run(shared, true));
  }
}

TEST_CASE("the velocity network gives dx and dz one at a time", "[models]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  ParameterList list;
  const VelocityNetwork<Silu> network(list, "velocity", small(2, 3));
  const int rows = 4, n = static_cast<int>(list.count());
  Numbers numbers(5);
  Padded<double, Host> p(1, n, numbers.take(list.count())), t(rows, 1, numbers.take(4)),
      x(rows, 2, numbers.take(8)), z(rows, 3, numbers.take(12)), dv(rows, 2, numbers.take(8));
  Padded<double, Host> v(rows, 2);
  VelocityNetwork<Silu>::Saved<double> saved;
  std::vector<double> block(4096);
  Arena<double> arena(block.data(), block.size());
  const TileContext<Host> ctx;
  network.forward(ctx, p.data(), DrawAddress{}, t.matrix(), x.matrix(), z.matrix(), v.matrix(),
                  saved, arena);

  struct Gradients {
    std::vector<double> g, dx, dz;
  };
  const auto backward = [&](bool want_g, bool want_dx, bool want_dz) {
    Padded<double, Host> g(1, n), dx(rows, 2), dz(rows, 3);
    network.backward(ctx, p.data(), Gradient<double>{want_g ? g.data() : nullptr, false},
                     dv.matrix(), want_dx ? dx.matrix() : Matrix<double>(),
                     want_dz ? dz.matrix() : Matrix<double>(), saved, arena);
    return Gradients{g.read(), dx.read(), dz.read()};
  };
  const Gradients all = backward(true, true, true);
  CHECK(largest(all.dx) > 0);
  CHECK(largest(all.dz) > 0);
  for (int wanted = 0; wanted < 8; ++wanted) {
    INFO(wanted);
    const Gradients some = backward(wanted & 1, wanted & 2, wanted & 4);
    if (wanted & 1) CHECK(some.g == all.g);
    if (wanted & 2) CHECK(some.dx == all.dx);
    if (wanted & 4) CHECK(some.dz == all.dz);
  }
}

TEST_CASE("the velocity network's parameters have their PyTorch names", "[models]") {
  const auto names = [](const VelocityOptions& options) {
    ParameterList list;
    VelocityNetwork<Gelu>(list, "velocity", options);
    std::vector<std::string> result;
    for (const auto& slot : list.slots()) {
      std::string shape;
      for (const auto extent : slot.shape) shape += ' ' + std::to_string(extent);
      result.push_back(slot.name + shape);
    }
    return result;
  };
  std::vector<std::string> expected = {
      "velocity.time_encoder.0.weight 5 6",   "velocity.time_encoder.0.bias 5",
      "velocity.time_encoder.1.weight 5 5",   "velocity.time_encoder.1.bias 5",
      "velocity.data_encoder.0.weight 5 12",  "velocity.data_encoder.0.bias 5",
      "velocity.data_encoder.1.weight 5 5",   "velocity.data_encoder.1.bias 5",
      "velocity.latent_encoder.0.weight 7 3", "velocity.latent_encoder.0.bias 7",
      "velocity.latent_encoder.1.weight 7 7", "velocity.latent_encoder.1.bias 7",
      "velocity.latent_encoder.2.weight 5 7", "velocity.latent_encoder.2.bias 5",
      "velocity.decoder.0.weight 8 15",       "velocity.decoder.0.bias 8",
      "velocity.decoder.1.weight 8 8",        "velocity.decoder.1.bias 8",
      "velocity.decoder.2.weight 8 8",        "velocity.decoder.2.bias 8",
      "velocity.decoder.3.weight 2 8",        "velocity.decoder.3.bias 2"};
  CHECK(names(small(2, 3)) == expected);
  expected.erase(expected.begin() + 8, expected.begin() + 14);
  expected[8] = "velocity.decoder.0.weight 8 10";
  CHECK(names(small(2, 0)) == expected);
}

TEST_CASE("the paper's networks are the defaults", "[models]") {
  ParameterList list;
  const VelocityNetwork<Gelu> network(list, "velocity", {.dimension = 1, .latent = 4});
  CHECK(network.part_cols() == 64);
  // Two encoders 64-64-64, z: 4-128-128-64, decoder 192-64-64-64-1.
  const std::size_t square = 64 * 64 + 64;
  CHECK(list.count() == 4 * square + (4 * 128 + 128) + (128 * 128 + 128) + (128 * 64 + 64) +
                            (192 * 64 + 64) + 2 * square + (64 + 1));
}

TEST_CASE("impossible velocity networks are refused in words", "[models]") {
  const auto with = [](auto change) {
    VelocityOptions options = small(2, 3);
    change(options);
    return error(options);
  };
  using O = VelocityOptions;
  CHECK(with([](O& o) { o.dimension = 0; }) ==
        "vrfm: velocity network needs dimension >= 1, got 0");
  CHECK(with([](O& o) { o.latent = -1; }) == "vrfm: velocity network needs latent >= 0, got -1");
  CHECK(with([](O& o) { o.encoder.features = 7; }) ==
        "vrfm: sinusoidal embedding needs an even number of features >= 2, got 7");
  CHECK(with([](O& o) { o.encoder.features = 0; }) ==
        "vrfm: sinusoidal embedding needs an even number of features >= 2, got 0");
  CHECK(with([](O& o) { o.encoder.scale = 0; }) ==
        "vrfm: sinusoidal embedding needs a positive scale, got 0");
  CHECK(with([](O& o) { o.encoder.max_period = 0.5; }) ==
        "vrfm: sinusoidal embedding needs max_period >= 1, got 0.5");
  CHECK(with([](O& o) { o.encoder.width = 0; }) ==
        "vrfm: dense layer 'velocity.time_encoder.0' needs at least one input and one output, got "
        "6 and 0");
  CHECK(with([](O& o) { o.encoder.depth = 0; }) ==
        "vrfm: network 'velocity.time_encoder' needs 1 to 8 layers, got 0");
  CHECK(with([](O& o) { o.latent_depth = 9; }) ==
        "vrfm: network 'velocity.latent_encoder' needs 1 to 8 layers, got 9");
  CHECK(
      with([](O& o) { o.latent_width = -2; }) ==
      "vrfm: dense layer 'velocity.latent_encoder.0' needs at least one input and one output, got "
      "3 and -2");
  CHECK(with([](O& o) { o.decoder_depth = 0; }) ==
        "vrfm: network 'velocity.decoder' needs 1 to 8 layers, got 0");
  CHECK(with([](O& o) { o.decoder_width = 0; }) ==
        "vrfm: dense layer 'velocity.decoder.0' needs at least one input and one output, got 15 "
        "and 0");
  CHECK(error(small(2, 3)) == "(nothing thrown)");
}

TEST_CASE("layers that do not fit together are refused in words", "[models]") {
  ParameterList list;
  const Dense<Gelu> first(list, "first", 3, 4), second(list, "second", 5, 2);
  CHECK(thrown<std::invalid_argument>([&] { Sequential(first, second); }) ==
        "vrfm: the first layer's output has 4 columns but the second layer's input has 5 columns");
  CHECK(thrown<std::invalid_argument>([&] { SinusoidalEmbedding(0, 4, 1, 10); }) ==
        "vrfm: sinusoidal embedding needs at least 1 coordinate, got 0");
  CHECK(thrown<std::invalid_argument>([&] { Mlp<Gelu>(list, "empty", {}); }) ==
        "vrfm: network 'empty' needs 1 to 8 layers, got -1");
}
