// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Layers of images whose parameters and activations are stored in BFloat16, beside the same in float: forward,
// backward of inputs and of parameters, tangent. All numbers that go in are BFloat16's, so that what differs are
// roundings of what is stored.
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/dropout.hpp>
#include <vrfm/layers/group_norm.hpp>
#include <vrfm/layers/label_embedding.hpp>
#include <vrfm/layers/resample.hpp>
#include <vrfm/layers/sinusoidal_embedding.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using List = std::vector<double>;

/// Half the spacing of BFloat16's numbers above 1: the largest relative error of a rounding.
constexpr double rounding = 1.0 / 256;

List rounded_to_stored(List values) {
  for (double& value : values) value = double(float(BFloat16(static_cast<float>(value))));
  return values;
}

/// Numbers that BFloat16 holds.
class StoredNumbers {
 public:
  explicit StoredNumbers(std::uint32_t seed) : numbers_(seed) {}
  List take(int rows, int cols) {
    return rounded_to_stored(numbers_.take(std::size_t(rows) * std::size_t(cols)));
  }

 private:
  Numbers numbers_;
};

/// sqrt(sum (a - b)^2 / sum b^2)
double relative_distance(const List& a, const List& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    difference += (a[k] - b[k]) * (a[k] - b[k]);
    size += b[k] * b[k];
  }
  return std::sqrt(difference / size);
}

struct Passes {
  List y, dx, gradient, rate;
};

/// All passes of one layer over three samples, with what its caller stores in S.
template <class Layer, class Saved, class S>
struct StoredPass {
  Layer layer;
  Matrix<S> p, x, tangent, dy, y, dx, rate;
  Matrix<float> g;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int, Arena<float>& arena) const {
    Saved saved;
    const S* const values = p.data;
    layer.forward(ctx, values, x, y, &saved, arena);
    layer.backward(ctx, values, Gradient<float>{g.data, false, nullptr}, x, dy, dx, saved, arena);
    layer.tangent(ctx, values, tangent, rate, saved, arena);
  }
};

template <class Exec, class S, class Saved, class Layer>
Passes pass(const Layer& layer, const ParameterList& list, bool tiles) {
  constexpr int samples = 3;
  const int parameters = math::maximum(1, static_cast<int>(list.count()));
  const int in = samples * input_pixels(layer), out = samples * output_pixels(layer);
  StoredNumbers numbers(41);
  const auto filled = [&](int rows, int cols) {
    return Padded<S, Exec>(rows, cols, numbers.take(rows, cols));
  };
  const auto p = filled(1, parameters), x = filled(in, layer.inputs()),
             tangent = filled(in, layer.inputs()), dy = filled(out, layer.outputs());
  Padded<S, Exec> y(out, layer.outputs()), dx(in, layer.inputs()), rate(out, layer.outputs());
  Padded<float, Exec> g(1, parameters, List(std::size_t(parameters), 0.0));
  const StoredPass<Layer, Saved, S> step{layer,       p.matrix(), x.matrix(),  tangent.matrix(),
                                         dy.matrix(), y.matrix(), dx.matrix(), rate.matrix(),
                                         g.matrix()};
  auto measure = Arena<float>::measure();
  const Exec exec;
  const auto run = [&](const BatchContext<Exec>& ctx, Arena<float>& arena) {
    if (tiles) {
      ctx.each_tile(1, step, arena);
    } else {
      step(ctx, 0, arena);
    }
  };
  run(BatchContext<Exec>::dry_run(exec), measure);
  Padded<float, Exec> memory(1, static_cast<int>(measure.peak()) + 1);
  Arena<float> arena(memory.data(), measure.peak());
  run(BatchContext<Exec>(exec), arena);
  return {y.read(), dx.read(), g.read(), rate.read()};
}

/// A pass of few roundings of what is stored agrees with that of float; `roundings`: how many follow one another.
template <class Exec, class InFloat, class InHalf, class Make>
void compare(const Make& make, double roundings = 2) {
  ParameterList list;
  const auto layer = make(list);
  for (const bool tiles : {false, true}) {
    CAPTURE(tiles);
    const Passes whole = pass<Exec, float, InFloat>(layer, list, tiles);
    const Passes half = pass<Exec, BFloat16, InHalf>(layer, list, tiles);
    CHECK(relative_distance(half.y, whole.y) < roundings * rounding);
    CHECK(relative_distance(half.dx, whole.dx) < roundings * rounding);
    CHECK(relative_distance(half.rate, whole.rate) < roundings * rounding);
    if (list.count() == 0) continue;
    CHECK(relative_distance(half.gradient, whole.gradient) < roundings * rounding);
    // What is stored is rounded; gradients of parameters are not.
    CHECK(half.y == rounded_to_stored(half.y));
    CHECK(half.gradient != rounded_to_stored(half.gradient));
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("convolutions stored in bfloat16 agree with float", "[layers][stored]",
                        Spaces) {
  // Borders and a stride; channels that are read eight at a time; more pixels than a block of C has rows; a window
  // that is not square.
  const struct {
    Window window;
    int inputs, outputs;
  } cases[] = {{{9, 7, 3, 2, 1}, 5, 6},
               {{6, 5, 3, 1, 1}, 16, 24},
               {{15, 14, 3, 1, 1}, 8, 3},
               {{4, 9, {1, 7}, 1, {0, 3}}, 4, 5}};
  for (const auto& c : cases) {
    CAPTURE(c.inputs, c.outputs);
    compare<TestType, Conv::Saved<float>, Conv::Saved<float>>(
        [&](ParameterList& list) { return Conv(list, "conv", c.window, c.inputs, c.outputs); });
  }
}

TEMPLATE_LIST_TEST_CASE("group norms stored in bfloat16 agree with float", "[layers][stored]",
                        Spaces) {
  using Norm = GroupNorm<Silu>;
  compare<TestType, Norm::Saved<float>, Norm::Saved<float, BFloat16, BFloat16>>(
      [](ParameterList& list) { return Norm(list, "norm", 45, 12, 3); });
}

TEMPLATE_LIST_TEST_CASE("pooling and upsampling stored in bfloat16 agree with float",
                        "[layers][stored]", Spaces) {
  compare<TestType, AveragePool::Saved<float>, AveragePool::Saved<float>>(
      [](ParameterList&) {
        return AveragePool({7, 9}, 5, 3);
      },
      1);
  compare<TestType, AveragePool::Saved<float>, AveragePool::Saved<float>>(
      [](ParameterList&) {
        return AveragePool({4, 3, 5}, 5, 2);
      },
      1);
  compare<TestType, NearestUpsample::Saved<float>, NearestUpsample::Saved<float>>(
      [](ParameterList&) {
        return NearestUpsample({3, 4}, 5, 2);
      },
      1);
}

TEMPLATE_LIST_TEST_CASE("sinusoidal embeddings stored in bfloat16 agree with float",
                        "[layers][stored]", Spaces) {
  using Embedding = SinusoidalEmbedding;
  compare<TestType, Embedding::Saved<float>, Embedding::Saved<float, BFloat16>>(
      [](ParameterList&) { return Embedding(3, 16, 4, 100); });
}

TEMPLATE_LIST_TEST_CASE("dropout rounds what it writes in bfloat16", "[layers][stored]", Spaces) {
  const int rows = 24, cols = 11;
  StoredNumbers numbers(42);
  const auto values = numbers.take(rows, cols);
  const BatchContext<TestType> ctx{TestType()};
  const DrawAddress draws{.seed = 3, .step = 5};
  for (const double probability : {0.0, 0.3}) {
    const Dropout layer(probability, 8, cols, 1);
    const Padded<float, TestType> x(rows, cols, values);
    const Padded<BFloat16, TestType> stored(rows, cols, values);
    Padded<float, TestType> y(rows, cols);
    Padded<BFloat16, TestType> from_float(rows, cols), from_stored(rows, cols);
    layer.forward(ctx, draws, x.matrix(), y.matrix());
    layer.forward(ctx, draws, x.matrix(), from_float.matrix());
    layer.backward(ctx, draws, stored.matrix(), from_stored.matrix());
    const auto expected = rounded_to_stored(y.read());
    CHECK(from_float.read() == expected);
    CHECK(from_stored.read() == expected);
  }
}

TEMPLATE_LIST_TEST_CASE("label embeddings stored in bfloat16 are rows of the table",
                        "[layers][stored]", Spaces) {
  const int rows = 6, width = 5, classes = 3;
  ParameterList list;
  const LabelEmbedding embedding(list, "labels", classes, width);
  StoredNumbers numbers(43);
  const auto values = numbers.take(classes + 1, width), de = numbers.take(rows, width);
  const Padded<BFloat16, TestType> table(1, (classes + 1) * width, values),
      half_de(rows, width, de);
  const Padded<float, TestType> whole_de(rows, width, de);
  const Array<std::int32_t, TestType> label("label", rows);
  const auto on_host = Kokkos::create_mirror_view(label);
  for (int i = 0; i < rows; ++i) on_host(i) = std::vector<int>{0, 2, 3, 4, -1, 2}[std::size_t(i)];
  Kokkos::deep_copy(label, on_host);
  Padded<BFloat16, TestType> e(rows, width);
  Padded<float, TestType> whole(1, (classes + 1) * width), stored(1, (classes + 1) * width);
  const BatchContext<TestType> ctx{TestType()};
  const Matrix<const std::int32_t> labels(label.data(), rows, 1, 1), dropped;
  const BFloat16* const p = table.data();
  embedding.forward(ctx, p, labels, dropped, e.matrix());
  embedding.backward(ctx, Gradient<float>{whole.data(), false, nullptr}, labels, dropped,
                     whole_de.matrix());
  embedding.backward(ctx, Gradient<float>{stored.data(), false, nullptr}, labels, dropped,
                     half_de.matrix());
  CHECK(stored.read() == whole.read());
  const auto rows_of_table = e.read();
  const int expected[] = {0, 2, 3, -1, -1, 2};  // 4 and -1 are no classes
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < width; ++j) {
      const double got = rows_of_table[std::size_t(i * width + j)];
      CAPTURE(i, j, got);
      CHECK((expected[i] < 0 ? std::isnan(got)
                             : got == values[std::size_t(expected[i] * width + j)]));
    }
  }
}
