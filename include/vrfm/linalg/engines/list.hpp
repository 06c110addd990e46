// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which engines a source file has. They are part of the types of a BatchContext and of a Flow, so that source
// files of one program may have different ones, such as one that was compiled for oneDNN and one that was not.
#pragma once

#include <vrfm/linalg/context.hpp>

#if defined(KOKKOS_ENABLE_CUDA) && defined(VRFM_HAS_CUBLASLT)
#define VRFM_ENGINE_CUBLASLT
#if defined(VRFM_HAS_CUDNN)
#define VRFM_ENGINE_CUDNN
#endif
#endif
// nvcc 13 ends with an internal error in oneDNN's headers.
#if defined(KOKKOS_ENABLE_OPENMP) && defined(VRFM_HAS_ONEDNN) && !defined(__CUDACC__)
#define VRFM_ENGINE_ONEDNN
#endif

namespace vrfm {

struct CuDnnEngine;
struct CublasLtEngine;
struct ElementEngine;
struct HostEngine;
struct MixedTiledEngine;
struct OneDnnEngine;
struct TiledEngine;

/// Engines in the order in which they are asked; the last is complete.
template <class... Engine>
struct Engines {};

/// Those of all source files of a program: of the target vrfm::vrfm.
#if defined(VRFM_ENGINE_CUBLASLT)
using CoreEngines = Engines<HostEngine, CublasLtEngine, MixedTiledEngine, ElementEngine>;
#else
using CoreEngines = Engines<HostEngine, TiledEngine, ElementEngine>;
#endif

namespace detail {
template <class First, class... Rest>
Engines<First, Rest...> before(Engines<Rest...>);
}

/// Those of this source file, with those of the components that it is compiled for.
#if defined(VRFM_ENGINE_ONEDNN)
using DefaultEngines = decltype(detail::before<OneDnnEngine>(CoreEngines()));
#elif defined(VRFM_ENGINE_CUDNN)
using DefaultEngines = decltype(detail::before<CuDnnEngine>(CoreEngines()));
#else
using DefaultEngines = CoreEngines;
#endif

}  // namespace vrfm
