// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// launch_each: every index once, whatever their number and that of the threads.
#include <cstdint>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>

using namespace vrfm;

namespace {

template <class Exec>
struct Count {
  Array<int, Exec> visits;
  std::int64_t before;
  template <class Index>
  KOKKOS_FUNCTION void operator()(Index i) const {
    ++visits(static_cast<std::int64_t>(i) - before);
  }
};

template <class Exec, class Index>
void check(Index first, Index end) {
  CAPTURE(first, end);
  const Exec exec;
  const auto count = static_cast<std::size_t>(end > first ? end - first : 0);
  const Array<int, Exec> visits("visits", count);
  launch_each(exec, "count", first, end, Count<Exec>{visits, static_cast<std::int64_t>(first)});
  const auto host = to_host(exec, visits);
  for (std::size_t k = 0; k < count; ++k) REQUIRE(host(k) == 1);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a launch visits every index once", "[core][launch]", test::Spaces) {
  for (const int count : {0, 1, 2, 3, 7, 64, 1000}) {
    check<TestType>(0, count);
    check<TestType>(5, 5 + count);
  }
  check<TestType>(3, -4);
  const std::int64_t far = std::int64_t{1} << 40;
  check<TestType>(far, far + 17);
}

#if defined(KOKKOS_ENABLE_OPENMP)
TEST_CASE("a launch inside a parallel region is the caller's alone", "[core][launch]") {
  using Exec = Kokkos::OpenMP;
  const Array<int, Exec> visits("visits", 12);
#pragma omp parallel for
  for (int k = 0; k < 3; ++k) {
    launch_each(Exec(), "count", 4 * k, 4 * k + 4, Count<Exec>{visits, 0});
  }
  for (std::size_t k = 0; k < 12; ++k) CHECK(visits(k) == 1);
}
#endif
