// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CrossEntropy: losses and gradients of logits against PyTorch's cross_entropy (tests/golden/make_classifier.py); the
// gradient of a small classifier's parameters against differences, in both contexts; labels that are none; what is
// refused.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include "problem.hpp"

#include <vrfm/models/blocks/mlp.hpp>
#include <vrfm/objectives/cross_entropy.hpp>
#include <vrfm/objectives/sum.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace vrfm::test {

/// Any layer is a classifier.
template <class L>
struct LayerNetworks {
  L classifier;
};

/// y = x
struct SameLayer {
  static constexpr bool has_parameters = false;
  template <class T>
  struct Saved {};
  int columns = 1;
  KOKKOS_FUNCTION int inputs() const { return columns; }
  KOKKOS_FUNCTION int outputs() const { return columns; }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, ConstMatrix<T> x, Matrix<T> y, Saved<T>*,
                               Arena<T>&) const {
    ctx.map(x.rows, columns, Copy<T>{x, y});
  }
  /// Into the parameters' gradient, where the test reads it.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T>, const Saved<T>&, Arena<T>&) const {
    ctx.map(dy.rows, columns, Copy<T>{dy, Matrix<T>(g.values, dy.rows, columns, columns)});
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>&, Arena<T>&) const {
    ctx.map(dx.rows, columns, Copy<T>{dx, dy});
  }
};

}  // namespace vrfm::test

namespace {

using Labels = std::vector<double>;

/// CrossEntropy of a layer's logits at `x`, row by row.
template <class T, class Exec, class L>
Evaluation evaluate(const L& layer, const std::vector<double>& parameters,
                    const std::vector<double>& x, const Labels& labels,
                    const CrossEntropy& objective, Where where, double weight,
                    std::size_t gradients, const Labels& dropped = {}) {
  const int rows = static_cast<int>(labels.size());
  Padded<T, Exec> p(1, static_cast<int>(parameters.size()), parameters),
      x1(rows, layer.inputs(), x), losses(rows, 2), gradient(1, static_cast<int>(gradients));
  const auto label = table<std::int32_t, Exec>(labels.size(), 1, labels);
  const auto drop = table<std::int32_t, Exec>(dropped.size(), 1, dropped);
  using Networks = LayerNetworks<L>;
  CallObjective<T, Networks, CrossEntropy> call{Networks{layer},
                                                objective,
                                                p.data(),
                                                {gradients > 0 ? gradient.data() : nullptr, false},
                                                x1.matrix(),
                                                x1.matrix(),
                                                {},
                                                {},
                                                weight,
                                                losses.matrix(),
                                                nullptr,
                                                0};
  call.condition.label = vrfm::matrix(label);
  if (!dropped.empty()) call.condition.dropped = vrfm::matrix(drop);
  auto measure = Arena<T>::measure();
  objective(MeasureContext{}, call.problem(), measure);
  const Array<T, Exec> block("cross_entropy", measure.peak());
  call.block = block.data();
  call.capacity = block.extent(0);
  const Exec exec;
  if (where == Where::tile) {
    launch_tiles(exec, "cross_entropy", 1, call);
  } else {
    Arena<T> arena(call.block, call.capacity);
    objective(BatchContext<Exec>(exec), call.problem(), arena);
  }
  return {gradient.read(), losses.read()};
}

std::vector<double> golden(const std::string& name) {
  const auto file = golden_file("classifier.safetensors");
  const auto values = file.at(name).template values<double>();
  return {values.begin(), values.end()};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("cross entropy and its gradient are PyTorch's",
                        "[objectives][cross_entropy]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const auto logits = golden("logits");
  const Labels labels{0, 3, 1, 2, 2, 0};
  const std::vector<double> errors{[&] {
    std::vector<double> wrong;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(4 * i);
      wrong.push_back(
          std::max_element(begin, begin + 4) - begin == static_cast<int>(labels[i]) ? 0 : 1);
    }
    return wrong;
  }()};
  CHECK(std::count(errors.begin(), errors.end(), 0.0) > 0);
  CHECK(std::count(errors.begin(), errors.end(), 1.0) > 0);
  for (const auto& [smoothing, name] : {std::pair(0.0, "0.0"), std::pair(0.1, "0.1")}) {
    const auto losses = golden(std::string("losses.") + name),
               gradient = golden(std::string("gradient.") + name);
    for (const auto where : {Where::tile, Where::batch}) {
      const auto found =
          evaluate<T, Exec>(SameLayer{4}, {}, logits, labels, {.label_smoothing = smoothing}, where,
                            1.0 / 6, logits.size());
      // The rounding of logits counts as much as they are large.
      CHECK(difference(found.column(0, 2), losses,
                       [&](std::size_t i) { return 8 * epsilon<T> * (1 + losses[i]); }) == "");
      CHECK(found.column(1, 2) == errors);
      CHECK(difference(found.gradient, gradient, 16 * epsilon<T> * (1 + 30)) == "");
    }
  }
}

TEMPLATE_LIST_TEST_CASE("gradient of the cross entropy", "[objectives][cross_entropy][gradient]",
                        Spaces) {
  using Exec = TestType;
  ParameterList list;
  const Mlp<Silu> classifier(list, "classifier", {3, 5, 4});
  Numbers numbers(3);
  auto parameters = numbers.take(list.count());
  const auto x = numbers.take(5 * 3);
  const Labels labels{0, 3, 1, 3, 2};
  constexpr double weight = 0.2;
  const double h = std::cbrt(epsilon<double>);
  for (const CrossEntropy objective : {CrossEntropy{}, CrossEntropy{.label_smoothing = 0.3}}) {
    const auto total = [&] {
      return evaluate<double, Exec>(classifier, parameters, x, labels, objective, Where::tile,
                                    weight, 0)
          .total({weight, 0});
    };
    std::vector<double> numeric;
    for (double& parameter : parameters) {
      const double centre = parameter;
      parameter = centre + h;
      const double high = total();
      parameter = centre - h;
      numeric.push_back((high - total()) / (2 * h));
      parameter = centre;
    }
    for (const auto where : {Where::tile, Where::batch}) {
      const auto found = evaluate<double, Exec>(classifier, parameters, x, labels, objective, where,
                                                weight, list.count());
      CHECK(difference(found.gradient, numeric, 50 * h * h * (1 + total())) == "");
      CHECK(std::count(found.gradient.begin(), found.gradient.end(), 0.0) == 0);
      CHECK(found.losses ==
            evaluate<double, Exec>(classifier, parameters, x, labels, objective, where, weight, 0)
                .losses);
    }
  }
}

TEST_CASE("logits of any size have finite losses", "[objectives][cross_entropy]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const std::vector<double> logits{3e38, -3e38, 0, -3e38, -3e38, -3e38, 0, 0, 0, 20, 0, 0};
  const auto found = evaluate<float, Exec>(SameLayer{3}, {}, logits, {0, 1, 2, 0}, {}, Where::tile,
                                           1, logits.size());
  const float small = 2 * std::exp(-20.0f);
  // Of equal logits the first is the answer; a loss far below one keeps its digits.
  CHECK(found.column(1, 2) == std::vector<double>{0, 1, 1, 0});
  CHECK(difference(found.column(0, 2), {0, std::log(3.0), std::log(3.0), small},
                   4 * epsilon<float>) == "");
  CHECK(std::fabs(found.losses[6] - small) < 4 * epsilon<float> * small);
  for (const double g : found.gradient) CHECK(std::isfinite(g));
}

TEST_CASE("a label that is none of the classes, or dropped, has no loss",
          "[objectives][cross_entropy]") {
  using Exec = Kokkos::DefaultHostExecutionSpace;
  const std::vector<double> logits{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3};
  const auto found = evaluate<double, Exec>(SameLayer{3}, {}, logits, {0, 3, -1, 2}, {},
                                            Where::tile, 1, logits.size(), {0, 0, 0, 1});
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 2; ++k) CHECK(std::isfinite(found.losses[2 * i + k]) == (i == 0));
    for (std::size_t k = 0; k < 3; ++k) CHECK(std::isfinite(found.gradient[3 * i + k]) == (i == 0));
  }
}

TEST_CASE("cross entropy checks its smoothing and asks for every label",
          "[objectives][cross_entropy]") {
  const LayerNetworks<SameLayer> networks{{3}};
  static_assert(RequireObjective<CrossEntropy, LayerNetworks<SameLayer>>::ok);
  static_assert(needs_condition<CrossEntropy> &&
                needs_condition<SumOf<CrossEntropy, CrossEntropy>>);
  CHECK_NOTHROW(CrossEntropy{.label_smoothing = 0.9}.check(networks));
  for (const double smoothing : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(contains(thrown<std::invalid_argument>(
                       [&] { CrossEntropy{.label_smoothing = smoothing}.check(networks); }),
                   "CrossEntropy's label_smoothing must be in [0, 1), got "));
  }
}
