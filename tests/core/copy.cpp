// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies between views: what arrives, and what is refused.
#include <stdexcept>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/copy.hpp>

using vrfm::test::thrown;
using Invalid = std::invalid_argument;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Host = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;

}  // namespace

TEST_CASE("a copy has the elements of its source, and to_host waits for them", "[core][copy]") {
  const Exec exec;
  Host numbers("numbers", 3, 5);
  for (int i = 0; i < 15; ++i) numbers.data()[i] = i + 0.5;
  const vrfm::Table<double, Exec> table("table", 3, 5);
  vrfm::copy_elements(exec, table, numbers);
  const auto back = vrfm::to_host(exec, table);
  for (int i = 0; i < 15; ++i) CHECK(back.data()[i] == i + 0.5);

  const vrfm::Array<int, Exec> none("none", 0);
  vrfm::copy_elements(exec, none, none);
  CHECK(vrfm::to_host(exec, none).size() == 0);
}

TEST_CASE("a copy refuses other shapes and views with gaps", "[core][copy]") {
  const Exec exec;
  const Host three("three", 3, 5), four("four", 3, 4);
  CHECK(thrown<Invalid>([&] { vrfm::copy_elements(exec, three, four); }) ==
        "vrfm: copy_elements: view 'three' has 5 elements along axis 1, but view 'four' has 4");
  const auto columns = Kokkos::subview(three, Kokkos::ALL, std::pair<int, int>(0, 4));
  using Gaps = Kokkos::View<double**, Kokkos::LayoutStride, Kokkos::HostSpace>;
  CHECK(thrown<Invalid>([&] { vrfm::copy_elements(exec, Gaps(four), Gaps(columns)); }) ==
        "vrfm: copy_elements: view 'three' has gaps between its elements");
}
