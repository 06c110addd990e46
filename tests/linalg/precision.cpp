// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products in other precisions than the operands': those of BatchContext's `compute`, of bfloat16 matrices,
// and of matrices of both types; against products in double, within the stated error. And the epilogues that a vendor's
// product may have built in.
#include <cmath>
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/layers/dense.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/models/blocks/mlp.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

struct Shape {
  int rows, cols, depth;
};

/// Around the alignments that libraries ask for; narrow, short and deep.
constexpr Shape shapes[] = {{1, 1, 1},    {1, 64, 64},    {64, 1, 64},     {64, 64, 1},
                            {3, 5, 7},    {17, 33, 65},   {100, 2, 64},    {64, 2, 1000},
                            {128, 64, 8}, {257, 128, 96}, {128, 192, 256}, {390, 388, 9},
                            {7, 9, 1100}};

std::size_t extent(int m, int n) { return std::size_t(m) * std::size_t(n); }

/// sum_k f(a(i, k) b(k, j)), the matrices row by row.
template <class F>
std::vector<double> sums(const Shape& s, const std::vector<double>& a, const std::vector<double>& b,
                         const F& f) {
  std::vector<double> out(extent(s.rows, s.cols));
  for (int i = 0; i < s.rows; ++i) {
    for (int j = 0; j < s.cols; ++j) {
      for (int k = 0; k < s.depth; ++k) {
        out[extent(i, s.cols) + std::size_t(j)] +=
            f(a[extent(i, s.depth) + std::size_t(k)] * b[extent(k, s.cols) + std::size_t(j)]);
      }
    }
  }
  return out;
}

std::vector<double> transposed(const std::vector<double>& x, int rows, int cols) {
  std::vector<double> out(x.size());
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < cols; ++j) {
      out[extent(j, rows) + std::size_t(i)] = x[extent(i, cols) + std::size_t(j)];
    }
  }
  return out;
}

/// C = A B, C = A B^T and C += A^T B; the errors are relative ones of an operand and of a stored result.
template <class Exec, class A, class B, class Result, class Ctx>
void check_products(const Ctx& ctx, double operand_error, double result_error) {
  Numbers numbers(31);
  for (const Shape& s : shapes) {
    for (const int pad : {0, 1, 8}) {
      INFO(s.rows << " x " << s.cols << ", depth " << s.depth << ", pad " << pad);
      auto a = numbers.take(extent(s.rows, s.depth)), b = numbers.take(extent(s.depth, s.cols));
      const auto before = numbers.take(extent(s.rows, s.cols));
      // As the operand's type holds them, so that its own rounding is no error of the product.
      for (double& value : a) value = double(A(float(value)));
      for (double& value : b) value = double(B(float(value)));
      const auto exact = sums(s, a, b, [](double x) { return x; });
      const auto size = sums(s, a, b, [](double x) { return std::fabs(x); });
      const auto tolerance = [&](std::size_t k) {
        const double rounding = 2 * (s.depth + 4) * double(epsilon<float>);
        const double product = 2 * operand_error + operand_error * operand_error + rounding;
        return product * (size[k] + std::fabs(before[k])) +
               result_error * (std::fabs(exact[k]) + std::fabs(before[k]));
      };
      const Padded<A, Exec> left(s.rows, s.depth, a, pad),
          left_t(s.depth, s.rows, transposed(a, s.rows, s.depth), pad);
      const Padded<B, Exec> right(s.depth, s.cols, b, pad),
          right_t(s.cols, s.depth, transposed(b, s.depth, s.cols), pad);
      Padded<Result, Exec> c(s.rows, s.cols, pad);  // of NaN
      ctx.template gemm<Op::none, Op::none>(left.matrix(), right.matrix(), c.matrix(),
                                            Update::overwrite);
      CHECK(difference(c.read(), exact, tolerance) == "");
      ctx.template gemm<Op::none, Op::transpose>(left.matrix(), right_t.matrix(), c.matrix(),
                                                 Update::overwrite);
      CHECK(difference(c.read(), exact, tolerance) == "");
      c.write(before);
      auto sum = exact;
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += double(Result(float(before[k])));
      ctx.template gemm<Op::transpose, Op::none>(left_t.matrix(), right.matrix(), c.matrix(),
                                                 Update::accumulate);
      CHECK(difference(c.read(), sum, tolerance) == "");
    }
  }
}

/// A layer's forward without slopes. The activations' slopes are below 1.2.
template <class Act, class Exec, Compute compute>
void check_layer() {
  Numbers numbers(32);
  constexpr int rows = 70, inputs = 48, outputs = 40;
  ParameterList list;
  const Dense<Act> layer(list, "layer", inputs, outputs);
  Padded<float, Exec> p(1, int(list.count()), numbers.take(list.count()));
  const auto x = numbers.take(extent(rows, inputs));
  const Padded<float, Exec> in(rows, inputs, x);
  Padded<float, Exec> out(rows, outputs);
  Arena<float> arena(nullptr, 0);
  const float* parameters = p.matrix().data;
  layer.forward(BatchContext<Exec, compute>(Exec()), parameters, in.matrix(), out.matrix(),
                static_cast<typename Dense<Act>::template Saved<float>*>(nullptr), arena);
  const auto values = p.read();
  const std::vector<double> weight(values.begin(), values.begin() + outputs * inputs);
  const Shape shape{rows, outputs, inputs};
  const auto w = transposed(weight, outputs, inputs);
  auto expected = sums(shape, x, w, [](double v) { return v; });
  const auto size = sums(shape, x, w, [](double v) { return std::fabs(v); });
  for (std::size_t k = 0; k < expected.size(); ++k) {
    expected[k] =
        Act::evaluate(expected[k] + values[std::size_t(outputs * inputs) + k % outputs]).value;
  }
  const double e = operand_error(compute);
  CHECK(difference(out.read(), expected, [&](std::size_t k) {
          // Rounded operands allow an activation that is as coarse; others float's own.
          const double rounding = 2 * (inputs + 8) * double(epsilon<float>);
          return 1.2 * (2 * e + e * e + rounding) * (size[k] + 1);
        }) == "");
}

/// What a stack of layers and its backward pass leave behind.
struct StackResult {
  std::vector<double> y, dx, g;
};

template <class Act, class Exec, class T, Compute compute>
StackResult run_stack() {
  Numbers numbers(33);
  constexpr int rows = 70, inputs = 48, outputs = 24;
  ParameterList list;
  const Mlp<Act> stack(list, "stack", {inputs, 40, 32, outputs});
  Padded<T, Exec> p(1, int(list.count()), numbers.take(list.count()));
  const Padded<T, Exec> x(rows, inputs, numbers.take(extent(rows, inputs)));
  const Padded<T, Exec> dy(rows, outputs, numbers.take(extent(rows, outputs)));
  Padded<T, Exec> y(rows, outputs), dx(rows, inputs), g(1, int(list.count()));
  const BatchContext<Exec, compute> ctx{Exec()};
  const auto run = [&](const auto& context, Arena<T>& arena) {
    typename Mlp<Act>::template Saved<T> saved;
    const T* parameters = p.matrix().data;
    stack.forward(context, parameters, x.matrix(), y.matrix(), &saved, arena);
    stack.backward(context, parameters, Gradient<T>{g.matrix().data, false}, x.matrix(),
                   dy.matrix(), dx.matrix(), saved, arena);
  };
  auto measure = Arena<T>::measure();
  run(MeasureContext{tile_concurrency(Exec())}, measure);
  const Kokkos::View<T*, Exec> block("block", measure.peak());
  Arena<T> arena(block.data(), block.size());
  run(ctx, arena);
  return {y.read(), dx.read(), g.read()};
}

/// Forward with slopes, and backward, against the host's in double. Each layer's result has an
/// operand rounded twice; three layers up and three down, and numbers of like size.
template <class Act, class Exec, Compute compute>
void check_stack() {
  const auto expected =
      run_stack<Act, Kokkos::DefaultHostExecutionSpace, double, Compute::float32>();
  const auto result = run_stack<Act, Exec, float, compute>();
  const double e = 12 * operand_error(compute) + 1024 * double(epsilon<float>);
  CHECK(difference(result.y, expected.y, e * largest(expected.y)) == "");
  CHECK(difference(result.dx, expected.dx, e * largest(expected.dx)) == "");
  CHECK(difference(result.g, expected.g, e * largest(expected.g)) == "");
}

}  // namespace

TEST_CASE("bfloat16 is the nearest of its numbers", "[core][bfloat16]") {
  STATIC_REQUIRE(sizeof(BFloat16) == 2);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(float(BFloat16(1.0f)) == 1.0f);
  CHECK(float(BFloat16(-3.140625f)) == -3.140625f);
  CHECK(float(BFloat16(1.0f + 1.0f / 256)) == 1.0f);               // a tie goes to the even one
  CHECK(float(BFloat16(1.0f + 3.0f / 256)) == 1.0f + 4.0f / 256);  // this one upwards
  CHECK(float(BFloat16(1.0f + 1.1f / 256)) == 1.0f + 2.0f / 256);
  CHECK(float(BFloat16(3.4e38f)) == infinity);
  CHECK(float(BFloat16(-infinity)) == -infinity);
  CHECK(std::isnan(float(BFloat16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::signbit(float(BFloat16(-0.0f))));
}

TEMPLATE_LIST_TEST_CASE("products in lower precision have the stated error", "[linalg][gemm]",
                        Spaces) {
  check_products<TestType, float, float, float>(BatchContext<TestType>(TestType()), 0, 0);
  check_products<TestType, float, float, float>(BatchContext<TestType, Compute::tf32>(TestType()),
                                                operand_error(Compute::tf32), 0);
  check_products<TestType, float, float, float>(
      BatchContext<TestType, Compute::bfloat16>(TestType()), operand_error(Compute::bfloat16), 0);
}

TEMPLATE_LIST_TEST_CASE("products of bfloat16 matrices are summed in float", "[linalg][gemm]",
                        Spaces) {
  const BatchContext<TestType> ctx{TestType()};
  constexpr double stored = operand_error(Compute::bfloat16);
  check_products<TestType, BFloat16, BFloat16, float>(ctx, 0, 0);
  check_products<TestType, BFloat16, BFloat16, BFloat16>(ctx, 0, stored);
}

TEMPLATE_LIST_TEST_CASE("products of matrices of two types are summed in float", "[linalg][gemm]",
                        Spaces) {
  const BatchContext<TestType> ctx{TestType()};
  constexpr double stored = operand_error(Compute::bfloat16);
  check_products<TestType, float, BFloat16, float>(ctx, 0, 0);
  check_products<TestType, BFloat16, float, float>(ctx, 0, 0);
  check_products<TestType, float, BFloat16, BFloat16>(ctx, 0, stored);
  check_products<TestType, float, float, BFloat16>(ctx, 0, stored);
}

TEMPLATE_LIST_TEST_CASE("layers without slopes in every precision", "[linalg][gemm]", Spaces) {
  check_layer<Identity, TestType, Compute::float32>();
  check_layer<Identity, TestType, Compute::bfloat16>();
  check_layer<GeluTanh, TestType, Compute::float32>();
  check_layer<GeluTanh, TestType, Compute::tf32>();
  check_layer<Gelu, TestType, Compute::tf32>();
}

TEMPLATE_LIST_TEST_CASE("stacks forward and backward in every precision", "[linalg][gemm]",
                        Spaces) {
  check_stack<GeluTanh, TestType, Compute::float32>();
  check_stack<GeluTanh, TestType, Compute::tf32>();
  check_stack<GeluTanh, TestType, Compute::bfloat16>();
  check_stack<Gelu, TestType, Compute::tf32>();
}
