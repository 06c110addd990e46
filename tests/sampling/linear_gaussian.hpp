// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The linear-Gaussian flow: v = scale z is constant along a trajectory, so that from x0 ~ N(0, I) and z ~ N(0, I)
//   x1 | z ~ N(scale z, I),   x1 ~ N(0, (1 + scale^2) I),   z | x1 ~ N(scale x1 / (1 + scale^2), I / (1 + scale^2)).
#pragma once

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/flow.hpp>

namespace vrfm::test {

/// v = scale z
struct LinearVelocity {
  template <class T>
  struct PreparedSaved {};
  template <class T>
  struct Saved {};

  int columns = 1;
  double scale = 1;

  KOKKOS_FUNCTION int dimension() const { return columns; }
  KOKKOS_FUNCTION ModelInputs inputs() const { return {.latent = columns}; }
  KOKKOS_FUNCTION int prepared_cols() const { return columns; }

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
  KOKKOS_FUNCTION void forward(const C& ctx, const T*, const Query<T>&, ConstMatrix<T> z,
                               const DrawAddress*, Matrix<T> v, Saved<T>*, Arena<T>&) const {
    ctx.map(v.rows, v.cols, Fill<T>{v, T(0)});
    ctx.map(v.rows, v.cols, AddScaled<T>{static_cast<T>(scale), z, v});
  }
  template <class C, class T>
  KOKKOS_FUNCTION void backward(const C& ctx, const T*, Gradient<T>, ConstMatrix<T> dv,
                                const QueryGradient<T>& dq, Matrix<T> dz, const Saved<T>&,
                                Arena<T>&) const {
    if (!dz.empty()) ctx.map(dv.rows, dv.cols, AddScaled<T>{static_cast<T>(scale), dv, dz});
    if (!dq.x.empty()) ctx.map(dv.rows, dv.cols, Fill<T>{dq.x, T(0)});
    if (!dq.t.empty()) ctx.map(dv.rows, 1, Fill<T>{dq.t, T(0)});
  }
  template <class C, class T>
  KOKKOS_FUNCTION void tangent(const C& ctx, const T*, const Query<T>&, Matrix<T> dv,
                               const Saved<T>&, Arena<T>&) const {
    ctx.map(dv.rows, dv.cols, Fill<T>{dv, T(0)});
  }
};

/// N(slope x1, variance)
struct LinearPosterior {
  template <class T>
  struct Saved {};

  int columns = 1;
  double slope = 0, variance = 1;
  EncoderInput sees = EncoderInput::x1;

  KOKKOS_FUNCTION int latent() const { return columns; }
  KOKKOS_FUNCTION EncoderInput input() const { return sees; }
  KOKKOS_FUNCTION ModelInputs inputs() const { return {.latent = columns}; }
  template <class C, class T>
  KOKKOS_FUNCTION void moments(const C& ctx, const T*, const LatentInputs<T>& inputs,
                               Matrix<T> moments, Saved<T>*, Arena<T>&) const {
    const Matrix<T> mean = moments.col_range(0, columns), s = moments.col_range(columns, columns);
    ctx.map(mean.rows, columns, Fill<T>{mean, T(0)});
    ctx.map(mean.rows, columns, AddScaled<T>{static_cast<T>(slope), inputs.x1, mean});
    ctx.map(mean.rows, columns, Fill<T>{s, static_cast<T>(math::log(variance))});
  }
  template <class C, class T>
  KOKKOS_FUNCTION void backward(const C&, const T*, Gradient<T>, ConstMatrix<T>,
                                const ConditionGradient<T>&, const Saved<T>&, Arena<T>&) const {}
};

struct LinearOptions {
  int columns = 1;
  double scale = 1;
  double slope = 0.5, variance = 0.5;  ///< of the posterior; the true one by default
  EncoderInput sees = EncoderInput::x1;
};

struct LinearNetworks {
  using Options = LinearOptions;

  LinearVelocity velocity;
  LinearPosterior posterior;
  StandardPrior prior;

  LinearNetworks(ParameterList& list, const Options& o)
      : velocity{o.columns, o.scale},
        posterior{o.columns, o.slope, o.variance, o.sees},
        prior(o.columns) {
    list.add("unused", {1}, Initializer::constant(0));
  }
};

template <class T, class Exec>
Flow<T, Exec, LinearNetworks> linear_flow(const LinearOptions& options) {
  return {Exec(), options, 1};
}

}  // namespace vrfm::test
