// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The optimizers as passes over flat arrays: Adam, AdamW and SGD against PyTorch's, Lion against the
// paper's formula in double (tests/golden/make_training.py), with weight decay, clipping, moving
// average, warm-up and cosine, after one step and after many. The moving average closes gaps far below
// its own rounding. What the contract asks for, and what the optimizers refuse.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/safetensors.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/average.hpp>
#include <vrfm/training/detail/optimizer_pass.hpp>
#include <vrfm/training/lion.hpp>
#include <vrfm/training/sgd.hpp>

namespace vrfm::test {

/// The input of a step, computed where a step computes it.
template <class T, class O>
struct MakeInput {
  O optimizer;
  std::int64_t step;
  double gradient_scale;
  bool skip;
  detail::StepInput<T, O>* input;

  KOKKOS_FUNCTION void operator()(int) const {
    *input = {optimizer.template at<T>(step), static_cast<T>(gradient_scale), skip};
  }
};

/// Parameters in Exec's memory under an optimizer.
template <class T, ExecutionSpace Exec, class O>
class Optimized {
 public:
  static constexpr int states = state_count<O>;

  Optimized(const O& optimizer, const std::vector<double>& start)
      : optimizer_(optimizer),
        count_(start.size()),
        input_("vrfm::test::input", 1),
        p_("vrfm::test::p", count_),
        g_("vrfm::test::g", count_) {
    for (int k = 0; k < states; ++k) state_.emplace_back("vrfm::test::state", count_);
    write(p_, start);
  }

  void step(const std::vector<double>& gradient, double gradient_scale = 1, bool skip = false) {
    write(g_, gradient);
    const Exec exec;
    Kokkos::parallel_for(Kokkos::RangePolicy<Exec>(exec, 0, 1),
                         MakeInput<T, O>{optimizer_, step_++, gradient_scale, skip, input_.data()});
    detail::OptimizerPass<T, O> pass{p_.data(), g_.data(), {}, input_.data()};
    for (std::size_t k = 0; k < state_.size(); ++k) pass.state[k] = state_[k].data();
    flat_map(exec, "vrfm::test::optimize", static_cast<std::int64_t>(count_), pass);
    exec.fence();
  }

  std::vector<double> parameters() const { return read(p_); }
  std::vector<double> state(std::size_t k) const { return read(state_.at(k)); }

  /// Parameters and all state.
  std::vector<std::vector<double>> all() const {
    std::vector<std::vector<double>> result{parameters()};
    for (const auto& array : state_) result.push_back(read(array));
    return result;
  }

 private:
  static void write(const Array<T, Exec>& to, const std::vector<double>& values) {
    const auto host = Kokkos::create_mirror_view(to);
    for (std::size_t i = 0; i < values.size(); ++i) host(i) = static_cast<T>(values[i]);
    Kokkos::deep_copy(to, host);
  }

  static std::vector<double> read(const Array<T, Exec>& from) {
    const auto host = Kokkos::create_mirror_view(from);
    Kokkos::deep_copy(host, from);
    return {host.data(), host.data() + host.extent(0)};
  }

  O optimizer_;
  std::size_t count_;
  std::int64_t step_ = 0;
  Array<detail::StepInput<T, O>, Exec> input_;
  Array<T, Exec> p_, g_;
  std::vector<Array<T, Exec>> state_;
};

template <class T>
std::vector<double> golden_values(const SafetensorsFile& file, const std::string& name) {
  const auto values = file.at(name).template values<T>();
  return {values.begin(), values.end()};
}

/// Twenty steps on sum(a (p - c[step])^2) / 2, the gradient clipped to a norm of `clip` if it is above 0.
template <class T, class Exec, class O>
void compare_with_golden(const std::string& name, const O& optimizer, double clip = 0) {
  INFO(name);
  static_assert(RequireOptimizer<O, T>::ok);
  const auto file = SafetensorsFile::read(golden("training.safetensors"));
  const std::string type = sizeof(T) == 4 ? "f32." : "f64.";
  const auto stored = [&](const std::string& key) { return golden_values<T>(file, key); };
  const auto expected = [&](const std::string& key) { return stored(name + "." + type + key); };
  const auto a = stored(type + "a"), c = stored(type + "c"), norms = expected("norm");
  const std::size_t count = a.size();
  Optimized<T, Exec, O> run(optimizer, stored(type + "start"));

  std::size_t row = 0;
  for (std::size_t step = 0; step < norms.size(); ++step) {
    const auto p = run.parameters();
    std::vector<double> gradient(count);
    double square = 0;
    for (std::size_t j = 0; j < count; ++j) {
      gradient[j] = a[j] * (p[j] - c[step * count + j]);
      square += gradient[j] * gradient[j];
    }
    const double norm = std::sqrt(square);
    CHECK(std::fabs(norm - norms[step]) <= 8 * 20 * epsilon<T> * largest(norms));
    run.step(gradient, clip > 0 ? std::fmin(1.0, clip / (norm + 1e-6)) : 1.0);
    const std::size_t done = step + 1;
    if (done != 1 && done != 5 && done != 20) continue;
    INFO(done << " steps");
    const auto compare = [&](const std::vector<double>& actual, const std::string& key) {
      const auto every = expected(key);
      const auto first = every.begin() + static_cast<std::ptrdiff_t>(count * row);
      // Each step rounds each number a few times.
      const double size = std::fmax(largest(every), key == "p" ? 1.0 : 0.0);
      CHECK(difference(actual, {first, first + static_cast<std::ptrdiff_t>(count)},
                       8 * static_cast<double>(done) * epsilon<T> * size) == "");
    };
    compare(run.parameters(), "p");
    for (std::size_t k = 0; k < O::state.size(); ++k) {
      if (std::string(O::state[k]) != "ema_compensation") compare(run.state(k), O::state[k]);
    }
    ++row;
  }
}

/// A user's optimizer without state: the gradient's sign alone.
struct SignDescent {
  template <class T>
  struct Step {
    T rate;
    KOKKOS_INLINE_FUNCTION T operator()(T p, T g, OptimizerState<T, 0>&) const {
      return p - rate * (g > T(0) ? T(1) : T(-1));
    }
  };

  static constexpr std::array<const char*, 0> state{};
  void check() const {}
  template <class T>
  KOKKOS_FUNCTION Step<T> at(std::int64_t step) const {
    return {static_cast<T>(1.0 / static_cast<double>(step + 1))};
  }
};

/// `steps` steps of one parameter that jumps from 1 to 1.05 in the first and then stays.
template <class T, class O>
struct JumpAndStay {
  O optimizer;
  int steps;
  OptimizerState<T, state_count<O>>* state;

  KOKKOS_FUNCTION void operator()(int) const {
    auto now = *state;
    T p = optimizer.template at<T>(0)(T(1), T(-0.05), now);
    const auto step = optimizer.template at<T>(1);
    for (int s = 1; s < steps; ++s) p = step(p, T(0), now);
    *state = now;
  }
};

// What breaks one rule each.
struct NoNames {
  void check() const {}
  template <class T>
  KOKKOS_FUNCTION LionStep<T> at(std::int64_t) const;
};
struct EqualNames : NoNames {
  static constexpr std::array<const char*, 2> state{"momentum", "momentum"};
  template <class T>
  KOKKOS_FUNCTION AdamStep<T, true> at(std::int64_t) const;
};
struct NoCheck {
  static constexpr std::array<const char*, 1> state{"momentum"};
  template <class T>
  KOKKOS_FUNCTION LionStep<T> at(std::int64_t) const;
};
struct NoAt {
  static constexpr std::array<const char*, 1> state{"momentum"};
  void check() const {}
};
struct Whole : NoNames {
  static constexpr std::array<const char*, 1> state{"momentum"};
};
struct HeavyStep : Whole {
  template <class T>
  struct Step : LionStep<T> {
    std::vector<T> rates;
  };
  template <class T>
  Step<T> at(std::int64_t) const;
};
struct OtherState : Whole {
  template <class T>
  KOKKOS_FUNCTION AdamStep<T, true> at(std::int64_t) const;
};
struct DoubleOnly : Whole {
  template <class T>
  KOKKOS_FUNCTION LionStep<double> at(std::int64_t) const;
};
struct Heavy : Whole {
  std::vector<double> rates;
};

}  // namespace vrfm::test

using namespace vrfm::test;
using vrfm::Adam;
using vrfm::AdamW;
using vrfm::Averaged;
using vrfm::Lion;
using vrfm::Optimizer;
using vrfm::Sgd;
using vrfm::StepFunction;

static_assert(Optimizer<Adam, float> && Optimizer<AdamW, double>);
static_assert(Optimizer<Sgd, float> && Optimizer<Lion, float> && Optimizer<SignDescent, float>);
static_assert(Optimizer<Averaged<AdamW>, float> && Optimizer<Averaged<SignDescent>, double>);
static_assert(Optimizer<Whole, float>);
static_assert(!Optimizer<NoNames, float>);
static_assert(!Optimizer<EqualNames, float>);
static_assert(!Optimizer<NoCheck, float>);
static_assert(!Optimizer<NoAt, float>);
static_assert(!Optimizer<HeavyStep, float>);
static_assert(!Optimizer<OtherState, float>);
static_assert(!Optimizer<DoubleOnly, float> && Optimizer<DoubleOnly, double>);
static_assert(!Optimizer<Heavy, float>);
static_assert(!Optimizer<int, float>);
static_assert(!Optimizer<Averaged<DoubleOnly>, float>);
static_assert(!Optimizer<Averaged<Averaged<AdamW>>, float>, "its names are not distinct");

static_assert(vrfm::state_count<Averaged<Adam>> == 4 && vrfm::state_count<SignDescent> == 0);
static_assert(vrfm::state_index<Adam>("adam.second_moment") == 1);
static_assert(vrfm::state_index<Averaged<Lion>>("ema") == 1);
static_assert(vrfm::state_index<Lion>("ema") == -1);

TEMPLATE_LIST_TEST_CASE("Adam and AdamW are PyTorch's", "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  compare_with_golden<T, Exec>("adam", Adam{.learning_rate = 1e-2});
  const Adam decay{
      .learning_rate = 1e-2, .beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-3, .weight_decay = 0.1};
  compare_with_golden<T, Exec>("adam_decay", decay);
  compare_with_golden<T, Exec>("adam_cosine",
                               Adam{.learning_rate = StepFunction::cosine(1e-2, 0, 20, 0.1)});
  compare_with_golden<T, Exec>("adamw", AdamW{.learning_rate = 1e-3});
  const AdamW recipe{.learning_rate = StepFunction::warmup(2e-2, 5), .weight_decay = 0.1};
  compare_with_golden<T, Exec>("adamw_recipe", recipe, 0.75);
  compare_with_golden<T, Exec>("adamw_recipe", Averaged{recipe, 0.9}, 0.75);
}

TEMPLATE_LIST_TEST_CASE("SGD is PyTorch's", "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Sgd momentum{.learning_rate = 0.125, .momentum = 0.75, .weight_decay = 0.125};
  Sgd nesterov = momentum;
  nesterov.nesterov = true;
  compare_with_golden<T, Exec>("sgd", Sgd{.learning_rate = 0.125});
  compare_with_golden<T, Exec>("sgd_momentum", momentum);
  compare_with_golden<T, Exec>("sgd_nesterov", nesterov);
  compare_with_golden<T, Exec>("sgd_nesterov", Averaged{nesterov, 0.9});
}

TEMPLATE_LIST_TEST_CASE("Lion is the paper's", "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Lion decay{.learning_rate = StepFunction::warmup(2e-2, 5),
                   .beta1 = 0.8,
                   .beta2 = 0.95,
                   .weight_decay = 0.5};
  compare_with_golden<T, Exec>("lion", Lion{.learning_rate = 1e-2});
  compare_with_golden<T, Exec>("lion_decay", decay);
  compare_with_golden<T, Exec>("lion_decay", Averaged{decay, 0.9});
}

TEMPLATE_LIST_TEST_CASE("an optimizer may keep nothing", "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  Optimized<T, typename TestType::Exec, SignDescent> run({}, {1, 2, 3});
  run.step({5, -5, 0.25});
  CHECK(run.all() == std::vector<std::vector<double>>{{0, 3, 2}});
  run.step({5, 5, -0.25});
  CHECK(run.parameters() == std::vector<double>{-0.5, 2.5, 2.5});
}

TEMPLATE_LIST_TEST_CASE("a step that is skipped changes nothing", "[training][optimizer]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Optimized<T, typename TestType::Exec, Averaged<AdamW>> run({}, Numbers(1).take(300));
  run.step(Numbers(2).take(300));
  const auto before = run.all();
  run.step(std::vector<double>(300, nan), 1, true);
  CHECK(run.all() == before);
  run.step(Numbers(3).take(300));
  CHECK(run.all() != before);
}

TEMPLATE_LIST_TEST_CASE("the average starts as a copy and closes the smallest gaps",
                        "[training][optimizer]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  using O = Averaged<Sgd>;
  using State = vrfm::OptimizerState<T, vrfm::state_count<O>>;
  // What was in the memory of the average before step 0 has no effect.
  const auto gap_after = [](double decay, int steps) {
    const vrfm::Array<State, Exec> state("vrfm::test::state", 1);
    const auto host = Kokkos::create_mirror_view(state);
    host(0) = {{T(0), T(7), T(7)}};
    Kokkos::deep_copy(state, host);
    const O optimizer{Sgd{.learning_rate = 1}, decay};
    Kokkos::parallel_for(Kokkos::RangePolicy<Exec>(0, 1),
                         JumpAndStay<T, O>{optimizer, steps, state.data()});
    Kokkos::fence();
    Kokkos::deep_copy(host, state);
    return 1.05 - static_cast<double>(host(0).value[1]);
  };
  // A plain sum in float would stand still: an increment is 0.4 units in the last place.
  for (const int steps : {1, 1000, 100'000, 4'000'000}) {
    INFO(steps << " steps");
    const double expected = 0.05 * std::pow(0.999999, steps);
    CHECK(std::fabs(gap_after(0.999999, steps) - expected) <= 4 * epsilon<T>);
  }
  CHECK(std::fabs(gap_after(0, 1)) <= 2 * epsilon<T>);
}

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)
TEMPLATE_TEST_CASE("one thread and many update to the same bits", "[training][optimizer][threads]",
                   float, double) {
  const auto after_5 = [](auto exec, const auto& optimizer) {
    using O = std::decay_t<decltype(optimizer)>;
    Optimized<TestType, decltype(exec), O> run(optimizer, Numbers(1).take(100'003));
    for (std::uint32_t step = 0; step < 5; ++step) run.step(Numbers(2 + step).take(100'003), 0.7);
    return run.all();
  };
  const auto check = [&](const auto& optimizer) {
    CHECK((after_5(Kokkos::Serial(), optimizer) == after_5(Kokkos::OpenMP(), optimizer)));
  };
  check(Averaged{AdamW{}});
  check(Averaged{Sgd{.momentum = 0.9, .nesterov = true}});
  check(Lion{});
}
#endif

TEST_CASE("the optimisers' defaults are PyTorch's and the paper's", "[training][optimizer]") {
  const Adam adam;
  const AdamW adamw;
  const Sgd sgd;
  const Lion lion;
  CHECK((adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.epsilon == 1e-8));
  CHECK((adam.weight_decay == 0 && adam.learning_rate.value() == 1e-3));
  CHECK((adamw.beta1 == 0.9 && adamw.beta2 == 0.999 && adamw.epsilon == 1e-8));
  CHECK((adamw.weight_decay == 0.01 && adamw.learning_rate.value() == 1e-3));
  CHECK((sgd.momentum == 0 && !sgd.nesterov && sgd.weight_decay == 0));
  CHECK(sgd.learning_rate.value() == 1e-3);
  CHECK((lion.beta1 == 0.9 && lion.beta2 == 0.99 && lion.weight_decay == 0));
  CHECK(lion.learning_rate.value() == 1e-4);
}

TEST_CASE("impossible hyper-parameters are refused", "[training][optimizer]") {
  const auto refusal = [](const auto& optimizer) {
    return thrown<std::invalid_argument>([&] { optimizer.check(); });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(Adam{}.check());
  CHECK_NOTHROW(AdamW{}.check());
  CHECK_NOTHROW(Sgd{.momentum = 0.9, .nesterov = true}.check());
  CHECK_NOTHROW(Lion{}.check());
  CHECK_NOTHROW(Averaged{AdamW{}, 0}.check());

  CHECK(refusal(AdamW{.learning_rate = -1}) == "vrfm: learning rate must be positive, got -1");
  CHECK(refusal(Adam{.learning_rate = 0}) == "vrfm: learning rate must be positive, got 0");
  CHECK(contains(refusal(Sgd{.learning_rate = nan}), "learning rate must be positive, got "));
  CHECK(refusal(Lion{.learning_rate = infinity}) ==
        "vrfm: learning rate must be a number that float holds, >= 0, got inf");
  CHECK(refusal(Adam{.learning_rate = StepFunction::warmup(1, -1)}) ==
        "vrfm: the warm-up of the learning rate must be >= 0 steps, got -1");
  CHECK(refusal(AdamW{.beta1 = 1}) == "vrfm: beta1 must be in [0, 1), got 1");
  CHECK(refusal(AdamW{.beta2 = -0.1}) == "vrfm: beta2 must be in [0, 1), got -0.1");
  CHECK(refusal(AdamW{.epsilon = 0}) ==
        "vrfm: epsilon must be a number that float holds, >= 1.17549e-38, got 0");
  CHECK(refusal(AdamW{.weight_decay = -0.01}) ==
        "vrfm: weight decay must be a number that float holds, >= 0, got -0.01");
  CHECK(contains(refusal(AdamW{.beta1 = nan}), "beta1 must be in [0, 1), got "));
  CHECK(contains(refusal(AdamW{.weight_decay = nan}),
                 "weight decay must be a number that float holds, >= 0, got "));

  // What is 0 or infinite as a float.
  CHECK(contains(refusal(AdamW{.epsilon = 1e-50}), "epsilon must be a number that float holds"));
  CHECK(contains(refusal(Sgd{.learning_rate = 1e39}), "got 1e+39"));
  CHECK(contains(refusal(Lion{.weight_decay = infinity}), "got inf"));

  CHECK(refusal(Sgd{.momentum = 1}) == "vrfm: momentum must be in [0, 1), got 1");
  CHECK(contains(refusal(Sgd{.momentum = nan}), "momentum must be in [0, 1), got "));
  CHECK(refusal(Sgd{.nesterov = true}) == "vrfm: Nesterov's step needs a momentum above 0, got 0");
  CHECK(refusal(Sgd{.weight_decay = -1}) ==
        "vrfm: weight decay must be a number that float holds, >= 0, got -1");
  CHECK(refusal(Lion{.beta1 = 1}) == "vrfm: beta1 must be in [0, 1), got 1");
  CHECK(refusal(Lion{.beta2 = 2}) == "vrfm: beta2 must be in [0, 1), got 2");
  CHECK(refusal(Lion{.weight_decay = -1}) ==
        "vrfm: weight decay must be a number that float holds, >= 0, got -1");

  for (const double decay : {1.0, -0.5})
    CHECK(refusal(Averaged{AdamW{}, decay}) ==
          vrfm::text("vrfm: ema_decay must be in [0, 1), got ", decay));
  CHECK(contains(refusal(Averaged{AdamW{}, nan}), "ema_decay must be in [0, 1), got "));
  CHECK(refusal(Averaged{AdamW{.beta1 = 1}, 1}) == "vrfm: beta1 must be in [0, 1), got 1");
}
