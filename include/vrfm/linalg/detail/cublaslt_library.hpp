// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CublasLt: cuBLASLt on the stream of a Kokkos::Cuda instance. The library's matrices are
// column-major, so C = op(A) op(B) becomes C^T = op(B)^T op(A)^T, whose operands are the same
// memory. The first product of a shape asks the library's heuristic for an algorithm; later ones
// neither allocate nor wait, and a graph can capture them.
#pragma once

#include <vrfm/core/arena.hpp>
#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/cuda_libraries.hpp>
#include <vrfm/linalg/engines/list.hpp>

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
      if (p.result == CUDA_R_16BF) {  // parts of a sum are added before they are rounded
        set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
            std::uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
      }
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

}  // namespace vrfm::detail

#endif
