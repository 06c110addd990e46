// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flows whose networks are stored in bfloat16: their answers and gradients beside those of the same rounded
// parameters in float, the memory of a step, the same bits for any number of threads, and a training that is
// stopped and goes on.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/models/transformer/networks.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/held_out_loss.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm::test {
namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;
using Half = Stored<BFloat16, TransformerNetworks>;
template <class Networks, class Space = Exec>
using FlowOf = Flow<float, Space, Networks>;

TransformerFlowOptions small_flow() {
  TransformerFlowOptions options;
  options.velocity.trunk = {.height = 8,
                            .width = 8,
                            .channels = 2,
                            .patch = 2,
                            .embedding = 32,
                            .depth = 2,
                            .heads = 2,
                            .hidden = 4};
  options.velocity.latent = 4;
  options.velocity.classes = 3;
  options.velocity.condition_columns = 2;
  options.prior = PriorKind::given_condition;
  return options;
}

/// Images of one tone, which is normal, with its label and a vector.
struct Tones {
  KOKKOS_FUNCTION int dimension() const { return 128; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = 3, .columns = 2}; }
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<float>& slot) const {
    const int label = stream.index(sample, step, 8, 3);
    float tone[2];
    stream.normal(sample, step, 0, 2, tone);
    for (int d = 0; d < 128; ++d) slot.x1[d] = static_cast<float>(label) - 1 + 0.1f * tone[d % 2];
    *slot.label = label;
    slot.vector[0] = tone[0];
    slot.vector[1] = tone[1];
  }
};

template <class Space>
auto tones(const Space& exec) {
  return independent(standard_normal<float>(exec, 128), Tones{});
}

/// The flow with parameters that are no longer the ones a training starts from, where gates are zero, and that
/// bfloat16 holds exactly.
template <class Networks>
FlowOf<Networks> rounded_flow(const Exec& exec) {
  const FlowOf<Networks> flow(exec, small_flow(), 5);
  const auto values = Kokkos::create_mirror_view(flow.values());
  for (std::size_t k = 0; k < values.extent(0); ++k) {
    const auto place = static_cast<double>(k);
    values(k) = float(BFloat16(values(k) + static_cast<float>(0.05 * std::sin(37 * place))));
  }
  Kokkos::deep_copy(flow.values(), values);
  return flow;
}

/// sqrt(sum (a - b)^2 / sum b^2)
template <class A, class B>
double relative(const A& a, const B& b) {
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double x = static_cast<double>(a.data()[k]), y = static_cast<double>(b.data()[k]);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

template <class Networks>
auto gradient_of(const Exec& exec, const FlowOf<Networks>& flow) {
  const Elbo elbo{.beta = 0.1};
  const auto coupling = tones(exec);
  const Launch launch{Execution::batch, 0};
  const auto partition = detail::partition_of<Exec>(8, launch);
  const detail::Shards<SelfCommunicator> shards({}, partition, flow.parameters().count(), false);
  BatchGradient gradient(flow, elbo, coupling, DrawAddress{.seed = 3, .step = StepNumber(7)},
                         launch, static_cast<const float*>(nullptr), shards);
  gradient.enqueue();
  exec.fence();
  return std::vector<float>(gradient.gradient(), gradient.gradient() + flow.parameters().count());
}

auto options_of_training() {
  return TrainerOptions{.batch = 8, .seed = 2, .clip_norm = 1, .ema_decay = 0.9};
}

}  // namespace

TEST_CASE("networks stored in bfloat16 answer as in float", "[models][stored]") {
  const Exec exec;
  const auto whole = rounded_flow<TransformerNetworks>(exec);
  const auto half = rounded_flow<Half>(exec);
  // Some ten roundings of 2^-9 follow one another; the scale that two blocks give them is measured.
  constexpr double tolerance = 0.03;

  const auto draw = [&](const auto& flow, double guidance) {
    const Array<std::int32_t, Exec> labels("labels", 1);
    const Table<float, Exec> vectors("vectors", 1, 2);
    VelocityOptions<float, Exec> options;
    options.condition.labels = labels;
    options.condition.vector = vectors;
    options.guidance = guidance;
    return sample(exec, velocity_of(flow, options), standard_normal<float>(exec, 128), Heun{},
                  {.count = 5, .grid = TimeGrid::uniform(0, 1, 2), .seed = 1});
  };
  for (const double guidance : {1.0, 1.5}) {
    const double error = relative(draw(half, guidance), draw(whole, guidance));
    CHECK(error < tolerance);
    CHECK(error > 1e-5);  // it is rounded indeed
  }
  const double error = relative(gradient_of(exec, half), gradient_of(exec, whole));
  CHECK(error < tolerance);
  CHECK(error > 1e-5);

  const auto losses = [&](const auto& flow) {
    return held_out_losses(flow, Elbo{.beta = 0.1}, tones(exec), {.count = 8, .seed = 4}).means;
  };
  const auto expected = losses(whole), got = losses(half);
  for (std::size_t k = 0; k < Elbo::terms.size(); ++k) {
    CAPTURE(Elbo::terms[k]);
    CHECK(std::fabs(got[k] - expected[k]) < tolerance * std::fabs(expected[k]));
  }
}

TEST_CASE("a step stored in bfloat16 takes little more than half the memory", "[models][stored]") {
  const auto peak = [](const auto& flow) {
    using Networks = std::decay_t<decltype(flow.networks())>;
    using Rows = detail::EvaluateRows<float, Networks, Elbo, decltype(tones(Exec()))>;
    const Exec exec;
    const auto values = stored_values<typename Rows::P>(exec, flow.values());
    const Rows rows{flow.networks(), {}, tones(exec), values.data(), nullptr, 0.25, {}};
    auto arena = Arena<float>::measure();
    double losses[Rows::terms];
    rows(BatchContext<Exec>::dry_run(exec), 4, 0,
         Gradient<float>{flow.values().data(), false, nullptr}, losses, Update::overwrite, arena);
    return static_cast<double>(arena.peak());
  };
  auto options = small_flow();
  // As wide as a published one, so that what a step takes besides blocks does not count.
  options.velocity.trunk = {.height = 16,
                            .width = 16,
                            .channels = 2,
                            .patch = 2,
                            .embedding = 192,
                            .depth = 4,
                            .heads = 3,
                            .hidden = 4};
  const Exec exec;
  const double ratio =
      peak(FlowOf<Half>(exec, options, 1)) / peak(FlowOf<TransformerNetworks>(exec, options, 1));
  CAPTURE(ratio);
  CHECK(ratio < 0.62);
  CHECK(ratio > 0.4);
}

TEST_CASE("training stored in bfloat16 learns in steps that float holds", "[models][stored]") {
  const Exec exec;
  const FlowOf<Half> flow(exec, small_flow(), 5);
  Trainer trainer(flow, Elbo{.beta = 0.01}, AdamW{.learning_rate = 2e-3}, tones(exec),
                  options_of_training());
#if defined(VRFM_TEST_BRIEFLY)
  trainer.run(2);
  WARN("trained for 2 steps under the sanitizers: whether it learns is not checked");
#else
  double first = 0, last = 0;
  trainer.run(120, 20, [&](const TrainingReport& report) {
    (report.step == 20 ? first : last) = report.means[0];
  });
  CHECK(last < 0.5 * first);
  // Steps of this learning rate are below bfloat16's spacing at most weights: the values are not rounded.
  const auto values = to_host(exec, flow.values());
  std::size_t between = 0;
  for (std::size_t k = 0; k < values.extent(0); ++k) {
    between += values(k) != float(BFloat16(values(k)));
  }
  CHECK(between > values.extent(0) / 2);
#endif
}

/// The values after four steps, which may be two and two.
template <class Space>
std::vector<float> train(bool in_parts) {
  const Space exec;
  const FlowOf<Half, Space> flow(exec, small_flow(), 5);
  const auto trainer_of = [&] {
    return Trainer(flow, Elbo{.beta = 0.01}, AdamW{.learning_rate = 2e-3}, tones(exec),
                   options_of_training());
  };
  auto trainer = trainer_of();
  trainer.run(in_parts ? 2 : 4);
  if (in_parts) {
    auto next = trainer_of();
    for (std::size_t k = 0; k < trainer.state().size(); ++k) {
      Kokkos::deep_copy(next.state()[k].values, trainer.state()[k].values);
    }
    next.resume_at(2);
    next.run(4);
  }
  const auto values = to_host(exec, flow.values());
  return std::vector<float>(values.data(), values.data() + values.size());
}

TEST_CASE("training stored in bfloat16 has the same bits on one thread and in parts",
          "[models][stored]") {
  const auto whole = train<Exec>(false);
  CHECK(train<Exec>(true) == whole);
  CHECK(train<Kokkos::Serial>(false) == whole);
}

}  // namespace vrfm::test
