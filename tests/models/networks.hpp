// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The networks of the synthetic experiments as layers of one input, so that they take the layers'
// conformance test: the velocity network's input is [t | x | z], the posterior's [x0 | x1 | x_t | t].
#pragma once

#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm::test {

template <class Act>
struct VelocityLayer {
  static constexpr bool has_parameters = true;

  template <class T>
  using Saved = typename VelocityNetwork<Act>::template Saved<T>;

  VelocityNetwork<Act> network;

  KOKKOS_FUNCTION int inputs() const { return 1 + network.dimension() + network.latent(); }
  KOKKOS_FUNCTION int outputs() const { return network.dimension(); }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> v,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto t = in.col_range(0, 1), x = in.col_range(1, network.dimension());
    const auto z = in.col_range(1 + network.dimension(), network.latent());
    if (saved != nullptr) {
      network.forward(ctx, p, DrawAddress{}, t, x, z, v, *saved, arena);
    } else {
      const auto mark = arena.used();
      const Matrix<T> part = arena.take(in.rows, network.part_cols());
      network.encode_latent(ctx, p, z, part, arena);
      network.forward_encoded(ctx, p, t, x, part, v, static_cast<Saved<T>*>(nullptr), arena);
      arena.rewind(mark);
    }
  }

  /// dx: of x and z.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dv, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    network.backward(ctx, p, g, dv, dx.col_range(0, network.dimension()),
                     dx.col_range(network.dimension(), network.latent()), saved, arena);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    network.tangent(ctx, p, dx, dv, saved, arena);
  }
};

template <class Act>
struct PosteriorLayer {
  static constexpr bool has_parameters = true;

  template <class T>
  using Saved = typename PosteriorNetwork<Act>::template Saved<T>;

  PosteriorNetwork<Act> network;
  int dimension;

  KOKKOS_FUNCTION int inputs() const { return 3 * dimension + 1; }
  KOKKOS_FUNCTION int outputs() const { return 2 * network.latent(); }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> moments,
                               Saved<T>* saved, Arena<T>& arena) const {
    // Pairs belong to a sampler, which writes them; the network only reads.
    const Matrix<T> x(const_cast<T*>(in.data), in.rows, in.cols, in.stride);
    const Pairs<T> pairs{x.col_range(0, dimension), x.col_range(dimension, dimension),
                         x.col_range(2 * dimension, dimension), Matrix<T>(),
                         x.col_range(3 * dimension, 1)};
    const auto mark = arena.used();
    Saved<T> own;
    network.forward(ctx, p, pairs, moments, saved != nullptr ? *saved : own, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dmoments, Matrix<T>, const Saved<T>& saved,
                                Arena<T>& arena) const {
    network.backward(ctx, p, g, dmoments, saved, arena);
  }

  /// The network has no forward mode.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx&, const T*, ConstMatrix<T>, Matrix<T>, const Saved<T>&,
                               Arena<T>&) const {}
};

}  // namespace vrfm::test
