// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix products by cuBLASLt on the stream of a Kokkos::Cuda instance. The library's matrices are
// column-major, so C = op(A) op(B) becomes C^T = op(B)^T op(A)^T, whose operands are the same
// memory. The first product of a shape asks the library's heuristic for an algorithm; later ones
// neither allocate nor wait, and a graph can capture them.
#pragma once

#include <vrfm/core/arena.hpp>
#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/cuda_libraries.hpp>
#include <vrfm/linalg/detail/gathered_gemm.hpp>
#include <vrfm/linalg/engines/engine.hpp>

#if defined(VRFM_ENGINE_CUBLASLT)

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

#include <cublasLt.h>

namespace vrfm::detail {

inline void expect_success(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw std::runtime_error(text("vrfm: ", call, " says ", cublasLtGetStatusName(status)));
}

/// The handle, working memory and known algorithms of one stream.
class CublasLt {
 public:
  /// A row-major matrix and how it is read.
  struct Operand {
    const void* data;
    int rows, cols, stride;
    cublasOperation_t op;
  };

  /// C = op(A) op(B), or C += ..., then `epilogue`; or `count` such products, each so many elements behind the last.
  struct Product {
    cublasComputeType_t compute;
    cudaDataType_t scale, operand, result;  // types of the factors, of A and B, of C
    Operand a, b;
    void* c;
    int rows, cols, depth, stride;
    bool accumulate;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    const void* bias = nullptr;  // added, or where sums of an operand are written
    const void* sum = nullptr;   // what GELU is applied to, as the epilogue saves or reads it
    int sum_stride = 0;
    int count = 1;
    std::int64_t next_a = 0, next_b = 0, next_c = 0;
  };

  static CublasLt& of(const Kokkos::Cuda& exec) { return of_stream<CublasLt>(exec); }

  explicit CublasLt(const Kokkos::Cuda& exec)
      : device_(exec.cuda_device()), stream_(exec.cuda_stream()) {
    expect_success(cudaSetDevice(device_), "cudaSetDevice");
    expect_success(cublasLtCreate(&handle_), "cublasLtCreate");
    // Not a view: the library wants 256-byte borders, and the headers of Kokkos' allocations shift
    // them.
    expect_success(cudaMalloc(&memory_, workspace_bytes + operand_bytes), "cudaMalloc");
  }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  ~CublasLt() {
    cudaFree(memory_);  // waits for the products that use it
    if (handle_ != nullptr) cublasLtDestroy(handle_);
  }

  /// The buffer for the operands of one product, in the order of the stream.
  template <class T>
  Arena<T> operand_buffer() const {
    return {reinterpret_cast<T*>(memory_ + workspace_bytes), operand_bytes / sizeof(T)};
  }

  /// Launches `p`. Returns false, and launches nothing, if the library has no algorithm for it.
  /// Throws std::runtime_error if the library fails otherwise.
  bool multiply(const Product& p) {
    cublasLtMatmulDescOpaque_t operation;
    expect_success(cublasLtMatmulDescInit(&operation, p.compute, p.scale),
                   "cublasLtMatmulDescInit");
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      expect_success(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof(value)),
                     "cublasLtMatmulDescSetAttribute");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t(p.b.op));
    set(CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t(p.a.op));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t(p.epilogue));
    if (p.bias != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    if (p.sum != nullptr) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.sum);
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, std::int64_t(p.sum_stride));
    }
    Layouts layouts;
    layouts.init(layouts.first, p.operand, p.b.rows, p.b.cols, p.b.stride, p.count, p.next_b);
    layouts.init(layouts.second, p.operand, p.a.rows, p.a.cols, p.a.stride, p.count, p.next_a);
    layouts.init(layouts.result, p.result, p.rows, p.cols, p.stride, p.count, p.next_c);

    const cublasLtMatmulAlgo_t* algorithm = find(p, operation, layouts);
    if (algorithm == nullptr) return false;
    const double factors[] = {1, p.accumulate ? 1.0 : 0.0};
    const float float_factors[] = {1, p.accumulate ? 1.0f : 0.0f};
    const bool is_double = p.scale == CUDA_R_64F;
    const void* alpha = is_double ? static_cast<const void*>(factors) : float_factors;
    const void* beta = is_double ? static_cast<const void*>(factors + 1) : float_factors + 1;
    expect_success(cudaSetDevice(device_), "cudaSetDevice");
    expect_success(cublasLtMatmul(handle_, &operation, alpha, p.b.data, &layouts.first, p.a.data,
                                  &layouts.second, beta, p.c, &layouts.result, p.c, &layouts.result,
                                  algorithm, memory_, workspace_bytes, stream_),
                   "cublasLtMatmul");
    return true;
  }

 private:
  /// NVIDIA's recommendation for Hopper; and what fits into its L2 of 50 MB beside a product's
  /// result.
  static constexpr std::size_t workspace_bytes = std::size_t(32) << 20,
                               operand_bytes = std::size_t(32) << 20;

  /// The column-major operands B^T and A^T and result C^T.
  struct Layouts {
    cublasLtMatrixLayoutOpaque_t first, second, result;

    static void init(cublasLtMatrixLayoutOpaque_t& layout, cudaDataType_t type, int rows, int cols,
                     int stride, std::int32_t count, std::int64_t next) {
      // A single row may have any stride, but no leading dimension may be shorter than a column.
      expect_success(
          cublasLtMatrixLayoutInit(&layout, type, static_cast<std::uint64_t>(cols),
                                   static_cast<std::uint64_t>(rows), math::maximum(stride, cols)),
          "cublasLtMatrixLayoutInit");
      if (count == 1) return;
      const auto set = [&](cublasLtMatrixLayoutAttribute_t attribute, const auto& value) {
        expect_success(cublasLtMatrixLayoutSetAttribute(&layout, attribute, &value, sizeof(value)),
                       "cublasLtMatrixLayoutSetAttribute");
      };
      set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
      set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, next);
    }
  };

  using Key = std::array<std::int64_t, 23>;

  /// The largest power of two, up to 16, that divides the address. The heuristic is told no more,
  /// so that a slice of another array with the same alignment has the same algorithm.
  static std::uint32_t alignment(const void* data) {
    const auto address = reinterpret_cast<std::uintptr_t>(data);
    std::uint32_t bytes = 16;
    while (address % bytes != 0) bytes /= 2;
    return bytes;
  }

  /// The algorithm for `p`; null if there is none.
  const cublasLtMatmulAlgo_t* find(const Product& p, cublasLtMatmulDescOpaque_t& operation,
                                   Layouts& layouts) {
    const Key key{p.compute,
                  p.operand,
                  p.result,
                  p.a.op,
                  p.b.op,
                  p.rows,
                  p.cols,
                  p.depth,
                  p.a.stride,
                  p.b.stride,
                  p.stride,
                  p.accumulate,
                  p.epilogue,
                  alignment(p.a.data),
                  alignment(p.b.data),
                  alignment(p.c),
                  p.bias != nullptr,
                  alignment(p.bias),
                  p.sum_stride,
                  p.count,
                  p.next_a,
                  p.next_b,
                  p.next_c};
    const std::lock_guard lock(mutex_);
    const auto [entry, is_new] = algorithms_.try_emplace(key);
    std::optional<cublasLtMatmulAlgo_t>& algorithm = entry->second;
    if (is_new) {
      cublasLtMatmulPreferenceOpaque_t preference;
      expect_success(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit");
      const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
        expect_success(
            cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)),
            "cublasLtMatmulPreferenceSetAttribute");
      };
      set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t(workspace_bytes));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b.data));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a.data));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p.c));
      set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.c));
      cublasLtMatmulHeuristicResult_t found;
      int count = 0;
      const auto status = cublasLtMatmulAlgoGetHeuristic(
          handle_, &operation, &layouts.first, &layouts.second, &layouts.result, &layouts.result,
          &preference, 1, &found, &count);
      if (status == CUBLAS_STATUS_SUCCESS && count == 1 && found.state == CUBLAS_STATUS_SUCCESS) {
        algorithm = found.algo;
      }
    }
    return algorithm ? &*algorithm : nullptr;
  }

  int device_;
  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  char* memory_ = nullptr;  // the workspace, then the buffer of operands
  std::mutex mutex_;
  std::map<Key, std::optional<cublasLtMatmulAlgo_t>> algorithms_;
};

template <class T>
inline constexpr cudaDataType_t cublaslt_type = CUDA_R_32F;
template <>
inline constexpr cudaDataType_t cublaslt_type<double> = CUDA_R_64F;
template <>
inline constexpr cudaDataType_t cublaslt_type<BFloat16> = CUDA_R_16BF;

template <class Operand>
constexpr cublasComputeType_t cublaslt_compute(Compute compute) {
  if (std::is_same_v<Operand, double>) return CUBLAS_COMPUTE_64F;
  if (std::is_same_v<Operand, BFloat16> || compute == Compute::float32) return CUBLAS_COMPUTE_32F;
  return compute == Compute::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F_FAST_16BF;
}

/// C = op(A) op(B), or C += ..., in the library's terms.
template <Op OpA, Op OpB, Compute compute, class Operand, class T>
CublasLt::Product cublaslt_product(Matrix<const Operand> a, Matrix<const Operand> b, Matrix<T> c,
                                   Update update) {
  constexpr auto op = [](Op o) { return o == Op::none ? CUBLAS_OP_N : CUBLAS_OP_T; };
  return {cublaslt_compute<Operand>(compute),
          std::is_same_v<Operand, double> ? CUDA_R_64F : CUDA_R_32F,
          cublaslt_type<Operand>,
          cublaslt_type<T>,
          {a.data, a.rows, a.cols, a.stride, op(OpA)},
          {b.data, b.rows, b.cols, b.stride, op(OpB)},
          c.data,
          c.rows,
          c.cols,
          OpA == Op::none ? a.cols : a.rows,
          c.stride,
          update == Update::accumulate};
}

/// Whether the library can name such a product.
inline bool is_product(const CublasLt::Product& p) {
  const auto is_matrix = [](const auto& x) { return x.rows == 1 || x.stride >= x.cols; };
  return p.rows > 0 && p.cols > 0 && p.depth > 0 && is_matrix(p.a) && is_matrix(p.b);
}

/// Asks for the product with its epilogue; false if the library has no such epilogue.
template <bool rounded, class Epilogue>
bool fuse(CublasLt::Product&, const Epilogue&) {
  return false;
}
template <bool rounded, class T>
bool fuse(CublasLt::Product& product, const AddBias<T>& add) {
  product.bias = add.bias;
  product.epilogue = CUBLASLT_EPILOGUE_BIAS;
  return true;
}

// Its GELU has an approximate tanh, which is good enough beside rounded operands only.
inline bool fuse_gelu(CublasLt::Product& product, cublasLtEpilogue_t epilogue,
                      const Matrix<float>& sum) {
  const auto address = reinterpret_cast<std::uintptr_t>(sum.data);
  if (address % 16 != 0 || sum.stride % 8 != 0) return false;
  product.epilogue = epilogue;
  product.sum = sum.data;
  product.sum_stride = sum.stride;
  return true;
}
template <bool rounded>
bool fuse(CublasLt::Product& product, const BiasThen<GeluTanh, float>& then) {
  product.bias = then.bias;
  product.epilogue = CUBLASLT_EPILOGUE_GELU_BIAS;
  return rounded;
}
template <bool rounded>
bool fuse(CublasLt::Product& product, const BiasThenKept<GeluTanh, float>& then) {
  product.bias = then.bias;
  return rounded && fuse_gelu(product, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, then.kept);
}
template <bool rounded>
bool fuse(CublasLt::Product& product, const TimesSlope<GeluTanh, float>& times) {
  return rounded && fuse_gelu(product, CUBLASLT_EPILOGUE_DGELU, times.kept);
}

}  // namespace vrfm::detail

namespace vrfm {

/// Products of patches are of gathered ones; in bfloat16 the gathered operands are of that type.
struct CublasLtEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes =
      std::is_same_v<Exec, Kokkos::Cuda> &&
      (detail::is_patches<A> || detail::is_patches<B> || std::is_same_v<A, B>);
  static constexpr bool complete = false;

  static void prepare(const Kokkos::Cuda& exec) { detail::CublasLt::of(exec); }

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static Launched gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                       const Epilogue& epilogue) {
    if constexpr (detail::is_patches<A> || detail::is_patches<B>) {
      constexpr bool rounded = Ctx::compute == Compute::bfloat16 && std::is_same_v<T, float>;
      using Operand = std::conditional_t<rounded, BFloat16, T>;
      const auto buffer = detail::CublasLt::of(ctx.exec()).template operand_buffer<Operand>();
      const bool all = detail::gathered_gemm<OpA, OpB>(ctx, buffer, a, b, c, update, epilogue);
      return all ? Launched::product_and_epilogue : Launched::nothing;
    } else {
      return multiply<OpA, OpB>(ctx, a, b, c, update, epilogue);
    }
  }

  /// One launch for each outer index.
  template <Op OpA, Op OpB, class Ctx, class A, class T>
  static bool gemm_batch(const Ctx& ctx, const BatchCounts& counts, const MatrixBatch<A>& a,
                         const MatrixBatch<A>& b, const MatrixBatch<T>& c, Update update) {
    detail::CublasLt& library = detail::CublasLt::of(ctx.exec());
    for (int o = 0; o < counts.outer; ++o) {
      auto product =
          detail::cublaslt_product<OpA, OpB, Ctx::compute>(a(o, 0), b(o, 0), c(o, 0), update);
      product.count = counts.inner;
      product.next_a = a.inner, product.next_b = b.inner, product.next_c = c.inner;
      if (detail::is_product(product) && library.multiply(product)) continue;
      if (o == 0) return false;
      for (int i = 0; i < counts.inner; ++i) {  // it lies on other borders than the first
        ctx.template gemm<OpA, OpB>(a(o, i), b(o, i), c(o, i), update);
      }
    }
    return true;
  }

  template <class Ctx, class T>
    requires(std::is_same_v<decltype(std::declval<Ctx>().exec()), const Kokkos::Cuda&>)
  static bool weight_gradient(const Ctx& ctx, Matrix<const T> dy, Matrix<const T> x, Matrix<T> dw,
                              T* db) {
    auto product = detail::cublaslt_product<Op::transpose, Op::none, Ctx::compute>(
        dy, x, dw, Update::overwrite);
    product.epilogue = CUBLASLT_EPILOGUE_BGRADB;  // of its second operand, our first
    product.bias = db;
    return detail::is_product(product) && detail::CublasLt::of(ctx.exec()).multiply(product);
  }

 private:
  template <Op OpA, Op OpB, class Ctx, class Operand, class T, class Epilogue>
  static Launched multiply(const Ctx& ctx, Matrix<const Operand> a, Matrix<const Operand> b,
                           Matrix<T> c, Update update, const Epilogue& epilogue) {
    const auto product = detail::cublaslt_product<OpA, OpB, Ctx::compute>(a, b, c, update);
    if (!detail::is_product(product)) return Launched::nothing;
    detail::CublasLt& library = detail::CublasLt::of(ctx.exec());
    auto whole = product;
    constexpr bool rounded = Ctx::compute != Compute::float32;
    if (detail::fuse<rounded>(whole, epilogue) && library.multiply(whole)) {
      return Launched::product_and_epilogue;
    }
    return library.multiply(product) ? Launched::product : Launched::nothing;
  }
};

}  // namespace vrfm

#endif
