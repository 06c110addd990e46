// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Networks of images as layers of one input, so that they take the layers' conformance test: a velocity
// network's input is [t | x | z], a posterior's [x0 | x1 | x_t | t]. They hold a pointer, because such
// networks are not trivially copyable.
#pragma once

#include <vrfm/layers/layer.hpp>
#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm::test {

template <class Network>
struct ImageVelocityLayer {
  static constexpr bool has_parameters = true, host_only = true;

  template <class T>
  using Saved = typename Network::template Saved<T>;

  const Network* network;

  int inputs() const { return 1 + network->dimension() + network->latent(); }
  int outputs() const { return network->dimension(); }

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> v, Saved<T>* saved,
               Arena<T>& arena) const {
    const auto t = in.col_range(0, 1), x = in.col_range(1, network->dimension());
    const auto z = in.col_range(1 + network->dimension(), network->latent());
    if (saved != nullptr) {
      network->forward(ctx, p, DrawAddress{}, t, x, z, v, *saved, arena);
    } else {
      const auto mark = arena.used();
      const Matrix<T> part = arena.take(in.rows, network->part_cols());
      network->encode_latent(ctx, p, z, part, arena);
      network->forward_encoded(ctx, p, t, x, part, v, static_cast<Saved<T>*>(nullptr), arena);
      arena.rewind(mark);
    }
  }

  /// dx: of x and z.
  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>, ConstMatrix<T> dv,
                Matrix<T> dx, const Saved<T>& saved, Arena<T>& arena) const {
    network->backward(ctx, p, g, dv, dx.col_range(0, network->dimension()),
                      dx.col_range(network->dimension(), network->latent()), saved, arena);
  }

  template <class Ctx, class T>
  void tangent(const Ctx&, const T*, ConstMatrix<T>, Matrix<T>, const Saved<T>&, Arena<T>&) const {
    Kokkos::abort("no tangent");
  }
};

template <class Network>
struct ImagePosteriorLayer {
  static constexpr bool has_parameters = true, host_only = true;

  template <class T>
  using Saved = typename Network::template Saved<T>;

  const Network* network;
  int dimension;

  int inputs() const { return 3 * dimension + 1; }
  int outputs() const { return 2 * network->latent(); }

  template <class Ctx, class T>
  void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> moments, Saved<T>* saved,
               Arena<T>& arena) const {
    const auto mark = arena.used();
    const auto part = [&](int first, int count) {
      const Matrix<T> copy = arena.take(in.rows, count);
      ctx.map(in.rows, count, Copy<T>{in.col_range(first, count), copy});
      return copy;
    };
    Pairs<T> pairs;
    pairs.x0 = part(0, dimension);
    pairs.x1 = part(dimension, dimension);
    pairs.x_t = part(2 * dimension, dimension);
    pairs.t = part(3 * dimension, 1);
    Saved<T> own;
    network->forward(ctx, p, pairs, moments, saved != nullptr ? *saved : own, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  template <class Ctx, class T>
  void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>, ConstMatrix<T> dmoments,
                Matrix<T>, const Saved<T>& saved, Arena<T>& arena) const {
    network->backward(ctx, p, g, dmoments, saved, arena);
  }

  template <class Ctx, class T>
  void tangent(const Ctx&, const T*, ConstMatrix<T>, Matrix<T>, const Saved<T>&, Arena<T>&) const {
    Kokkos::abort("no tangent");
  }
};

}  // namespace vrfm::test
