// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Metrics are equal to the last bit for any number of threads, and nearly so for any backend. A
// process has one number of threads, so this program starts itself again with others.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/with_threads.hpp>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/metrics/calibration.hpp>
#include <vrfm/metrics/classifier_two_sample.hpp>
#include <vrfm/metrics/correlation.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/ensemble_score.hpp>
#include <vrfm/metrics/exact_wasserstein.hpp>
#include <vrfm/metrics/frechet_distance.hpp>
#include <vrfm/metrics/histogram_separation.hpp>
#include <vrfm/metrics/inception_score.hpp>
#include <vrfm/metrics/kernel_distance.hpp>
#include <vrfm/metrics/latent_diagnostics.hpp>
#include <vrfm/metrics/log_likelihood.hpp>
#include <vrfm/metrics/mmd.hpp>
#include <vrfm/metrics/path_statistics.hpp>
#include <vrfm/metrics/power_spectrum.hpp>
#include <vrfm/metrics/precision_recall.hpp>
#include <vrfm/metrics/velocity_ambiguity.hpp>
#include <vrfm/metrics/wasserstein.hpp>

using namespace vrfm;

namespace {

/// Every metric, on sizes that fill no block evenly.
template <class T, class Exec>
std::vector<double> all_metrics() {
  const Exec exec;
  const auto target = mixture_on_circle<T>(exec, 6, 1, 0.1);
  const auto a = draw_all(exec, target, 1531, 1, Purpose::target);
  const auto b = draw_all(exec, target, 1009, 2, Purpose::target);
  const auto line = mixture_1d<T>(exec, {-1, 1}, 0.2);
  const auto c = draw_all(exec, line, 1531, 3, Purpose::target);
  const auto d = draw_all(exec, line, 1009, 4, Purpose::target);
  std::vector<double> values = {
      true_log_likelihood(exec, target, a),
      parzen_log_likelihood(exec, a, b, 0.1),
      energy_distance(exec, a, b),
      energy_distance(exec, a, b, EnergyEstimate::unbiased),
      wasserstein1(exec, c, d),
      sliced_wasserstein1(exec, a, b),
      frechet_distance(exec, a, b),
      exact_wasserstein1(exec, draw_all(exec, target, 150, 6, Purpose::target),
                         draw_all(exec, target, 150, 7, Purpose::target)),
      inception_score(exec, a).mean};

  for (const auto estimate : {PairEstimate::biased, PairEstimate::unbiased})
    values.push_back(squared_mmd(exec, a, b, {0.1, median_distance(exec, a, b)}, estimate));
  const auto kernel = kernel_distance(exec, a, b, {.subsets = 3, .subset_size = 301});
  values.insert(values.end(), {kernel.mean, kernel.deviation});
  const auto balls = precision_recall(exec, a, b);
  values.insert(values.end(), {balls.precision, balls.recall, balls.density, balls.coverage});
  const auto test = classifier_two_sample(exec, a, b);
  values.insert(values.end(), {test.accuracy, test.p_value});

  const Kokkos::View<const T***, Kokkos::LayoutRight, typename Exec::memory_space> ensembles(
      a.data(), 300, 5, 2);
  const Table<T, Exec> truths(Kokkos::subview(b, std::make_pair(0, 300), Kokkos::ALL));
  const auto spread = spread_against_error(exec, ensembles, truths);
  const auto separation = histogram_separation(exec, a, b, {-1, -0.5, 0.1, 1});
  const auto correlation = correlation_difference(exec, a, b);
  const auto latent = aggregated_posterior(exec, a, b);
  for (const Estimate& estimate :
       {crps(exec, ensembles, truths), energy_score(exec, ensembles, truths), spread.ratio,
        interval_coverage(exec, ensembles, truths)[0].coverage, separation.separation,
        correlation.difference, latent.energy})
    values.insert(values.end(), {estimate.value, estimate.standard_error});
  values.insert(values.end(), {rank_histogram(exec, ensembles, truths, 3).p_value,
                               latent.gaussian_kl, latent_usage(exec, a, a).kl[1].value});
  const Table<const T, Exec> fields(a.data(), 100, 30);
  const auto spectrum = power_spectrum(exec, fields, {.extents = {5, 3}, .channels = 2});
  values.insert(values.end(), spectrum.power.begin(), spectrum.power.end());

  // Wide enough features for products in parts.
  const auto normal = standard_normal<T>(exec, 70);
  values.push_back(frechet_distance(exec, draw_all(exec, normal, 1531, 8, Purpose::target),
                                    draw_all(exec, normal, 1009, 9, Purpose::target)));

  PathStatistics<T, Exec> statistics(exec, a, 0);
  for (int k = 1; k < 4; ++k)
    statistics.add(exec, draw_all(exec, target, 1531, 5, Purpose::target, 0, std::uint32_t(k)), k);
  const auto path = statistics.summary(exec);
  values.insert(values.end(), {path.straightness, path.mean_ratio, path.median_ratio});

  const auto pairs = independent(standard_normal<T>(exec, 1), line);
  const StraightVelocityPoints<T, decltype(pairs)> lines(pairs, 1531, 7, 6);
  // Wide enough bins that none is empty: NaN equals nothing.
  const auto map = velocity_ambiguity(exec, lines, {0, 1, 7}, {-1, 1, 5});
  values.insert(values.end(), map.mean.begin(), map.mean.end());
  values.insert(values.end(), map.deviation.begin(), map.deviation.end());
  for (const auto& histogram : velocity_histograms(exec, lines, {{0.5, 0, 0.1, 0.2}}, {-4, 4, 16}))
    values.insert(values.end(), histogram.count.begin(), histogram.count.end());
  return values;
}

}  // namespace

TEST_CASE("write the metrics to a file", "[.][write_metrics]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  std::ofstream out = test::hidden_output();
  for (const double value : all_metrics<float, Exec>()) out << value << '\n';
  for (const double value : all_metrics<double, Exec>()) out << value << '\n';
  CHECK(out.flush().good());
}

TEST_CASE("metrics do not depend on the number of threads", "[metrics]") {
  const auto with_threads = [](int threads) {
    return test::output_with_threads("[write_metrics]", threads);
  };
  const std::string one = with_threads(1);
  CHECK(std::count(one.begin(), one.end(), '\n') > 100);
  CHECK(one == with_threads(2));
  CHECK(one == with_threads(3));
}

TEMPLATE_LIST_TEST_CASE("metrics agree between backends", "[metrics]", test::SpacesAndReals) {
  using T = typename TestType::Real;
  const auto expected = all_metrics<T, std::tuple_element_t<0, test::Spaces>>();
  const auto actual = all_metrics<T, typename TestType::Exec>();
  // A few roundings of the samples themselves; the sums are in double.
  CHECK(test::difference(actual, expected, [&](std::size_t i) {
          return 64 * test::epsilon<T> * (1 + std::fabs(expected[i]));
        }) == "");
}
