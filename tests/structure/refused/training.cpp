// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Trainers, and what they are made of, that must not compile, one for each CASE; CMakeLists.txt names the
// sentence that each must be refused with.
#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/models/mlp/source_posterior.hpp>
#include <vrfm/models/predicting.hpp>
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/so_flow.hpp>
#include <vrfm/objectives/variational_coupling.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/checkpoint.hpp>
#include <vrfm/training/trainer.hpp>

namespace {

using namespace vrfm;
using Exec = Kokkos::DefaultExecutionSpace;

struct Nothing {};

struct NoDraw {
  KOKKOS_FUNCTION int dimension() const { return 1; }
};

struct Source : NoDraw {
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    stream.normal(sample, step, 0, 1, x);
  }
};

struct NoCurvature {
  template <class T>
  KOKKOS_FUNCTION ScheduleValue<T> at(T t) const {
    return {t, 1 - t, 1, -1};
  }
};

/// Draws floats alone.
struct FloatSource : NoDraw {
  KOKKOS_FUNCTION void draw(std::uint64_t, std::uint32_t, const RandomStream&, float* x) const {
    x[0] = 0;
  }
};

struct NoState {
  struct Step {
    template <class T, class State>
    KOKKOS_FUNCTION T operator()(T parameter, T, State&) const {
      return parameter;
    }
  };
  void check() const {}
  template <class T>
  KOKKOS_FUNCTION Step at(std::int64_t) const {
    return {};
  }
};

template <class Objective = VelocityLoss, class Optimizer = AdamW, class Pairing, class T = float>
void train(const Pairing& coupling, const Objective& objective = {},
           const Optimizer& optimizer = {}, T = {}) {
  const Flow<T, Exec> flow(Exec(), {.dimension = 1}, 1);
  Trainer(flow, objective, optimizer, coupling).run(1, 1);
}

}  // namespace

int main() {
  [[maybe_unused]] const auto pairs = independent(Source{}, Source{});
#if CASE == 1
  train(NoDraw{});
#elif CASE == 2
  train([](float* x0, float* x1) { *x0 = *x1 = 0; });
#elif CASE == 3
  (void)independent([](float* x) { *x = 0; }, Source{});
#elif CASE == 4
  (void)independent(Source{}, Nothing{});
#elif CASE == 5
  train(independent(NoDraw{}, Source{}));
#elif CASE == 6
  train(independent(Source{}, NoDraw{}));
#elif CASE == 7
  train(independent(Source{}, FloatSource{}), VelocityLoss{}, AdamW{}, 0.0);
#elif CASE == 8
  train(GivenPairs<double, Exec>({}, {}));
#elif CASE == 9
  train(pairs, [](float) {});
#elif CASE == 10
  train(pairs, VelocityLoss{}, NoState{});
#elif CASE == 11
  train(pairs, VelocityLoss{}, [](float parameter, float) { return parameter; });
#elif CASE == 12
  train(pairs, BasicVelocityLoss<LinearSchedule, Nothing>{});
#elif CASE == 13
  (void)BasicElbo<Nothing>{};
#elif CASE == 14
  (void)BasicElbo<LinearSchedule, UniformTime, Nothing>{};
#elif CASE == 15
  (void)BasicVelocityLoss<LinearSchedule, UniformTime, SquaredDistance, Nothing>{};
#elif CASE == 16
  const Flow<float, Exec> flow(Exec(), {.dimension = 1}, 1);
  Trainer(flow, VelocityLoss{}, AdamW{}, pairs, {}, Nothing{}).run(1, 1);
#elif CASE == 17
  save_checkpoint("file", Flow<float, Exec>(Exec(), {.dimension = 1}, 1), {});
#elif CASE == 18
  load_checkpoint("file", Flow<float, Exec>(Exec(), {.dimension = 1}, 1), {});
#elif CASE == 19
  save_weights("file", Source{});
#elif CASE == 20
  (void)BasicSoFlow<StochasticPath<BridgeNoise>>{};
#elif CASE == 21
  (void)BasicConsistencyLoss<StochasticPath<BridgeNoise>>{};
#elif CASE == 22
  (void)VariationalCoupling<SoFlow>{};
#elif CASE == 23
  train(pairs, VariationalCoupling<VelocityLoss>{});
#elif CASE == 24
  const Flow<float, Exec, MlpCouplingNetworks<>> flow(Exec(), {.dimension = 1}, 1);
  Trainer(flow, VelocityLoss{}, AdamW{}, pairs).run(1, 1);
#elif CASE == 25
  (void)BasicVelocityLoss<StochasticPath<Nothing>>{};
#elif CASE == 26
  (void)Predicting<Prediction::data, MlpNetworks<>, NoCurvature>{};
#endif
}
