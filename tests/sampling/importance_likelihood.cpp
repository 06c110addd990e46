// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Importance-weighted likelihoods: the linear-Gaussian flow, where all is known, and networks.
#include <cmath>

#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/sampling/linear_gaussian.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/pixels.hpp>
#include <vrfm/sampling/importance_likelihood.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

template <class View>
std::vector<double> values_of(const View& array) {
  const auto host = Kokkos::create_mirror_view(array);
  Kokkos::deep_copy(host, array);
  return {host.data(), host.data() + host.extent(0)};
}

/// ln N(x; 0, variance I) of each row.
std::vector<double> log_normal_rows(const std::vector<double>& x, std::size_t columns,
                                    double variance) {
  std::vector<double> result;
  for (std::size_t i = 0; i < x.size(); i += columns) {
    double square = 0;
    for (std::size_t j = 0; j < columns; ++j) square += x[i + j] * x[i + j];
    result.push_back(-square / (2 * variance) -
                     double(columns) / 2 * (1.83787706640934548356 + std::log(variance)));
  }
  return result;
}

}  // namespace

TEST_CASE("draws of the true posterior have one weight", "[sampling][importance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const double scale = 3;
  const auto flow = linear_flow<double, Exec>(
      {.columns = 2, .scale = scale, .slope = scale / 10, .variance = 0.1});
  const auto points = Numbers(1).take(40);
  const auto found = importance_log_density(
      flow, NormalSource{2}, table<double, Exec>(20, 2, points), Euler{1}, {.draws = 5, .seed = 3});
  const auto close = [](std::size_t) { return 200 * epsilon<double>; };
  CHECK(difference(values_of(found.log_density), log_normal_rows(points, 2, 10), close) == "");
  CHECK(difference(values_of(found.effective_draws), std::vector<double>(20, 5), close) == "");
  CHECK(found.result.finished());
  CHECK(found.result.max_evaluations == 5);
  CHECK(found.result.samples == 20);
}

TEST_CASE("a posterior that is nearly right is a better proposal than the prior",
          "[sampling][importance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const double scale = 4;
  // Of the true 4/17 and 1/17.
  const auto flow =
      linear_flow<double, Exec>({.columns = 2, .scale = scale, .slope = 0.21, .variance = 0.08});
  auto points = Numbers(1).take(40);
  for (double& value : points) value *= 4;
  const auto x = table<double, Exec>(20, 2, points);
  const NormalSource source{2};
  const auto exact = log_normal_rows(points, 2, 17);
  constexpr int draws = 200;
  const LikelihoodOptions options{.draws = draws, .seed = 5};
  const auto weighted = importance_log_density(flow, source, x, Euler{1}, options);
  const auto drawn = log_density(Exec(), velocity_of(flow), source, x, Euler{1}, options);
  const auto check = [&](const auto& found) {
    const auto log_p = values_of(found.log_density), effective = values_of(found.effective_draws);
    double squares = 0;
    for (std::size_t i = 0; i < 20; ++i) {
      const double error = log_density_error(effective[i], draws);
      CHECK(std::fabs(log_p[i] - exact[i]) < 4 * error);
      squares += (log_p[i] - exact[i]) * (log_p[i] - exact[i]);
    }
    return std::sqrt(squares / 20);
  };
  const double near_error = check(weighted), prior_error = check(drawn);
  CHECK(near_error < 0.1);
  CHECK(near_error < prior_error / 3);

  SECTION("and its draws have addresses") {
    const auto first = importance_log_density(flow, source, x, Euler{1}, {.draws = 2, .seed = 5});
    const auto second = importance_log_density(flow, source, x, Euler{1},
                                               {.draws = 198, .first_draw = 2, .seed = 5});
    const auto a = values_of(first.log_density), b = values_of(second.log_density);
    std::vector<double> both;
    for (std::size_t i = 0; i < 20; ++i)
      both.push_back(std::log((2 * std::exp(a[i]) + 198 * std::exp(b[i])) / 200));
    CHECK(difference(both, values_of(weighted.log_density), 1000 * epsilon<double>) == "");
    const auto rows = std::make_pair(5, 20);
    const auto part = importance_log_density(
        flow, source, Table<const double, Exec>(Kokkos::subview(x, rows, Kokkos::ALL)), Euler{1},
        {.draws = 2, .seed = 5, .first_id = 5});
    CHECK(values_of(part.log_density) == std::vector<double>(a.begin() + 5, a.end()));
  }
}

TEST_CASE("importance-weighted likelihoods of networks with a condition",
          "[sampling][importance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto flow =
      small_flow<double, Exec>({.latent = 2, .encoder_input = EncoderInput::x1, .classes = 3});
  const auto x = table<double, Exec>(6, 2, Numbers(4).take(12));
  const ConditionTables<double, Exec> condition{.labels = labels_of<Exec>({0, 2, 1})};
  const NormalSource source{2};
  const auto found =
      importance_log_density(flow, source, x, RungeKutta4{2}, {.draws = 3, .seed = 7}, condition);
  // By hand: the posterior's moments, its draws, the flow under them.
  const auto code = encode(flow, {}, x, {.condition = condition});
  const auto mean = numbers_of(code.mean), s = numbers_of(code.log_variance);
  std::vector<double> sum(6, 0.0);
  for (std::uint32_t m = 0; m < 3; ++m) {
    std::vector<double> z, weight;
    for (std::size_t i = 0; i < 6; ++i) {
      double e[2], w = 0;
      RandomStream(7, purpose_of(Use::likelihood, Purpose::posterior)).normal(i, m, 0, 2, e);
      for (std::size_t j = 0; j < 2; ++j) {
        const std::size_t at = 2 * i + j;
        z.push_back(mean[at] + std::exp(s[at] / 2) * e[j]);
        w += (s[at] + e[j] * e[j] - z[at] * z[at]) / 2;
      }
      weight.push_back(w);
    }
    const auto field =
        velocity_of(flow, {.latents = table<double, Exec>(6, 2, z), .condition = condition});
    const auto given = values_of(log_density(Exec(), field, source, x, RungeKutta4{2}).log_density);
    for (std::size_t i = 0; i < 6; ++i) sum[i] += std::exp(given[i] + weight[i]) / 3;
  }
  const auto log_p = values_of(found.log_density);
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(std::fabs(std::exp(log_p[i]) - sum[i]) <= 1e4 * epsilon<double> * sum[i]);
}

TEST_CASE("importance-weighted likelihoods check the flow", "[sampling][importance]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto error = [](const auto& call) { return thrown<std::invalid_argument>(call); };
  const auto x = table<double, Exec>(1, 2, {0, 0});
  const auto ask = [&](const auto& flow, const auto& solver,
                       const LikelihoodOptions& options = {}) {
    return error([&] { importance_log_density(flow, NormalSource{2}, x, solver, options); });
  };
  CHECK(ask(small_flow<double, Exec>(
                {.latent = 2, .encoder_input = EncoderInput::x0 | EncoderInput::x1}),
            RungeKutta4{2}) ==
        "vrfm: an importance-weighted likelihood needs a posterior that sees x1 alone, but this "
        "one sees x0+x1");
  CHECK(ask(small_flow<double, Exec>(0), RungeKutta4{2}) ==
        "vrfm: an importance-weighted likelihood needs a flow with z and a posterior, but this one "
        "has no z");
  CHECK(ask(small_flow<double, Exec>(
                {.latent = 2, .encoder_input = EncoderInput::x1, .prior = PriorKind::given_source}),
            RungeKutta4{2}) ==
        "vrfm: an importance-weighted likelihood needs the prior N(0, I), but this flow's is "
        "learned");
  CHECK(ask(linear_flow<double, Exec>({.columns = 2}), Euler{1}, {.draws = 0}) ==
        "vrfm: a likelihood needs at least 1 draw of z, got 0");
}

TEST_CASE("bits per dimension", "[sampling][importance]") {
  // Any of 256 pixels alike: their dequantised values have the density 127.5 / 256 in each dimension, and need 8 bits.
  CHECK(std::fabs(bits_per_dimension(12 * std::log(127.5 / 256), 12) - 8) <= 8 * epsilon<double>);
  // Pixels of one value alone need none.
  CHECK(std::fabs(bits_per_dimension(3 * std::log(127.5), 3)) <= 8 * epsilon<double>);
  CHECK(thrown<std::invalid_argument>([] { bits_per_dimension(1, 0); }) ==
        "vrfm: bits_per_dimension: expected at least one dimension, but got 0");
  for (int pixel = 0; pixel < 256; ++pixel) {
    const auto u = static_cast<std::uint8_t>(pixel);
    for (const float e : {0.001f, 0.999f}) CHECK(to_pixel(dequantised(u, e)) == u);
    CHECK(dequantised(u, 0.5) == from_pixel<double>(u));
  }
  // A unit of the pixel is 1 / 127.5.
  CHECK(std::fabs(dequantised(std::uint8_t(9), 0.75) - dequantised(std::uint8_t(9), 0.25) -
                  0.5 / 127.5) <= 4 * epsilon<double>);
}
