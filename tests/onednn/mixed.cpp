// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A program of which one source file has oneDNN's engine and this one has not: each multiplies by its own, which
// the linker must not mistake for each other.
#include <tests/support/catch.hpp>

#include "mixed.hpp"

#if defined(KOKKOS_ENABLE_SERIAL) && defined(KOKKOS_ENABLE_OPENMP)

namespace {

template <class Exec>
std::vector<float> here() {
  return mixed::train<vrfm::Flow<float, Exec, vrfm::UnetNetworks>>();
}

}  // namespace

TEST_CASE("source files with and without oneDNN are one program", "[onednn]") {
  const auto with = mixed::with_onednn(), without = here<Kokkos::OpenMP>();
  // Our own products have the same bits on any space, and the library's have others.
  CHECK((without == here<Kokkos::Serial>()));
  CHECK((with != without));
  REQUIRE(with.size() == without.size());
  float most = 0;
  for (std::size_t k = 0; k < with.size(); ++k)
    most = std::max(most, std::abs(with[k] - without[k]));
  CHECK(most <= 4e-3f);  // two steps of AdamW move a weight by 2e-3 at most
}

#endif
