// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The matrix product of every context against a product in double: all pairs of transposes,
// replacing and adding, rows with gaps, an epilogue, and every pair of sizes around the blocking
// of the kernels. The tolerance is the classical bound (depth + 4) eps sum |a| |b|.
#include <algorithm>
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::test {

/// c = 2 c + i - j: shows if it runs never, twice, too early or with the wrong indices.
template <class T>
struct Epilogue {
  Matrix<T> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const { c(i, j) = T(2) * c(i, j) + T(i - j); }
};

/// One product by a context.
template <Op OpA, Op OpB, class T>
struct Product {
  Matrix<const T> a, b;
  Matrix<T> c;
  Update update;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.template gemm<OpA, OpB>(a, b, c, update, Epilogue<T>{c});
  }
};

/// The same by the threads of a team.
template <class Step>
struct TeamProduct {
  Step product;

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    product(TeamContext<Member>(member), member.league_rank());
  }
};

namespace {

enum class Way { batch, tile, team };

/// One problem in double: the operands without transposition, and the exact result.
struct Problem {
  int rows, cols, depth;
  std::vector<double> a, b, c;
  std::vector<double> product;    // A B
  std::vector<double> magnitude;  // |A| |B|

  Problem(int m, int n, int k, Numbers& numbers) : rows(m), cols(n), depth(k) {
    const auto extent = [](int p, int q) {
      return static_cast<std::size_t>(p) * static_cast<std::size_t>(q);
    };
    a = numbers.take(extent(m, k));
    b = numbers.take(extent(k, n));
    c = numbers.take(extent(m, n));
    product.resize(c.size());
    magnitude.resize(c.size());
    for (std::size_t i = 0, out = 0; i < std::size_t(m); ++i) {
      for (std::size_t j = 0; j < std::size_t(n); ++j, ++out) {
        for (std::size_t l = 0; l < std::size_t(k); ++l) {
          const double term = a[i * std::size_t(k) + l] * b[l * std::size_t(n) + j];
          product[out] += term;
          magnitude[out] += std::fabs(term);
        }
      }
    }
  }

  std::vector<double> expected(Update update) const {
    std::vector<double> result = product;
    for (std::size_t k = 0; k < result.size(); ++k) {
      if (update == Update::accumulate) result[k] += c[k];
      const int i = static_cast<int>(k) / cols, j = static_cast<int>(k) % cols;
      result[k] = 2 * result[k] + (i - j);
    }
    return result;
  }
};

std::vector<double> transposed(const std::vector<double>& x, int rows, int cols) {
  std::vector<double> result(x.size());
  const auto m = static_cast<std::size_t>(rows), n = static_cast<std::size_t>(cols);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) result[j * m + i] = x[i * n + j];
  }
  return result;
}

template <class T, class Exec>
Padded<T, Exec> operand(Op op, const std::vector<double>& x, int rows, int cols, int pad) {
  if (op == Op::none) return Padded<T, Exec>(rows, cols, x, pad);
  return Padded<T, Exec>(cols, rows, transposed(x, rows, cols), pad);
}

/// op(A) op(B) on Exec; overwriting starts from NaN.
template <Op OpA, Op OpB, class Exec, class T>
std::vector<double> multiply(Way way, const Problem& problem, Update update, int pad) {
  auto a = operand<T, Exec>(OpA, problem.a, problem.rows, problem.depth, pad);
  auto b = operand<T, Exec>(OpB, problem.b, problem.depth, problem.cols, 2 * pad);
  Padded<T, Exec> c(problem.rows, problem.cols, pad);
  if (update == Update::accumulate) c.write(problem.c);
  const Product<OpA, OpB, T> product{a.matrix(), b.matrix(), c.matrix(), update};
  const Exec exec;
  if (way == Way::batch) {
    product(BatchContext<Exec>(exec), 0);
  } else if (way == Way::tile) {
    launch_tiles(exec, "vrfm::test::product", 1, product);
  } else {
    Kokkos::TeamPolicy<Exec> policy(exec, 1, Kokkos::AUTO);
    policy.set_scratch_size(0, Kokkos::PerTeam(32 * 1024));
    Kokkos::parallel_for("vrfm::test::team_product", policy,
                         TeamProduct<Product<OpA, OpB, T>>{product});
  }
  return c.read();
}

template <Op OpA, Op OpB, class Exec, class T>
void check_product(Way way, const Problem& problem, int pad) {
  for (const Update update : {Update::overwrite, Update::accumulate}) {
    const auto actual = multiply<OpA, OpB, Exec, T>(way, problem, update, pad);
    const auto tolerance = [&](std::size_t k) {
      const double size =
          problem.magnitude[k] + std::fabs(problem.c[k]) + problem.rows + problem.cols;
      return 2 * (problem.depth + 4) * epsilon<T> * size;
    };
    INFO(problem.rows << " x " << problem.cols << ", depth " << problem.depth << ", way "
                      << static_cast<int>(way) << ", transposed " << (OpA == Op::transpose) << ' '
                      << (OpB == Op::transpose) << ", accumulate "
                      << (update == Update::accumulate));
    CHECK(difference(actual, problem.expected(update), tolerance) == "");
  }
}

template <class Exec, class T>
void check_products(Way way) {
  Numbers numbers(11);
  const int size[] = {0, 1, 3, 17, 64, 100, 257};
  // A host computes what is a team's element by element, and 100 is beyond every block of it.
  const int sizes = way == Way::team && is_host_space<Exec> ? 6 : 7;
  // A Latin square: each pair of two extents meets, the third follows from them.
  for (int i = 0; i < sizes; ++i) {
    for (int j = 0; j < sizes; ++j) {
      const Problem problem(size[i], size[j], size[(i + j) % sizes], numbers);
      const int pad = (i + 2 * j) % 3;
      check_product<Op::none, Op::none, Exec, T>(way, problem, pad);
      check_product<Op::none, Op::transpose, Exec, T>(way, problem, pad);
      check_product<Op::transpose, Op::none, Exec, T>(way, problem, pad);
      check_product<Op::transpose, Op::transpose, Exec, T>(way, problem, pad);
    }
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("BatchContext multiplies", "[linalg][gemm]", SpacesTimesReals) {
  check_products<typename TestType::Exec, typename TestType::Real>(Way::batch);
}

TEMPLATE_LIST_TEST_CASE("TileContext multiplies", "[linalg][gemm]", SpacesTimesReals) {
  check_products<typename TestType::Exec, typename TestType::Real>(Way::tile);
}

// Beyond every block of the host kernel: in rows, columns and depth, with operands too large to be
// read in place.
TEMPLATE_LIST_TEST_CASE("contexts multiply large matrices", "[linalg][gemm]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(13);
  const Problem problem(531, 70, 603, numbers);
  check_product<Op::none, Op::none, Exec, T>(Way::batch, problem, 1);
  check_product<Op::none, Op::transpose, Exec, T>(Way::tile, problem, 0);
  check_product<Op::transpose, Op::none, Exec, T>(Way::batch, problem, 1);
  check_product<Op::transpose, Op::none, Exec, T>(Way::tile, problem, 300);
  const Problem wide(103, 603, 300, numbers);
  check_product<Op::none, Op::none, Exec, T>(Way::batch, wide, 300);
  check_product<Op::none, Op::transpose, Exec, T>(Way::batch, wide, 1);
  check_product<Op::transpose, Op::none, Exec, T>(Way::tile, wide, 300);
  check_product<Op::transpose, Op::transpose, Exec, T>(Way::tile, wide, 300);
}

TEMPLATE_TEST_CASE("a row's bits depend neither on its place nor on its neighbours",
                   "[linalg][gemm]", float, double) {
  using Host = Kokkos::DefaultHostExecutionSpace;
  using Matrix = Padded<TestType, Host>;
  Numbers numbers(14);
  const TileContext<Host> ctx;
  const int rows = 23;
  for (const int cols : {2, 16, 70}) {
    for (const int depth : {7, 64, 600}) {
      const auto count = [](int m, int n) { return std::size_t(m) * std::size_t(n); };
      Matrix a(rows, depth, numbers.take(count(rows, depth)), 0);
      Matrix b(cols, depth, numbers.take(count(cols, depth)), 0);
      Matrix all(rows, cols, 0), alone(rows, cols, 0);
      ctx.template gemm<Op::none, Op::transpose, TestType>(a.matrix(), b.matrix(), all.matrix(),
                                                           Update::overwrite);
      for (int i = 0; i < rows; ++i) {
        ctx.template gemm<Op::none, Op::transpose, TestType>(a.matrix().row_range(i, 1), b.matrix(),
                                                             alone.matrix().row_range(i, 1),
                                                             Update::overwrite);
      }
      CHECK(all.read() == alone.read());
    }
  }
}

TEMPLATE_LIST_TEST_CASE("TeamContext multiplies", "[linalg][gemm]", SpacesTimesReals) {
  check_products<typename TestType::Exec, typename TestType::Real>(Way::team);
}

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)
TEMPLATE_TEST_CASE("a product has the same bits on one thread and on many", "[linalg][gemm]", float,
                   double) {
  Numbers numbers(12);
  // Many row tiles, the last one short; the widths of the synthetic networks; a deep product; one
  // of several blocks.
  const int extents[][3] = {{1000, 64, 65}, {517, 7, 300}, {64, 128, 1000}, {300, 470, 600}};
  for (const auto& e : extents) {
    const Problem problem(e[0], e[1], e[2], numbers);
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      const auto on = [&]<class Exec>(Exec) {
        return std::vector<std::vector<double>>{
            multiply<Op::none, Op::none, Exec, TestType>(Way::batch, problem, update, 1),
            multiply<Op::none, Op::transpose, Exec, TestType>(Way::batch, problem, update, 1),
            multiply<Op::transpose, Op::none, Exec, TestType>(Way::batch, problem, update, 1)};
      };
      CHECK(on(Kokkos::Serial()) == on(Kokkos::OpenMP()));
    }
  }
}
#endif

TEST_CASE("a rounded product does not depend on where it is cut", "[linalg][gemm]") {
  // Two columns behind a block of sums; what is left of terms that cancel shows how they were added.
  const int rows = 64, terms = 200, cols = detail::rounded_cols + 2;
  const auto operand = [&](std::uint32_t seed, int count, double sign) {
    Numbers numbers(seed);
    std::vector<float> values(std::size_t(count) * 2 * terms);
    for (std::size_t i = 0; i < values.size(); i += 2 * terms) {
      for (std::size_t k = i; k < i + terms; ++k) {
        values[k] = static_cast<float>(numbers.next() / 3);
        values[k + terms] = static_cast<float>(sign) * values[k];
      }
    }
    return values;
  };
  const auto a = operand(21, rows, -1), b = operand(22, cols, 1);
  const auto product = [&](std::vector<int> borders) {
    std::vector<BFloat16> c(std::size_t(rows) * std::size_t(cols));
    for (std::size_t k = 0; k + 1 < borders.size(); ++k) {
      detail::host_gemm<Op::none, Op::transpose, BFloat16>(
          Matrix<const float>(a.data(), rows, 2 * terms, 2 * terms),
          Matrix<const float>(b.data(), cols, 2 * terms, 2 * terms),
          Matrix<BFloat16>(c.data(), rows, cols, cols),
          {0, rows, borders[k], borders[k + 1] - borders[k]}, Update::overwrite);
    }
    return std::vector<float>(c.begin(), c.end());
  };
  const auto whole = product({0, cols});
  REQUIRE(std::any_of(whole.begin(), whole.end(), [](float x) { return x != 0; }));
  CHECK(whole == product({0, detail::rounded_cols - detail::block_cols<float>, cols}));
}
