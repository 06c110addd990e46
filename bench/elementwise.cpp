// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activations, the sinusoidal encoding and normal draws on one thread, each beside the same with the
// standard library's functions. Argument: rows of 64 numbers; 128 stay in cache.
#include <random>
#include <vector>

#include <vrfm/core/activation.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/linalg/tile_context.hpp>

#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;
using Host = Kokkos::DefaultHostExecutionSpace;

constexpr int cols = 64;

template <class T, class Act>
struct Value {
  ConstMatrix<T> x;
  Matrix<T> y;
  KOKKOS_FUNCTION void operator()(int i, int j) const { y(i, j) = value_of<Act>(x(i, j)); }
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
  const int rows = static_cast<int>(state.range(0));
  const std::size_t count = std::size_t(rows) * cols;
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
  const int rows = static_cast<int>(state.range(0));
  const auto x = numbers<T, Host>(std::size_t(rows)),
             y = numbers<T, Host>(std::size_t(rows) * cols);
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

/// Every row is one sample's draws.
template <class T>
void normal_draws(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0));
  std::vector<T> out(std::size_t(rows) * cols);
  const RandomStream stream(1, Purpose::user);
  for (auto _ : state) {
    for (int i = 0; i < rows; ++i) {
      stream.normal(static_cast<std::uint64_t>(i), 0, 0, cols, out.data() + i * cols);
    }
    benchmark::ClobberMemory();
  }
  report_rate(state, "elements/s", double(rows) * cols);
}

template <class T>
void standard_normal_draws(benchmark::State& state) {
  std::vector<T> out(std::size_t(state.range(0)) * cols);
  std::mt19937 engine(1);
  std::normal_distribution<T> distribution;
  for (auto _ : state) {
    for (T& x : out) x = distribution(engine);
    benchmark::ClobberMemory();
  }
  report_rate(state, "elements/s", double(out.size()));
}

template <class T>
void add_all(const std::string& type) {
  const auto add = [&](const std::string& name, void (*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(("elementwise/" + name + type).c_str(), run)->Arg(128)->Arg(8192);
  };
  add("gelu", activation<T, Gelu, false>);
  add("gelu_std", activation<T, BasicGelu<ExactMath>, false>);
  add("gelu_slope", activation<T, Gelu, true>);
  add("gelu_slope_std", activation<T, BasicGelu<ExactMath>, true>);
  add("gelu_tanh_slope", activation<T, GeluTanh, true>);
  add("gelu_tanh_slope_std", activation<T, BasicGeluTanh<ExactMath>, true>);
  add("silu_slope", activation<T, Silu, true>);
  add("silu_slope_std", activation<T, BasicSilu<ExactMath>, true>);
  add("selu_slope", activation<T, Selu, true>);
  add("selu_slope_std", activation<T, BasicSelu<ExactMath>, true>);
  add("tanh_slope", activation<T, Tanh, true>);
  add("tanh_slope_std", activation<T, BasicTanh<ExactMath>, true>);
  add("relu_slope", activation<T, Relu, true>);
  add("sinusoidal", embedding<T, FastMath>);
  add("sinusoidal_std", embedding<T, ExactMath>);
  add("normal_draws", normal_draws<T>);
  add("normal_draws_std", standard_normal_draws<T>);
}

const bool registered = (add_all<float>(""), add_all<double>("_double"), true);

}  // namespace
