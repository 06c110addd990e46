// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every layer must do, checked in one function: conform<Exec>(layer, parameter_count). On
// the host, in double: derivatives against five-point finite differences, forward mode against
// reverse mode. On Exec, with float and double, through both contexts: the host's numbers, gradient
// modes, unwanted results, batches of 0, 1 and more rows than a tile, and that no step uses more
// memory than was measured or writes outside what it was given.
//
// Tolerances: a five-point difference with step h = eps^(1/5) errs by about eps^(4/5); the same
// arithmetic in another order errs by eps times the number of roundings.
#pragma once

#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>

#include <vrfm/layers/layer.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/execution.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::test {

/// Columns [first, first + count) of a layer's input.
struct Columns {
  int first = 0;
  int count = 0;
};

/// One use of a layer: forward, then what of backward and tangent is wanted. Matrices that are empty
/// are not.
template <class L, class T>
struct LayerStep {
  L layer;
  const T* p;
  Matrix<const T> x;
  Matrix<T> y;
  bool save;  ///< false: inference
  Gradient<T> g;
  Matrix<const T> dy;
  Matrix<T> dx;
  Matrix<const T> tangent_x;
  Matrix<T> tangent_y;
  T* block;
  std::size_t capacity;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void run(const Ctx& ctx, Arena<T>& arena) const {
    typename L::template Saved<T> saved;
    const auto mark = arena.used();
    layer.forward(ctx, p, x, y, save ? &saved : nullptr, arena);
    if (!save) {
      if (arena.used() != mark) Kokkos::abort("forward without saved kept memory");
      return;
    }
    const auto kept = arena.used();
    if (!dy.empty()) layer.backward(ctx, p, g, x, dy, dx, saved, arena);
    if (!tangent_x.empty()) layer.tangent(ctx, p, tangent_x, tangent_y, saved, arena);
    if (arena.used() != kept) Kokkos::abort("backward or tangent kept memory");
  }

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    Arena<T> arena(block, capacity);
    run(ctx, arena);
  }

  /// Numbers of working memory in the context that `dry` measures for.
  template <class Ctx = MeasureContext>
  std::size_t measured(const Ctx& dry = {}) const {
    auto arena = Arena<T>::measure();
    run(dry, arena);
    return arena.peak();
  }
};

/// What goes into a step and what comes out, as doubles.
struct LayerData {
  int samples;
  int x_rows, y_rows;
  std::vector<double> p, x, dy, tangent_x, old_gradient;
};

struct LayerResult {
  std::vector<double> y, dx, g, tangent_y;
};

/// What a gradient held when its layer said that it is done.
class DoneValues final : public GradientWatch {
 public:
  explicit DoneValues(const std::vector<double>& gradient)
      : gradient_(gradient), then_(gradient.size()), said_(gradient.size()) {}

  void done(std::size_t offset, std::size_t count) override {
    for (std::size_t k = offset; k < offset + count; ++k) {
      then_.at(k) = gradient_[k];
      said_[k] = 1;
    }
  }

  /// Nothing was written behind the last word on it.
  bool true_to_its_word() const {
    for (std::size_t k = 0; k < then_.size(); ++k) {
      if (said_[k] != 0 && then_[k] != gradient_[k]) return false;
    }
    return true;
  }

 private:
  const std::vector<double>& gradient_;
  std::vector<double> then_;
  std::vector<char> said_;
};

enum class GradientMode { ignore, overwrite, accumulate };

struct ConformanceOptions {
  Columns differentiable = {};  ///< the columns of x that dx is about
  Columns tangent = {};         ///< those that tangent moves, among them
  Columns fixed = {};  ///< parameters whose gradient is 0, because no training changes them
  /// How much larger than its values the fifth derivatives of a deep network may be, in which finite differences
  /// err.
  double roughness = 1;
  double weights = 1;  ///< the largest parameter
};

template <class L>
class Conformance {
 public:
  Conformance(const L& layer, std::size_t parameters, const ConformanceOptions& options)
      : layer_(layer),
        parameters_(parameters),
        differentiable_(options.differentiable),
        tangent_(options.tangent),
        fixed_(options.fixed),
        roughness_(options.roughness),
        weights_(options.weights) {}

  /// Derivatives on the host, in double.
  void derivatives() const {
    const LayerData data = make_data(3, 31);
    const LayerResult result = on_host(data);
    // Where the truncation, h^4 times a fifth derivative, is as large as the rounding, epsilon / h.
    const double h = std::pow(epsilon<double> / roughness_, 0.2);
    const double tolerance = 64 * roughness_ * std::pow(epsilon<double>, 0.8) *
                             (1 + largest(result.y) + largest(result.g));

    CHECK(difference(on_host(data, false).y, result.y, 8 * epsilon<double> * largest(result.y)) ==
          "");

    LayerData at = data;
    const auto weighted_sum = [&] { return dot(on_host(at, false).y, data.dy); };
    const auto slope = [&](double& variable) {
      const double centre = variable;
      const auto f = [&](double step) {
        variable = centre + step * h;
        return weighted_sum();
      };
      const double quotient = (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h);
      variable = centre;
      return quotient;
    };
    std::vector<double> dp, dx;
    for (std::size_t k = 0; k < at.p.size(); ++k) {
      const int before = static_cast<int>(k) - fixed_.first;
      const bool fixed = before >= 0 && before < fixed_.count;
      dp.push_back(fixed ? 0 : slope(at.p[k]));
    }
    for (std::size_t k = 0; k < at.x.size(); ++k) {
      if (within(k, differentiable_)) dx.push_back(slope(at.x[k]));
    }
    CHECK(difference(result.g, dp, tolerance) == "");
    CHECK(difference(result.dx, dx, tolerance) == "");

    if (tangent_.count == 0) return;
    const auto moved = [&](double step) {
      for (std::size_t k = 0, t = 0; k < at.x.size(); ++k) {
        if (within(k, tangent_)) at.x[k] = data.x[k] + step * h * data.tangent_x[t++];
      }
      return on_host(at, false).y;
    };
    const auto f1 = moved(1), b1 = moved(-1), f2 = moved(2), b2 = moved(-2);
    std::vector<double> dy;
    for (std::size_t k = 0; k < f1.size(); ++k) {
      dy.push_back((8 * (f1[k] - b1[k]) - (f2[k] - b2[k])) / (12 * h));
    }
    CHECK(difference(result.tangent_y, dy, tolerance) == "");

    // <u, J v> = <J^T u, v>, J the derivative in the tangent's columns.
    std::vector<double> reverse;
    for (std::size_t k = 0, d = 0; k < at.x.size(); ++k) {
      const bool has_dx = within(k, differentiable_);
      if (within(k, tangent_)) reverse.push_back(result.dx.at(d));
      d += has_dx ? 1 : 0;
    }
    const double left = dot(result.tangent_y, data.dy), right = dot(reverse, data.tangent_x);
    CHECK(std::fabs(left - right) <= roundings<double>(data) * (1 + std::fabs(left)));
  }

  /// The same numbers on Exec, in all its modes.
  template <class Exec, class T>
  void execution() const {
    // The last: more than one tile of a product by two threads.
    for (const int samples : {0, 1, (98 + input_pixels(layer_)) / input_pixels(layer_)}) {
      const LayerData data = make_data(samples, 32);
      const LayerResult expected = on_host(data);
      for (const bool tile : {false, true}) {
        if (tile && host_only<L>) continue;
        INFO(samples << " samples, " << (tile ? "TileContext" : "BatchContext") << ", "
                     << (sizeof(T) == 4 ? "float" : "double"));
        compare<T>(on<Exec, T>(data, tile, {}), expected, data);
        compare<T>(on<Exec, T>(data, tile, {.mode = GradientMode::accumulate}), expected, data,
                   data.old_gradient);
        compare<T>(on<Exec, T>(data, tile, {.want_dx = false}), expected, data);
        compare<T>(on<Exec, T>(data, tile, {.save = false}), expected, data);
        const auto ignored = on<Exec, T>(data, tile, {.mode = GradientMode::ignore});
        CHECK(ignored.g.empty());
        compare<T>(ignored, expected, data);
        compare<T>(on<Exec, T>(data, tile, {.mode = GradientMode::ignore, .want_dx = false}),
                   expected, data);
      }
    }
  }

 private:
  struct Wish {
    GradientMode mode = GradientMode::overwrite;
    bool want_dx = true;
    bool save = true;
  };

  static std::size_t count(int rows, int cols) {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols);
  }

  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  }

  bool within(std::size_t k, Columns columns) const {
    const int j = static_cast<int>(k % static_cast<std::size_t>(layer_.inputs()));
    return j >= columns.first && j < columns.first + columns.count;
  }

  /// A bound for the relative error of results that differ in the order of their sums: the layer's
  /// longest sum is over its rows or its widest matrix, neither above 128 here.
  template <class T>
  double roundings(const LayerData& data) const {
    return 4 * epsilon<T> * (128 + data.x_rows + data.y_rows);
  }

  LayerData make_data(int samples, std::uint32_t seed) const {
    Numbers numbers(seed);
    LayerData data{samples,
                   samples * input_pixels(layer_),
                   samples * output_pixels(layer_),
                   numbers.take(parameters_),
                   {},
                   {},
                   {},
                   {}};
    for (double& parameter : data.p) parameter *= weights_;
    data.x = numbers.take(count(data.x_rows, layer_.inputs()));
    data.dy = numbers.take(count(data.y_rows, layer_.outputs()));
    data.tangent_x = numbers.take(count(data.x_rows, tangent_.count));
    data.old_gradient = numbers.take(parameters_);
    return data;
  }

  /// Everything in double by the calling thread.
  LayerResult on_host(const LayerData& data, bool save = true) const {
    using Host = Kokkos::DefaultHostExecutionSpace;
    LayerResult r;
    r.y.resize(data.dy.size());
    r.dx.resize(count(data.x_rows, differentiable_.count));
    r.g.resize(parameters_);
    r.tangent_y.resize(data.dy.size());
    const auto read = [](const std::vector<double>& v, int rows, int cols) {
      return Matrix<const double>(v.data(), rows, cols, cols);
    };
    const auto write = [](std::vector<double>& v, int rows, int cols) {
      return Matrix<double>(v.data(), rows, cols, cols);
    };
    const int in = data.x_rows, out = data.y_rows;
    DoneValues done(r.g);
    LayerStep<L, double> step{layer_,
                              data.p.data(),
                              read(data.x, in, layer_.inputs()),
                              write(r.y, out, layer_.outputs()),
                              save,
                              {r.g.data(), false, &done},
                              read(data.dy, out, layer_.outputs()),
                              write(r.dx, in, differentiable_.count),
                              read(data.tangent_x, in, tangent_.count),
                              write(r.tangent_y, out, layer_.outputs()),
                              nullptr,
                              0};
    std::vector<double> block(step.measured());
    step.block = block.data();
    step.capacity = block.size();
    step(TileContext<Host>{}, 0);
    CHECK(done.true_to_its_word());
    return r;
  }

  /// One step on Exec; results that are not wanted come back empty.
  template <class Exec, class T>
  LayerResult on(const LayerData& data, bool tile, const Wish& wish) const {
    const int in = data.x_rows, out = data.y_rows, n = static_cast<int>(parameters_);
    Padded<T, Exec> p(1, n, data.p), x(in, layer_.inputs(), data.x),
        dy(out, layer_.outputs(), data.dy), tangent_x(in, tangent_.count, data.tangent_x);
    Padded<T, Exec> y(out, layer_.outputs()), dx(in, differentiable_.count), g(1, n),
        tangent_y(out, layer_.outputs());
    if (wish.mode != GradientMode::overwrite) g.write(data.old_gradient);
    const bool ignore = wish.mode == GradientMode::ignore;
    const bool want_dx = wish.want_dx && differentiable_.count > 0;
    const bool want_tangent = wish.save && tangent_.count > 0;
    LayerStep<L, T> step{
        layer_,
        p.data(),
        x.matrix(),
        y.matrix(),
        wish.save,
        {ignore ? nullptr : g.data(), wish.mode == GradientMode::accumulate, nullptr},
        dy.matrix(),
        want_dx ? dx.matrix() : Matrix<T>(),
        want_tangent ? Matrix<const T>(tangent_x.matrix()) : Matrix<const T>(),
        tangent_y.matrix(),
        nullptr,
        0};
    // Exactly the measured memory, as NaN: the arena ends the program if it is too little, and
    // whatever is read before it was written shows.
    const Exec exec;
    const auto needed =
        static_cast<int>(tile ? step.measured() : step.measured(BatchContext<Exec>::dry_run(exec)));
    Padded<T, Exec> memory(1, needed);
    step.block = memory.data();
    step.capacity = static_cast<std::size_t>(needed);

    if constexpr (!host_only<L>) {
      if (tile) launch_tiles(exec, "vrfm::test::layer_step", 1, step);
    }
    if (!tile) {
      Arena<T> arena(step.block, step.capacity);
      step.run(BatchContext<Exec>(exec), arena);
      CHECK(arena.peak() == step.capacity);
    }
    memory.read();  // throws if anything beside it changed
    LayerResult r;
    r.y = y.read();
    const auto gradient = g.read();
    if (!wish.save || ignore) {
      // Not asked for: nothing may have changed.
      if (ignore) CHECK(gradient == data.old_gradient);
    } else {
      r.g = gradient;
    }
    if (wish.save && want_dx) r.dx = dx.read();
    if (want_tangent) r.tangent_y = tangent_y.read();
    return r;
  }

  /// Compares what is there; `start` is what the gradient was added to.
  template <class T>
  void compare(const LayerResult& actual, const LayerResult& expected, const LayerData& data,
               const std::vector<double>& start = {}) const {
    const auto same = [&](const std::vector<double>& a, const std::vector<double>& e) {
      return a.empty() && !e.empty() ? std::string()
                                     : difference(a, e, roundings<T>(data) * (1 + largest(e)));
    };
    std::vector<double> gradient = expected.g;
    for (std::size_t k = 0; k < start.size(); ++k) gradient[k] += start[k];
    CHECK(same(actual.y, expected.y) == "");
    CHECK(same(actual.dx, expected.dx) == "");
    CHECK(same(actual.g, gradient) == "");
    CHECK(same(actual.tangent_y, expected.tangent_y) == "");
  }

  L layer_;
  std::size_t parameters_;
  Columns differentiable_, tangent_, fixed_;
  double roughness_, weights_;
};

/// Checks a layer with `parameters` parameters on Exec.
template <class Exec, class L>
void conform(const L& layer, std::size_t parameters, const ConformanceOptions& options) {
  static_assert(RequireLayer<L>::ok);
  const Conformance<L> conformance(layer, parameters, options);
  // Sanitizers look at memory, which each mode below touches; thousands of differences in a build without
  // optimisation take most of an hour.
#if !defined(VRFM_TEST_BRIEFLY)
  conformance.derivatives();
#endif
  conformance.template execution<Exec, double>();
  conformance.template execution<Exec, float>();
}

/// The same for a layer that is differentiable in all its inputs.
template <class Exec, class L>
void conform(const L& layer, std::size_t parameters) {
  const Columns all{0, layer.inputs()};
  conform<Exec>(layer, parameters, {.differentiable = all, .tangent = all});
}

}  // namespace vrfm::test
