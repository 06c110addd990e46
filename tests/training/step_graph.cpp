// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StepGraph: whether launches are recorded or not, each time does what launching them anew would do.
#include <cstdint>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/core/random.hpp>
#include <vrfm/training/detail/step_graph.hpp>

namespace vrfm::test {

template <class Exec>
using Number = Kokkos::View<std::int64_t, typename Exec::memory_space>;

/// *sum += amount + *more, if there is one; then *step += 1.
struct AddAndCount {
  std::int64_t* sum;
  std::int64_t* step;
  std::int64_t amount;
  const std::int64_t* more;

  KOKKOS_FUNCTION void operator()(int) const {
    *sum += amount + (more == nullptr ? 0 : *more) + std::uint32_t(StepNumber(step));
    *step += 1;
  }
};

}  // namespace vrfm::test

using namespace vrfm;
using namespace vrfm::test;

namespace {

template <class Exec>
std::int64_t read(const Number<Exec>& number) {
  Kokkos::fence();
  std::int64_t value = 0;
  Kokkos::deep_copy(value, number);
  return value;
}

template <class Exec>
void add(const Exec& exec, const AddAndCount& body) {
  Kokkos::parallel_for("vrfm::test::add",
                       Kokkos::RangePolicy<Exec, LightKernel, Kokkos::IndexType<int>>(exec, 0, 1),
                       body);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a step graph repeats its launches", "[training][graph]", Spaces) {
  const TestType exec;
  const Number<TestType> sum("sum"), step("step");
  detail::StepGraph<TestType> graph;
  std::int64_t amount = 10;
  const auto enqueue = [&] { add(exec, {sum.data(), step.data(), amount, nullptr}); };
  for (int i = 0; i < 5; ++i) graph.launch(exec, enqueue);
  CHECK(read<TestType>(sum) == 50 + 0 + 1 + 2 + 3 + 4);
  CHECK(read<TestType>(step) == 5);
  // A copy goes on with what was recorded, and forgets by itself.
  auto copy = graph;
  amount = 100;
  copy.forget();
  copy.launch(exec, enqueue);
  copy.launch(exec, enqueue);
  CHECK(read<TestType>(sum) == 60 + 200 + 5 + 6);
}

TEMPLATE_LIST_TEST_CASE("a step graph that copies from the host copies what is there now",
                        "[training][graph]", Spaces) {
  const TestType exec;
  const Number<TestType> sum("sum"), step("step"), more("more");
  const Kokkos::View<std::int64_t, Kokkos::HostSpace> host("host");
  detail::StepGraph<TestType> graph;
  for (int i = 1; i <= 4; ++i) {
    host() = 10 * i;
    graph.launch(exec, [&] {
      Kokkos::deep_copy(exec, more, host);
      add(exec, {sum.data(), step.data(), 0, more.data()});
    });
    exec.fence();
  }
  CHECK(read<TestType>(sum) == 100 + 0 + 1 + 2 + 3);
}

TEST_CASE("a step number is given or counted", "[core][random]") {
  std::int64_t counter = 41;
  const DrawAddress given{.seed = 1, .step = 7, .first_sample = 3};
  const DrawAddress counted{.seed = 1, .step = StepNumber(&counter), .first_sample = 3};
  counter = 42;
  CHECK(std::uint32_t(given.step) == 7);
  CHECK(std::uint32_t(counted.step) == 42);
  CHECK(std::uint32_t(DrawAddress{}.step) == 0);
}
