// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A velocity model of one's own: a residual network, h = W [x | t | z], v = L (h + stack(h)).
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace extension {
using namespace vrfm;
struct ResidualMlp {
  int columns[3] = {1, 1, 0};  // of x, t and z
  Dense<> in, out;
  Mlp<Silu> stack;
  template <class T>
  struct PreparedSaved {};
  template <class T>
  struct Saved {
    Matrix<T> joined, h, sum;
    Mlp<Silu>::Saved<T> stack;
    Dense<>::Saved<T> dense;  // empty
  };
  ResidualMlp() = default;
  ResidualMlp(ParameterList& list, const std::string& name, int dimension, int latent, int width)
      : columns{dimension, 1, latent},
        in(list, name + ".in", dimension + 1 + latent, width),
        out(list, name + ".out", width, dimension),
        stack(list, name + ".stack", {width, width, width}) {}
  KOKKOS_FUNCTION int dimension() const { return columns[0]; }
  KOKKOS_FUNCTION ModelInputs inputs() const { return {.latent = columns[2]}; }
  KOKKOS_FUNCTION int prepared_cols() const { return columns[2]; }
  template <class C, class T>
  KOKKOS_FUNCTION void prepare(const C& ctx, const T*, const Condition<T>& c, Matrix<T> prepared,
                               PreparedSaved<T>*, Arena<T>&) const {
    ctx.map(prepared.rows, prepared.cols, Copy<T>{c.z, prepared});
  }
  template <class C, class T>
  KOKKOS_FUNCTION void prepare_backward(const C& ctx, const T*, Gradient<T>, ConstMatrix<T> d,
                                        const ConditionGradient<T>& dc, const PreparedSaved<T>&,
                                        Arena<T>&) const {
    if (!dc.z.empty()) ctx.map(d.rows, d.cols, Copy<T>{d, dc.z});
  }
  template <class C, class T>
  KOKKOS_FUNCTION void forward(const C& ctx, const T* p, const Query<T>& query, ConstMatrix<T> z,
                               const DrawAddress*, Matrix<T> v, Saved<T>* to, Arena<T>& a) const {
    const auto mark = a.used();
    const int width = in.outputs();
    Saved<T> s{a.take(v.rows, in.inputs()), a.take(v.rows, width), a.take(v.rows, width), {}, {}};
    const ConstMatrix<T> parts[] = {query.x, query.t, z};
    for (int k = 0, first = 0; k < 3; first += columns[k++])
      ctx.map(v.rows, columns[k], Copy<T>{parts[k], s.joined.col_range(first, columns[k])});
    in.forward(ctx, p, s.joined, s.h, &s.dense, a);
    stack.forward(ctx, p, s.h, s.sum, &s.stack, a);
    ctx.map(v.rows, width, AddScaled<T>{T(1), s.h, s.sum});
    out.forward(ctx, p, s.sum, v, &s.dense, a);
    to == nullptr ? a.rewind(mark) : void(*to = s);
  }
  template <class C, class T>
  KOKKOS_FUNCTION void backward(const C& ctx, const T* p, Gradient<T> g, ConstMatrix<T> dv,
                                const QueryGradient<T>& dq, Matrix<T> dz, const Saved<T>& s,
                                Arena<T>& a) const {
    const auto mark = a.used();
    const int rows = dv.rows, width = in.outputs();
    const auto dsum = a.take(rows, width), dh = a.take(rows, width), d = a.take(rows, in.inputs());
    out.backward(ctx, p, g, s.sum, dv, dsum, s.dense, a);
    stack.backward(ctx, p, g, s.h, dsum, dh, s.stack, a);
    ctx.map(rows, width, AddScaled<T>{T(1), dsum, dh});
    in.backward(ctx, p, g, s.joined, dh, d, s.dense, a);
    const Matrix<T> outs[] = {dq.x, dq.t};
    for (int k = 0, first = 0; k < 2; first += columns[k++]) {
      const Matrix<T> from = d.col_range(first, columns[k]);
      if (!outs[k].empty()) ctx.map(rows, columns[k], Copy<T>{from, outs[k]});
    }
    const Matrix<T> from = d.col_range(columns[0] + 1, columns[2]);
    if (!dz.empty()) ctx.map(rows, columns[2], AddScaled<T>{T(1), from, dz});
    a.rewind(mark);
  }
};
}  // namespace extension
