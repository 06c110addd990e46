// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions of float by cuDNN 9 on the stream of a Kokkos::Cuda instance, for programs that link
// vrfm::cudnn: dense images, channels last, in float32 and TF32. The first convolution of a shape
// asks the library's heuristic for an algorithm that gives the same bits every time and sums the
// products as they are; later ones allocate nothing here. Gathered patches do the rest: bfloat16
// operands with float results, which this interface of the library lacks, images with gaps
// between pixels, and volumes. Working memory is the operand buffer of linalg/detail/cublaslt_library.hpp, in the
// stream's order.
#pragma once

#include <vrfm/linalg/detail/convolution.hpp>
#include <vrfm/linalg/engines/cublaslt.hpp>

#if defined(VRFM_ENGINE_CUDNN)

#include <algorithm>

#include <cudnn.h>

namespace vrfm::detail {

inline void expect_success(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw std::runtime_error(text("vrfm: ", call, " says ", cudnnGetErrorString(status)));
}

/// Owns one descriptor of the library.
template <class Handle, cudnnStatus_t (*create)(Handle*), cudnnStatus_t (*destroy)(Handle)>
class CuDnnDescriptor {
 public:
  CuDnnDescriptor() { expect_success(create(&handle_), "cuDNN, asked for a descriptor,"); }
  CuDnnDescriptor(const CuDnnDescriptor&) = delete;
  CuDnnDescriptor& operator=(const CuDnnDescriptor&) = delete;
  ~CuDnnDescriptor() { destroy(handle_); }
  operator Handle() const { return handle_; }

 private:
  Handle handle_ = nullptr;
};

/// The handle and the known algorithms of one stream.
class CuDnn {
 public:
  static CuDnn& of(const Kokkos::Cuda& exec) { return of_stream<CuDnn>(exec); }

  explicit CuDnn(const Kokkos::Cuda& exec) : device_(exec.cuda_device()) {
    expect_success(cudaSetDevice(device_), "cudaSetDevice");
    expect_success(cudnnCreate(&handle_), "cudnnCreate");
    expect_success(cudnnSetStream(handle_, exec.cuda_stream()), "cudnnSetStream");
  }
  CuDnn(const CuDnn&) = delete;
  CuDnn& operator=(const CuDnn&) = delete;
  ~CuDnn() {
    shapes_.clear();
    if (handle_ != nullptr) cudnnDestroy(handle_);
  }

  /// Whether there is an algorithm for `c` that needs no more than `bytes`. Weights are dense and
  /// outputs x (taps x inputs), whatever `c` says.
  bool has(const Convolution<float>& c, bool tf32, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    return find(c, tf32, bytes).algorithm >= 0;
  }

  /// Launches a convolution that `has` found an algorithm for, with these weights, in this memory.
  /// Returns false, and launches nothing, if the library refuses after all. Throws
  /// std::runtime_error if it fails otherwise.
  bool launch(const Convolution<float>& c, bool tf32, Update update, const float* weights,
              void* memory, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    Shape& s = find(c, tf32, bytes);
    const float one = 1, rest = update == Update::accumulate ? 1 : 0;
    expect_success(cudaSetDevice(device_), "cudaSetDevice");
    cudnnStatus_t status;
    if (c.sought == Sought::output) {
      status = cudnnConvolutionForward(handle_, &one, s.input, c.input.data, s.weights, weights,
                                       s.convolution, cudnnConvolutionFwdAlgo_t(s.algorithm),
                                       memory, bytes, &rest, s.output, c.result);
    } else if (c.sought == Sought::input) {
      status = cudnnConvolutionBackwardData(
          handle_, &one, s.weights, weights, s.output, c.output.data, s.convolution,
          cudnnConvolutionBwdDataAlgo_t(s.algorithm), memory, bytes, &rest, s.input, c.result);
    } else {
      status = cudnnConvolutionBackwardFilter(
          handle_, &one, s.input, c.input.data, s.output, c.output.data, s.convolution,
          cudnnConvolutionBwdFilterAlgo_t(s.algorithm), memory, bytes, &rest, s.weights, c.result);
    }
    if (CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED) {
      s.algorithm = -1;
      return false;
    }
    expect_success(status, "a convolution by cuDNN");
    return true;
  }

 private:
  using Key = std::pair<std::array<int, 12>, bool>;  // its shape, and whether in TF32
  using Tensor = CuDnnDescriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor,
                                 cudnnDestroyTensorDescriptor>;

  struct Shape {
    Tensor input, output;
    CuDnnDescriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor,
                    cudnnDestroyFilterDescriptor>
        weights;
    CuDnnDescriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                    cudnnDestroyConvolutionDescriptor>
        convolution;
    int algorithm = -1;  // of the direction's enumeration; -1: none
  };

  Shape& find(const Convolution<float>& c, bool tf32, std::size_t bytes) {
    const auto [entry, is_new] = shapes_.try_emplace(Key{c.shape(), tf32});
    Shape& s = entry->second;
    if (is_new) s.algorithm = describe(s, c, tf32) ? ask(s, c.sought, tf32, bytes) : -1;
    return s;
  }

  static bool describe(const Shape& s, const Convolution<float>& c, bool tf32) {
    constexpr auto type = CUDNN_DATA_FLOAT;
    constexpr auto layout = CUDNN_TENSOR_NHWC;
    const Window& w = c.window;
    const cudnnStatus_t all[] = {
        cudnnSetTensor4dDescriptor(s.input, layout, type, c.samples, c.input.cols, w.height,
                                   w.width),
        cudnnSetTensor4dDescriptor(s.output, layout, type, c.samples, c.output.cols, w.out_height(),
                                   w.out_width()),
        cudnnSetFilter4dDescriptor(s.weights, type, layout, c.output.cols, c.input.cols, w.kernel.y,
                                   w.kernel.x),
        cudnnSetConvolution2dDescriptor(s.convolution, w.padding.y, w.padding.x, w.stride, w.stride,
                                        1, 1, CUDNN_CROSS_CORRELATION, type),
        cudnnSetConvolutionMathType(s.convolution, tf32 ? CUDNN_TENSOR_OP_MATH : CUDNN_FMA_MATH)};
    return std::ranges::all_of(all, [](cudnnStatus_t one) { return one == CUDNN_STATUS_SUCCESS; });
  }

  /// The best algorithm of the heuristic's list that qualifies: in TF32 with its own choice of
  /// multipliers, else without tensor cores, which the descriptor forbids.
  int ask(const Shape& s, Sought sought, bool tf32, std::size_t bytes) const {
    const auto best = [&]<class Found>(Found, auto first, auto last, const auto& get) {
      Found found[8];
      int count = 0;
      if (get(8, &count, found) != CUDNN_STATUS_SUCCESS) return -1;
      for (int k = 0; k < count; ++k) {
        const Found& f = found[k];
        const bool math = f.mathType != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION &&
                          (tf32 || f.mathType != CUDNN_TENSOR_OP_MATH);
        if (f.status != CUDNN_STATUS_SUCCESS || f.determinism != CUDNN_DETERMINISTIC || !math ||
            f.memory > bytes || f.algo < first || f.algo > last) {
          continue;
        }
        if (tf32) cudnnSetConvolutionMathType(s.convolution, f.mathType);
        return int(f.algo);
      }
      return -1;
    };
    // Excluded: algorithms that transform (FFT, Winograd), whose errors differ, and those that add
    // in any order.
    if (sought == Sought::output) {
      return best(cudnnConvolutionFwdAlgoPerf_t(), CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
                  CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, [&](auto... out) {
                    return cudnnGetConvolutionForwardAlgorithm_v7(handle_, s.input, s.weights,
                                                                  s.convolution, s.output, out...);
                  });
    }
    if (sought == Sought::input) {
      return best(cudnnConvolutionBwdDataAlgoPerf_t(), CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
                  CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, [&](auto... out) {
                    return cudnnGetConvolutionBackwardDataAlgorithm_v7(
                        handle_, s.weights, s.output, s.convolution, s.input, out...);
                  });
    }
    return best(cudnnConvolutionBwdFilterAlgoPerf_t(), CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
                CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, [&](auto... out) {
                  return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                      handle_, s.input, s.output, s.convolution, s.weights, out...);
                });
  }

  int device_;
  cudnnHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, Shape> shapes_;
};

/// Element: out(o, tap * inputs + c) = adjoint(c, tap * outputs + o).
struct WeightsOfAdjoint {
  Matrix<const float> adjoint;
  int inputs, outputs;
  Matrix<float> out;
  KOKKOS_INLINE_FUNCTION void operator()(int o, int column) const {
    const int tap = column / inputs, c = column % inputs;
    out(o, column) = adjoint(c, tap * outputs + o);
  }
};

}  // namespace vrfm::detail

namespace vrfm {

struct CuDnnEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes =
      std::is_same_v<Exec, Kokkos::Cuda> && detail::are_of_float_convolution<A, B>;
  static constexpr bool complete = false;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static Launched gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                       const Epilogue&) {
    if constexpr (Ctx::compute == Compute::bfloat16 || OpA == OpB || !std::is_same_v<T, float>) {
      return Launched::nothing;
    } else {
      return convolve<Ctx::compute == Compute::tf32>(ctx, detail::convolution_of(a, b, c), update);
    }
  }

 private:
  template <bool tf32, class Ctx>
  static Launched convolve(const Ctx& ctx, const detail::Convolution<float>& convolution,
                           Update update) {
    using namespace detail;
    const bool adjoint = convolution.adjoint;
    const auto is_dense = [](const auto& x) {
      return x.stride == x.cols && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0;
    };
    // Its padding is alike on all sides, and its descriptors here are of images.
    if (convolution.window.behind != 0 || convolution.window.is_volume()) return Launched::nothing;
    if (convolution.samples == 0 || !is_dense(convolution.input) || !is_dense(convolution.output) ||
        (adjoint ? convolution.sought == Sought::weights : !is_dense(convolution.weights))) {
      return Launched::nothing;
    }
    Arena<float> buffer = CublasLt::of(ctx.exec()).template operand_buffer<float>();
    const int outputs = convolution.output.cols, inputs = convolution.input.cols;
    const int columns = convolution.window.taps() * inputs;
    Matrix<float> copy;
    if (adjoint) {
      if (buffer.left() / std::size_t(columns) <= std::size_t(outputs)) return Launched::nothing;
      copy = buffer.take(outputs, columns);
    }
    constexpr std::size_t border = 256 / sizeof(float);
    buffer.take(1, static_cast<int>((border - buffer.used() % border) % border));
    const std::size_t bytes = buffer.left() * sizeof(float);
    const Matrix<float> memory = buffer.take(1, static_cast<int>(buffer.left()));
    CuDnn& library = CuDnn::of(ctx.exec());
    if (!library.has(convolution, tf32, bytes)) return Launched::nothing;
    if (adjoint) {
      ctx.map(outputs, columns, WeightsOfAdjoint{convolution.weights, inputs, outputs, copy});
    }
    const float* weights = adjoint ? copy.data : convolution.weights.data;
    const bool launched = library.launch(convolution, tf32, update, weights, memory.data, bytes);
    return launched ? Launched::product : Launched::nothing;
  }
};

}  // namespace vrfm

#endif
