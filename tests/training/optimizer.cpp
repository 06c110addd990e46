// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adam and AdamW inside the trainer against PyTorch's (tests/golden/make_training.py), with weight
// decay, clipping, moving average, warm-up and cosine, after one step and after many.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/io/safetensors.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm::test {

/// g = a (p - c[step]), the gradient of sum(a (p - c[step])^2) / 2.
template <class T>
struct QuadraticGradient {
  const T* p;
  const T* a;
  const T* c;  // steps x count
  int count;
  StepNumber step;
  T* g;
  KOKKOS_FUNCTION void operator()(int, int j) const {
    const std::size_t first = std::size_t(step) * static_cast<std::size_t>(count);
    g[j] = a[j] * (p[j] - c[first + static_cast<std::size_t>(j)]);
  }
};

/// An objective that has nothing to do with the flow's networks but uses their parameters.
template <class T>
struct Quadratic {
  const T* a;
  const T* c;  // steps x count
  int count;

  template <class Networks>
  void check(const Networks&) const {}

  template <class Ctx, class Networks>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const Networks&, const T* p, Gradient<T> g,
                                  const Pairs<T>&, const DrawAddress& draws, double,
                                  Matrix<T> losses, Arena<T>&) const {
    ctx.map(1, count, QuadraticGradient<T>{p, a, c, count, draws.step, g.values});
    ctx.map(losses.rows, losses.cols, Fill<T>{losses, T(0)});
  }
};

template <class T, ExecutionSpace Exec>
Array<T, Exec> array_of(const std::vector<double>& values) {
  Array<T, Exec> array("vrfm::test::array_of", values.size());
  const auto host = Kokkos::create_mirror_view(array);
  for (std::size_t i = 0; i < values.size(); ++i) host(i) = static_cast<T>(values[i]);
  Kokkos::deep_copy(array, host);
  return array;
}

template <class T>
std::vector<double> golden_numbers(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.at(name).template values<T>();
  return {values.begin(), values.end()};
}

/// The nine parameters of the smallest flow, which stand for those of the golden file.
inline FlowOptions nine_parameters() {
  return {.dimension = 1,
          .encoder = {.features = 2, .width = 1, .depth = 1},
          .decoder_width = 1,
          .decoder_depth = 1};
}

template <class T, class Exec, class Optimizer>
void compare_with_golden(const std::string& name, const Optimizer& optimizer,
                         const TrainerOptions& options) {
  INFO(name);
  const auto file = SafetensorsFile::read(golden("training.safetensors"));
  const std::string type = sizeof(T) == 4 ? "f32." : "f64.";
  const auto numbers = [&](const std::string& key) { return golden_numbers<T>(file, key); };
  const auto expected = [&](const std::string& key) { return numbers(name + "." + type + key); };

  const Exec exec;
  const Flow<T, Exec> flow(exec, nine_parameters(), 0);
  REQUIRE(flow.parameters().count() == 9);
  Kokkos::deep_copy(flow.values(), array_of<T, Exec>(numbers(type + "start")));
  const auto a = array_of<T, Exec>(numbers(type + "a"));
  const auto c = array_of<T, Exec>(numbers(type + "c"));
  const auto noise = standard_normal<T>(exec, 1);
  Trainer trainer(flow, Quadratic<T>{a.data(), c.data(), 9}, optimizer, independent(noise, noise),
                  options);

  std::vector<double> norms;
  const auto collect = [&](const TrainingReport& report) {
    for (const auto& loss : report.losses) norms.push_back(loss.gradient_norm);
  };
  std::size_t row = 0;
  for (const int steps : {1, 5, 20}) {
    INFO(steps << " steps");
    trainer.run(steps, 7, collect);
    const auto compare = [&](const auto& view, const std::string& key) {
      const auto all = expected(key);
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(9 * row);
      // Each step rounds each number a few times.
      const double size = std::fmax(largest(all), key == "p" ? 1.0 : 0.0);
      CHECK(difference(host_numbers(view), {first, first + 9}, 8 * steps * epsilon<T> * size) ==
            "");
    };
    compare(trainer.values(), "p");
    compare(trainer.first_moment(), "m");
    compare(trainer.second_moment(), "v");
    if (options.ema_decay > 0) compare(trainer.average(), "average");
    ++row;
  }
  const auto norm = expected("norm");
  CHECK(difference(norms, norm, 8 * 20 * epsilon<T> * largest(norm)) == "");
}

}  // namespace vrfm::test

using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("Adam and AdamW are PyTorch's", "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  using vrfm::Adam;
  using vrfm::AdamW;
  using Decay = vrfm::LearningRate::Decay;
  const vrfm::TrainerOptions one{.batch = 1};
  compare_with_golden<T, Exec>("adam", Adam{.learning_rate = {.base = 1e-2}}, one);
  compare_with_golden<T, Exec>("adam_decay",
                               Adam{.learning_rate = {.base = 1e-2},
                                    .beta1 = 0.8,
                                    .beta2 = 0.9,
                                    .epsilon = 1e-3,
                                    .weight_decay = 0.1},
                               one);
  compare_with_golden<T, Exec>(
      "adam_cosine",
      Adam{.learning_rate = {.base = 1e-2, .decay = Decay::cosine, .total = 20, .floor = 0.1}},
      one);
  compare_with_golden<T, Exec>("adamw", AdamW{.learning_rate = {.base = 1e-3}}, one);
  const AdamW recipe{.learning_rate = {.base = 2e-2, .warmup = 5}, .weight_decay = 0.1};
  const vrfm::TrainerOptions clipped{.batch = 1, .clip_norm = 0.75, .ema_decay = 0.9};
  compare_with_golden<T, Exec>("adamw_recipe", recipe, clipped);
  auto whole_batch = clipped;
  whole_batch.execution = vrfm::Execution::batch;
  compare_with_golden<T, Exec>("adamw_recipe", recipe, whole_batch);
}

TEST_CASE("the optimisers' defaults are PyTorch's", "[training][optimizer]") {
  const vrfm::Adam adam;
  const vrfm::AdamW adamw;
  CHECK((adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.epsilon == 1e-8));
  CHECK((adam.weight_decay == 0 && adam.learning_rate.base == 1e-3));
  CHECK((adamw.beta1 == 0.9 && adamw.beta2 == 0.999 && adamw.epsilon == 1e-8));
  CHECK((adamw.weight_decay == 0.01 && adamw.learning_rate.base == 1e-3));
}

TEST_CASE("impossible hyper-parameters are refused", "[training][optimizer]") {
  const auto refusal = [](const vrfm::AdamW& optimizer) {
    return thrown<std::invalid_argument>([&] { vrfm::check(optimizer); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal({.learning_rate = {.base = -1}}) == "vrfm: learning rate must be positive, got -1");
  CHECK(refusal({.beta1 = 1}) == "vrfm: beta1 must be in [0, 1), got 1");
  CHECK(refusal({.beta2 = -0.1}) == "vrfm: beta2 must be in [0, 1), got -0.1");
  CHECK(refusal({.epsilon = 0}) == "vrfm: epsilon must be positive, got 0");
  CHECK(refusal({.weight_decay = -0.01}) == "vrfm: weight decay must be >= 0, got -0.01");
  CHECK(contains(refusal({.beta1 = nan}), "beta1 must be in [0, 1), got "));
  CHECK(contains(refusal({.weight_decay = nan}), "weight decay must be >= 0, got "));
}
