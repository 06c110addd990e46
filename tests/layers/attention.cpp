// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MultiHeadAttention beyond conformance: images whose queries come in several blocks, against
// attention with a full score matrix; scores far too large to exponentiate; errors.
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/layers/attention.hpp>
#include <vrfm/linalg/batch_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

struct Result {
  std::vector<double> y, dx, dy;
};

/// Output, gradient for `dy` and tangent for `dx` of one sample.
template <class Exec, class T>
Result attend(const MultiHeadAttention& attention, const std::vector<double>& x,
              const std::vector<double>& dy, const std::vector<double>& dx) {
  const int pixels = attention.input_pixels(), in = attention.inputs(), out = attention.outputs();
  Padded<T, Exec> x_rows(pixels, in, x), dy_rows(pixels, out, dy), tangent(pixels, in, dx),
      y(pixels, out), gradient(pixels, in), result(pixels, out);
  MultiHeadAttention::Saved<T> saved;
  const T* const none = nullptr;
  const auto step = [&](const auto& ctx, Arena<T>& arena) {
    attention.forward(ctx, none, x_rows.matrix(), y.matrix(), &saved, arena);
    attention.backward(ctx, none, Gradient<T>{}, x_rows.matrix(), dy_rows.matrix(),
                       gradient.matrix(), saved, arena);
    attention.tangent(ctx, none, tangent.matrix(), result.matrix(), saved, arena);
  };
  auto measure = Arena<T>::measure();
  step(BatchContext<Exec>::dry_run(Exec()), measure);
  Padded<T, Exec> memory(1, static_cast<int>(measure.peak()));
  Arena<T> arena(memory.data(), measure.peak());
  step(BatchContext<Exec>(Exec()), arena);
  return {y.read(), gradient.read(), result.read()};
}

/// The same of one head by the textbook, with the whole score matrix.
Result textbook(int pixels, int depth, const std::vector<double>& x, const std::vector<double>& dy,
                const std::vector<double>& dx) {
  const auto n = static_cast<std::size_t>(pixels), d = static_cast<std::size_t>(depth);
  const double scale = 1 / std::sqrt(static_cast<double>(depth));
  Result r{std::vector<double>(n * d), std::vector<double>(3 * n * d), std::vector<double>(n * d)};
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> p(n), dp(n), ds(n);
    double sum = 0, mean = 0, tangent_mean = 0;
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t c = 0; c < d; ++c) {
        const double q = x[3 * d * i + c], k = x[3 * d * j + d + c];
        p[j] += scale * q * k;
        ds[j] += scale * (dx[3 * d * i + c] * k + q * dx[3 * d * j + d + c]);
        dp[j] += dy[d * i + c] * x[3 * d * j + 2 * d + c];
      }
      p[j] = std::exp(p[j]);  // of small scores
      sum += p[j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      p[j] /= sum;
      mean += p[j] * dp[j];
      tangent_mean += p[j] * ds[j];
    }
    for (std::size_t j = 0; j < n; ++j) {
      const double dscore = scale * p[j] * (dp[j] - mean), dprob = p[j] * (ds[j] - tangent_mean);
      for (std::size_t c = 0; c < d; ++c) {
        const double v = x[3 * d * j + 2 * d + c];
        r.y[d * i + c] += p[j] * v;
        r.dy[d * i + c] += dprob * v + p[j] * dx[3 * d * j + 2 * d + c];
        r.dx[3 * d * i + c] += dscore * x[3 * d * j + d + c];
        r.dx[3 * d * j + d + c] += dscore * x[3 * d * i + c];
        r.dx[3 * d * j + 2 * d + c] += p[j] * dy[d * i + c];
      }
    }
  }
  return r;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("attention of several blocks of queries", "[layers]", SpacesTimesReals) {
  using T = typename TestType::Real;
  const int pixels = 501, depth = 3;  // blocks of 261 and 240 queries
  Numbers numbers(12);
  const auto x = numbers.take(3 * pixels * depth), dy = numbers.take(pixels * depth),
             dx = numbers.take(3 * pixels * depth);
  const MultiHeadAttention attention(pixels, depth, 1);
  const Result actual = attend<typename TestType::Exec, T>(attention, x, dy, dx);
  const Result expected = textbook(pixels, depth, x, dy, dx);
  // Sums of 501 terms, one after another.
  const double tolerance = 2 * pixels * epsilon<T>;
  CHECK(difference(actual.y, expected.y, tolerance * largest(expected.y)) == "");
  CHECK(difference(actual.dx, expected.dx, tolerance * largest(expected.dx)) == "");
  CHECK(difference(actual.dy, expected.dy, tolerance * largest(expected.dy)) == "");
}

TEMPLATE_LIST_TEST_CASE("attention in batches is attention in tiles", "[layers]",
                        SpacesTimesReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const int samples = 5, pixels = 70, depth = 3, heads = 2, rows = samples * pixels;
  const detail::AttentionShape shape{pixels, heads, depth, depth, heads * depth};
  Numbers numbers(13);
  const auto take = [&](int cols) {
    return Padded<T, Exec>(rows, cols, numbers.take(std::size_t(rows) * std::size_t(cols)));
  };
  const auto x = take(18), dx = take(18), dy = take(6);
  Padded<T, Exec> y(rows, 6), gradient(rows, 18), tangent(rows, 6);
  const BatchContext<Exec> ctx{Exec()};
  const auto run = [&](const auto& each_group) {
    auto measure = Arena<T>::measure();
    const auto pass = [&](const auto& context, Arena<T>& arena) {
      const Matrix<T> maxima = arena.take(samples * heads, pixels),
                      sums = arena.take(samples * heads, pixels);
      const detail::AttentionOperands<T, T> o{shape, x.matrix(), y.matrix(), maxima, sums};
      each_group(context, detail::AttentionForward<T, T>{o, y.matrix()}, arena, std::false_type());
      each_group(context, detail::AttentionBackward<T, T>{o, dy.matrix(), gradient.matrix()}, arena,
                 std::true_type());
      each_group(context, detail::AttentionTangent<T, T>{o, dx.matrix(), tangent.matrix()}, arena,
                 std::false_type());
    };
    pass(BatchContext<Exec>::dry_run(Exec()), measure);
    Padded<T, Exec> memory(1, static_cast<int>(measure.peak()));
    Arena<T> arena(memory.data(), measure.peak());
    pass(ctx, arena);
    memory.read();  // nothing was written behind it
    return Result{y.read(), gradient.read(), tangent.read()};
  };
  const Result expected =
      run([&](const auto& context, const auto& step, auto& arena, auto in_order) {
        constexpr bool all = decltype(in_order)::value;
        const int tiles =
            samples * heads * (all ? 1 : shape.blocks(detail::AttentionShape::tile_scores));
        context.each_tile(
            tiles, detail::AttentionTile<std::decay_t<decltype(step)>, all>{step, shape}, arena);
      });
  // All at once; two samples at a time; 32 queries of one sample at a time.
  for (const int scores : {1 << 24, 2 * heads * pixels * pixels, 1}) {
    CAPTURE(scores);
    const Result actual = run([&](const auto& context, const auto& step, auto& arena, auto) {
      detail::attend_in_batches(context, shape, samples, step, arena, scores);
    });
    const double tolerance = 4 * pixels * epsilon<T>;
    CHECK(difference(actual.y, expected.y, tolerance * largest(expected.y)) == "");
    CHECK(difference(actual.dx, expected.dx, tolerance * largest(expected.dx)) == "");
    CHECK(difference(actual.dy, expected.dy, tolerance * largest(expected.dy)) == "");
  }
}

TEMPLATE_LIST_TEST_CASE("attention with scores that overflow an exponential", "[layers]",
                        SpacesTimesReals) {
  using T = typename TestType::Real;
  // q = 1000, k = 1000 (j + 1): the score of the last key is 10^6 above the others'.
  const int pixels = 40;
  std::vector<double> x, expected;
  for (int j = 0; j < pixels; ++j) {
    x.insert(x.end(), {1000.0, 1000.0 * (j + 1), j + 0.5});
    expected.push_back(pixels - 0.5);
  }
  const std::vector<double> ones(pixels, 1.0), zeros(3 * pixels, 0.0);
  const auto r =
      attend<typename TestType::Exec, T>(MultiHeadAttention(pixels, 1, 1), x, ones, zeros);
  CHECK(r.y == expected);
  // All weight is on the last value.
  for (std::size_t j = 0; j < static_cast<std::size_t>(pixels); ++j) {
    CHECK(r.dx[3 * j] == 0);
    CHECK(r.dx[3 * j + 1] == 0);
    CHECK(r.dx[3 * j + 2] == (j + 1 == static_cast<std::size_t>(pixels) ? pixels : 0));
  }
}

TEST_CASE("attention says what is wrong with its extents", "[layers]") {
  const auto message = [](int pixels, int channels, int heads) {
    return thrown<std::invalid_argument>([&] { MultiHeadAttention(pixels, channels, heads); });
  };
  CHECK(message(0, 4, 2) ==
        "vrfm: attention needs at least one pixel and one channel, got 0 and 4");
  CHECK(message(4, 6, 4) == "vrfm: attention needs heads that divide its 6 channels, got 4");
  CHECK(contains(message(4, 6, 0), "got 0"));
}
