// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The affine path: interpolation in kernels against its closed form, and the conversions between
// velocity, data, noise and score in every direction. Tolerances are the rounding of each formula's
// own terms, so they grow where a conversion is ill-conditioned and nowhere else.
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/paths/affine_path.hpp>

using vrfm::LinearSchedule;
using vrfm::TrigonometricSchedule;
using vrfm::VariancePreservingSchedule;
using vrfm::test::difference;
using vrfm::test::epsilon;
using vrfm::test::Numbers;
using vrfm::test::Padded;

TEMPLATE_TEST_CASE("velocity, data, noise and score say the same", "[paths][conversion]",
                   LinearSchedule, TrigonometricSchedule, VariancePreservingSchedule) {
  const TestType schedule;
  Numbers numbers(3);
  const double eps = 16 * epsilon<double>;
  for (int k = 1; k < 500; ++k) {
    const double t = k / 500.0;
    const auto s = schedule.at(t);
    const double x0 = 3 * numbers.next(), x1 = 3 * numbers.next();
    const double x = s.alpha * x1 + s.sigma * x0, v = s.alpha_rate * x1 + s.sigma_rate * x0;
    const double score = -x0 / s.sigma;

    // Sizes of the terms that each formula adds.
    const double determinant = std::fabs(s.alpha * s.sigma_rate - s.alpha_rate * s.sigma);
    const double terms_x = std::fabs(s.alpha * x1) + std::fabs(s.sigma * x0);
    const double terms_v = std::fabs(s.alpha_rate * x1) + std::fabs(s.sigma_rate * x0);
    const double data_error = (std::fabs(s.sigma_rate) * terms_x + s.sigma * terms_v) / determinant;
    const double noise_error =
        (s.alpha * terms_v + std::fabs(s.alpha_rate) * terms_x) / determinant;
    const double from_data = terms_v + std::fabs(s.sigma_rate) * terms_x / s.sigma;
    const double from_noise = terms_v + std::fabs(s.alpha_rate) * terms_x / s.alpha;

    INFO("t = " << t);
    const double data = vrfm::data_from_velocity(s, x, v);
    const double noise = vrfm::noise_from_velocity(s, x, v);
    const double slope = vrfm::score_from_velocity(s, x, v);
    CHECK(std::fabs(data - x1) <= eps * data_error);
    CHECK(std::fabs(noise - x0) <= eps * noise_error);
    CHECK(std::fabs(slope - score) <= eps * noise_error / s.sigma);
    CHECK(std::fabs(vrfm::velocity_from_data(s, x, x1) - v) <= eps * from_data);
    CHECK(std::fabs(vrfm::velocity_from_noise(s, x, x0) - v) <= eps * from_noise);
    CHECK(std::fabs(vrfm::velocity_from_score(s, x, score) - v) <= eps * from_noise);

    // There and back: the first conversion's error reaches v times |dv / d(data or noise)|.
    CHECK(std::fabs(vrfm::velocity_from_data(s, x, data) - v) <=
          eps * (from_data + data_error * determinant / s.sigma));
    CHECK(std::fabs(vrfm::velocity_from_noise(s, x, noise) - v) <=
          eps * (from_noise + noise_error * determinant / s.alpha));
    CHECK(std::fabs(vrfm::velocity_from_score(s, x, slope) - v) <=
          eps * (from_noise + noise_error * determinant / s.alpha));
  }
}

namespace {

template <class T, class Exec, class S>
void check_interpolation(const Exec& exec, const S& schedule, int rows, int cols) {
  Numbers numbers(11);
  const auto n = static_cast<std::size_t>(rows), d = static_cast<std::size_t>(cols);
  const std::vector<double> x0 = numbers.take(n * d), x1 = numbers.take(n * d);
  std::vector<double> t = numbers.take(n);
  for (double& time : t) time = 0.5 + 0.45 * time;
  const Padded<T, Exec> t_in(rows, 1, t), x0_in(rows, cols, x0), x1_in(rows, cols, x1);
  Padded<T, Exec> x_t(rows, cols), u(rows, cols);
  vrfm::BatchContext<Exec>(exec).each_row(
      rows, vrfm::Interpolate<T, S>{schedule, t_in.matrix(), x0_in.matrix(), x1_in.matrix(),
                                    x_t.matrix(), u.matrix()});

  std::vector<double> expected_x, expected_u, terms_x, terms_u;
  for (std::size_t i = 0; i < n; ++i) {
    const auto s = schedule.at(static_cast<double>(static_cast<T>(t[i])));
    for (std::size_t j = i * d; j < (i + 1) * d; ++j) {
      expected_x.push_back(s.alpha * x1[j] + s.sigma * x0[j]);
      expected_u.push_back(s.alpha_rate * x1[j] + s.sigma_rate * x0[j]);
      terms_x.push_back(std::fabs(s.alpha * x1[j]) + std::fabs(s.sigma * x0[j]));
      terms_u.push_back(std::fabs(s.alpha_rate * x1[j]) + std::fabs(s.sigma_rate * x0[j]));
    }
  }
  // The exponent of the variance-preserving alpha reaches 5 and is rounded too.
  const double eps = 16 * epsilon<T>;
  CHECK(difference(x_t.read(), expected_x, [&](std::size_t i) { return eps * terms_x[i]; }) == "");
  CHECK(difference(u.read(), expected_u, [&](std::size_t i) { return eps * terms_u[i]; }) == "");
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("each row is interpolated at its own time", "[paths][interpolate]",
                        vrfm::test::SpacesAndReals) {
  using T = typename TestType::Real;
  const typename TestType::Exec exec;
  for (const int rows : {0, 1, 130}) {
    for (const int cols : {1, 3}) {
      INFO(rows << " x " << cols);
      check_interpolation<T>(exec, LinearSchedule{}, rows, cols);
      check_interpolation<T>(exec, TrigonometricSchedule{}, rows, cols);
      check_interpolation<T>(exec, VariancePreservingSchedule{}, rows, cols);
    }
  }
}
