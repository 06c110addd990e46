// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Execution: in which context a step or a trajectory runs, chosen at run time.
#pragma once

#include <vrfm/linalg/engines/list.hpp>

namespace vrfm {

/// tiles: one kernel over tiles of samples, whose activations stay in cache, in memory that does
/// not grow with the samples; for small networks. batch: one launch for each verb over many samples
/// at once; for large networks. automatic: tiles for networks up to a measured size, by the same
/// rule on every machine; see bench/README.md.
enum class Execution { automatic, tiles, batch };

/// How a call that works on many samples is launched; every options struct has this member.
struct Launch {
  Execution execution = Execution::automatic;
  int batch = 0;  ///< samples at a time outside of tiles, which bounds the memory; 0: all,
                  ///< which is one leaf, so that one rank alone works where ranks share a batch
};

/// True for values that kernels cannot carry, such as a network of very many layers: types with
/// `static constexpr bool host_only = true`. They run over whole batches.
template <class F>
inline constexpr bool host_only = requires { requires F::host_only; };

/// What may travel into kernels, if it is used in any.
template <class F>
concept KernelValue = host_only<F> || std::is_trivially_copyable_v<F>;

/// How a flow or a field multiplies: in what precision, and by which engines.
template <Compute precision, class List = DefaultEngines>
struct Products {
  static constexpr Compute compute = precision;
  using engines = List;
};

namespace detail {

template <class F>
struct ProductsOf {
  using type = Products<Compute::float32, CoreEngines>;
};
template <class F>
  requires requires { typename F::products; }
struct ProductsOf<F> {
  using type = typename F::products;
};

}  // namespace detail

/// The member type `products` of a flow or a field; if it has none, float32 by the engines that all source files
/// have.
template <class F>
using products_of = typename detail::ProductsOf<F>::type;

}  // namespace vrfm
