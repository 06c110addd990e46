// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions by oneDNN against our own products, as the layer asks for them: its output, onto
// zeros and added to what is there, the gradients of its weights and of its input. That the library has
// really computed them is asked of it; with what it cannot do, the layer falls back to our own.
#include <cmath>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>

#include <vrfm/layers/conv.hpp>
#include <vrfm/linalg/batch_context.hpp>

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)

using namespace vrfm;
using namespace vrfm::test;

namespace {

struct Problem {
  int samples;
  Window window;
  int inputs, outputs;
};

// Those of the networks: 3 x 3 with a border, with a stride, without a border, 1 x 1; of one channel
// and of three, of odd extents, of one sample and of none, with padding behind alone.
const Problem problems[] = {{4, {8, 8, 3, 1, 1}, 16, 32},
                            {3, {8, 8, 3, 2, 1}, 16, 16},
                            {2, {9, 7, 3, 2, 0}, 5, 7},
                            {5, {7, 5, 3, 1, 0}, 3, 20},
                            {2, {28, 28, 3, 1, 1}, 1, 8},
                            {2, {12, 12, 3, 1, 1}, 8, 1},
                            {1, {11, 13, 5, 2, 2}, 6, 9},
                            {1, {6, 6, 1, 1, 0}, 32, 48},
                            {0, {8, 8, 3, 1, 1}, 4, 4},
                            {2, {8, 8, 3, 2, 0, 1}, 8, 16},
                            {2, {8, 9, {1, 7}, 1, {0, 3}}, 16, 16},
                            {2, {9, 8, {3, 1}, 2, {1, 0}}, 16, 32}};

std::vector<double> joined(const std::vector<std::vector<double>>& parts) {
  std::vector<double> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// What the layer writes, with `gap` numbers between pixels: output, output added to what was there,
/// gradients of weights and bias, gradient of the input.
template <class Exec>
std::vector<double> results(const Problem& problem, int gap) {
  const auto [samples, window, inputs, outputs] = problem;
  ParameterList list;
  const Conv layer(list, "layer", window, inputs, outputs);
  const int count = static_cast<int>(list.count());
  const int rows = samples * window.pixels(), out_rows = samples * window.out_pixels();
  Numbers numbers(3);
  const auto take = [&](int m, int n) { return numbers.take(std::size_t(m) * std::size_t(n)); };
  Padded<float, Exec> p(1, count, take(1, count)), x(rows, inputs, take(rows, inputs), gap);
  Padded<float, Exec> dy(out_rows, outputs, take(out_rows, outputs), gap);
  Padded<float, Exec> y(out_rows, outputs, gap), dx(rows, inputs, gap), gradient(1, count);
  Padded<float, Exec> sum(out_rows, outputs, take(out_rows, outputs), gap);

  const Exec exec;
  const BatchContext<Exec> ctx(exec);
  const Array<float, Exec> block("vrfm::test::block", 1 << 20);
  Arena<float> arena(block.data(), block.size());
  Conv::Saved<float> saved;
  const float* values = p.data();
  layer.forward(ctx, values, x.matrix(), y.matrix(), &saved, arena);
  layer.add_forward(ctx, values, x.matrix(), sum.matrix(), arena);
  const Gradient<float> g{gradient.data(), false};
  layer.backward(ctx, values, g, x.matrix(), dy.matrix(), dx.matrix(), saved, arena);
  return joined({y.read(), sum.read(), gradient.read(), dx.read()});
}

template <Op first, Op second>
struct Ops {
  static constexpr Op a = first, b = second;
};

/// Whether the library computes the output, the gradient of the input and that of the weights.
std::vector<bool> by_library(const Problem& problem, int gap) {
  const auto [samples, window, inputs, outputs] = problem;
  using Exec = Kokkos::OpenMP;
  Padded<float, Exec> x(samples * window.pixels(), inputs, gap),
      y(samples * window.out_pixels(), outputs, gap);
  Padded<float, Exec> weights(outputs, window.taps() * inputs, 0),
      adjoint(inputs, window.taps() * outputs, 0);
  const Patches<float> patches{x.matrix(), window}, transposed{y.matrix(), window, true};
  const auto launched = [](auto ops, const auto& a, const auto& b, Matrix<float> c) {
    return OneDnnEngine::gemm<decltype(ops)::a, decltype(ops)::b>(
               BatchContext<Exec>(Exec()), a, b, c, Update::overwrite, NoEpilogue{}) !=
           Launched::nothing;
  };
  using Const = Matrix<const float>;
  return {launched(Ops<Op::none, Op::transpose>(), patches, Const(weights.matrix()), y.matrix()),
          launched(Ops<Op::none, Op::transpose>(), transposed, Const(adjoint.matrix()), x.matrix()),
          launched(Ops<Op::transpose, Op::none>(), Const(y.matrix()), patches, weights.matrix())};
}

}  // namespace

TEST_CASE("convolutions by oneDNN are those by our own products", "[onednn]") {
  for (const Problem& problem : problems) {
    for (const int gap : {0, 2}) {
      INFO(problem.inputs << " to " << problem.outputs << " channels, kernel "
                          << problem.window.kernel.y << " x " << problem.window.kernel.x
                          << ", stride " << problem.window.stride << ", gap " << gap);
      const auto own = results<Kokkos::Serial>(problem, gap);
      const auto library = results<Kokkos::OpenMP>(problem, gap);
      // All numbers are in (-1, 1).
      const double terms = problem.window.taps() * std::max(problem.inputs, problem.outputs) +
                           problem.samples * problem.window.pixels();
      CHECK(difference(library, own, 2 * (terms + 4) * epsilon<float> * terms) == "");
    }
  }
}

TEST_CASE("oneDNN is asked where it is fast", "[onednn]") {
  for (const Problem& problem : problems) {
    INFO(problem.inputs << " to " << problem.outputs << " channels, kernel "
                        << problem.window.kernel.y << " x " << problem.window.kernel.x
                        << ", stride " << problem.window.stride);
    CHECK(by_library(problem, 0) == std::vector<bool>(3, problem.samples > 0));
    CHECK(by_library(problem, 2) == std::vector<bool>(3, false));
  }
}
#endif
