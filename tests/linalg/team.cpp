// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// TeamContext with teams of every size that the execution space has, with scratch and without: the
// same bits each time. That they are the right ones is shown in gemm.cpp and verbs.cpp.
#include <limits>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/linalg/team_context.hpp>

namespace vrfm::test {

/// Runs a step by the threads of a team.
template <class Step>
struct TeamStep {
  Step step;

  template <class Member>
  KOKKOS_FUNCTION void operator()(const Member& member) const {
    step(TeamContext<Member>(member));
  }
};

/// c = 2 c + i - j
template <class T>
struct TeamEpilogue {
  Matrix<T> c;
  KOKKOS_FUNCTION void operator()(int i, int j) const { c(i, j) = T(2) * c(i, j) + T(i - j); }
};

/// One product after another that needs the first: a barrier must lie between.
template <Op OpA, Op OpB, class T>
struct TwoProducts {
  Matrix<const T> a, b;
  Matrix<T> c, square;
  Update update;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx) const {
    ctx.template gemm<OpA, OpB>(a, b, c, update, TeamEpilogue<T>{c});
    ctx.template gemm<Op::none, Op::transpose>(c, c, square, Update::overwrite);
  }
};

/// A convolution as a product, and the gradient of its weights.
template <class T>
struct TwoPatchProducts {
  Patches<T> patches;
  Matrix<const T> weights;
  Matrix<T> y, dweights;

  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx) const {
    ctx.template gemm<Op::none, Op::transpose>(patches, weights, y, Update::overwrite);
    ctx.template gemm<Op::transpose, Op::none>(y, patches, dweights, Update::overwrite);
  }
};

/// y(i, j) += 1 + i + 100 j
template <class T>
struct Count {
  Matrix<T> y;
  KOKKOS_FUNCTION void operator()(int i, int j) const { y(i, j) += T(1 + i + 100 * j); }
  KOKKOS_FUNCTION void operator()(int i) const { (*this)(i, 0); }
};

template <class T>
struct VisitAll {
  Matrix<T> y;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx) const {
    ctx.map(y.rows, y.cols, Count<T>{y});
    ctx.each_row(y.rows, Count<T>{y});
  }
};

template <class T, class S>
struct SumColumns {
  Matrix<T> x;
  S* out;
  Update update;
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx) const {
    ctx.column_sum(x, out, update);
  }
};

namespace {

/// Calls use(team size, scratch) for the sizes up to what Exec allows a team of `step`.
template <class Exec, class Step, class Use>
void with_teams(const Step& step, const Use& use) {
  const TeamStep<Step> body{step};
  const int most = Kokkos::TeamPolicy<Exec>(1, 1).team_size_max(body, Kokkos::ParallelForTag());
  for (const int size : {1, 2, 3, 4, 32, 96, 128, 256}) {
    if (size > most) break;
    for (const bool scratch : {false, true}) {
      Kokkos::TeamPolicy<Exec> policy(1, size);
      if (scratch) policy.set_scratch_size(0, Kokkos::PerTeam(32 * 1024));
      INFO("team of " << size << ", scratch " << scratch);
      use([&] { Kokkos::parallel_for("vrfm::test::team_step", policy, body); });
    }
  }
}

template <Op OpA, Op OpB, class Exec, class T>
void check_bits(int rows, int cols, int depth, Numbers& numbers) {
  const auto count = [](int m, int n) { return std::size_t(m) * std::size_t(n); };
  const bool along_a = OpA == Op::none, along_b = OpB == Op::transpose;
  Padded<T, Exec> a(along_a ? rows : depth, along_a ? depth : rows,
                    numbers.take(count(rows, depth)), 1);
  Padded<T, Exec> b(along_b ? cols : depth, along_b ? depth : cols,
                    numbers.take(count(cols, depth)), 2);
  Padded<T, Exec> c(rows, cols), square(rows, rows);
  const auto before = numbers.take(count(rows, cols));
  for (const Update update : {Update::overwrite, Update::accumulate}) {
    std::vector<double> expected, expected_square;
    const TwoProducts<OpA, OpB, T> step{a.matrix(), b.matrix(), c.matrix(), square.matrix(),
                                        update};
    with_teams<Exec>(step, [&](const auto& run) {
      const double nan = std::numeric_limits<double>::quiet_NaN();
      c.write(update == Update::accumulate ? before : std::vector<double>(before.size(), nan));
      run();
      const auto actual = c.read(), actual_square = square.read();
      if (expected.empty()) expected = actual;
      if (expected_square.empty()) expected_square = actual_square;
      INFO(rows << " x " << cols << ", depth " << depth);
      CHECK(actual == expected);
      CHECK(actual_square == expected_square);
    });
  }
}

}  // namespace
}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("a team's product has the same bits for every size of the team",
                        "[linalg][team]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(31);
  const int extents[][3] = {{5, 70, 0}, {16, 64, 33}, {17, 5, 70}, {1, 64, 64}, {66, 70, 35}};
  for (const auto& e : extents) {
    check_bits<Op::none, Op::none, Exec, T>(e[0], e[1], e[2], numbers);
    check_bits<Op::none, Op::transpose, Exec, T>(e[0], e[1], e[2], numbers);
    check_bits<Op::transpose, Op::none, Exec, T>(e[0], e[1], e[2], numbers);
    check_bits<Op::transpose, Op::transpose, Exec, T>(e[0], e[1], e[2], numbers);
  }
}

TEMPLATE_LIST_TEST_CASE("a team's product of patches has the bits of its elements",
                        "[linalg][team]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(33);
  const Window window{6, 5, 3, 2, 1};
  const int images = 3, channels = 4, outputs = 9;
  const auto numbers_of = [&](int m, int n) {
    return numbers.take(static_cast<std::size_t>(m) * static_cast<std::size_t>(n));
  };
  const int rows = images * window.out_pixels(), taps = window.taps() * channels;
  Padded<T, Exec> x(images * window.pixels(), channels,
                    numbers_of(images * window.pixels(), channels));
  Padded<T, Exec> weights(outputs, taps, numbers_of(outputs, taps));
  Padded<T, Exec> y(rows, outputs), dweights(outputs, taps);
  std::vector<double> expected, expected_dweights;
  const TwoPatchProducts<T> step{
      {x.matrix(), window}, weights.matrix(), y.matrix(), dweights.matrix()};
  // The first team has no scratch: it takes one element after another.
  with_teams<Exec>(step, [&](const auto& run) {
    run();
    const auto actual = y.read(), actual_dweights = dweights.read();
    if (expected.empty()) expected = actual;
    if (expected_dweights.empty()) expected_dweights = actual_dweights;
    CHECK(actual == expected);
    CHECK(actual_dweights == expected_dweights);
  });
}

TEMPLATE_LIST_TEST_CASE("a team visits each element once", "[linalg][team]", SpacesTimesReals) {
  using T = typename TestType::Real;
  const int shapes[][2] = {{0, 5}, {1, 1}, {3, 17}, {100, 3}, {65, 64}, {2, 300}};
  for (const auto& shape : shapes) {
    const int rows = shape[0], cols = shape[1];
    Padded<T, typename TestType::Exec> y(rows, cols);
    std::vector<double> expected;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < cols; ++j) expected.push_back((j == 0 ? 2 : 1) * (1 + i + 100 * j));
    }
    with_teams<typename TestType::Exec>(VisitAll<T>{y.matrix()}, [&](const auto& run) {
      y.write(std::vector<double>(expected.size()));
      run();
      CHECK(y.read() == expected);
    });
  }
}

TEMPLATE_LIST_TEST_CASE("a team adds a column in eight parts", "[linalg][team]", SpacesTimesReals) {
  using Exec = typename TestType::Exec;
  using T = typename TestType::Real;
  Numbers numbers(32);
  const int shapes[][2] = {{0, 4}, {1, 3}, {17, 1}, {130, 65}, {64, 128}};
  for (const auto& shape : shapes) {
    const int rows = shape[0], cols = shape[1];
    const auto n = static_cast<std::size_t>(cols);
    const auto values = numbers.take(static_cast<std::size_t>(rows) * n);
    const auto before = numbers.take(n);
    Padded<T, Exec> x(rows, cols, values), sum(1, cols);
    Padded<double, Exec> wide_sum(1, cols);
    for (const Update update : {Update::overwrite, Update::accumulate}) {
      const auto column = [&]<class S>(S, std::size_t j) {
        S part[8] = {};
        for (std::size_t i = 0; i < std::size_t(rows); ++i) {
          part[i % 8] += static_cast<S>(static_cast<T>(values[i * n + j]));
        }
        const S all = ((part[0] + part[1]) + (part[2] + part[3])) +
                      ((part[4] + part[5]) + (part[6] + part[7]));
        return static_cast<double>(update == Update::accumulate ? static_cast<S>(before[j]) + all
                                                                : all);
      };
      std::vector<double> expected, wide_expected;
      for (std::size_t j = 0; j < n; ++j) {
        expected.push_back(column(T(0), j));
        wide_expected.push_back(column(0.0, j));
      }
      const auto start = [&](auto& out) {
        const double nan = std::numeric_limits<double>::quiet_NaN();
        out.write(update == Update::accumulate ? before : std::vector<double>(n, nan));
      };
      with_teams<Exec>(SumColumns<T, T>{x.matrix(), sum.data(), update}, [&](const auto& run) {
        start(sum);
        run();
        CHECK(sum.read() == expected);
      });
      with_teams<Exec>(SumColumns<T, double>{x.matrix(), wide_sum.data(), update},
                       [&](const auto& run) {
                         start(wide_sum);
                         run();
                         CHECK(wide_sum.read() == wide_expected);
                       });
    }
  }
}
