// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products with patches in place of a matrix, in every context, against the product in double of
// the patches written out: windows with strides and borders, transposed ones, images with gaps
// between pixels and without, more rows, columns and depth than a block of the host kernel holds. The tolerance
// is the classical bound (depth + 4) eps sum |a| |b|.
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::test {

/// c = 2 c + i - j
template <class T>
struct PatchEpilogue {
  Matrix<T> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const { c(i, j) = T(2) * c(i, j) + T(i - j); }
};

/// C = P M^T (forward) or C = M^T P (the gradient of the weights).
template <bool forward, class T>
struct PatchProduct {
  Patches<T> patches;
  Matrix<const T> m;
  Matrix<T> c;
  Update update;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    if constexpr (forward) {
      ctx.template gemm<Op::none, Op::transpose>(patches, m, c, update, PatchEpilogue<T>{c});
    } else {
      ctx.template gemm<Op::transpose, Op::none>(m, patches, c, update, PatchEpilogue<T>{c});
    }
  }
};

/// The same without an epilogue, of an image of X and a matrix of M.
template <bool forward, class X, class M, class T>
struct StoredPatchProduct {
  Patches<X> patches;
  Matrix<M> m;
  Matrix<T> c;
  Update update;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    if constexpr (forward) {
      ctx.template gemm<Op::none, Op::transpose>(patches, m, c, update);
    } else {
      ctx.template gemm<Op::transpose, Op::none>(m, patches, c, update);
    }
  }
};

namespace {

struct Images {
  int samples;
  Window window;
  int channels;
  bool transposed;
  int others;  // columns of M^T, or rows of it
};

// Borders and a stride; a stride and transposed; few outputs; depth of two blocks; rows of many. Then
// with channels enough for the host kernel to read the images themselves: a stride without borders;
// a stride and transposed; images of one column; images smaller than the window, also transposed;
// more taps than a part of the depth holds, which begins and ends within one. Last with channels in
// whole panels, which are read in place on the right, too: more rows than a part of the depth, strides. Then
// windows that are not square, those of signals, and of volumes: copied and read in place, strides,
// transposed, taps that all lie inside, a kernel as long along each axis and not.
const Window slanted{.height = 4,
                     .width = 6,
                     .kernel = {2, 3},
                     .padding = {0, 2},
                     .axes = 3,
                     .depth = 5,
                     .kernel_z = 4,
                     .padding_z = 1};
const Images problems[] = {{2, {9, 7, 3, 2, 1}, 5, false, 70},
                           {2, {7, 9, 3, 2, 1}, 6, true, 33},
                           {1, {6, 5, 3, 1, 1}, 20, true, 3},
                           {2, {5, 4, 3, 1, 1}, 70, false, 20},
                           {2, {23, 21, 3, 1, 1}, 3, false, 9},
                           {0, {4, 4, 3, 1, 1}, 3, false, 2},
                           {2, {9, 6, 3, 2, 0}, 40, false, 66},
                           {1, {8, 7, 3, 2, 1}, 18, true, 7},
                           {3, {5, 1, 3, 1, 1}, 16, false, 5},
                           {3, {1, 2, 5, 1, 2}, 33, false, 6},
                           {3, {1, 2, 5, 1, 2}, 21, true, 6},
                           {1, {9, 8, 7, 1, 3}, 17, false, 5},
                           {1, {27, 21, 3, 1, 1}, 64, false, 5},
                           {2, {7, 6, 3, 2, 1}, 128, false, 9},
                           {2, {6, 5, 3, 2, 1}, 64, true, 13},
                           {2, {5, 5, 1, 1, 0}, 64, false, 70},
                           {2, {4, 9, {1, 7}, 1, {0, 3}}, 17, false, 9},
                           {2, {9, 4, {7, 1}, 1, {3, 0}}, 19, true, 9},
                           {1, {8, 9, {2, 3}, 2, {0, 2}}, 64, false, 7},
                           {2, {6, 7, {3, 1}, 2, {1, 0}}, 5, true, 12},
                           {3, Window::over(11, 3, 1, 1), 5, false, 7},
                           {3, Window::over(9, 3, 2, 1), 18, true, 6},
                           {2, Window::over({4, 5, 3}, 3, 1, 1), 3, false, 9},
                           {2, Window::over({5, 4, 6}, 3, 1, 1), 17, false, 20},
                           {2, Window::over({5, 4, 6}, 3, 1, 1), 20, true, 6},
                           {2, Window::over({5, 7, 4}, 3, 2, 1), 64, false, 5},
                           {2, Window::over({5, 7, 4}, 3, 2, 1), 6, true, 12},
                           {2, Window::over({4, 4, 4}, 2, 2, 0), 64, false, 7},
                           {2, slanted, 16, false, 7},
                           {2, slanted, 33, true, 5}};

template <bool forward, class Exec, class T>
std::vector<double> multiply(bool tile, const Images& problem, int gap, Update update, bool check) {
  Numbers numbers(21);
  const auto extent = [](int m, int n) { return std::size_t(m) * std::size_t(n); };
  Patches<double> exact{Matrix<const double>(nullptr, 0, problem.channels, problem.channels),
                        problem.window, problem.transposed};
  exact.x.rows = problem.samples * exact.source_pixels();
  const auto x = numbers.take(extent(exact.x.rows, problem.channels));
  exact.x.data = x.data();
  const int rows = exact.rows(), cols = exact.cols(), depth = forward ? cols : rows;
  const int c_rows = forward ? rows : problem.others, c_cols = forward ? problem.others : cols;
  const int m_rows = forward ? problem.others : rows, m_cols = forward ? cols : problem.others;
  const auto m = numbers.take(extent(m_rows, m_cols)),
             before = numbers.take(extent(c_rows, c_cols));

  Padded<T, Exec> images(exact.x.rows, problem.channels, x, gap);
  Padded<T, Exec> factor(m_rows, m_cols, m, gap), c(c_rows, c_cols, gap);
  if (update == Update::accumulate) c.write(before);
  const PatchProduct<forward, T> product{
      {images.matrix(), problem.window, problem.transposed}, factor.matrix(), c.matrix(), update};
  const Exec exec;
  if (tile) {
    launch_tiles(exec, "vrfm::test::patches", 1, product);
  } else {
    product(BatchContext<Exec>(exec), 0);
  }
  const auto actual = c.read();
  if (!check) return actual;

  std::vector<double> expected(actual.size()), tolerance(actual.size());
  for (std::size_t out = 0; out < actual.size(); ++out) {
    const int i = static_cast<int>(out) / c_cols, j = static_cast<int>(out) % c_cols;
    double sum = update == Update::accumulate ? before[out] : 0, size = std::fabs(sum);
    for (int k = 0; k < depth; ++k) {
      const int other = forward ? j * m_cols + k : k * m_cols + i;
      const double term = (forward ? exact(i, k) : exact(k, j)) * m[std::size_t(other)];
      sum += term;
      size += std::fabs(term);
    }
    expected[out] = 2 * sum + (i - j);
    tolerance[out] = 2 * (depth + 4) * epsilon<T> * (size + c_rows + c_cols);
  }
  INFO(problem.samples << " images of " << problem.channels << " channels, stride "
                       << problem.window.stride << ", transposed " << problem.transposed << ", gap "
                       << gap << ", forward " << forward << ", tile " << tile << ", accumulate "
                       << (update == Update::accumulate));
  CHECK(difference(actual, expected, [&](std::size_t k) { return tolerance[k]; }) == "");
  return actual;
}

/// A product of small whole numbers, which every type here holds and float sums exactly.
template <bool forward, class X, class M, class T, class Exec>
std::vector<double> multiply_stored(const Exec& exec, bool tile, const Images& problem,
                                    Update update) {
  Numbers numbers(22);
  const auto whole = [&](int rows, int cols) {
    auto values = numbers.take(std::size_t(rows) * std::size_t(cols));
    for (double& value : values) value = std::floor(16 * value);
    return values;
  };
  Patches<X> patches{Matrix<const X>(nullptr, 0, problem.channels, problem.channels),
                     problem.window, problem.transposed};
  const int pixels = problem.samples * patches.source_pixels();
  const Padded<X, Exec> image(pixels, problem.channels, whole(pixels, problem.channels), 1);
  patches.x = image.matrix();
  const int rows = patches.rows(), cols = patches.cols(), others = problem.others;
  const int m_rows = forward ? others : rows, m_cols = forward ? cols : others;
  const int c_rows = forward ? rows : others, c_cols = forward ? others : cols;
  const Padded<M, Exec> m(m_rows, m_cols, whole(m_rows, m_cols), 2);
  Padded<T, Exec> c(c_rows, c_cols, 1);  // of NaN
  if (update == Update::accumulate) c.write(whole(c_rows, c_cols));
  const StoredPatchProduct<forward, X, M, T> product{patches, m.matrix(), c.matrix(), update};
  if (tile) {
    launch_tiles(exec, "vrfm::test::patches", 1, product);
  } else {
    product(BatchContext<Exec>(exec), 0);
  }
  return c.read();
}

/// What is of BFloat16 changes nothing but the rounding of results.
template <bool forward, class X, class M, class T, class Exec>
void check_stored(const Exec& exec) {
  for (const Images& problem : problems) {
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      for (const bool tile : {false, true}) {
        auto expected = multiply_stored<forward, float, float, float>(exec, tile, problem, update);
        if (std::is_same_v<T, BFloat16>) {
          for (double& e : expected) e = double(float(BFloat16(static_cast<float>(e))));
        }
        INFO(problem.samples << " images of " << problem.channels << " channels, transposed "
                             << problem.transposed << ", forward " << forward << ", tile " << tile);
        CHECK(multiply_stored<forward, X, M, T>(exec, tile, problem, update) == expected);
      }
    }
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("contexts multiply patches", "[linalg][gemm]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  for (const Images& problem : problems) {
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      for (const bool tile : {false, true}) {
        for (const int gap : {0, 3}) {
          multiply<true, Exec, T>(tile, problem, gap, update, true);
          multiply<false, Exec, T>(tile, problem, gap, update, true);
        }
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("contexts multiply patches of bfloat16", "[linalg][gemm]", Spaces) {
  const TestType exec;
  check_stored<true, BFloat16, BFloat16, BFloat16>(exec);
  check_stored<true, BFloat16, BFloat16, float>(exec);
  check_stored<true, BFloat16, float, BFloat16>(exec);
  check_stored<true, float, BFloat16, float>(exec);
  check_stored<false, BFloat16, BFloat16, float>(exec);
  check_stored<false, BFloat16, float, float>(exec);
  check_stored<false, float, BFloat16, BFloat16>(exec);
}

// Not so by a library, which the program tests/onednn is of.
#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP) && !defined(VRFM_HAS_ONEDNN)
TEMPLATE_TEST_CASE("a product of patches has the same bits on one thread and on many",
                   "[linalg][gemm]", float, double) {
  for (const Images& problem : problems) {
    const auto on = [&]<class Exec>(Exec) {
      return std::vector<std::vector<double>>{
          multiply<true, Exec, TestType>(false, problem, 3, Update::accumulate, false),
          multiply<false, Exec, TestType>(false, problem, 3, Update::accumulate, false)};
    };
    CHECK(on(Kokkos::Serial()) == on(Kokkos::OpenMP()));
  }
}
#endif

#if defined(VRFM_ENGINE_CUDNN)
template <Compute compute>
int products_by_cudnn() {
  const int rows = 4 * 8 * 8, channels = 32, columns = 9 * channels;
  Padded<float, Kokkos::Cuda> x(rows, channels, 0), y(rows, channels, 0), w(channels, columns, 0);
  const Window window{8, 8, 3, 1, 1};
  const Matrix<const float> weights = w.matrix(), output = y.matrix();
  const Patches<float> patches{x.matrix(), window}, adjoint{output, window, true};
  const Kokkos::Cuda exec;
  const BatchContext<Kokkos::Cuda, compute> ctx(exec);
  const Launched launched[] = {
      CuDnnEngine::gemm<Op::none, Op::transpose>(ctx, patches, weights, y.matrix(),
                                                 Update::overwrite, NoEpilogue{}),
      CuDnnEngine::gemm<Op::none, Op::transpose>(ctx, adjoint, weights, x.matrix(),
                                                 Update::overwrite, NoEpilogue{}),
      CuDnnEngine::gemm<Op::transpose, Op::none>(ctx, output, patches, w.matrix(),
                                                 Update::overwrite, NoEpilogue{})};
  Kokkos::fence();
  int count = 0;
  for (const Launched one : launched) count += one == Launched::product;
  return count;
}

TEST_CASE("cuDNN computes convolutions", "[linalg][gemm]") {
  const int float32 = products_by_cudnn<Compute::float32>(),
            tf32 = products_by_cudnn<Compute::tf32>();
  WARN("cuDNN computes " << float32 << " of 3 products in float32, " << tf32 << " in TF32");
  CHECK(float32 + tf32 > 0);
  CHECK(products_by_cudnn<Compute::bfloat16>() == 0);
}
#endif
