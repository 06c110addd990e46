// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Networks that predict data, noise or score as velocity models: the conformance test, derivatives in t at both sides
// of the times that conversions are kept within, exact predictions of a Gaussian target, names, what is refused, and a
// short training.
#include <cmath>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/model_conformance.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/predicting.hpp>
#include <vrfm/objectives/prediction_weight.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm::test {

// Not unnamed: kernels of nvcc carry it.
/// The exact prediction of x0 ~ N(0, 1) and x1 ~ N(mean, deviation^2) in each column: x is N(alpha mean, variance),
/// variance = alpha^2 deviation^2 + sigma^2.
template <Prediction prediction, class Path>
struct ExactPrediction {
  Path path = {};
  double mean = 0, deviation = 1;

  template <class T>
  struct PreparedSaved {};
  template <class T>
  struct Saved {};

  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION ModelInputs inputs() const { return {}; }
  KOKKOS_FUNCTION int prepared_cols() const { return 0; }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare(const Ctx&, const T*, const Condition<T>&, Matrix<T>,
                               PreparedSaved<T>*, Arena<T>&) const {}
  template <class Ctx, class T>
  KOKKOS_FUNCTION void prepare_backward(const Ctx&, const T*, Gradient<T>, ConstMatrix<T>,
                                        const ConditionGradient<T>&, const PreparedSaved<T>&,
                                        Arena<T>&) const {}

  template <class T>
  struct Row {
    ExactPrediction exact;
    ConstMatrix<T> t, x;
    Matrix<T> o;
    KOKKOS_FUNCTION void operator()(int i) const {
      const auto s = exact.path.at(t(i, 0));
      const T m = static_cast<T>(exact.mean), d = static_cast<T>(exact.deviation);
      const T variance = s.alpha * s.alpha * d * d + s.sigma * s.sigma;
      for (int j = 0; j < o.cols; ++j) {
        const T aside = (x(i, j) - s.alpha * m) / variance;
        if constexpr (prediction == Prediction::data) {
          o(i, j) = m + s.alpha * d * d * aside;
        } else if constexpr (prediction == Prediction::noise) {
          o(i, j) = s.sigma * aside;
        } else {
          o(i, j) = -aside;
        }
      }
    }
  };

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, const Query<T>& query, ConstMatrix<T>,
                               const DrawAddress*, Matrix<T> v, Saved<T>*, Arena<T>&) const {
    ctx.each_row(v.rows, Row<T>{*this, query.t, query.x, v});
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx&, const T*, Gradient<T>, ConstMatrix<T>,
                                const QueryGradient<T>&, Matrix<T>, const Saved<T>&,
                                Arena<T>&) const {}
};

namespace {

using Host = Kokkos::DefaultHostExecutionSpace;
using Exec = Kokkos::DefaultExecutionSpace;

/// Conversions as large as 5, and times on both sides of both ends.
template <Prediction prediction, class Path>
constexpr PredictionTimes<prediction, Path> narrow_times{.first = 0.2, .last = 0.8};

MlpVelocityOptions small_network() {
  return {.dimension = 2,
          .latent = 3,
          .classes = 2,
          .condition_columns = 2,
          .encoder = {.features = 4, .width = 5, .depth = 1},
          .latent_width = 4,
          .latent_depth = 1,
          .decoder_width = 6,
          .decoder_depth = 2};
}

template <Prediction prediction, class Path>
void check_conformance() {
  ParameterList list;
  const PredictingVelocity<prediction, MlpVelocity<Silu>, Path> network(
      MlpVelocity<Silu>(list, "velocity", small_network()), {}, narrow_times<prediction, Path>);
  conform_velocity<Exec>(network, list.count(), {.roughness = 64});
}

/// dv / dt by forward mode and by reverse mode against differences, at times before, within and after.
template <Prediction prediction, class Path>
void check_time_derivative() {
  using Network = PredictingVelocity<prediction, MlpVelocity<Silu>, Path>;
  auto options = small_network();
  options.latent = options.classes = options.condition_columns = 0;
  ParameterList list;
  const Network network(MlpVelocity<Silu>(list, "velocity", options), {},
                        narrow_times<prediction, Path>);
  constexpr int rows = 5, cols = 2;
  const std::vector<double> times = {0.1, 0.3, 0.5, 0.7, 0.9};
  Numbers numbers(12);
  auto p = numbers.take(list.count()), x = numbers.take(rows * cols),
       dv = numbers.take(rows * cols);
  const TileContext<Host> ctx;
  std::vector<double> block(1u << 14);
  const auto of = [](std::vector<double>& v, int width) {
    return Matrix<double>(v.data(), rows, width, width);
  };
  const auto velocity = [&](double step, typename Network::template Saved<double>* saved,
                            Arena<double>& arena) {
    static std::vector<double> t;  // saved refers to it
    t = times;
    for (double& time : t) time += step;
    std::vector<double> v(rows * cols);
    network.forward(ctx, p.data(), Query<double>{of(t, 1), of(x, cols), {}}, Matrix<const double>(),
                    nullptr, of(v, cols), saved, arena);
    return v;
  };
  const double h = std::cbrt(epsilon<double>);
  Arena<double> arena(block.data(), block.size());
  const auto high = velocity(h, nullptr, arena), low = velocity(-h, nullptr, arena);
  std::vector<double> expected, summed(rows);
  for (std::size_t k = 0; k < high.size(); ++k) {
    expected.push_back((high[k] - low[k]) / (2 * h));
    summed[k / cols] += expected[k] * dv[k];
  }
  typename Network::template Saved<double> saved;
  velocity(0, &saved, arena);
  std::vector<double> one(rows, 1), tangent(rows * cols), dt(rows);
  Query<double> rates{};
  rates.t = of(one, 1);
  network.tangent(ctx, p.data(), rates, of(tangent, cols), saved, arena);
  network.backward(ctx, p.data(), Gradient<double>{nullptr, false, nullptr}, of(dv, cols),
                   QueryGradient<double>{of(dt, 1), {}, {}}, Matrix<double>(), saved, arena);
  const double tolerance = 1000 * h * h * (1 + largest(expected));
  CHECK(difference(tangent, expected, tolerance) == "");
  CHECK(difference(dt, summed, tolerance) == "");
}

template <Prediction prediction, class Path>
void check_exact() {
  const ExactPrediction<prediction, Path> exact{{}, 1.5, 0.4};
  const PredictingVelocity<prediction, ExactPrediction<prediction, Path>, Path> network(exact);
  constexpr int rows = 60, cols = 2;
  Numbers numbers(2);
  std::vector<double> t, x = numbers.take(rows * cols), v(rows * cols), expected, terms;
  const PredictionTimes<prediction, Path> times;
  for (int i = 0; i < rows; ++i) {
    t.push_back(times.within(times.first + (times.last - times.first) * i / (rows - 1)));
  }
  for (std::size_t k = 0; k < x.size(); ++k) {
    const auto s = exact.path.at(t[k / cols]);
    const double variance = s.alpha * s.alpha * 0.16 + s.sigma * s.sigma;
    x[k] = 3 * x[k] + 1;
    const double aside = (x[k] - s.alpha * 1.5) / variance;
    expected.push_back(s.alpha_rate * 1.5 +
                       (s.alpha * s.alpha_rate * 0.16 + s.sigma * s.sigma_rate) * aside);
    const auto f = velocity_factors<prediction>(s);
    terms.push_back((std::fabs(f.x) + std::fabs(f.output)) * (4 + std::fabs(aside)));
  }
  std::vector<double> block(4096);
  Arena<double> arena(block.data(), block.size());
  typename decltype(network)::template Saved<double>* const unsaved = nullptr;
  network.forward(
      TileContext<Host>(), static_cast<const double*>(nullptr),
      Query<double>{
          Matrix<double>(t.data(), rows, 1, 1), Matrix<double>(x.data(), rows, cols, cols), {}},
      Matrix<const double>(), nullptr, Matrix<double>(v.data(), rows, cols, cols), unsaved, arena);
  CHECK(difference(v, expected, [&](std::size_t k) { return 32 * epsilon<double> * terms[k]; }) ==
        "");
}

template <Prediction prediction>
using Tag = std::integral_constant<Prediction, prediction>;

template <class Check>
void each_prediction_and_path(const Check& check) {
  const auto each_path = [&](auto prediction) {
    INFO("prediction " << static_cast<int>(prediction()));
    check(prediction, LinearSchedule{});
    check(prediction, TrigonometricSchedule{});
    check(prediction, VariancePreservingSchedule{});
  };
  each_path(Tag<Prediction::data>{});
  each_path(Tag<Prediction::noise>{});
  each_path(Tag<Prediction::score>{});
}

}  // namespace

TEST_CASE("networks that predict conform as velocity models", "[models][predicting]") {
  check_conformance<Prediction::data, LinearSchedule>();
  check_conformance<Prediction::noise, TrigonometricSchedule>();
  check_conformance<Prediction::score, VariancePreservingSchedule>();
}

TEST_CASE("velocities of predictions have their derivative in t", "[models][predicting]") {
  each_prediction_and_path(
      [](auto prediction, auto path) { check_time_derivative<prediction(), decltype(path)>(); });
}

TEST_CASE("exact predictions of a Gaussian target are its velocity", "[models][predicting]") {
  each_prediction_and_path(
      [](auto prediction, auto path) { check_exact<prediction(), decltype(path)>(); });
}

TEST_CASE("what a network predicts is a note, and no name of its parameters",
          "[models][predicting]") {
  const FlowOptions options{.dimension = 2, .latent = 3};
  ParameterList plain, predicting;
  MlpNetworks<>(plain, options);
  Predicting<Prediction::noise, MlpNetworks<>>(predicting, {.networks = options});
  CHECK(names_and_shapes(predicting) == names_and_shapes(plain));
  CHECK(plain.notes().count("velocity.predicts") == 0);
  CHECK(predicting.notes().at("velocity.predicts") == "noise");
}

TEST_CASE("impossible predictions are refused in words", "[models][predicting]") {
  using Networks = Predicting<Prediction::data, MlpNetworks<>>;
  const auto error = [](const Networks::Options& options) {
    return thrown<std::invalid_argument>([&] {
      ParameterList list;
      Networks(list, options);
    });
  };
  CHECK(error({.networks = {.second_time = true}}) ==
        "vrfm: a flow map's mean velocity from t to s is no prediction of data, noise or score: "
        "expected networks without a second time");
  CHECK(error({.times = {.last = 1}}) ==
        "vrfm: this prediction needs times 0 <= first < last < 1, got 0 and 1");
  CHECK(error({}) == "(nothing thrown)");
}

TEST_CASE("a network that predicts data is trained and sampled", "[models][predicting]") {
  using Networks = Predicting<Prediction::data, MlpNetworks<>>;
  using Loss = BasicVelocityLoss<LinearSchedule, TimesWithin<>, SquaredDistance,
                                 PredictionWeight<Prediction::data>>;
  const Exec exec;
  const Flow<float, Exec, Networks> flow(
      exec,
      {.networks = {.dimension = 1, .encoder = {.features = 8, .width = 16}, .decoder_width = 16}},
      3);
  const auto source = standard_normal<float>(exec, 1);
  const auto target = mixture_1d<float>(exec, {-1, 1}, 0.1);
  Trainer trainer(flow, Loss{.times = {.first = 1e-3, .last = 1 - 1e-3}},
                  AdamW{.learning_rate = 3e-3}, independent(source, target),
                  TrainerOptions{.batch = 128, .seed = 2});
#if defined(VRFM_TEST_BRIEFLY)
  trainer.run(2);
  WARN("trained for 2 steps under the sanitizers: whether it learns is not checked");
#else
  double first = 0, last = 0;
  trainer.run(600, 100, [&](const TrainingReport& report) {
    (report.step == 100 ? first : last) = report.means[0];
  });
  CHECK(last < 0.8 * first);
  const auto x =
      to_host(exec, sample(exec, velocity_of(flow), source, Euler{},
                           {.count = 2000, .grid = TimeGrid::uniform(0, 1, 20), .seed = 1}));
  int near = 0;
  for (std::size_t i = 0; i < x.extent(0); ++i) {
    near += std::fabs(std::fabs(static_cast<double>(x(i, 0))) - 1) < 0.3;
  }
  CHECK(near > 1800);
#endif
}

}  // namespace vrfm::test
