// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Couplings: what a training kernel draws from them is what their parts draw on their own.
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/padded.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/couplings/coupling.hpp>

namespace vrfm::test {

template <class T, class C>
struct DrawPair {
  C coupling;
  std::uint64_t first;
  std::uint32_t step, seed;
  Matrix<T> x0, x1;
  KOKKOS_FUNCTION void operator()(int i) const {
    coupling.draw(first + static_cast<std::uint64_t>(i), step, seed, x0.row(i), x1.row(i));
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("an independent coupling draws what source and target draw",
                        "[paths][coupling]", SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Exec exec;
  const auto source = vrfm::standard_normal<T>(exec, 2);
  const auto target = vrfm::mixture_on_circle<T>(exec, 6, 1.0, 0.1);
  const auto coupling = vrfm::independent(source, target);
  using C = std::decay_t<decltype(coupling)>;
  static_assert(vrfm::Coupling<C, T>);
  static_assert(vrfm::Coupling<vrfm::GivenPairs<T, Exec>, T>);
  static_assert(vrfm::Distribution<std::decay_t<decltype(source)>, T>);
  CHECK(coupling.dimension() == 2);

  constexpr int rows = 257;
  constexpr std::uint64_t first = (1ull << 32) - 100;  // the low word of the address overflows
  constexpr std::uint32_t step = 7, seed = 42;
  Padded<T, Exec> x0(rows, 2), x1(rows, 2);
  vrfm::BatchContext<Exec>(exec).each_row(
      rows, DrawPair<T, C>{coupling, first, step, seed, x0.matrix(), x1.matrix()});
  const auto alone0 = vrfm::draw_all(exec, source, rows, seed, vrfm::Purpose::source, first, step);
  const auto alone1 = vrfm::draw_all(exec, target, rows, seed, vrfm::Purpose::target, first, step);
  CHECK(x0.read() == numbers_of(alone0));
  CHECK(x1.read() == numbers_of(alone1));
  CHECK(x0.read() != x1.read());
}

TEST_CASE("a coupling of different dimensions is refused", "[paths][coupling]") {
  const Kokkos::DefaultHostExecutionSpace exec;
  CHECK(thrown<std::invalid_argument>([&] {
          vrfm::independent(vrfm::standard_normal<float>(exec, 3),
                            vrfm::mixture_on_circle<float>(exec, 6, 1.0, 0.1));
        }) == "vrfm: the source has 3 dimensions but the target has 2 dimensions");
}
