// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The float normal numbers have the same bits on every backend, however its compiler contracts
// products and sums: this file is compiled twice, once without contraction. The bits below were
// computed with and without, and the numbers agree with Box and Muller's formula in double.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/core/concepts.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm::test {

/// Elements 2 ... 7 of each sample, and the first added to 1 by the code that drew it.
struct DrawSix {
  float* normals;
  float* sums;

  KOKKOS_FUNCTION void operator()(int i) const {
    float z[6];
    RandomStream(2026, Purpose::user).normal(static_cast<std::uint64_t>(i), 1, 2, 6, z);
    for (int k = 0; k < 6; ++k) normals[6 * i + k] = z[k];
    sums[i] = 1.0f + z[0];
  }
};

}  // namespace vrfm::test

using namespace vrfm::test;

TEMPLATE_LIST_TEST_CASE("float normal numbers have the same bits everywhere", "[core][random]",
                        Spaces) {
  using Exec = TestType;
  constexpr int n = 100000;
  const vrfm::Array<float, Exec> normals("normals", 6 * n), sums("sums", n);
  const Exec exec;
  Kokkos::parallel_for("draw_six", Kokkos::RangePolicy<Exec, Kokkos::IndexType<int>>(exec, 0, n),
                       DrawSix{normals.data(), sums.data()});
  exec.fence();
  const auto z = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), normals);
  const auto sum = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), sums);

  const float first[] = {-0x1.36ea08p+1f, 0x1.5f8b84p-1f,  -0x1.d06bfep-2f,
                         -0x1.f9077ep-5f, -0x1.ad330ap+0f, 0x1.a19e5ep-1f};
  for (std::size_t k = 0; k < 6; ++k) CHECK(z(k) == first[k]);

  // All of them: Fowler, Noll and Vo's hash (FNV-1a) of the bits.
  std::uint64_t hash = 0xCBF29CE484222325u;
  double worst = 0;
  int fused = 0;
  const vrfm::RandomStream stream(2026, vrfm::Purpose::user);
  for (int i = 0; i < n; ++i) {
    for (std::uint32_t k = 0; k < 6; k += 2) {
      const auto at = static_cast<std::size_t>(6 * i) + k;
      for (const std::size_t j : {at, at + 1}) {
        hash = (hash ^ std::bit_cast<std::uint32_t>(z(j))) * 0x100000001B3u;
      }
      const auto sample = static_cast<std::uint64_t>(i);
      const double u = static_cast<double>(stream.uniform<float>(sample, 1, k + 2));
      const double turns = static_cast<double>(stream.uniform<float>(sample, 1, k + 3));
      const double radius = std::sqrt(-2 * std::log(u)), angle = 6.28318530717958648 * turns;
      worst = std::fmax(worst, std::fabs(double(z(at)) - radius * std::cos(angle)) / radius);
      worst = std::fmax(worst, std::fabs(double(z(at + 1)) - radius * std::sin(angle)) / radius);
    }
    fused += sum(static_cast<std::size_t>(i)) != 1.0f + z(static_cast<std::size_t>(6 * i)) ? 1 : 0;
  }
  CHECK(hash == 0x89B8F021D0F54B3Fu);
  CHECK(fused == 0);
  // The logarithm's two halves of an epsilon, halved by the root, and five roundings.
  CHECK(worst <= 3.5 * static_cast<double>(std::numeric_limits<float>::epsilon()));
}
