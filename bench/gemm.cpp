// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix products: large ones by BatchContext over all cores, and those of the networks by one
// thread of TileContext, each beside what others make of it: Eigen, the machine's BLAS and
// oneDNN if they are there, and three plain loops. Arguments: rows, columns and depth of C = A B^T (forward of a layer),
// A B (its dx) or A^T B (its gradient).
#if defined(__CUDACC__)
#define EIGEN_NO_CUDA
#endif
#include <Eigen/Core>
#if defined(VRFM_BENCH_BLAS)
#include <cblas.h>
#endif
#if defined(VRFM_BENCH_ONEDNN)
#include <dnnl.h>
#include <omp.h>
#endif

#include <vrfm/linalg/tile_context.hpp>

#include "support.hpp"

namespace {

using namespace vrfm;
using namespace vrfm::bench;
using Host = Kokkos::DefaultHostExecutionSpace;

template <class T, class Space>
struct Operands {
  Array<T, Space> a, b, c;
  int rows, cols, depth;

  explicit Operands(const benchmark::State& state)
      : rows(static_cast<int>(state.range(0))),
        cols(static_cast<int>(state.range(1))),
        depth(static_cast<int>(state.range(2))) {
    const auto extent = [](int m, int n) {
      return static_cast<std::size_t>(m) * static_cast<std::size_t>(n);
    };
    a = numbers<T, Space>(extent(rows, depth));
    b = numbers<T, Space>(extent(depth, cols));
    c = Array<T, Space>("c", extent(rows, cols));
  }

  Matrix<const T> left(Op op) const {
    return op == Op::none ? Matrix<const T>(a.data(), rows, depth, depth)
                          : Matrix<const T>(a.data(), depth, rows, rows);
  }
  Matrix<const T> right(Op op) const {
    return op == Op::none ? Matrix<const T>(b.data(), depth, cols, cols)
                          : Matrix<const T>(b.data(), cols, depth, depth);
  }
  Matrix<T> out() const { return Matrix<T>(c.data(), rows, cols, cols); }
  double operations() const { return 2.0 * rows * cols * depth; }
};

template <class T, Op OpA, Op OpB>
void batch_context(benchmark::State& state) {
  const Operands<T, Exec> x(state);
  const Exec exec;
  for (auto _ : state) {
    BatchContext<Exec>(exec).template gemm<OpA, OpB>(x.left(OpA), x.right(OpB), x.out(),
                                                     Update::overwrite);
    exec.fence();
  }
  report(state, x.operations(), peak<T>());
}

/// In a device's lower precisions; the fraction is of the product in float.
template <Compute compute, Op OpA, Op OpB>
void batch_rounded(benchmark::State& state) {
  const Operands<float, Exec> x(state);
  const Exec exec;
  for (auto _ : state) {
    BatchContext<Exec, compute>(exec).template gemm<OpA, OpB>(x.left(OpA), x.right(OpB), x.out(),
                                                              Update::overwrite);
    exec.fence();
  }
  report(state, x.operations(), peak<float>());
}

/// Of bfloat16 matrices; the fraction is of the product in float.
template <Op OpA, Op OpB>
void batch_bfloat16(benchmark::State& state) {
  const Operands<BFloat16, Exec> x(state);
  const Exec exec;
  for (auto _ : state) {
    BatchContext<Exec>(exec).template gemm<OpA, OpB>(x.left(OpA), x.right(OpB), x.out(),
                                                     Update::overwrite);
    exec.fence();
  }
  report(state, x.operations(), peak<float>());
}

/// Of one thread on the host, whatever the device; the fraction is of one thread's share.
template <class T, class Multiply>
void one_thread(benchmark::State& state, const Multiply& multiply) {
  const Operands<T, Host> x(state);
  for (auto _ : state) {
    multiply(x);
    benchmark::ClobberMemory();
  }
  report(state, x.operations(), peak<T>() / static_cast<int>(Exec{}.concurrency()));
}

template <class T, Op OpA, Op OpB>
void tile_context(benchmark::State& state) {
  one_thread<T>(state, [](const Operands<T, Host>& x) {
    TileContext<Host>().template gemm<OpA, OpB>(x.left(OpA), x.right(OpB), x.out(),
                                                Update::overwrite);
  });
}

template <class T, Op OpA, Op OpB>
void eigen(benchmark::State& state) {
  using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const int threads = Eigen::nbThreads();
  Eigen::setNbThreads(1);
  one_thread<T>(state, [](const Operands<T, Host>& x) {
    const auto left = x.left(OpA), right = x.right(OpB);
    const Eigen::Map<const Rows> a(left.data, left.rows, left.cols),
        b(right.data, right.rows, right.cols);
    Eigen::Map<Rows> c(x.c.data(), x.rows, x.cols);
    if constexpr (OpA == Op::transpose) {
      c.noalias() = a.transpose() * b;
    } else if constexpr (OpB == Op::transpose) {
      c.noalias() = a * b.transpose();
    } else {
      c.noalias() = a * b;
    }
  });
  Eigen::setNbThreads(threads);
}

template <class T, Op OpA, Op OpB>
void plain_loops(benchmark::State& state) {
  one_thread<T>(state, [](const Operands<T, Host>& x) {
    const detail::GemmElement<OpA, OpB, T, NoEpilogue> element{
        x.left(OpA), x.right(OpB), x.out(), Update::overwrite, {}};
    for (std::int64_t i = 0; i < std::int64_t(x.rows) * x.cols; ++i) element(i);
  });
}

#if defined(VRFM_BENCH_BLAS)
template <Op OpA, Op OpB>
void blas(benchmark::State& state) {
  one_thread<float>(state, [](const Operands<float, Host>& x) {
    const auto left = x.left(OpA), right = x.right(OpB);
    cblas_sgemm(CblasRowMajor, OpA == Op::none ? CblasNoTrans : CblasTrans,
                OpB == Op::none ? CblasNoTrans : CblasTrans, x.rows, x.cols, x.depth, 1, left.data,
                left.stride, right.data, right.stride, 0, x.c.data(), x.cols);
  });
}
#endif

#if defined(VRFM_BENCH_ONEDNN)
template <Op OpA, Op OpB>
void onednn(benchmark::State& state) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  one_thread<float>(state, [](const Operands<float, Host>& x) {
    const auto left = x.left(OpA), right = x.right(OpB);
    dnnl_sgemm(OpA == Op::none ? 'N' : 'T', OpB == Op::none ? 'N' : 'T', x.rows, x.cols, x.depth, 1,
               left.data, left.stride, right.data, right.stride, 0, x.c.data(), x.cols);
  });
  omp_set_num_threads(threads);
}

template <Op OpA, Op OpB>
void onednn_large(benchmark::State& state) {
  const Operands<float, Host> x(state);
  const auto left = x.left(OpA), right = x.right(OpB);
  for (auto _ : state) {
    dnnl_sgemm(OpA == Op::none ? 'N' : 'T', OpB == Op::none ? 'N' : 'T', x.rows, x.cols, x.depth, 1,
               left.data, left.stride, right.data, right.stride, 0, x.c.data(), x.cols);
  }
  report(state, x.operations(), peak<float>());
}
#endif

void network_shapes(benchmark::internal::Benchmark* b) {
  for (const int rows : {16, 128, 1000}) {
    for (const int width : {8, 64, 128, 256}) b->Args({rows, width, width});
  }
  b->Args({128, 64, 192})->Args({128, 2, 64})->Args({128, 128, 8});
}

void gradient_shapes(benchmark::internal::Benchmark* b) {
  for (const int width : {8, 64, 128, 256}) b->Args({width, width, 128});
  b->Args({64, 192, 128})->Args({2, 64, 128})->Args({128, 8, 128});
}

void squares(benchmark::internal::Benchmark* b) {
  for (const int n : {512, 1024, 2048, 4096}) b->Args({n, n, n});
  b->UseRealTime()->Unit(benchmark::kMillisecond);
}

constexpr Op none = Op::none, transpose = Op::transpose;

using Shapes = void (*)(benchmark::internal::Benchmark*);

void add(const char* name, void (*run)(benchmark::State&), Shapes shapes) {
  benchmark::RegisterBenchmark(name, run)->Apply(shapes);
}

const bool registered = [] {
  add("gemm/batch_nt", batch_context<float, none, transpose>, squares);
  add("gemm/batch_nn", batch_context<float, none, none>, squares);
  add("gemm/batch_tn", batch_context<float, transpose, none>, squares);
  add("gemm/batch_nt_double", batch_context<double, none, transpose>, squares);
  if constexpr (!is_host_space<Exec>) {
    add("gemm/batch_nt_tf32", batch_rounded<Compute::tf32, none, transpose>, squares);
    add("gemm/batch_nt_rounded", batch_rounded<Compute::bfloat16, none, transpose>, squares);
    add("gemm/batch_nt_bfloat16", batch_bfloat16<none, transpose>, squares);
    add("gemm/batch_nn_bfloat16", batch_bfloat16<none, none>, squares);
    add("gemm/batch_tn_bfloat16", batch_bfloat16<transpose, none>, squares);
  }
  add("gemm/tile_nt", tile_context<float, none, transpose>, network_shapes);
  add("gemm/tile_nn", tile_context<float, none, none>, network_shapes);
  add("gemm/tile_tn", tile_context<float, transpose, none>, gradient_shapes);
  add("gemm/tile_nt_double", tile_context<double, none, transpose>, network_shapes);
  add("gemm/eigen_nt", eigen<float, none, transpose>, network_shapes);
  add("gemm/eigen_nn", eigen<float, none, none>, network_shapes);
  add("gemm/eigen_tn", eigen<float, transpose, none>, gradient_shapes);
  add("gemm/eigen_nt_double", eigen<double, none, transpose>, network_shapes);
  add("gemm/loops_nt", plain_loops<float, none, transpose>, network_shapes);
#if defined(VRFM_BENCH_BLAS)
  add("gemm/blas_nt", blas<none, transpose>, network_shapes);
  add("gemm/blas_nn", blas<none, none>, network_shapes);
  add("gemm/blas_tn", blas<transpose, none>, gradient_shapes);
  add("gemm/blas_large_nt", blas<none, transpose>, squares);
  add("gemm/blas_large_nn", blas<none, none>, squares);
  add("gemm/blas_large_tn", blas<transpose, none>, squares);
#endif
#if defined(VRFM_BENCH_ONEDNN)
  add("gemm/onednn_nt", onednn<none, transpose>, network_shapes);
  add("gemm/onednn_nn", onednn<none, none>, network_shapes);
  add("gemm/onednn_tn", onednn<transpose, none>, gradient_shapes);
  add("gemm/onednn_large_nt", onednn_large<none, transpose>, squares);
  add("gemm/onednn_large_nn", onednn_large<none, none>, squares);
  add("gemm/onednn_large_tn", onednn_large<transpose, none>, squares);
#endif
  return true;
}();

}  // namespace
