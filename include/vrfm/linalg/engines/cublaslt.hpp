// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix products by cuBLASLt (linalg/detail/cublaslt_library.hpp), with the epilogues that it has built in.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/linalg/detail/cublaslt_library.hpp>
#include <vrfm/linalg/detail/gathered_gemm.hpp>
#include <vrfm/linalg/engines/engine.hpp>

#if defined(VRFM_ENGINE_CUBLASLT)

namespace vrfm::detail {

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

/// Products of patches are of gathered ones; in bfloat16, or of two operands stored in it, the gathered ones are of
/// that type.
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
      using Number = sum_type<T>;
      constexpr bool stored = std::is_same_v<detail::element_of<A>, BFloat16> &&
                              std::is_same_v<detail::element_of<B>, BFloat16>;
      constexpr bool rounded = Ctx::compute == Compute::bfloat16 && std::is_same_v<Number, float>;
      using Operand = std::conditional_t<stored || rounded, BFloat16, Number>;
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
