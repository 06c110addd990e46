// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions of 3 x 3 pixels as products of patches by BatchContext over all cores: forward, to the
// gradient of the input, and to that of the weights; by a library in the programs that link it.
// Arguments: images, their height and width, channels in and out; the shapes are those of U-Nets on
// CIFAR-10 and MNIST.
#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;

enum class Pass { forward, input, weights };

template <Pass pass>
void convolution(benchmark::State& state) {
  const auto argument = [&](int k) { return static_cast<int>(state.range(std::size_t(k))); };
  const int extent = argument(1), rows = argument(0) * extent * extent;
  const int in = argument(2), out = argument(3), taps = 9;
  const auto numbers_of = [](int m, int n) {
    return numbers<float>(static_cast<std::size_t>(m) * static_cast<std::size_t>(n));
  };
  const auto x = numbers_of(rows, in), y = numbers_of(rows, out),
             weights = numbers_of(out, taps * in);
  const Window window{extent, extent, 3, 1, 1};
  const Matrix<float> input(x.data(), rows, in, in), output(y.data(), rows, out, out);
  const Matrix<float> kernel(weights.data(), out, taps * in, taps * in);
  const Matrix<float> adjoint(weights.data(), in, taps * out, taps * out);
  const Patches<float> patches{input, window}, adjoint_patches{output, window, true};
  const Exec exec;
  const BatchContext<Exec> ctx(exec);
  for (auto _ : state) {
    if constexpr (pass == Pass::forward) {
      ctx.template gemm<Op::none, Op::transpose, float>(patches, kernel, output, Update::overwrite);
    } else if constexpr (pass == Pass::input) {
      ctx.template gemm<Op::none, Op::transpose, float>(adjoint_patches, adjoint, input,
                                                        Update::overwrite);
    } else {
      ctx.template gemm<Op::transpose, Op::none, float>(output, patches, kernel, Update::overwrite);
    }
    exec.fence();
  }
  report(state, 2.0 * rows * taps * in * out, peak<float>());
}

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({16, 32, 3, 128})->Args({16, 32, 128, 128})->Args({16, 32, 384, 128});
  b->Args({16, 16, 256, 256})->Args({16, 16, 512, 256})->Args({16, 8, 256, 256});
  b->Args({16, 32, 128, 3})->Args({64, 28, 64, 64});
  b->UseRealTime()->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
#if defined(VRFM_HAS_ONEDNN)
  const std::string name = "convolution/onednn/";
#elif defined(VRFM_HAS_CUDNN)
  const std::string name = "convolution/cudnn/";
#else
  const std::string name = "convolution/";
#endif
  const auto add = [&](const char* pass, auto* function) {
    benchmark::RegisterBenchmark((name + pass).c_str(), function)->Apply(shapes);
  };
  add("forward", convolution<Pass::forward>);
  add("input", convolution<Pass::input>);
  add("weights", convolution<Pass::weights>);
  return true;
}();

}  // namespace
