// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How much velocities depend on z: the linear-Gaussian flow, networks by hand.
#include <cmath>

#include <tests/sampling/flows.hpp>
#include <tests/sampling/linear_gaussian.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/metrics/latent_diagnostics.hpp>
#include <vrfm/sampling/velocity_spread.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using SpreadExec = Kokkos::DefaultExecutionSpace;

std::vector<double> elements_of(const Array<double, SpreadExec>& array) {
  const auto host = Kokkos::create_mirror_view(array);
  Kokkos::deep_copy(host, array);
  return {host.data(), host.data() + host.extent(0)};
}

double mean_of_elements(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / double(values.size());
}

/// x1 = scale z + x0 of standard normal z and x0, so that u = scale z: rows of two columns.
struct LinearPairs {
  Table<double, SpreadExec> x0, x1;
};
LinearPairs linear_pairs(std::size_t rows, double scale) {
  std::vector<double> from, to;
  for (std::size_t i = 0; i < rows; ++i) {
    double e[4];
    RandomStream(1, Purpose::user).normal(i, 0, 0, 4, e);
    for (int j = 0; j < 2; ++j) {
      from.push_back(e[j]);
      to.push_back(e[j] + scale * e[2 + j]);
    }
  }
  return {table<double, SpreadExec>(rows, 2, from), table<double, SpreadExec>(rows, 2, to)};
}

}  // namespace

TEST_CASE("the spread of v = scale z is scale^2 a column", "[sampling][spread]") {
  const double scale = 3;
  const auto flow = linear_flow<double, SpreadExec>({.columns = 2, .scale = scale});
  const std::size_t rows = 2000;
  const auto x = table<double, SpreadExec>(rows, 2, Numbers(1).take(2 * rows));
  const SpreadOptions<double, SpreadExec> options{.draws = 4, .seed = 2};
  const auto spread = elements_of(velocity_spread(flow, x, 0.5, options));
  // A row's variance is a chi-square number of 6 degrees: relative deviation sqrt(2 / 6).
  CHECK(std::fabs(mean_of_elements(spread) / (2 * scale * scale) - 1) <
        4 * std::sqrt(1.0 / 3 / rows));
  // By hand, from the draws of z.
  for (std::size_t i = 0; i < 3; ++i) {
    double sum = 0;
    for (int j = 0; j < 2; ++j) {
      double z[4], mean = 0;
      for (std::uint32_t m = 0; m < 4; ++m) {
        double e[2];
        RandomStream(2, purpose_of(Use::sampling, Purpose::prior)).normal(i, m, 0, 2, e);
        z[m] = scale * e[j];
        mean += z[m] / 4;
      }
      for (const double value : z) sum += (value - mean) * (value - mean) / 3;
    }
    CHECK(std::fabs(spread[i] - sum) <= 100 * epsilon<double>);
  }
  const auto ignored = linear_flow<double, SpreadExec>({.columns = 2, .scale = 0});
  CHECK(elements_of(velocity_spread(ignored, x, 0.5)) == std::vector<double>(rows, 0.0));
}

TEST_CASE("the share of the velocity's variance that z explains", "[sampling][spread]") {
  const double scale = 3;
  const std::size_t rows = 4000;
  const auto pairs = linear_pairs(rows, scale);
  // At t = 0, var u = scale^2 a column. The true posterior N(scale x1 / 10, 1 / 10) leaves, of z given x1, twice its
  // variance: that of z itself and that of the draw.
  const auto flow = linear_flow<double, SpreadExec>(
      {.columns = 2, .scale = scale, .slope = scale / 10, .variance = 0.1});
  const auto found = velocity_residuals(flow, pairs.x0, pairs.x1, 0, {.draws = 3, .seed = 4});
  const double variance = 2 * scale * scale;
  const double without = mean_of_elements(elements_of(found.without_z));
  // |u - mean|^2 has the variance's 2 columns and a third of them from the draws, before that is taken off.
  CHECK(std::fabs(without / variance - 1) < 4 * 1.5 / std::sqrt(double(rows)));
  const double with = mean_of_elements(elements_of(found.with_z));
  CHECK(std::fabs(with / (variance / 5) - 1) < 4 / std::sqrt(double(rows)));
  const Estimate left = ratio_of(SpreadExec(), found.with_z, found.without_z);
  CHECK(std::fabs(left.value - 0.2) < 4 * left.standard_error);
  CHECK(left.standard_error < 0.01);
  CHECK(elements_of(found.spread) ==
        elements_of(velocity_spread(flow, pairs.x0, 0, {.draws = 3, .seed = 4})));
  // A posterior that is the prior explains nothing: its residual is twice the variance.
  const auto blind =
      linear_flow<double, SpreadExec>({.columns = 2, .scale = scale, .slope = 0, .variance = 1});
  const auto guessed =
      mean_of_elements(elements_of(velocity_residuals(blind, pairs.x0, pairs.x1, 0).with_z));
  CHECK(std::fabs(guessed / (2 * variance) - 1) < 4 / std::sqrt(double(rows)));
}

TEST_CASE("diagnostics of z from a flow's tables", "[sampling][spread]") {
  const double scale = 3;
  const std::size_t rows = 4000;
  const auto pairs = linear_pairs(rows, scale);
  const auto state_of = [&](const LinearOptions& options) {
    const auto flow = linear_flow<double, SpreadExec>(options);
    const auto code = encode(flow, {}, pairs.x1);
    const auto usage = latent_usage(SpreadExec(), code.mean, code.log_variance);
    // E mu^2 = slope^2 (1 + scale^2)
    const double square = options.slope * options.slope * 10;
    const double kl = (square + options.variance - 1 - std::log(options.variance)) / 2;
    for (const Estimate& found : usage.kl)
      CHECK(std::fabs(found.value - kl) <= 4 * found.standard_error + 1e-12);
    return describe_latents(usage,
                            aggregated_posterior(SpreadExec(), code.z, draw_latents(flow, rows)));
  };
  // The true posterior's aggregate is the prior; one of half the slope has the variance 0.225 + 0.1.
  CHECK(state_of({.columns = 2, .scale = scale, .slope = 0.3, .variance = 0.1}) ==
        "2 of 2 dimensions active; aggregated posterior near the prior");
  CHECK(state_of({.columns = 2, .scale = scale, .slope = 0.15, .variance = 0.1}) ==
        "2 of 2 dimensions active; aggregated posterior far from prior: larger beta, or a learned "
        "prior");
  CHECK(contains(state_of({.columns = 2, .scale = scale, .slope = 0.03, .variance = 1}),
                 "0 of 2 dimensions active: z is ignored"));
}

TEST_CASE("residuals of networks with a condition and a learned prior", "[sampling][spread]") {
  const auto every_input =
      EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t;
  const auto flow = small_flow<double, SpreadExec>(
      {.latent = 2, .encoder_input = every_input, .prior = PriorKind::given_source, .classes = 3});
  const auto from = Numbers(1).take(10), to = Numbers(2).take(10);
  const auto x0 = table<double, SpreadExec>(5, 2, from), x1 = table<double, SpreadExec>(5, 2, to);
  const ConditionTables<double, SpreadExec> condition{.labels =
                                                          labels_of<SpreadExec>({0, 2, 1, 3, 2})};
  const double t = 0.25;
  const auto found = velocity_residuals(
      flow, x0, x1, t, {.draws = 2, .condition = condition, .seed = 6, .first_id = 3});
  std::vector<double> middle;
  for (std::size_t i = 0; i < 10; ++i) middle.push_back((1 - t) * from[i] + t * to[i]);
  // One Euler step from x_t tells the velocity there.
  const auto code =
      encode(flow, x0, x1, {.condition = condition, .t = t, .seed = 6, .first_id = 3});
  const auto step = table<double, SpreadExec>(5, 2, middle);
  const auto field = velocity_of(flow, {.latents = code.z, .condition = condition});
  CHECK(integrate_all(SpreadExec(), field, step, Euler{1}, {.grid = {t, t + 0.5}}).finished());
  const auto moved = numbers_of(step);
  const auto with = elements_of(found.with_z);
  for (std::size_t i = 0; i < 5; ++i) {
    double sum = 0;
    for (std::size_t j = 2 * i; j < 2 * i + 2; ++j) {
      const double v = (moved[j] - middle[j]) / 0.5;
      sum += (to[j] - from[j] - v) * (to[j] - from[j] - v);
    }
    CHECK(std::fabs(with[i] - sum) <= 1e4 * epsilon<double> * (1 + sum));
  }
  // The prior sees x0, not x_t: draw 0 is that of draw_latents, and the variance of two is half the squared distance.
  const auto spread =
      velocity_spread(flow, table<double, SpreadExec>(5, 2, middle), t,
                      {.draws = 2, .condition = condition, .seed = 6, .first_id = 3}, x0);
  CHECK(elements_of(spread) == elements_of(found.spread));
  const auto batch = velocity_residuals(flow, x0, x1, t,
                                        {.draws = 2,
                                         .condition = condition,
                                         .seed = 6,
                                         .first_id = 3,
                                         .launch = {Execution::batch, 2}});
  CHECK(elements_of(batch.without_z) == elements_of(found.without_z));

  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  CHECK(error([&] { velocity_spread(flow, x0, t, {.condition = condition}); }) ==
        "vrfm: the prior sees x0, which was not given");
  CHECK(error([&] { velocity_residuals(flow, x0, x1, t, {.draws = 1, .condition = condition}); }) ==
        "vrfm: a velocity's spread needs at least 2 draws of z, got 1");
  CHECK(error([&] { velocity_residuals(flow, x0, x1, 2, {.condition = condition}); }) ==
        "vrfm: a velocity's spread needs t in [0, 1], got 2");
}
