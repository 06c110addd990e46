// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A dense layer with GELU, forward (keeping its slopes) and backward (parameters and input), over a
// batch by BatchContext and over one tile by one thread, beside it plain loops. Arguments: rows, width.
#include <vrfm/layers/dense.hpp>
#include <vrfm/linalg/tile_context.hpp>

#include "naive.hpp"
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;
using Host = Kokkos::DefaultHostExecutionSpace;

template <class T, class Space, class Ctx>
void dense(benchmark::State& state, const Ctx& ctx, bool backward, double peak) {
  const int rows = static_cast<int>(state.range(0)), width = static_cast<int>(state.range(1));
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  ParameterList list;
  const Dense<Gelu> layer(list, "dense", width, width);
  const auto p = numbers<T, Space>(list.count()), g = numbers<T, Space>(list.count());
  initialize<Space, T>(Space(), list, p, 1);
  const auto x = numbers<T, Space>(count), y = numbers<T, Space>(count);
  const auto dx = numbers<T, Space>(count), block = numbers<T, Space>(3 * count + 64);
  const auto table = [&](const auto& view) { return Matrix<T>(view.data(), rows, width, width); };
  Dense<Gelu>::Saved<T> saved;
  Arena<T> arena(block.data(), block.extent(0));
  const T* const parameters = p.data();
  layer.forward(ctx, parameters, ConstMatrix<T>(table(x)), table(y), &saved, arena);
  const auto mark = arena.used();
  for (auto _ : state) {
    if (backward) {
      layer.backward(ctx, parameters, Gradient<T>{g.data(), false}, ConstMatrix<T>(table(x)),
                     ConstMatrix<T>(table(y)), table(dx), saved, arena);
    } else {
      arena.rewind(0);
      layer.forward(ctx, parameters, ConstMatrix<T>(table(x)), table(y), &saved, arena);
    }
    Space().fence();
  }
  arena.rewind(mark);
  report(state, (backward ? 4.0 : 2.0) * rows * width * width, peak);
}

template <class T, bool backward>
void over_a_batch(benchmark::State& state) {
  dense<T, Exec>(state, BatchContext<Exec>(Exec()), backward, peak<T>());
}

template <class T, bool backward>
void over_a_tile(benchmark::State& state) {
  dense<T, Host>(state, TileContext<Host>(), backward,
                 peak<T>() / static_cast<int>(Exec().concurrency()));
}

/// Plain loops on one thread, compared with the layer over a tile first.
template <class T, bool backward>
void loops(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0)), width = static_cast<int>(state.range(1));
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(width);
  ParameterList list;
  const Dense<Gelu> layer(list, "dense", width, width);
  const naive::Dense<T> plain(list, "dense", true);
  const auto parameters = numbers<T, Host>(list.count()), in = numbers<T, Host>(count);
  initialize<Host, T>(Host(), list, parameters, 1);
  const T* const p = parameters.data();
  const T* const x = in.data();
  std::vector<T> y(count), slope(count), dx(count), g(list.count());
  const auto forward_all = [&] {
    for (std::size_t i = 0; i < count; i += plain.inputs()) {
      plain.forward(p, x + i, y.data() + i, slope.data() + i);
    }
  };
  const auto backward_all = [&] {
    g.assign(g.size(), T(0));
    for (std::size_t i = 0; i < count; i += plain.inputs()) {
      plain.backward(p, g.data(), x + i, slope.data() + i, y.data() + i, dx.data() + i);
    }
  };
  forward_all();
  backward_all();

  const TileContext<Host> ctx;
  std::vector<T> tile_y(count), tile_dx(count), tile_g(list.count()), block(3 * count + 64);
  const auto table = [&](std::vector<T>& v) { return Matrix<T>(v.data(), rows, width, width); };
  const ConstMatrix<T> table_x(x, rows, width, width);
  Dense<Gelu>::Saved<T> saved;
  Arena<T> arena(block.data(), block.size());
  layer.forward(ctx, p, table_x, table(tile_y), &saved, arena);
  layer.backward(ctx, p, Gradient<T>{tile_g.data(), false}, table_x, ConstMatrix<T>(table(tile_y)),
                 table(tile_dx), saved, arena);
  naive::expect_agreement("a dense layer", tile_y, y, width);
  naive::expect_agreement("its input's gradient", tile_dx, dx, width);
  naive::expect_agreement("its parameters' gradient", tile_g, g, rows);

  for (auto _ : state) {
    backward ? backward_all() : forward_all();
    benchmark::ClobberMemory();
  }
  report(state, (backward ? 4.0 : 2.0) * rows * width * width,
         peak<T>() / static_cast<int>(Exec().concurrency()));
}

void batches(benchmark::internal::Benchmark* b) {
  for (const int width : {64, 256, 1024}) {
    for (const int rows : {128, 1000, 8000}) b->Args({rows, width});
  }
  b->UseRealTime()->Unit(benchmark::kMicrosecond);
}

void tiles(benchmark::internal::Benchmark* b) {
  for (const int width : {16, 64, 128, 256}) b->Args({128, width});
  b->Unit(benchmark::kMicrosecond);
}

template <class T>
void add_all(const std::string& type) {
  const auto add = [&](const std::string& name, void (*run)(benchmark::State&), auto shapes) {
    benchmark::RegisterBenchmark(("dense/" + name + type).c_str(), run)->Apply(shapes);
  };
  add("forward/batch", over_a_batch<T, false>, batches);
  add("backward/batch", over_a_batch<T, true>, batches);
  add("forward/tile", over_a_tile<T, false>, tiles);
  add("backward/tile", over_a_tile<T, true>, tiles);
  add("forward/loops", loops<T, false>, tiles);
  add("backward/loops", loops<T, true>, tiles);
}

const bool registered = (add_all<float>(""), add_all<double>("_double"), true);

}  // namespace
