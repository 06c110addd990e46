// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StepGraph: launches the same kernels again and again. On Kokkos::Cuda they are recorded by stream
// capture and replayed as one CUDA graph, which costs the host one launch and the device no gaps;
// elsewhere, and where recording fails, they are launched one by one.
#pragma once

#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm::detail {

/// Without graphs.
template <ExecutionSpace Exec>
class StepGraph {
 public:
  /// Launches what `enqueue` launches.
  template <class F>
  void launch(const Exec&, const F& enqueue) {
    enqueue();
  }

  /// The next `enqueue` launches something else.
  void forget() {}
};

#if defined(KOKKOS_ENABLE_CUDA)

/// What is recorded may use no memory that Kokkos may move (its scratch space of level 1, its
/// reductions), and no value of the host that changes.
template <>
class StepGraph<Kokkos::Cuda> {
 public:
  /// Throws std::runtime_error if what was recorded cannot be launched.
  template <class F>
  void launch(const Kokkos::Cuda& exec, const F& enqueue) {
    // The first time is no recording: libraries look up and allocate what they need.
    if (state_ == State::ready)
      state_ = record(exec, enqueue) ? State::recorded : State::impossible;
    if (state_ == State::recorded) {
      const cudaError_t error = cudaGraphLaunch(graph_.get(), exec.cuda_stream());
      if (error != cudaSuccess) {
        throw std::runtime_error(text("vrfm: cudaGraphLaunch says ", cudaGetErrorString(error)));
      }
    } else {
      enqueue();
    }
    if (state_ == State::fresh) state_ = State::ready;
  }

  void forget() {
    if (state_ == State::recorded) state_ = State::ready;
    graph_.reset();
  }

 private:
  enum class State { fresh, ready, recorded, impossible };

  template <class F>
  bool record(const Kokkos::Cuda& exec, const F& enqueue) {
    // A tool would see only the kernels that are recorded.
    if (Kokkos::Tools::profileLibraryLoaded()) return false;
    const cudaStream_t stream = exec.cuda_stream();
    cudaGraph_t graph = nullptr;
    bool whole = cudaSetDevice(exec.cuda_device()) == cudaSuccess &&
                 cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess;
    if (whole) {
      try {
        enqueue();
      } catch (...) {
        // Something cannot be recorded; any other error comes again without recording.
        whole = false;
      }
      whole = cudaStreamEndCapture(stream, &graph) == cudaSuccess && whole;
    }
    cudaGraphExec_t executable = nullptr;
    whole =
        whole && only_kernels(graph) && cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess;
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (whole) {
      graph_.reset(executable, [](cudaGraphExec_t g) { cudaGraphExecDestroy(g); });
    } else {
      cudaGetLastError();  // so that Kokkos does not find it
    }
    return whole;
  }

  /// A copy would be repeated from where the host's memory was at the time.
  static bool only_kernels(cudaGraph_t graph) {
    std::size_t count = 0;
    if (cudaGraphGetNodes(graph, nullptr, &count) != cudaSuccess) return false;
    std::vector<cudaGraphNode_t> nodes(count);
    if (cudaGraphGetNodes(graph, nodes.data(), &count) != cudaSuccess) return false;
    for (const cudaGraphNode_t node : nodes) {
      cudaGraphNodeType type;
      if (cudaGraphNodeGetType(node, &type) != cudaSuccess) return false;
      if (type != cudaGraphNodeTypeKernel && type != cudaGraphNodeTypeMemset) return false;
    }
    return true;
  }

  State state_ = State::fresh;
  std::shared_ptr<std::remove_pointer_t<cudaGraphExec_t>> graph_;
};

#endif

}  // namespace vrfm::detail
