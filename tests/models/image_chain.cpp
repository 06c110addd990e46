// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The conformance of ImageChain, of which the autoencoder is made: each kind of step, first, last and in between.
#include <tests/support/conformance.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/models/autoencoder/chain.hpp>

namespace vrfm::test {

/// The chain as a layer, which has no forward mode.
struct ChainLayer {
  static constexpr bool has_parameters = true, host_only = true;
  const ImageChain* chain;
  int in, out, in_pixels, out_pixels;  // the chain tells them to hosts alone

  explicit ChainLayer(const ImageChain& c)
      : chain(&c),
        in(c.inputs()),
        out(c.channels()),
        in_pixels(c.input_pixels()),
        out_pixels(c.pixels()) {}

  template <class T>
  using Saved = ImageChain::Saved<T>;

  KOKKOS_FUNCTION int inputs() const { return in; }
  KOKKOS_FUNCTION int outputs() const { return out; }
  KOKKOS_FUNCTION int input_pixels() const { return in_pixels; }
  KOKKOS_FUNCTION int output_pixels() const { return out_pixels; }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    chain->forward(ctx, p, x, y, saved, arena);
  }
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    chain->backward(ctx, p, g, dy, dx, saved, arena);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx&, const T*, ConstMatrix<T>, Matrix<T>, const Saved<T>&,
                               Arena<T>&) const {}
};

}  // namespace vrfm::test

using namespace vrfm;

TEST_CASE("chains of images conform", "[models][autoencoder]") {
  const auto check = [](const char* name, int height, int width, int channels, const auto& add) {
    INFO(name);
    ParameterList list;
    ImageChain chain(height, width, channels);
    add(list, chain);
    const test::ChainLayer layer(chain);
    test::conform<Kokkos::DefaultExecutionSpace>(
        layer, list.count(),
        {.differentiable = {0, layer.inputs()}, .roughness = 1024, .weights = 0.5});
  };
  const Window same{.kernel = 3, .stride = 1, .padding = 1},
      halves{.kernel = 3, .stride = 2, .behind = 1};
  const auto residual = [](ParameterList& list, ImageChain& chain, const char* name, int outputs) {
    chain.add_residual(list, name, {.groups = 2, .eps = 0.1, .zero = false}, outputs);
  };
  const AttentionNames separate{.trailing = 0, .q = ".to_q", .k = ".to_k", .v = ".to_v"};
  check("down, as an encoder", 4, 2, 2, [&](ParameterList& list, ImageChain& chain) {
    chain.add_conv(list, "in", same, 4);
    residual(list, chain, "residual", 6);
    chain.add_conv(list, "halves", halves, 6);
    chain.add_attention(list, "attention", 2, 0.1, separate);
    chain.add_norm(list, "norm", 3, 0.1);
    chain.add_dense(list, "dense", 3);
  });
  check("up, as a decoder", 2, 1, 3, [&](ParameterList& list, ImageChain& chain) {
    chain.add_dense(list, "dense", 4);
    chain.add_attention(list, "attention", 2, 0.1, AttentionNames{});
    residual(list, chain, "residual", 4);
    chain.add_upsample();
    chain.add_conv(list, "smooth", same, 4);
    chain.add_norm(list, "norm", 2, 0.1);
    chain.add_conv(list, "out", same, 2);
  });
  // One step alone reads x and writes y.
  check("one residual block", 2, 2, 4,
        [&](ParameterList& list, ImageChain& chain) { residual(list, chain, "residual", 4); });
  check("one attention", 3, 1, 4, [&](ParameterList& list, ImageChain& chain) {
    chain.add_attention(list, "attention", 1, 0.1, separate);
  });
  check("upsampling alone, behind a norm", 2, 2, 4, [&](ParameterList& list, ImageChain& chain) {
    chain.add_norm(list, "norm", 4, 0.1);
    chain.add_upsample();
  });
}
