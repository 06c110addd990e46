// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The conformance of TransformerBlock by itself, with what conditions it and without, and in place.
#include <tests/support/conformance.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/transformer/block.hpp>

namespace vrfm::test {

/// The block as a layer of x alone: columns behind the width hold the embedding e in the first row of each sample,
/// and nothing in the others. Gradients and rates of fewer columns are those of x without e.
struct BlockLayer {
  static constexpr bool has_parameters = true, host_only = true;
  TransformerBlock block;
  int tokens, width;
  bool in_place;  ///< backward writes dx over dy

  template <class T>
  using Saved = TransformerBlock::Saved<T>;

  KOKKOS_FUNCTION int inputs() const { return 2 * width; }
  KOKKOS_FUNCTION int outputs() const { return width; }
  KOKKOS_FUNCTION int input_pixels() const { return tokens; }
  KOKKOS_FUNCTION int output_pixels() const { return tokens; }

  template <class T>
  Matrix<T> tokens_of(const Matrix<T>& x) const {
    return x.col_range(0, width);
  }
  template <class T>
  Matrix<T> embedding(const Matrix<T>& x) const {
    if (x.cols == width) return {};
    const Matrix<T> all = x.col_range(width, width);
    return {all.data, x.rows / tokens, width, x.stride * tokens};
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    block.forward(ctx, p, tokens_of(x), embedding(x), y, saved, arena);
  }
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    const Matrix<T> d = arena.take(dy.rows, width), de = arena.take(dy.rows / tokens, width);
    ctx.map(de.rows, width, Fill<T>{de, T(0)});
    if (in_place) ctx.map(d.rows, width, Copy<T>{dy, d});
    block.backward(ctx, p, g, in_place ? ConstMatrix<T>(d) : dy, d, de, saved, arena);
    if (!dx.empty()) {
      ctx.map(dx.rows, dx.cols, Fill<T>{dx, T(0)});
      ctx.map(d.rows, width, Copy<T>{d, tokens_of(dx)});
      if (dx.cols > width) ctx.map(de.rows, width, Copy<T>{de, embedding(dx)});
    }
    arena.rewind(mark);
  }
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>& saved, Arena<T>& arena) const {
    block.tangent(ctx, p, tokens_of(dx), embedding(dx), dy, saved, arena);
  }
};

}  // namespace vrfm::test

using namespace vrfm;

TEST_CASE("transformer blocks conform", "[models][transformer]") {
  constexpr double roughness = 1024, weights = 0.5;
  const auto check = [](const TransformerBlockOptions& o, bool in_place, bool of_embedding) {
    INFO(o.tokens << " tokens, width " << o.width << ", in place: " << in_place
                  << ", of the embedding: " << of_embedding);
    ParameterList list;
    const test::BlockLayer layer{TransformerBlock(list, "block", o), o.tokens, o.width, in_place};
    const test::Columns moved{0, of_embedding ? 2 * o.width : o.width};
    test::conform<Kokkos::DefaultExecutionSpace>(
        layer, list.count(),
        {.differentiable = moved, .tangent = moved, .roughness = roughness, .weights = weights});
  };
  check({.tokens = 5, .width = 6, .heads = 2, .hidden = 7}, false, true);
  check({.tokens = 5, .width = 6, .heads = 3, .hidden = 9}, true, true);
  check({.tokens = 3, .width = 4, .heads = 1, .hidden = 4}, false, false);
  check({.tokens = 1, .width = 8, .heads = 2, .hidden = 3}, true, true);
}
