// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flows given a condition against closed forms. x | c has the columns N(f(c), g(c)^2) and a mixture of -1 and 1 of weight
// w(c), c a number, a label or the mean of a field. Over the range of c: the mean, the spread, and how often central
// intervals of 19 members hold the truth. That is computed with truths at equal steps of their distribution, so that
// the members' scatter alone is left, about 0.3 points. Short trainings here; "[long]" has those that reach two points.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/table.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/metrics/calibration.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/models/residual_mlp/networks.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

constexpr double mode_deviation = 0.25;
constexpr int labels = 5, pixels = 16;

KOKKOS_INLINE_FUNCTION double f(double c) { return math::sin(2 * c); }
KOKKOS_INLINE_FUNCTION double g(double c) { return 0.5 + 0.25 * c; }
KOKKOS_INLINE_FUNCTION double w(double c) { return 0.5 + 0.4 * c; }
KOKKOS_INLINE_FUNCTION double of_label(int label) { return 0.4 * label - 0.8; }

/// Both columns, given c as a vector of one column, or as a label.
struct TwoColumns {
  bool labelled;
  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION ConditionShape condition() const {
    return labelled ? ConditionShape{.classes = labels} : ConditionShape{.columns = 1};
  }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    double c = 2 * stream.uniform<double>(sample, step, 0) - 1;
    if (labelled) {
      *slot.label = stream.index(sample, step, 0, labels);
      c = of_label(*slot.label);
    } else {
      slot.vector[0] = static_cast<T>(c);
    }
    const double side = stream.uniform<double>(sample, step, 1) < w(c) ? 1 : -1;
    T e[2];
    stream.normal(sample, step, 4, 2, e);
    slot.x1[0] = static_cast<T>(f(c) + g(c) * static_cast<double>(e[0]));
    slot.x1[1] = static_cast<T>(side + mode_deviation * static_cast<double>(e[1]));
  }
};

/// Images of 4 x 4 pixels, each N(f(c), g(c)^2), given a field of which c is the mean.
struct Images {
  KOKKOS_FUNCTION int dimension() const { return pixels; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.field_columns = pixels}; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<T>& slot) const {
    const double centre = 2 * stream.uniform<double>(sample, step, 0) - 1;
    stream.normal(sample, step, 4, pixels, slot.field);
    double c = 0;
    for (int j = 0; j < pixels; ++j) {
      slot.field[j] = static_cast<T>(centre + 0.3 * static_cast<double>(slot.field[j]));
      c += static_cast<double>(slot.field[j]) / pixels;
    }
    stream.normal(sample, step, 4 + pixels, pixels, slot.x1);
    for (int j = 0; j < pixels; ++j)
      slot.x1[j] = static_cast<T>(f(c) + g(c) * static_cast<double>(slot.x1[j]));
  }
};

enum class Law { gaussian, mixture };

double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

double quantile(Law law, double c, double p) {
  double low = -8, high = 8;
  for (int i = 0; i < 50; ++i) {
    const double x = (low + high) / 2;
    const double below = law == Law::gaussian
                             ? normal_cdf((x - f(c)) / g(c))
                             : w(c) * normal_cdf((x - 1) / mode_deviation) +
                                   (1 - w(c)) * normal_cdf((x + 1) / mode_deviation);
    (below < p ? low : high) = x;
  }
  return low;
}

/// Over some c. Coverages in points from their level, the worst and the mean of the absolute; those of means and spreads
/// in the law's own deviation.
struct Judgement {
  double worst_50 = 0, worst_90 = 0, mean_50 = 0, mean_90 = 0, mean_off = 0, spread_off = 0;
};

/// draw(c): numbers that are distributed by `law`.
template <class Draw>
Judgement judge(const char* name, Law law, const std::vector<double>& range, const Draw& draw) {
  constexpr std::size_t members = 19;
  Judgement all;
  for (const double c : range) {
    const std::vector<double> numbers = draw(c);
    const std::size_t cases = numbers.size() / members;
    const Kokkos::View<double***, Kokkos::LayoutRight, Kokkos::HostSpace> ensembles(
        "ensembles", cases, members, 1);
    std::vector<double> truths;
    for (std::size_t i = 0; i < cases; ++i) {
      truths.push_back(
          quantile(law, c, (static_cast<double>(i) + 0.5) / static_cast<double>(cases)));
      for (std::size_t j = 0; j < members; ++j) ensembles(i, j, 0) = numbers[i * members + j];
    }
    const Kokkos::DefaultHostExecutionSpace host;
    const auto inside = interval_coverage(
        host, ensembles, table<double, Kokkos::DefaultHostExecutionSpace>(cases, 1, truths));
    const double share = 1 / static_cast<double>(range.size());
    const double off_50 = std::fabs(100 * inside[0].coverage.value - 50),
                 off_90 = std::fabs(100 * inside[1].coverage.value - 90);
    all.worst_50 = std::fmax(all.worst_50, off_50);
    all.worst_90 = std::fmax(all.worst_90, off_90);
    all.mean_50 += share * off_50;
    all.mean_90 += share * off_90;
    double mean = 0, square = 0;
    for (const double x : numbers) mean += x / static_cast<double>(numbers.size());
    for (const double x : numbers)
      square += (x - mean) * (x - mean) / static_cast<double>(numbers.size());
    const double true_mean = law == Law::gaussian ? f(c) : 2 * w(c) - 1,
                 deviation =
                     law == Law::gaussian
                         ? g(c)
                         : std::sqrt(1 - true_mean * true_mean + mode_deviation * mode_deviation);
    all.mean_off = std::fmax(all.mean_off, std::fabs(mean - true_mean) / deviation);
    all.spread_off = std::fmax(all.spread_off, std::fabs(std::sqrt(square) / deviation - 1));
  }
  std::printf(
      "%-34s inside 50 %%: off by %4.1f (mean %4.1f), 90 %%: %4.1f (%4.1f) points; mean %.3f, "
      "spread %.3f\n",
      name, all.worst_50, all.mean_50, all.worst_90, all.mean_90, all.mean_off, all.spread_off);
  std::fflush(stdout);
  return all;
}

struct Budget {
  int steps, batch;
  double ema;
  std::size_t rows;  ///< that are drawn for each c
};

template <class FlowType, class Objective, class Target>
FlowType trained(const FlowType& flow, const Objective& objective, const Target& target,
                 const Budget& budget) {
  const auto noise = standard_normal<float>(Exec{}, target.dimension());
  Trainer trainer(flow, objective,
                  AdamW{.learning_rate = StepFunction::cosine(3e-3, 0, budget.steps)},
                  independent(noise, target),
                  {.batch = budget.batch, .seed = 1, .clip_norm = 1, .ema_decay = budget.ema});
  trainer.run(budget.steps);
  return flow.with_values(trainer.average());
}

/// Columns first, first + stride, ... of the rows that `flow` draws given `condition`.
template <class FlowType, class Solver>
std::vector<double> drawn(const FlowType& flow, const ConditionTables<float, Exec>& condition,
                          const Solver& solver, int steps, std::size_t rows, std::size_t first,
                          std::size_t stride) {
  const auto x =
      numbers_of(sample(Exec{}, velocity_of(flow, {.condition = condition}),
                        standard_normal<float>(Exec{}, flow.dimension()), solver,
                        {.count = rows, .grid = TimeGrid::uniform(0, 1, steps), .seed = 3}));
  std::vector<double> numbers;
  for (std::size_t i = first; i < x.size(); i += stride) numbers.push_back(x[i]);
  return numbers;
}

/// Of both columns.
struct Judgements {
  Judgement gaussian, mixture;
};

template <class FlowType, class Solver>
Judgements judge_columns(const std::string& name, const FlowType& flow, bool labelled,
                         const Solver& solver, int steps, std::size_t rows) {
  std::vector<double> range;
  for (int k = 0; k < labels; ++k) range.push_back(of_label(k));
  if (!labelled) range = {-0.9, -0.7, -0.45, -0.2, 0, 0.2, 0.45, 0.7, 0.9};
  const auto of = [&](Law law, std::size_t column, const char* title) {
    return judge((name + title).c_str(), law, range, [&](double c) {
      ConditionTables<float, Exec> condition;
      if (labelled) {
        const Array<std::int32_t, Exec> label("label", 1);
        Kokkos::deep_copy(label, static_cast<std::int32_t>(std::lround((c + 0.8) / 0.4)));
        condition.labels = label;
      } else {
        condition.vector = table<float, Exec>(1, 1, {c});
      }
      return drawn(flow, condition, solver, steps, rows, column, 2);
    });
  };
  return {of(Law::gaussian, 0, ", Gaussian"), of(Law::mixture, 1, ", mixture")};
}

struct Pair {
  Judgements rfm, rfm_2, vrfm_2;
};

Pair train_both(bool labelled, const Budget& budget) {
  ResidualMlpFlowOptions o{.dimension = 2,
                           .classes = labelled ? labels : 0,
                           .condition_columns = labelled ? 0 : 1,
                           .trunk = {.width = 64, .blocks = 2},
                           .posterior_trunk = {.width = 64, .blocks = 1},
                           .encoder = {.features = 32, .width = 32}};
  const TwoColumns target{labelled};
  const std::string given = labelled ? " given a label" : " given a number";
  Pair pair;
  {
    const Flow<float, Exec, ResidualMlpNetworks<>> flow(Exec{}, o, 1);
    const auto rfm = trained(flow, VelocityLoss{}, target, budget);
    pair.rfm = judge_columns("RFM" + given, rfm, labelled, Midpoint{}, 10, budget.rows);
    pair.rfm_2 = judge_columns("RFM at 2" + given, rfm, labelled, Euler{}, 2, budget.rows);
  }
  o.latent = 4;
  o.prior = PriorKind::given_condition;
  const Flow<float, Exec, LearnedBeta<ResidualMlpNetworks<>>> flow(Exec{},
                                                                   {.networks = o, .beta = 0.3}, 1);
  const auto vrfm = trained(flow, Elbo{.rate = 4}, target, budget);
  pair.vrfm_2 = judge_columns("V-RFM at 2" + given, vrfm, labelled, Euler{}, 2, budget.rows);
  return pair;
}

Judgement train_on_fields(const Budget& budget) {
  const Flow<float, Exec, UnetNetworks> flow(Exec{},
                                             {.velocity = {.path = {.grid = {4, 4},
                                                                    .channels = 1,
                                                                    .base = 16,
                                                                    .multipliers = {1},
                                                                    .blocks = 1,
                                                                    .attention_extents = {4},
                                                                    .head_channels = 16},
                                                           .field_channels = 1}},
                                             1);
  const auto rfm = trained(flow, VelocityLoss{}, Images{}, budget);
  return judge("RFM given a field", Law::gaussian, {-0.8, -0.4, 0, 0.4, 0.8}, [&](double c) {
    constexpr std::size_t fields = 64;
    std::vector<double> numbers;
    for (std::size_t i = 0; i < fields; ++i) {
      double e[pixels], mean = 0;
      RandomStream(9, Purpose::user).normal(i, 0, 0, pixels, e);
      for (const double x : e) mean += x / pixels;
      for (const double x : e) numbers.push_back(c + 0.3 * (x - mean));
    }
    ConditionTables<float, Exec> condition;
    condition.field = table<float, Exec>(fields, pixels, numbers);
    return drawn(rfm, condition, Midpoint{}, 10, budget.rows / pixels, 0, 1);
  });
}

double mean_of_all(const Judgements& j) {
  return (j.gaussian.mean_50 + j.gaussian.mean_90 + j.mixture.mean_50 + j.mixture.mean_90) / 4;
}

}  // namespace

#if defined(VRFM_TEST_BRIEFLY)
constexpr Budget brief{5, 32, 0.9, 190};
#else
constexpr Budget brief{1000, 512, 0.99, 4'750};
#endif

TEST_CASE("flows given a number have the closed forms' means, spreads and intervals",
          "[training][conditional]") {
  const Pair of = train_both(false, brief);
  if (brief.steps < 100) return;  // they ran, under sanitizers
  for (const Judgement& j : {of.rfm.gaussian, of.rfm.mixture}) {
    CHECK(j.mean_50 < 3);
    CHECK(j.mean_90 < 3);
    CHECK(j.mean_off < 0.15);
    CHECK(j.spread_off < 0.15);
  }
  CHECK(mean_of_all(of.rfm_2) > 20);
  CHECK(mean_of_all(of.vrfm_2) < 8);
}

// ctest --preset matrix runs these: minutes.
TEST_CASE("intervals within two points, of flows given a number", "[.][long]") {
  const Pair of = train_both(false, {4000, 1024, 0.998, 38'000});
  for (const Judgement& j : {of.rfm.gaussian, of.rfm.mixture}) {
    CHECK(j.worst_50 < 2);
    CHECK(j.worst_90 < 2);
    CHECK(j.mean_off < 0.05);
    CHECK(j.spread_off < 0.05);
  }
  CHECK(of.vrfm_2.gaussian.worst_50 < 3);
  CHECK(of.vrfm_2.gaussian.worst_90 < 3);
  CHECK(of.vrfm_2.mixture.worst_50 < 6);
  CHECK(of.vrfm_2.mixture.worst_90 < 3);
  CHECK(mean_of_all(of.rfm_2) > 20);
}

TEST_CASE("intervals within two points, of flows given a label", "[.][long]") {
  const Pair of = train_both(true, {4000, 1024, 0.998, 38'000});
  for (const Judgement& j : {of.rfm.gaussian, of.rfm.mixture}) {
    CHECK(j.worst_50 < 2);
    CHECK(j.worst_90 < 2);
  }
  CHECK(of.vrfm_2.gaussian.worst_50 < 3);
  CHECK(of.vrfm_2.gaussian.worst_90 < 3);
  CHECK(mean_of_all(of.rfm_2) > 20);
}

TEST_CASE("intervals within two points, of a flow given a field", "[.][long]") {
  const Judgement j = train_on_fields({2000, 128, 0.998, 38'000});
  CHECK(j.worst_50 < 2);
  CHECK(j.worst_90 < 2);
  CHECK(j.mean_off < 0.1);
  CHECK(j.spread_off < 0.05);
}
