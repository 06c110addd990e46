// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The product on tensor cores. Where there are none, each thread of a team plays a warp: its lanes
// take turns, and the instruction is computed from what the PTX manual says of its fragments, here in
// the manual's own words (numbers a0, a1, ... of a lane) and not in those of the kernel. On operands
// that both formats hold exactly the results must be exact.
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/tile_context.hpp>

namespace vrfm::test {

/// Row and column of number a_i (b_i, c_i) of a lane, after the manual.
struct Entry {
  int row, col;
};
KOKKOS_INLINE_FUNCTION Entry manual_a(Compute compute, int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if (compute == Compute::tf32) {
    return {i == 0 || i == 2 ? group : group + 8, i < 2 ? in_group : in_group + 4};
  }
  const bool upper = (0 <= i && i < 2) || (4 <= i && i < 6);
  return {upper ? group : group + 8, in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
}
KOKKOS_INLINE_FUNCTION Entry manual_b(Compute compute, int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if (compute == Compute::tf32) return {i == 0 ? in_group : in_group + 4, group};
  return {in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0), group};
}
KOKKOS_INLINE_FUNCTION Entry manual_c(int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  return {i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
}

/// Number i of a fragment's registers.
KOKKOS_INLINE_FUNCTION float number(Compute compute, const std::uint32_t* words, int i) {
  if (compute == Compute::tf32) return __builtin_bit_cast(float, words[i] & 0xFFFFE000u);
  const std::uint32_t half = i % 2 == 0 ? words[i / 2] << 16 : words[i / 2] & 0xFFFF0000u;
  return __builtin_bit_cast(float, half);
}

/// A thread that plays a warp.
template <class Member>
struct PlayedWarp {
  const Member& member;

  template <class R>
  struct PerLane {
    R each[32];
    KOKKOS_INLINE_FUNCTION R& operator[](int lane) { return each[lane]; }
  };

  KOKKOS_INLINE_FUNCTION int index() const { return member.team_rank(); }
  KOKKOS_INLINE_FUNCTION int count() const { return member.team_size(); }
  KOKKOS_INLINE_FUNCTION void barrier() const { member.team_barrier(); }

  template <class F>
  KOKKOS_INLINE_FUNCTION void each_lane(const F& f) const {
    for (int lane = 0; lane < 32; ++lane) f(lane);
  }

  template <Compute compute, class R>
  KOKKOS_INLINE_FUNCTION void multiply_add(PerLane<R>& registers, int p, int q) const {
    constexpr int depth = compute == Compute::tf32 ? 8 : 16;
    float a[16][std::size_t(depth)], b[std::size_t(depth)][8];
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < depth / 2; ++i) {
        const auto at = manual_a(compute, lane, i);
        a[at.row][at.col] = number(compute, registers[lane].a[p], i);
      }
      for (int i = 0; i < depth / 4; ++i) {
        const auto at = manual_b(compute, lane, i);
        b[at.row][at.col] = number(compute, registers[lane].b[q], i);
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const auto at = manual_c(lane, i);
        for (int k = 0; k < depth; ++k) {
          registers[lane].sum[p][q][i] += a[at.row][k] * b[k][at.col];
        }
      }
    }
  }
};

/// c = 2 c + i - j
struct TensorEpilogue {
  Matrix<float> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const { c(i, j) = 2 * c(i, j) + float(i - j); }
};

/// A product by played warps.
template <Compute compute, Op OpA, Op OpB, int tile_rows>
struct PlayedProduct {
  Matrix<const float> a, b;
  Matrix<float> c;
  Update update;

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    using Workers = detail::WarpWorkers<PlayedWarp<Member>, compute, tile_rows>;
    void* scratch = member.team_scratch(0).get_shmem_aligned(
        static_cast<int>(2 * sizeof(std::uint32_t) * Workers::block_words), 16);
    detail::blocked_gemm<OpA, OpB>(Workers(PlayedWarp<Member>{member}),
                                   static_cast<std::uint32_t*>(scratch), a, b, c, update,
                                   TensorEpilogue{c});
  }
};

/// A product by a context.
template <Op OpA, Op OpB>
struct ContextProduct {
  Matrix<const float> a, b;
  Matrix<float> c;
  Update update;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, int) const {
    ctx.template gemm<OpA, OpB>(a, b, c, update, TensorEpilogue{c});
  }
};

namespace {

using Host = Kokkos::DefaultHostExecutionSpace;

/// Operands, and the exact result; `exactly`: of small whole numbers.
template <Op OpA, Op OpB, class Exec>
struct Operands {
  int rows, cols, depth;
  Padded<float, Exec> a, b, c;
  std::vector<double> before, product, magnitude;

  Operands(int m, int n, int k, Numbers& numbers, bool exactly)
      : rows(m),
        cols(n),
        depth(k),
        a(OpA == Op::none ? m : k, OpA == Op::none ? k : m, 1),
        b(OpB == Op::none ? k : n, OpB == Op::none ? n : k, 2),
        c(m, n) {
    const auto take = [&](int p, int q) {
      auto values = numbers.take(static_cast<std::size_t>(p) * static_cast<std::size_t>(q));
      if (exactly) {
        for (double& v : values) v = std::floor(16 * v);
      }
      return values;
    };
    const auto left = take(m, k), right = take(k, n);
    before = take(m, n);
    const auto at = [](int i, int j, int width) {
      return static_cast<std::size_t>(i) * static_cast<std::size_t>(width) +
             static_cast<std::size_t>(j);
    };
    const auto turned = [&](const std::vector<double>& x, int p, int q) {
      std::vector<double> result(x.size());
      for (int i = 0; i < p; ++i) {
        for (int j = 0; j < q; ++j) result[at(j, i, p)] = x[at(i, j, q)];
      }
      return result;
    };
    a.write(OpA == Op::none ? left : turned(left, m, k));
    b.write(OpB == Op::none ? right : turned(right, k, n));
    product.resize(before.size());
    magnitude.resize(before.size());
    for (int i = 0; i < m; ++i) {
      for (int j = 0; j < n; ++j) {
        for (int l = 0; l < k; ++l) {
          const double term = left[at(i, l, k)] * right[at(l, j, n)];
          product[at(i, j, n)] += term;
          magnitude[at(i, j, n)] += std::fabs(term);
        }
      }
    }
  }

  void start(Update update) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    c.write(update == Update::accumulate ? before : std::vector<double>(before.size(), nan));
  }

  std::vector<double> expected(Update update) const {
    std::vector<double> result = product;
    for (std::size_t e = 0; e < result.size(); ++e) {
      if (update == Update::accumulate) result[e] += before[e];
      result[e] = 2 * result[e] + (static_cast<int>(e) / cols - static_cast<int>(e) % cols);
    }
    return result;
  }
};

template <Compute compute, Op OpA, Op OpB, int tile_rows>
void check_played(int rows, int cols, int depth, Numbers& numbers) {
  Operands<OpA, OpB, Host> x(rows, cols, depth, numbers, true);
  const int threads = math::minimum(4, static_cast<int>(Host().concurrency()));
  for (int size = 1; size <= threads; ++size) {
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      Kokkos::TeamPolicy<Host> policy(1, size);
      policy.set_scratch_size(0, Kokkos::PerTeam(32 * 1024));
      x.start(update);
      Kokkos::parallel_for("vrfm::test::played_product", policy,
                           PlayedProduct<compute, OpA, OpB, tile_rows>{x.a.matrix(), x.b.matrix(),
                                                                       x.c.matrix(), update});
      INFO(rows << " x " << cols << ", depth " << depth << ", tile of " << tile_rows << ", " << size
                << " warps, accumulate " << (update == Update::accumulate));
      CHECK(x.c.read() == x.expected(update));
    }
  }
}

template <Compute compute, Op OpA, Op OpB>
void check_all_played() {
  Numbers numbers(41);
  const int extents[][3] = {{16, 8, 8},  {64, 64, 64}, {1, 5, 3},     {16, 64, 33},
                            {33, 17, 0}, {70, 65, 31}, {130, 70, 131}};
  for (const auto& e : extents) {
    check_played<compute, OpA, OpB, detail::team_low_rows>(e[0], e[1], e[2], numbers);
    check_played<compute, OpA, OpB, detail::team_tile_rows>(e[0], e[1], e[2], numbers);
  }
}

template <Compute compute, Op OpA, Op OpB, class Exec>
void check_context() {
  Numbers numbers(42);
  const double e = is_host_space<Exec> ? 0 : operand_error(compute);
  const int extents[][3] = {{16, 64, 64}, {1, 70, 33}, {64, 64, 64}, {126, 192, 65}, {64, 2, 64}};
  for (const auto& extent : extents) {
    Operands<OpA, OpB, Exec> x(extent[0], extent[1], extent[2], numbers, false);
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      x.start(update);
      launch_tiles<compute>(
          Exec(), "vrfm::test::context_product", 1,
          ContextProduct<OpA, OpB>{x.a.matrix(), x.b.matrix(), x.c.matrix(), update});
      const auto tolerance = [&](std::size_t k) {
        const double size = x.magnitude[k] + std::fabs(x.before[k]) + x.rows + x.cols;
        return 2 * ((2 * e + e * e) * x.magnitude[k] +
                    (x.depth + 4) * epsilon<float> * size * (1 + e) * (1 + e));
      };
      INFO(x.rows << " x " << x.cols << ", depth " << x.depth);
      CHECK(difference(x.c.read(), x.expected(update), tolerance) == "");
    }
  }
}

float half_of(std::uint32_t word, int i) { return number(Compute::bfloat16, &word, i); }

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEST_CASE("fragments hold each element once, where the manual has it", "[linalg][tensor_core]") {
  for (const Compute compute : {Compute::tf32, Compute::bfloat16}) {
    const int numbers = compute == Compute::tf32 ? 1 : 2;
    std::set<std::pair<int, int>> a, b, c;
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 4 * numbers; ++i) {
        const auto place = detail::left_place(lane, i / numbers);
        const auto manual = manual_a(compute, lane, i);
        CHECK(place.line == manual.row);
        CHECK(place.at * numbers + i % numbers == manual.col);
        a.insert({manual.row, manual.col});
      }
      for (int i = 0; i < 2 * numbers; ++i) {
        const auto place = detail::right_place(lane, i / numbers);
        const auto manual = manual_b(compute, lane, i);
        CHECK(place.line == manual.col);
        CHECK(place.at * numbers + i % numbers == manual.row);
        b.insert({manual.row, manual.col});
      }
      for (int i = 0; i < 4; ++i) {
        const auto place = detail::result_place(lane, i);
        const auto manual = manual_c(lane, i);
        CHECK(place.line == manual.row);
        CHECK(place.at == manual.col);
        c.insert({manual.row, manual.col});
      }
    }
    const auto depth = static_cast<std::size_t>(8 * numbers);
    CHECK(a.size() == 16 * depth);
    CHECK(b.size() == 8 * depth);
    CHECK(c.size() == 16 * 8);
  }
}

TEST_CASE("operands are rounded within operand_error", "[linalg][tensor_core]") {
  Numbers numbers(43);
  for (int i = 0; i < 1000; ++i) {
    const auto x = static_cast<float>(std::ldexp(numbers.next(), i % 200 - 100));
    const auto y = static_cast<float>(std::ldexp(numbers.next(), 100 - i % 200));
    const std::uint32_t word = detail::tf32_word(x);
    CHECK((word & 0x1FFFu) == 0);
    // To nearest: half of what cutting off may cost.
    CHECK(std::fabs(number(Compute::tf32, &word, 0) - x) <=
          operand_error(Compute::tf32) / 2 * std::fabs(x));
    const std::uint32_t pair = detail::bfloat16_word(x, y);
    CHECK(std::fabs(half_of(pair, 0) - x) <= operand_error(Compute::bfloat16) * std::fabs(x));
    CHECK(std::fabs(half_of(pair, 1) - y) <= operand_error(Compute::bfloat16) * std::fabs(y));
  }
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const std::uint32_t strange[] = {detail::tf32_word(-infinity), detail::tf32_word(nan)};
  CHECK(number(Compute::tf32, strange, 0) == -infinity);
  CHECK(std::isnan(number(Compute::tf32, strange, 1)));
  CHECK(half_of(detail::bfloat16_word(infinity, nan), 0) == infinity);
  CHECK(std::isnan(half_of(detail::bfloat16_word(infinity, nan), 1)));
  // Ties: 1 + 2^-8 lies between 1 and 1 + 2^-7, of which the even one is 1.
  CHECK(half_of(detail::bfloat16_word(1.00390625f, 1.01171875f), 0) == 1.0f);
  CHECK(half_of(detail::bfloat16_word(1.00390625f, 1.01171875f), 1) == 1.015625f);
}

TEST_CASE("warps of any number multiply exactly what they can hold", "[linalg][tensor_core]") {
  check_all_played<Compute::tf32, Op::none, Op::none>();
  check_all_played<Compute::tf32, Op::none, Op::transpose>();
  check_all_played<Compute::tf32, Op::transpose, Op::none>();
  check_all_played<Compute::tf32, Op::transpose, Op::transpose>();
  check_all_played<Compute::bfloat16, Op::none, Op::none>();
  check_all_played<Compute::bfloat16, Op::none, Op::transpose>();
  check_all_played<Compute::bfloat16, Op::transpose, Op::none>();
  check_all_played<Compute::bfloat16, Op::transpose, Op::transpose>();
}

TEMPLATE_LIST_TEST_CASE("TileContext multiplies in TF32 and bfloat16 within the stated error",
                        "[linalg][tensor_core]", Spaces) {
  check_context<Compute::tf32, Op::none, Op::none, TestType>();
  check_context<Compute::tf32, Op::none, Op::transpose, TestType>();
  check_context<Compute::tf32, Op::transpose, Op::none, TestType>();
  check_context<Compute::bfloat16, Op::none, Op::none, TestType>();
  check_context<Compute::bfloat16, Op::none, Op::transpose, TestType>();
  check_context<Compute::bfloat16, Op::transpose, Op::none, TestType>();
}
