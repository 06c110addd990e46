// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The velocity field of a network, v(x, t, z). A trajectory draws z ~ N(0, I) once (or is given it),
// encodes it once and holds it fixed from beginning to end (Guo and Schwing 2025).
#pragma once

#include <vrfm/core/random.hpp>
#include <vrfm/integrators/velocity.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/flow.hpp>

namespace vrfm {

/// A network whose z is already encoded.
template <Real T, class Network>
struct EncodedVelocity {
  using value_type = T;
  using Saved = typename Network::template Saved<T>;

  static constexpr bool tangents =
      requires(const Network& n, const T* p, Matrix<T> m, const Saved& saved, Arena<T>& arena) {
        n.tangent(MeasureContext{}, p, m, m, saved, arena);
      };

  /// Networks that kernels cannot carry are referred to: the field that was bound outlives this one.
  std::conditional_t<host_only<Network>, const Network&, Network> network;
  const T* parameters;
  Matrix<T> part;  // z's, from encode_latent

  KOKKOS_INLINE_FUNCTION int dimension() const { return network.dimension(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                  Arena<T>& arena) const {
    network.forward_encoded(ctx, parameters, t, x, part, v, static_cast<Saved*>(nullptr), arena);
  }

  template <class Ctx>
  KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const RowSelection<T>& selection) const {
    selection.keep(ctx, part);
  }

  template <class Ctx>
    requires tangents
  KOKKOS_FUNCTION void linearize(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                 Saved& saved, Arena<T>& arena) const {
    network.forward_encoded(ctx, parameters, t, x, part, v, &saved, arena);
  }

  template <class Ctx>
    requires tangents
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, Matrix<const T> dx, Matrix<T> dv, const Saved& saved,
                               Arena<T>& arena) const {
    network.tangent(ctx, parameters, dx, dv, saved, arena);
  }
};

namespace detail {

/// z of one row, from the prior at the address (sample, draw).
template <class T>
struct DrawLatent {
  SampleBlock block;
  Matrix<T> z;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    RandomStream(block.seed, Purpose::prior).normal(block.id(i), block.draw, 0, z.cols, z.row(i));
  }
};

/// z of one row, from a table used round and round.
template <class T>
struct LookUpLatent {
  SampleBlock block;
  ConstMatrix<T> table;
  Matrix<T> z;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    z(i, j) = table((block.first_row + i) % table.rows, j);
  }
};

}  // namespace detail

/// A network with its parameters. Holds pointers: the parameters (and latents) must outlive it.
template <Real T, class Network, Compute products = Compute::float32>
class NetworkVelocity {
 public:
  static constexpr Compute compute = products;
  using value_type = T;
  static constexpr bool host_only = vrfm::host_only<Network>;

  /// z is drawn from the prior, or is row (position of the sample) % latents.rows of `latents`
  /// unless that is empty. Throws std::invalid_argument if the latents' columns do not fit.
  NetworkVelocity(const Network& network, const T* parameters, Matrix<const T> latents = {})
      : network_(network), parameters_(parameters), latents_(latents) {
    if (latents.empty()) return;
    expect(latents.rows > 0, "the table of latents has no rows");
    expect_same("the table of latents", static_cast<std::size_t>(latents.cols), "the network's z",
                static_cast<std::size_t>(network.latent()), "columns");
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return network_.dimension(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION EncodedVelocity<T, Network> bind(const Ctx& ctx, const SampleBlock& block,
                                                   Arena<T>& arena) const {
    const int latent = network_.latent();
    const Matrix<T> part = latent > 0 ? arena.take(block.count, network_.part_cols())
                                      : shared_row(block.count, network_.part_cols(), arena);
    const auto mark = arena.used();
    const Matrix<T> z = arena.take(block.count, latent);
    if (latents_.empty()) {
      ctx.each_row(latent > 0 ? block.count : 0, detail::DrawLatent<T>{block, z});
    } else {
      ctx.map(block.count, latent, detail::LookUpLatent<T>{block, latents_, z});
    }
    network_.encode_latent(ctx, parameters_, z, part, arena);
    arena.rewind(mark);
    return {network_, parameters_, part};
  }

 private:
  Network network_;
  const T* parameters_;
  Matrix<const T> latents_;
};

/// The velocity field of a flow; z is drawn from the prior.
template <Real T, ExecutionSpace Exec, class Networks, Compute products>
NetworkVelocity<T, decltype(Networks::velocity), products> velocity_of(
    const Flow<T, Exec, Networks, products>& flow) {
  return {flow.networks().velocity, flow.values().data()};
}

/// The velocity field of a flow in which sample number i of a call has z = row i % rows of
/// `latents` (rows x latent): one row gives all samples the same z.
template <Real T, ExecutionSpace Exec, class Networks, Compute products>
NetworkVelocity<T, decltype(Networks::velocity), products> velocity_of(
    const Flow<T, Exec, Networks, products>& flow, const Table<T, Exec>& latents) {
  return {flow.networks().velocity, flow.values().data(), matrix(latents)};
}

}  // namespace vrfm
