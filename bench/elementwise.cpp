// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations and the sinusoidal encoding, one thread, on a tile that stays in cache, each beside the
// same with the standard library's functions.
#include <vrfm/layers/activation.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/linalg/tile_context.hpp>

#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;
using Host = Kokkos::DefaultHostExecutionSpace;

constexpr int rows = 128, cols = 64;

template <class T, class Act>
struct Value {
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_FUNCTION void operator()(int i, int j) const { y(i, j) = Act::evaluate(x(i, j)).value; }
};

template <class T, class Act>
struct ValueSlope {
  ConstMatrix<T> x;
  Matrix<T> y, slope;
  KOKKOS_FUNCTION void operator()(int i, int j) const {
    const auto result = Act::evaluate(x(i, j));
    y(i, j) = result.value;
    slope(i, j) = result.slope;
  }
};

template <class T, class Act, bool slope>
void activation(benchmark::State& state) {
  constexpr std::size_t count = std::size_t(rows) * cols;
  const auto x = numbers<T, Host>(count), y = numbers<T, Host>(count), s = numbers<T, Host>(count);
  const Matrix<T> in(x.data(), rows, cols, cols), out(y.data(), rows, cols, cols);
  const Matrix<T> slopes(s.data(), rows, cols, cols);
  const TileContext<Host> ctx;
  for (auto _ : state) {
    if constexpr (slope) {
      ctx.map(rows, cols, ValueSlope<T, Act>{in, out, slopes});
    } else {
      ctx.map(rows, cols, Value<T, Act>{in, out});
    }
    benchmark::ClobberMemory();
  }
  report_rate(state, "elements/s", double(count));
}

template <class T, class Math>
void embedding(benchmark::State& state) {
  const auto x = numbers<T, Host>(rows), y = numbers<T, Host>(std::size_t(rows) * cols);
  const auto block = numbers<T, Host>(1024);
  using Layer = BasicSinusoidalEmbedding<Math>;
  const Layer layer(1, cols, 1, 1e4);
  Arena<T> arena(block.data(), 1024);
  for (auto _ : state) {
    layer.forward(TileContext<Host>(), static_cast<const T*>(nullptr),
                  ConstMatrix<T>(x.data(), rows, 1, 1), Matrix<T>(y.data(), rows, cols, cols),
                  static_cast<typename Layer::template Saved<T>*>(nullptr), arena);
    benchmark::ClobberMemory();
  }
  report_rate(state, "elements/s", double(rows) * cols);
}

template <class T>
void add_all(const std::string& type) {
  const auto add = [&](const std::string& name, void (*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(("elementwise/" + name + type).c_str(), run);
  };
  add("gelu", activation<T, Gelu, false>);
  add("gelu_slope", activation<T, Gelu, true>);
  add("gelu_slope_std", activation<T, BasicGelu<ExactMath>, true>);
  add("gelu_tanh_slope", activation<T, GeluTanh, true>);
  add("silu_slope", activation<T, Silu, true>);
  add("silu_slope_std", activation<T, BasicSilu<ExactMath>, true>);
  add("selu_slope", activation<T, Selu, true>);
  add("tanh_slope", activation<T, Tanh, true>);
  add("relu_slope", activation<T, Relu, true>);
  add("sinusoidal", embedding<T, FastMath>);
  add("sinusoidal_std", embedding<T, ExactMath>);
}

const bool registered = (add_all<float>(""), add_all<double>("_double"), true);

}  // namespace
