// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Likelihoods: closed forms, estimated divergences, the mean over latents, networks.
#include <limits>

#include <tests/integrators/fields.hpp>
#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/mixture_path.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/likelihood.hpp>

namespace vrfm::test {

inline double log_normal(double x, double mean, double deviation) {
  const double z = (x - mean) / deviation;
  return -z * z / 2 - std::log(deviation) - 0.91893853320467274178;
}

template <class View>
std::vector<double> column(const View& array) {
  const auto host = Kokkos::create_mirror_view(array);
  Kokkos::deep_copy(host, array);
  return {host.data(), host.data() + host.extent(0)};
}

/// The marginal velocity of a mixture path; its derivative by central differences.
template <class Exec>
struct MixtureVelocity {
  MixturePath<double, Exec> path;

  KOKKOS_FUNCTION void operator()(double t, const double* x, double* v) const {
    path.velocity(x, t, v);
  }
  KOKKOS_FUNCTION void tangent(double t, const double* x, const double* dx, double* dv) const {
    const double step = 1e-5;
    const double above[2] = {x[0] + step * dx[0], x[1] + step * dx[1]};
    const double below[2] = {x[0] - step * dx[0], x[1] - step * dx[1]};
    double v_above[2], v_below[2];
    path.velocity(above, t, v_above);
    path.velocity(below, t, v_below);
    for (int j = 0; j < 2; ++j) dv[j] = (v_above[j] - v_below[j]) / (2 * step);
  }
};

/// v = scale z in one dimension, z ~ N(0, 1) fixed along a trajectory: from N(0, 1), the
/// conditional density at time 1 is N(scale z, 1) and the marginal one N(0, 1 + scale^2).
template <class T>
struct Drift {
  using value_type = T;
  struct Saved {};

  T scale;
  Matrix<T> z;  // empty until bound

  KOKKOS_FUNCTION int dimension() const { return 1; }

  struct SetZ {
    SampleBlock block;
    Matrix<T> z;
    KOKKOS_FUNCTION void operator()(int i) const {
      block.stream(Purpose::prior).normal(block.id(i), block.draw, 0, 1, z.row(i));
    }
  };
  struct SetV {
    T scale;
    ConstMatrix<T> z;
    Matrix<T> v;
    KOKKOS_FUNCTION void operator()(int i, int j) const { v(i, j) = scale * z(i, 0); }
  };

  template <class Ctx>
  KOKKOS_FUNCTION void keep_rows(const Ctx& ctx, const RowSelection<T>& selection) const {
    selection.keep(ctx, z);
  }

  template <class Ctx>
  KOKKOS_FUNCTION Drift bind(const Ctx& ctx, const SampleBlock& block, Matrix<const T>,
                             Arena<T>& arena) const {
    const Drift bound{scale, arena.take(block.count, 1)};
    ctx.each_row(block.count, SetZ{block, bound.z});
    return bound;
  }
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, Matrix<const T>, Matrix<const T>, Matrix<T> v,
                                  Arena<T>&) const {
    ctx.map(v.rows, 1, SetV{scale, z, v});
  }
  template <class Ctx>
  KOKKOS_FUNCTION void linearize(const Ctx& ctx, Matrix<const T> t, Matrix<const T> x, Matrix<T> v,
                                 Saved&, Arena<T>& arena) const {
    (*this)(ctx, t, x, v, arena);
  }
  template <class Ctx>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, Matrix<const T>, Matrix<T> dv, const Saved&,
                               Arena<T>&) const {
    ctx.map(dv.rows, 1, Fill<T>{dv, T(0)});
  }
};

/// N(0, 1) cut off at +-1/2 (not normalised).
struct CutSource : NormalSource {
  template <class T>
  KOKKOS_FUNCTION T log_density(const T* x) const {
    return x[0] * x[0] < T(0.25) ? NormalSource::log_density(x) : -static_cast<T>(INFINITY);
  }
};

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("the Gaussian flow's likelihood is exact in both directions",
                        "[sampling][likelihood]", Spaces) {
  using Exec = TestType;
  const GaussianFlow flow{.m0 = 0, .s0 = 1, .m1 = 2, .s1 = 0.3};
  const auto field = pointwise<double>(flow, 3);
  const NormalSource source{3};
  const auto check = [&](const auto& solver) {
    const auto s = sample_with_density(Exec(), field, source, solver, {.count = 70, .seed = 1});
    const auto back = log_density(Exec(), field, source, s.x, solver);
    CHECK((s.result.finished() && back.result.finished()));
    const auto x = numbers_of(s.x);
    std::vector<double> exact;
    for (std::size_t i = 0; i < 70; ++i) {
      exact.push_back(log_normal(x[3 * i], 2, 0.3) + log_normal(x[3 * i + 1], 2, 0.3) +
                      log_normal(x[3 * i + 2], 2, 0.3));
    }
    const auto close = [](std::size_t) { return 1e-5; };
    CHECK(difference(column(s.log_density), exact, close) == "");
    CHECK(difference(column(back.log_density), exact, close) == "");
    CHECK(column(back.effective_draws) == std::vector<double>(70, 1.0));
  };
  check(DormandPrince{.absolute = 1e-8, .relative = 1e-8});
  check(RungeKutta4{100});

  // Launches over the whole batch give the same bits.
  const auto x = table<double, Exec>(70, 3, Numbers(2).take(210));
  const auto tiles = log_density(Exec(), field, source, x, Heun{2});
  const auto batch = log_density(Exec(), field, source, x, Heun{2}, {.launch = {Execution::batch}});
  CHECK(column(tiles.log_density) == column(batch.log_density));
  const SampleOptions options{.count = 70, .launch = {Execution::batch}};
  const auto sampled = sample_with_density(Exec(), field, source, Heun{2}, options);
  CHECK(column(sampled.log_density) ==
        column(sample_with_density(Exec(), field, source, Heun{2}, {.count = 70}).log_density));
}

TEST_CASE("the marginal velocity of mixtures carries one density to the other",
          "[sampling][likelihood]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const Exec exec;
  const auto source = mixture_on_circle<double>(exec, 3, 0.3, 0.5);
  const auto target = mixture_on_circle<double>(exec, 4, 1.0, 0.2);
  const auto field =
      pointwise<double>(MixtureVelocity<Exec>{MixturePath<double, Exec>(source, target)}, 2);
  const auto points = Numbers(3).take(40);
  const auto x = table<double, Exec>(20, 2, points);
  const auto found =
      log_density(exec, field, source, x, DormandPrince{.absolute = 1e-8, .relative = 1e-8});
  CHECK(found.result.finished());
  std::vector<double> exact;
  for (std::size_t i = 0; i < 20; ++i) exact.push_back(target.log_density(&points[2 * i]));
  CHECK(difference(column(found.log_density), exact, [](std::size_t) { return 1e-5; }) == "");
}

TEMPLATE_LIST_TEST_CASE("estimated divergences", "[sampling][likelihood]", Spaces) {
  using Exec = TestType;
  SECTION("are exact for a diagonal Jacobian and probes of signs") {
    const auto field = pointwise<double>(GaussianFlow{}, 3);
    const auto x = table<double, Exec>(20, 3, Numbers(5).take(60));
    const auto densities = [&](const LikelihoodOptions& options) {
      return column(
          log_density(Exec(), field, NormalSource{3}, x, RungeKutta4{20}, options).log_density);
    };
    const auto exact = densities({});
    CHECK(difference(densities({.divergence = Divergence::rademacher}), exact,
                     [](std::size_t) { return 200 * epsilon<double>; }) == "");
    CHECK(difference(densities({.divergence = Divergence::gaussian}), exact,
                     [](std::size_t) { return 0.1; }) != "");
  }
  SECTION("have the trace as their mean, and a variance that shrinks with the probes") {
    // A linear field's estimate is e^T A e, whose variance is half the sum of squares of the
    // symmetric part A + A^T, for signs without the diagonal.
    const std::size_t samples = 4000;
    const auto field = pointwise<double>(LinearFlow{}, 3);
    const auto x = table<double, Exec>(samples, 3, std::vector<double>(3 * samples, 0));
    double off_diagonal = 0, diagonal = 0, trace = 0;
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        const double s = LinearFlow::entry(i, j) + LinearFlow::entry(j, i);
        (i == j ? diagonal : off_diagonal) += s * s / 2;
      }
      trace += LinearFlow::entry(i, i);
    }
    const double at_origin = NormalSource{3}.log_density(std::vector<double>(3).data());
    const auto check = [&](Divergence kind, int probes, double variance) {
      const auto found = column(log_density(Exec(), field, NormalSource{3}, x, Euler{1},
                                            {.divergence = kind, .probes = probes, .seed = 8})
                                    .log_density);
      double mean = 0, squares = 0;
      for (const double value : found) mean += (at_origin - value) / double(samples);
      for (const double value : found)
        squares += (at_origin - value - mean) * (at_origin - value - mean) / double(samples);
      CHECK(std::fabs(mean - trace) < 5 * std::sqrt(variance / double(samples)));
      // The spread of an estimated variance, from a kurtosis of at most about 15.
      CHECK(std::fabs(squares / variance - 1) < 5 * std::sqrt(15 / double(samples)));
    };
    check(Divergence::rademacher, 1, off_diagonal);
    check(Divergence::rademacher, 4, off_diagonal / 4);
    check(Divergence::gaussian, 1, off_diagonal + diagonal);
    const auto exact = log_density(Exec(), field, NormalSource{3}, x, Euler{1});
    CHECK(difference(column(exact.log_density), std::vector<double>(samples, at_origin - trace),
                     [](std::size_t) { return 20 * epsilon<double>; }) == "");
  }
}

TEST_CASE("the likelihood is the mean over latents", "[sampling][likelihood]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const double scale = 1.5;
  const Drift<double> field{scale, {}};
  static_assert(BindableVelocity<Drift<double>>);
  const std::vector<double> points = {-2, -0.5, 0, 1, 3};
  const auto x = table<double, Exec>(5, 1, points);
  const auto found = [&](int draws, double time = 1) {
    return log_density(Exec(), field, NormalSource{1}, x, Euler{1},
                       {.data_time = time, .draws = draws, .seed = 12, .first_id = 30});
  };
  const int draws = 50;
  const auto fifty = found(draws);
  CHECK(fifty.result.max_evaluations == draws);
  std::vector<double> densities, effective;
  for (std::size_t i = 0; i < 5; ++i) {
    double sum = 0, squares = 0;
    for (int m = 0; m < draws; ++m) {
      double z;
      RandomStream(12, purpose_of(Use::likelihood, Purpose::prior))
          .normal(30 + i, static_cast<std::uint32_t>(m), 0, 1, &z);
      const double p = std::exp(log_normal(points[i], scale * z, 1));
      sum += p;
      squares += p * p;
    }
    densities.push_back(std::log(sum / draws));
    effective.push_back(sum * sum / squares);
  }
  const auto close = [](std::size_t) { return 1000 * epsilon<double>; };
  CHECK(difference(column(fifty.log_density), densities, close) == "");
  CHECK(difference(column(fifty.effective_draws), effective, close) == "");
  for (const double value : effective) CHECK((value > 1 && value < draws));

  SECTION("which converges to the marginal density") {
    const int many = 20000;
    const auto result = found(many);
    const auto found_densities = column(result.log_density);
    const auto found_effective = column(result.effective_draws);
    for (std::size_t i = 0; i < 5; ++i) {
      // The relative variance of a mean of M weights is 1 / effective draws - 1 / M.
      const double error = std::sqrt(1 / found_effective[i] - 1.0 / many);
      CHECK(std::fabs(found_densities[i] - log_normal(points[i], 0, std::hypot(1, scale))) <
            5 * error);
      CHECK(error < 0.05);
    }
  }
  SECTION("and no draw counts more than another where z does not matter") {
    const auto result =
        log_density(Exec(), pointwise<double>(GaussianFlow{}, 3), NormalSource{3},
                    table<double, Exec>(2, 3, {0, 1, 2, 3, 2, 1}), RungeKutta4{4}, {.draws = 7});
    CHECK(difference(column(result.effective_draws), {7, 7}, close) == "");
    const auto no_z = small_flow<double, Exec>(0);
    const auto network =
        log_density(Exec(), velocity_of(no_z), NormalSource{2},
                    table<double, Exec>(2, 2, {0, 1, -1, 2}), RungeKutta4{4}, {.draws = 7});
    CHECK(difference(column(network.effective_draws), {7, 7}, close) == "");
  }
}

TEST_CASE("samples and their likelihood agree under default seeds", "[sampling][likelihood]") {
  // With the z that a sample was drawn with, log p(x | z) would be that of N(0, 1): far too high.
  using Exec = Kokkos::DefaultExecutionSpace;
  const double scale = 0.5, variance = 1 + scale * scale,
               log_two_pi = std::log(2 * std::acos(-1.0));
  const Drift<double> field{scale, {}};
  const auto x = sample(Exec(), field, NormalSource{1}, Euler{1}, {.count = 2000});
  const auto check = [&](int draws, double expected) {
    const auto found = log_density(Exec(), field, NormalSource{1}, x, Euler{1}, {.draws = draws});
    double sum = 0, squares = 0;
    for (const double value : column(found.log_density)) {
      sum += value;
      squares += value * value;
    }
    const double mean = sum / 2000, error = std::sqrt((squares / 2000 - mean * mean) / 2000);
    INFO("mean log density " << mean << ", expected " << expected << ", standard error " << error);
    CHECK(std::fabs(mean - expected) < 3 * error);
  };
  // One z that is independent of x: E (x - scale z)^2 = 1 + 2 scale^2. Of 64, the mean's bias is 2e-4.
  check(1, -(log_two_pi + 1 + 2 * scale * scale) / 2);
  check(64, -(log_two_pi + std::log(variance) + 1) / 2);
}

TEST_CASE("a network's likelihood", "[sampling][likelihood]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const DormandPrince solver{.absolute = 1e-8, .relative = 1e-8};
  SECTION("forward and backward agree for the same z") {
    const auto flow = small_flow<double, Exec>(2);
    const auto s = sample_with_density(Exec(), velocity_of(flow), NormalSource{2}, solver,
                                       {.count = 30, .seed = 3, .first_id = 5});
    const auto same_z =
        velocity_of(flow, {.latents = draw_latents(flow, 30, {.seed = 3, .first_id = 5})});
    const auto back = log_density(Exec(), same_z, NormalSource{2}, s.x, solver);
    // The z of a likelihood is not that of a sample, whatever the seed.
    const auto own_z = log_density(Exec(), velocity_of(flow), NormalSource{2}, s.x, solver,
                                   {.seed = 3, .first_id = 5});
    CHECK(difference(column(own_z.log_density), column(s.log_density),
                     [](std::size_t) { return 1e-2; }) != "");
    CHECK(difference(column(back.log_density), column(s.log_density),
                     [](std::size_t) { return 1e-5; }) == "");
    // The samples are those of sample().
    const auto plain = sample(Exec(), velocity_of(flow), NormalSource{2}, solver,
                              {.count = 30, .seed = 3, .first_id = 5});
    CHECK(difference(numbers_of(s.x), numbers_of(plain), [](std::size_t) { return 1e-5; }) == "");
  }
  SECTION("integrates to one") {
    const auto flow = small_flow<double, Exec>(0);
    const int side = 81;
    const double cell = 16.0 / (side - 1);
    std::vector<double> points;
    for (int i = 0; i < side; ++i) {
      for (int j = 0; j < side; ++j) {
        points.push_back(-8 + cell * i);
        points.push_back(-8 + cell * j);
      }
    }
    const auto x = table<double, Exec>(std::size_t(side) * side, 2, points);
    const auto found = log_density(Exec(), velocity_of(flow), NormalSource{2}, x, RungeKutta4{10});
    double total = 0, moved = 0;
    const auto densities = column(found.log_density);
    for (std::size_t i = 0; i < densities.size(); ++i) {
      total += cell * cell * std::exp(densities[i]);
      moved = std::fmax(
          moved, std::fabs(std::exp(densities[i]) - std::exp(log_normal(points[2 * i], 0, 1) +
                                                             log_normal(points[2 * i + 1], 0, 1))));
    }
    CHECK(std::fabs(total - 1) < 2e-3);
    CHECK(moved > 0.02);
  }
  SECTION("in float") {
    const auto flow = small_flow<float, Exec>(2);
    const DormandPrince coarse{.absolute = 1e-5, .relative = 1e-5};
    const auto s = sample_with_density(Exec(), velocity_of(flow), NormalSource{2}, coarse,
                                       {.count = 30, .seed = 3});
    const auto same_z = velocity_of(flow, {.latents = draw_latents(flow, 30, {.seed = 3})});
    const auto back = log_density(Exec(), same_z, NormalSource{2}, s.x, coarse);
    CHECK((s.result.finished() && back.result.finished()));
    CHECK(difference(column(back.log_density), column(s.log_density),
                     [](std::size_t) { return 1e-3; }) == "");
  }
}

TEST_CASE("densities of zero and failed trajectories", "[sampling][likelihood]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto x = table<double, Exec>(3, 1, {0.25, 40, nan});
  const auto found =
      log_density(Exec(), Drift<double>{0.1, {}}, CutSource{{1}}, x, Euler{2}, {.draws = 3});
  const auto densities = column(found.log_density), effective = column(found.effective_draws);
  CHECK(std::isfinite(densities[0]));
  CHECK(densities[1] == -std::numeric_limits<double>::infinity());
  CHECK(effective[1] == 0);
  CHECK(std::isnan(densities[2]));
  CHECK(found.result.reason == Reason::not_finite);
  CHECK((found.result.failed == 1 && found.result.first_failed == 2));
}

TEST_CASE("impossible settings of likelihoods are refused", "[sampling][likelihood]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto field = pointwise<double>(GaussianFlow{}, 3);
  const auto x = table<double, Exec>(1, 3, {0, 0, 0});
  const auto refused = [&](const NormalSource& source, const LikelihoodOptions& options) {
    return thrown<std::invalid_argument>(
        [&] { (void)log_density(Exec(), field, source, x, Euler{1}, options); });
  };
  CHECK(contains(refused({3}, {.draws = 0}), "at least 1 draw of z, got 0"));
  CHECK(contains(refused({3}, {.divergence = Divergence::gaussian, .probes = 0}),
                 "at least 1 probe, got 0"));
  CHECK(contains(refused({2}, {}), "the source has 2 columns but the velocity field has 3"));
  CHECK(contains(refused({3}, {.source_time = 1}), "time 0 is 1 and time 1 is 1"));
  const auto narrow = table<double, Exec>(1, 2, {0, 0});
  CHECK(contains(thrown<std::invalid_argument>(
                     [&] { (void)log_density(Exec(), field, NormalSource{3}, narrow, Euler{1}); }),
                 "points has 2 columns but the velocity field has 3 columns"));
}
