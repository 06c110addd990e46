// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MlpVelocity: the conformance of models with and without a latent variable, a condition and a second
// time, parameter names, results that are wanted one at a time, and options that cannot be.
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/model_conformance.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/models/mlp/velocity.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// Small and with every extent different.
MlpVelocityOptions small(int dimension, int latent) {
  return {.dimension = dimension,
          .latent = latent,
          .encoder = {.features = 6, .width = 5, .depth = 2, .scale = 2, .max_period = 50},
          .latent_width = 7,
          .latent_depth = 3,
          .decoder_width = 8,
          .decoder_depth = 4};
}

template <class Exec>
void check(const MlpVelocityOptions& options) {
  INFO("dimension " << options.dimension << ", latent " << options.latent << ", classes "
                    << options.classes << ", vector " << options.condition_columns
                    << ", second time " << options.second_time);
  ParameterList list;
  const MlpVelocity<Gelu> network(list, "velocity", options);
  conform_velocity<Exec>(network, list.count(), {.roughness = 16});
}

std::string error(MlpVelocityOptions options) {
  return thrown<std::invalid_argument>([&] {
    ParameterList list;
    MlpVelocity<Gelu>(list, "velocity", options);
  });
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the velocity network conforms", "[models]", Spaces) {
  check<TestType>(small(2, 3));
  check<TestType>(small(1, 1));
  check<TestType>(small(2, 0));
}

TEMPLATE_LIST_TEST_CASE("the velocity network conforms with conditions and a second time",
                        "[models]", Spaces) {
  auto options = small(2, 3);
  options.classes = 3;
  SECTION("a label") { check<TestType>(options); }
  options.condition_columns = 4;
  SECTION("a label and a vector") { check<TestType>(options); }
  options.second_time = true;
  SECTION("everything") { check<TestType>(options); }
  options.classes = options.latent = 0;
  SECTION("a vector and a second time") { check<TestType>(options); }
  options.condition_columns = 0;
  SECTION("a second time") { check<TestType>(options); }
  options.decoder_depth = 1;
  SECTION("a second time, a decoder of one layer") { check<TestType>(options); }
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
    MlpVelocityOptions options = small(2, 3);
    options.decoder_depth = depth;
    options.second_time = true;
    ParameterList list;
    const MlpVelocity<Gelu> network(list, "velocity", options);
    const int rows = 5, n = static_cast<int>(list.count());
    Numbers numbers(6);
    Padded<double, Host> p(1, n, numbers.take(list.count())), x(rows, 2, numbers.take(10)),
        z(rows, 3, numbers.take(15)), dx(rows, 2, numbers.take(10));
    std::vector<double> block(8192);
    const TileContext<Host> ctx;
    const auto run = [&](Matrix<const double> t, Matrix<const double> s, bool tangent) {
      Arena<double> arena(block.data(), block.size());
      const Matrix<double> prepared = arena.take(rows, network.prepared_cols());
      MlpVelocity<Gelu>::PreparedSaved<double>* const unsaved = nullptr;
      Condition<double> condition{};
      condition.z = z.matrix();
      network.prepare(ctx, p.data(), condition, prepared, unsaved, arena);
      Padded<double, Host> v(rows, 2);
      MlpVelocity<Gelu>::Saved<double> saved{};
      network.forward(ctx, p.data(), Query<double>{t, x.matrix(), s}, prepared, nullptr, v.matrix(),
                      tangent ? &saved : nullptr, arena);
      if (tangent) {
        network.tangent(ctx, p.data(), Query<double>{{}, dx.matrix(), {}}, v.matrix(), saved,
                        arena);
      }
      return v.read();
    };
    const double time = 0.375;
    const std::vector<double> times(rows, time);
    const Matrix<const double> column(times.data(), rows, 1, 1), shared(&time, rows, 1, 0);
    for (const bool tangent : {false, true}) {
      CHECK(run(column, column, tangent) == run(shared, shared, tangent));
      // Without a second time it is the first.
      CHECK(run(column, {}, tangent) == run(column, column, tangent));
    }
  }
}

TEST_CASE("a flow map's network begins as one without a second time", "[models]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  const auto velocity = [](bool second_time) {
    auto options = small(2, 0);
    options.second_time = second_time;
    ParameterList list;
    const MlpVelocity<Gelu> network(list, "velocity", options);
    Array<double, Host> p("p", list.count());
    initialize<Host, double>(Host(), list, p, 3);
    Kokkos::fence();
    for (const auto& slot : list.entries()) {
      // Of a slot's position, which the span's encoder moves.
      Numbers numbers(static_cast<std::uint32_t>(slot.name.size() + slot.count));
      if (slot.name.find("span") != std::string::npos) continue;
      for (std::size_t k = 0; k < slot.count; ++k) p(slot.offset + k) = numbers.next();
    }
    const std::vector<double> t(3, 0.25), s(3, 0.75), x(6, 0.5);
    std::vector<double> v(6), block(4096);
    Arena<double> arena(block.data(), block.size());
    MlpVelocity<Gelu>::Saved<double>* const unsaved = nullptr;
    const Query<double> query{{t.data(), 3, 1, 1}, {x.data(), 3, 2, 2}, {s.data(), 3, 1, 1}};
    network.forward(TileContext<Host>{}, p.data(), query, Matrix<const double>(), nullptr,
                    Matrix<double>(v.data(), 3, 2, 2), unsaved, arena);
    return v;
  };
  CHECK(velocity(true) == velocity(false));
}

TEST_CASE("the velocity network's parameters have their PyTorch names", "[models]") {
  const auto names = [](const MlpVelocityOptions& options) {
    ParameterList list;
    MlpVelocity<Gelu>(list, "velocity", options);
    return names_and_shapes(list);
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

  auto options = small(2, 0);
  options.classes = 9;
  options.condition_columns = 4;
  options.second_time = true;
  expected[8] = "velocity.decoder.0.weight 8 15";
  const std::vector<std::string> more = {
      "velocity.span_encoder.0.weight 5 6", "velocity.span_encoder.0.bias 5",
      "velocity.span_encoder.1.weight 5 5", "velocity.span_encoder.1.bias 5",
      "velocity.label_emb.weight 10 5",     "velocity.vector_emb.0.weight 5 4",
      "velocity.vector_emb.0.bias 5",       "velocity.vector_emb.1.weight 5 5",
      "velocity.vector_emb.1.bias 5",       "velocity.vector_emb.null 5"};
  expected.insert(expected.begin() + 8, more.begin(), more.end());
  CHECK(names(options) == expected);
}

TEST_CASE("the paper's networks are the defaults", "[models]") {
  ParameterList list;
  const MlpVelocity<Gelu> network(list, "velocity", {.dimension = 1, .latent = 4});
  CHECK(network.prepared_cols() == 64);  // the width of the decoder's first layer
  // Two encoders 64-64-64, z: 4-128-128-64, decoder 192-64-64-64-1.
  const std::size_t square = 64 * 64 + 64;
  CHECK(list.count() == 4 * square + (4 * 128 + 128) + (128 * 128 + 128) + (128 * 64 + 64) +
                            (192 * 64 + 64) + 2 * square + (64 + 1));
}

TEST_CASE("impossible velocity networks are refused in words", "[models]") {
  const auto with = [](auto change) {
    MlpVelocityOptions options = small(2, 3);
    change(options);
    return error(options);
  };
  using O = MlpVelocityOptions;
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
