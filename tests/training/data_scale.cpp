// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A trainer says so where columns of the data are far from 1 in size, and what to do.
#include <string>
#include <vector>

#include <tests/support/catch.hpp>

#include "support.hpp"

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/training/data_scale.hpp>

using namespace vrfm::test;
using Exec = Kokkos::DefaultExecutionSpace;

namespace {

/// Column d is plus or minus sizes[d], or 0.
struct Columns {
  double sizes[3];
  KOKKOS_FUNCTION int dimension() const { return 3; }
  template <class T>
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step,
                            const vrfm::RandomStream& stream, T* x) const {
    for (std::uint32_t d = 0; d < 3; ++d) {
      x[d] = T(stream.uniform<T>(sample, step, d) < T(0.5) ? -sizes[d] : sizes[d]);
    }
  }
};

std::string warning(const Columns& source, const Columns& target, int batch = 1000) {
  return vrfm::scale_warning<double>(Exec(), vrfm::independent(source, target), 1, batch);
}

}  // namespace

TEST_CASE("columns far from 1 are told", "[training][data_scale]") {
  const Columns fine{{1, 0.2, 5}};
  CHECK(warning(fine, fine).empty());
  CHECK(warning(fine, {{0, -1, 9.9}}).empty());
  const std::string begin =
      "training expects columns of a size near 1 (0.1 to 10, root mean square), but ";
  const std::string end =
      "; subtract each column's mean and divide by its deviation, and undo that on samples";
  CHECK(warning(fine, {{1, 100, 0.01}}) ==
        begin + "the target has column 2 of 0.01 and column 1 of 100" + end);
  CHECK(warning({{20, 1, 1}}, {{1, 1, 0.05}}) ==
        begin + "the source has column 0 of 20, the target has column 2 of 0.05" + end);
}

TEST_CASE("a small batch is no reason to warn", "[training][data_scale]") {
  const auto normal = vrfm::standard_normal<double>(Exec(), 500);
  for (const int batch : {1, 2, 100, 1000}) {
    CHECK(vrfm::scale_warning<double>(Exec(), vrfm::independent(normal, normal), 1, batch).empty());
    CHECK_FALSE(warning({{1, 1, 1}}, {{1, 100, 1}}, batch).empty());
  }
}

TEST_CASE("a trainer warns once, and nobody who does not want to hear", "[training][data_scale]") {
  const vrfm::Flow<float> flow(Exec(), {.dimension = 3, .encoder = {.features = 2, .width = 3}}, 1);
  std::vector<std::string> told;
  vrfm::TrainerOptions options{.batch = 10};
  options.warn = [&](const std::string& what) { told.push_back(what); };
  const auto raw = vrfm::independent(Columns{{1, 1, 1}}, Columns{{1, 100, 1}});
  vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, raw, options);
  trainer.run(2);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == vrfm::scale_warning<float>(Exec(), raw, 0, 10));
  options.warn = {};
  const vrfm::Trainer silent(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, raw, options);
  CHECK(told.size() == 1);
}
