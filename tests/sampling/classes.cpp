// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A flow with classes whose distributions are known, trained with a condition that is dropped now and then: each class
// is drawn from its own distribution, and without a condition from all of them.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <tests/support/catch.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/integrators/stochastic_velocity.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

// A namespace of its own: the tests of a folder may compile as one source, where `Exec` and `classes` of this file
// would be shadowed by the names of others.
namespace vrfm::test::by_class {
namespace {

using Exec = Kokkos::DefaultExecutionSpace;
constexpr int classes = 3;
constexpr double radius = 2;
#if defined(VRFM_TEST_BRIEFLY)
constexpr bool briefly = true;  // under the sanitizers: what is run, not what comes of it
#else
constexpr bool briefly = false;
#endif

KOKKOS_INLINE_FUNCTION double mean_of(int label, int d) {
  const double turn = 2 * 3.14159265358979 * label / classes;
  return radius * (d == 0 ? math::cos(turn) : math::sin(turn));
}
KOKKOS_INLINE_FUNCTION double deviation_of(int label) { return 0.2 * (label + 1); }

/// N(mean, deviation^2 I) of a class that is drawn first.
struct Classes {
  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = classes}; }
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<float>& slot) const {
    const int label = stream.index(sample, step, 8, classes);
    stream.normal(sample, step, 0, 2, slot.x1);
    for (int d = 0; d < 2; ++d) {
      slot.x1[d] = static_cast<float>(mean_of(label, d) + deviation_of(label) * slot.x1[d]);
    }
    *slot.label = label;
  }
};

struct Moments {
  double mean[2] = {}, deviation = 0;
};

template <class View>
Moments moments_of(const View& x) {
  const auto host = to_host(Exec(), x);
  Moments m;
  const auto count = static_cast<double>(host.extent(0));
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    for (std::size_t d = 0; d < 2; ++d) m.mean[d] += static_cast<double>(host(i, d)) / count;
  }
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    for (std::size_t d = 0; d < 2; ++d) {
      const double away = static_cast<double>(host(i, d)) - m.mean[d];
      m.deviation += away * away / (2 * count);
    }
  }
  m.deviation = std::sqrt(m.deviation);
  return m;
}

VelocityOptions<float, Exec> of_class(int label, double guidance) {
  const Array<std::int32_t, Exec> labels("labels", 1);
  Kokkos::deep_copy(labels, label);
  VelocityOptions<float, Exec> options;
  options.condition.labels = labels;
  options.guidance = guidance;
  return options;
}

}  // namespace

TEST_CASE("each class is drawn from its own distribution, and none from all",
          "[sampling][classes]") {
  const Exec exec;
  const Flow<float> flow(
      exec, {.dimension = 2, .classes = classes, .decoder_width = 32, .decoder_depth = 3}, 1);
  const auto source = standard_normal<float>(exec, 2);
  Trainer trainer(flow, VelocityLoss{}, AdamW{.learning_rate = 3e-3},
                  DroppedCondition(independent(source, Classes{}), 0.3), {.batch = 256, .seed = 1});
  trainer.run(briefly ? 10 : 1'200);

  if (briefly) WARN("trained for 10 steps under the sanitizers: distributions are not checked");
  const SampleOptions options{
      .count = briefly ? 20u : 4'000u, .grid = TimeGrid::uniform(0, 1, 40), .seed = 2};
  for (int label = 0; label < classes; ++label) {
    CAPTURE(label);
    // Of 4,000 samples and a short training: within a tenth of the radius, and of a class's width.
    const auto near_class = [&](const Moments& m) {
      if (briefly) return;
      for (int d = 0; d < 2; ++d) CHECK(std::fabs(m.mean[d] - mean_of(label, d)) < 0.1 * radius);
      CHECK(std::fabs(m.deviation / deviation_of(label) - 1) < 0.25);
    };
    const auto field = velocity_of(flow, of_class(label, 1));
    near_class(moments_of(sample(exec, field, source, Heun{}, options)));
    const StochasticVelocity stochastic(field, ScoreDiffusion<>{});
    near_class(
        moments_of(sample(exec, stochastic, source, EulerMaruyama{.last_step = 0.01}, options)));
    // Guidance leads away from the other classes.
    const auto guided =
        moments_of(sample(exec, velocity_of(flow, of_class(label, 2.5)), source, Heun{}, options));
    const double reach =
        (guided.mean[0] * mean_of(label, 0) + guided.mean[1] * mean_of(label, 1)) / radius;
    CHECK((briefly || reach > 1.05 * radius));
  }

  VelocityOptions<float, Exec> none;
  none.guidance = 0;
  const auto host = to_host(exec, sample(exec, velocity_of(flow, none), source, Heun{}, options));
  std::vector<double> share(classes);
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    int nearest = 0;
    double least = 1e9;
    for (int label = 0; label < classes; ++label) {
      const double x = static_cast<double>(host(i, 0)) - mean_of(label, 0),
                   y = static_cast<double>(host(i, 1)) - mean_of(label, 1);
      if (x * x + y * y < least) least = x * x + y * y, nearest = label;
    }
    share[static_cast<std::size_t>(nearest)] += 1.0 / static_cast<double>(host.extent(0));
  }
  for (const double one : share) CHECK((briefly || std::fabs(one - 1.0 / classes) < 0.1));
}

}  // namespace vrfm::test::by_class
