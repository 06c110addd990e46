// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every layer of x alone, one line each (more_conformance.cpp: labels and dropout). What is checked is in
// tests/support/conformance.hpp.
#include <tests/support/conformance.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/layers/attention.hpp>
#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/dense.hpp>
#include <vrfm/layers/group_norm.hpp>
#include <vrfm/layers/layer_norm.hpp>
#include <vrfm/layers/resample.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/blocks/sequential.hpp>

using namespace vrfm;

namespace vrfm::test {

/// GroupNorm with adaptive scale and shift as a layer of x alone: columns beyond the channels hold
/// scale and shift in the first row of each sample, and nothing in the others.
template <class Act>
struct AdaptiveNorm {
  static constexpr bool has_parameters = true;
  GroupNorm<Act> norm;
  template <class T>
  using Saved = typename GroupNorm<Act>::template Saved<T>;

  KOKKOS_FUNCTION int inputs() const { return 3 * norm.outputs(); }
  KOKKOS_FUNCTION int outputs() const { return norm.outputs(); }
  KOKKOS_FUNCTION int input_pixels() const { return norm.input_pixels(); }
  KOKKOS_FUNCTION int output_pixels() const { return norm.output_pixels(); }

  template <class T>
  KOKKOS_FUNCTION Matrix<T> image(const Matrix<T>& x) const {
    return x.col_range(0, outputs());
  }
  template <class T>
  KOKKOS_FUNCTION Matrix<T> modulation(const Matrix<T>& x) const {
    const Matrix<T> all = x.col_range(outputs(), 2 * outputs());
    return {all.data, x.rows / input_pixels(), all.cols, x.stride * input_pixels()};
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    norm.forward(ctx, p, image(x), modulation(x), y, saved, arena);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    if (!dx.empty()) ctx.map(dx.rows, dx.cols, Fill<T>{dx, T(0)});
    norm.backward(ctx, p, g, image(x), dy, image(dx), modulation(dx), saved, arena);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    norm.tangent(ctx, p, image(dx), modulation(dx), dy, saved, arena);
  }
};

/// LayerNorm with modulation as a layer of x alone: rows of two tokens, of which the first also holds shift and
/// scale in further columns.
struct ModulatedNorm {
  static constexpr bool has_parameters = true;
  LayerNorm norm;
  template <class T>
  using Saved = LayerNorm::Saved<T>;

  KOKKOS_FUNCTION int inputs() const { return 3 * norm.outputs(); }
  KOKKOS_FUNCTION int outputs() const { return norm.outputs(); }
  KOKKOS_FUNCTION int input_pixels() const { return 2; }
  KOKKOS_FUNCTION int output_pixels() const { return 2; }

  template <class T>
  KOKKOS_FUNCTION Matrix<T> tokens(const Matrix<T>& x) const {
    return x.col_range(0, outputs());
  }
  template <class T>
  KOKKOS_FUNCTION Modulation<T> modulation(const Matrix<T>& x) const {
    const Matrix<T> first(x.data, x.rows / 2, x.cols, 2 * x.stride);
    return {first.col_range(outputs(), outputs()), first.col_range(2 * outputs(), outputs()), 2};
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    norm.forward(ctx, p, tokens(x), modulation(x), y, saved, arena);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T> x,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    if (dx.empty()) {
      norm.backward(ctx, p, g, tokens(x), dy, dx, saved, arena);
      return;
    }
    ctx.map(dx.rows, dx.cols, Fill<T>{dx, T(0)});
    norm.backward(ctx, p, g, tokens(x), dy, tokens(dx), modulation(dx), saved, arena);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    norm.tangent(ctx, p, tokens(dx), modulation(dx), dy, saved, arena);
  }
};

}  // namespace vrfm::test

namespace {

/// Conforms the layer that `make(list)` builds.
template <class Exec, class Make>
void check(const char* name, const Make& make) {
  INFO(name);
  ParameterList list;
  const auto layer = make(list);
  test::conform<Exec>(layer, list.count());
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("dense layers conform", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  check<E>("identity", [](List& l) { return Dense<Identity>(l, "dense", 17, 19); });
  check<E>("relu", [](List& l) { return Dense<Relu>(l, "dense", 5, 4); });
  check<E>("silu", [](List& l) { return Dense<Silu>(l, "dense", 5, 4); });
  check<E>("gelu", [](List& l) { return Dense<Gelu>(l, "dense", 1, 7); });
  check<E>("exact gelu", [](List& l) { return Dense<BasicGelu<ExactMath>>(l, "dense", 3, 2); });
  check<E>("gelu_tanh", [](List& l) { return Dense<GeluTanh>(l, "dense", 7, 1); });
  check<E>("selu", [](List& l) { return Dense<Selu>(l, "dense", 5, 4); });
  check<E>("tanh", [](List& l) { return Dense<Tanh>(l, "dense", 1, 1); });
}

TEMPLATE_LIST_TEST_CASE("convolutions conform", "[layers]", test::Spaces) {
  using E = TestType;
  const auto conv = [](int height, int width, int kernel, int stride, int padding, int inputs,
                       int outputs) {
    return [=](ParameterList& l) {
      return Conv(l, "conv", Window{height, width, kernel, stride, padding}, inputs, outputs);
    };
  };
  check<E>("3 x 3", conv(4, 5, 3, 1, 1, 3, 4));
  check<E>("3 x 3, stride 2", conv(6, 6, 3, 2, 1, 2, 3));
  check<E>("3 x 3, stride 2, odd image", conv(5, 7, 3, 2, 1, 2, 2));
  check<E>("3 x 3, no padding", conv(5, 4, 3, 1, 0, 2, 1));
  check<E>("1 x 1", conv(3, 3, 1, 1, 0, 5, 2));
  check<E>("5 x 5, padding 2", conv(4, 4, 5, 1, 2, 1, 2));
  check<E>("4 x 4 patches", conv(8, 8, 4, 4, 0, 2, 3));
  check<E>("wide padding", conv(2, 2, 1, 1, 1, 2, 2));
  check<E>("1 x 5", [](ParameterList& l) {
    return Conv(l, "conv", Window{3, 6, {1, 5}, 1, {0, 2}}, 2, 3);
  });
  check<E>("3 x 2, stride 2", [](ParameterList& l) {
    return Conv(l, "conv", Window{5, 6, {3, 2}, 2, {1, 0}}, 3, 2);
  });
  const auto behind = [](int height, int width, int stride) {
    return [=](ParameterList& l) {
      return Conv(l, "conv", Window{height, width, 3, stride, 0, 1}, 2, 3);
    };
  };
  const auto over = [](const PixelGrid& grid, int kernel, int stride, int padding) {
    return [=](ParameterList& l) {
      return Conv(l, "conv", Window::over(grid, kernel, stride, padding), 2, 3);
    };
  };
  check<E>("signals", over(7, 3, 1, 1));
  check<E>("signals, stride 2", over(8, 3, 2, 1));
  check<E>("signals, stride 2, no padding", over(7, 4, 2, 0));
  check<E>("volumes", over({3, 4, 2}, 3, 1, 1));
  check<E>("volumes, stride 2", over({4, 2, 6}, 3, 2, 1));
  check<E>("volumes, stride 2, odd extents", over({5, 3, 4}, 3, 2, 1));
  check<E>("volumes, no padding", over({4, 3, 3}, 2, 1, 0));
  check<E>("a volume of one plane", over({1, 3, 2}, 3, 1, 1));
  check<E>("padding behind alone, stride 2", behind(4, 6, 2));
  check<E>("padding behind alone", behind(3, 4, 1));
}

TEMPLATE_LIST_TEST_CASE("group norms conform", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  // 35 pixels are more than one block of the sums.
  check<E>("identity", [](List& l) { return GroupNorm<>(l, "norm", 35, 6, 2); });
  check<E>("silu", [](List& l) { return GroupNorm<Silu>(l, "norm", 9, 6, 3); });
  check<E>("one group", [](List& l) { return GroupNorm<Silu>(l, "norm", 4, 5, 1); });
  check<E>("a group a channel", [](List& l) { return GroupNorm<Silu>(l, "norm", 16, 3, 3); });
  check<E>("one pixel", [](List& l) { return GroupNorm<>(l, "norm", 1, 16, 2); });
}

TEMPLATE_LIST_TEST_CASE("adaptive group norms conform", "[layers]", test::Spaces) {
  const auto adaptive = [](auto act, int pixels, int channels, int groups) {
    using Act = decltype(act);
    ParameterList list;
    const test::AdaptiveNorm<Act> layer{GroupNorm<Act>(list, "norm", pixels, channels, groups)};
    test::conform<TestType>(layer, list.count());
  };
  adaptive(Identity{}, 9, 4, 2);
  adaptive(Silu{}, 33, 4, 1);
}

TEMPLATE_LIST_TEST_CASE("layer norms conform", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  check<E>("plain", [](List&) { return LayerNorm(7, 0.1); });
  check<E>("with weight and bias", [](List& l) { return LayerNorm(l, "norm", 35, 0.1); });
  check<E>("modulated", [](List&) { return test::ModulatedNorm{LayerNorm(5, 0.1)}; });
  check<E>("both", [](List& l) { return test::ModulatedNorm{LayerNorm(l, "norm", 6, 0.1)}; });
}

TEMPLATE_LIST_TEST_CASE("attention conforms", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  constexpr auto by_part = AttentionColumns::by_part;
  check<E>("by part", [](List&) { return MultiHeadAttention(5, 6, 2, by_part); });
  check<E>("one head", [](List&) { return MultiHeadAttention(7, 3, 1); });
  check<E>("two heads", [](List&) { return MultiHeadAttention(4, 6, 2); });
  check<E>("one channel a head", [](List&) { return MultiHeadAttention(35, 2, 2); });
  check<E>("one pixel", [](List&) { return MultiHeadAttention(1, 4, 2); });
}

TEMPLATE_LIST_TEST_CASE("pooling and upsampling conform", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  check<E>("halve", [](List&) { return AveragePool({4, 6}, 3, 2); });
  check<E>("leave out a row and two columns", [](List&) { return AveragePool({4, 5}, 2, 3); });
  check<E>("one pixel is left", [](List&) { return AveragePool({4, 4}, 5, 4); });
  check<E>("double", [](List&) { return NearestUpsample({3, 2}, 5, 2); });
  check<E>("triple", [](List&) { return NearestUpsample({1, 2}, 1, 3); });
  check<E>("as it is", [](List&) { return NearestUpsample({2, 2}, 2, 1); });
  check<E>("halve a signal", [](List&) { return AveragePool(7, 3, 2); });
  check<E>("triple a signal", [](List&) { return NearestUpsample(3, 2, 3); });
  check<E>("halve a volume", [](List&) { return AveragePool({4, 2, 6}, 3, 2); });
  check<E>("leave out a plane and a line", [](List&) { return AveragePool({3, 5, 2}, 2, 2); });
  check<E>("double a volume", [](List&) { return NearestUpsample({2, 1, 3}, 2, 2); });
}

TEMPLATE_LIST_TEST_CASE("stacks of dense layers conform", "[layers][models]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  using M = Mlp<Gelu, Tanh>;
  check<E>("depth 1", [](List& l) { return M(l, "mlp", {3, 4}); });
  check<E>("depth 2", [](List& l) { return M(l, "mlp", {3, 6, 2}); });
  check<E>("depth 4", [](List& l) { return M(l, "mlp", {2, 7, 5, 6, 3}); });
  check<E>("deepest", [](List& l) { return M(l, "mlp", {2, 3, 4, 3, 4, 3, 4, 3, 2}); });
  // Its sums are kept instead of slopes.
  check<E>("tanh form", [](List& l) { return Mlp<GeluTanh>(l, "mlp", {3, 8, 16, 2}); });
}

TEMPLATE_LIST_TEST_CASE("the sinusoidal embedding conforms", "[layers]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  check<E>("1 coordinate", [](List&) { return SinusoidalEmbedding(1, 6, 2, 1e4); });
  check<E>("2 coordinates", [](List&) { return SinusoidalEmbedding(2, 8, 1, 100); });
  check<E>("exact", [](List&) { return BasicSinusoidalEmbedding<ExactMath>(1, 4, 1, 100); });
  check<E>("fewest features", [](List&) { return SinusoidalEmbedding(3, 2, 0.5, 1); });
}

TEMPLATE_LIST_TEST_CASE("chains of layers conform", "[layers][models]", test::Spaces) {
  using E = TestType;
  using List = ParameterList;
  using Encoder = Sequential<SinusoidalEmbedding, Mlp<Silu, Silu>>;
  const auto encoder = [](List& l) {
    return Encoder(SinusoidalEmbedding(2, 6, 1, 50), Mlp<Silu, Silu>(l, "encoder", {12, 5, 4}));
  };
  check<E>("encoder", encoder);
  // The inner chain's gradient goes to working memory.
  check<E>("dense, encoder",
           [&](List& l) { return Sequential(Dense<Tanh>(l, "dense", 3, 2), encoder(l)); });
}
