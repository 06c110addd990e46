// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls of sampling, and of what looks at samples, that must not compile, one for each CASE; CMakeLists.txt names the sentence that
// each must be refused with.
#include <vrfm/data/draw.hpp>
#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/log_likelihood.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/likelihood.hpp>

namespace {

using namespace vrfm;
using Exec = Kokkos::DefaultExecutionSpace;

struct Relaxation {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) const {
    v[0] = -x[0];
  }
};

struct Differentiable : Relaxation {
  template <class T>
  KOKKOS_FUNCTION void tangent(T, const T*, const T* dx, T* dv) const {
    dv[0] = -dx[0];
  }
};

struct NotConst {
  template <class T>
  KOKKOS_FUNCTION void operator()(T, const T* x, T* v) {
    v[0] = -x[0];
  }
};

struct Nothing {};

struct NoDraw {
  KOKKOS_FUNCTION int dimension() const { return 1; }
};

struct NoDensity : NoDraw {
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    stream.normal(sample, step, 0, 1, x);
  }
};

struct Source : NoDensity {
  template <class T>
  KOKKOS_FUNCTION T log_density(const T* x) const {
    return -x[0] * x[0] / T(2);
  }
};

struct NoCheck {
  KOKKOS_FUNCTION StepPlan plan(const GridView& grid) const { return {grid, 1, 0}; }
  KOKKOS_FUNCTION int evaluations(const StepPlan&) const { return 1; }
};

}  // namespace

int main() {
  const Exec exec;
  const auto field = pointwise<float>(Relaxation{}, 1);
  const auto differentiable = pointwise<float>(Differentiable{}, 1);
  const StochasticVelocity noisy(field, AdditiveNoise<Constant>{});
  const Table<float, Exec> x("x", 3, 1);
#if CASE == 1
  (void)integrate_all(exec, noisy, x, Euler{1});
#elif CASE == 2
  (void)sample_into(exec, noisy, Source{}, x, DormandPrince{}, {.count = 3});
#elif CASE == 3
  (void)sample(exec, field, Source{}, EulerMaruyama{1}, {.count = 3});
#elif CASE == 4
  (void)sample(exec, field, NoDraw{}, Euler{1}, {.count = 3});
#elif CASE == 5
  (void)sample(exec, field, Nothing{}, Euler{1}, {.count = 3});
#elif CASE == 6
  (void)integrate_all(exec, field, x, Nothing{});
#elif CASE == 7
  (void)integrate_all(exec, field, x, NoCheck{});
#elif CASE == 8
  (void)log_density(exec, differentiable, NoDensity{}, x, Euler{1});
#elif CASE == 9
  (void)log_density(exec, field, Source{}, x, Euler{1});
#elif CASE == 10
  (void)log_density(exec, differentiable, Source{}, x, EulerMaruyama{1});
#elif CASE == 11
  const Flow<float, Exec> flow(exec, {.latent = 2}, 1);
  (void)reconstruct(flow, x, x, EulerMaruyama{1});
#elif CASE == 12
  (void)sample(exec, [](float, const float*, float*) {}, Source{}, Euler{1}, {.count = 3});
#elif CASE == 13
  (void)integrate_all(exec, Nothing{}, x, Euler{1});
#elif CASE == 14
  (void)log_density(exec, Nothing{}, Source{}, x, Euler{1});
#elif CASE == 15
  const Table<double, Exec> doubles("doubles", 3, 1);
  (void)integrate_all(exec, field, doubles, Euler{1});
#elif CASE == 16
  const Array<float, Exec> row("row", 3);
  (void)sample_into(exec, field, Source{}, row, Euler{1}, {.count = 3});
#elif CASE == 17
  const std::vector<float> numbers(3);
  (void)log_density(exec, differentiable, Source{}, numbers, Euler{1});
#elif CASE == 18
  (void)integrate_all(exec, field, x, Euler{1}, {}, Nothing{});
#elif CASE == 19
  (void)sample(exec, field, [](float* drawn) { *drawn = 0; }, Euler{1}, {.count = 3});
#elif CASE == 20
  (void)integrate_all(exec, field, x, [](float) {});
#elif CASE == 21
  (void)draw_all(exec, Source{}, 3, 1, Purpose::source);
#elif CASE == 22
  (void)draw_all<float>(exec, NoDraw{}, 3, 1, Purpose::source);
#elif CASE == 23
  (void)energy_distance(exec, x, Table<double, Exec>("doubles", 3, 1));
#elif CASE == 24
  (void)integrate_all(exec, pointwise<float>(NotConst{}, 1), x, Euler{1});
#elif CASE == 25
  (void)pointwise<float>([](float t) { return t; }, 1);
#elif CASE == 26
  const Kokkos::View<const float**, Kokkos::LayoutRight, Exec> constant = x;
  (void)integrate_all(exec, field, constant, Euler{1});
#elif CASE == 27
  const std::vector<float> numbers(3);
  (void)energy_distance(exec, numbers, numbers);
#elif CASE == 28
  (void)true_log_likelihood(exec, NoDensity{}, x);
#endif
}
