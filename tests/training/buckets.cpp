// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Buckets: which parts of a gradient leave when, and that nobody waits for what a layer is still to write.
#include <algorithm>
#include <array>
#include <thread>
#include <vector>

#include <tests/support/adverse_ranks.hpp>
#include <tests/support/catch.hpp>

#include "support.hpp"
#include "tiny_unet.hpp"

#include <vrfm/models/residual/networks.hpp>
#include <vrfm/training/detail/buckets.hpp>

#if defined(KOKKOS_ENABLE_SERIAL)

using namespace vrfm::test;
using vrfm::Partition;
using vrfm::Segment;
using vrfm::detail::Bucket;
using vrfm::detail::DoneList;

TEST_CASE("buckets are in the order in which they are complete", "[training][ranks]") {
  DoneList list;
  list.done(60, 40);  // the last layer's
  list.done(30, 30);
  list.done(20, 10);
  list.done(60, 40);  // again, such as by a second point of the path
  list.done(0, 15);   // 15 ... 19 are never said to be done
  const auto plan = list.buckets(100, 30);
  REQUIRE(plan.size() == 4);
  CHECK(plan[0].segment == Segment{30, 60});
  CHECK(plan[0].calls == 1);
  CHECK(plan[1].segment == Segment{60, 90});
  CHECK(plan[1].calls == 2);
  CHECK(plan[2].segment == Segment{90, 100});
  CHECK(plan[2].calls == 2);
  CHECK(plan[3].segment == Segment{0, 30});
  CHECK(plan[3].calls < 0);
  CHECK(DoneList().buckets(10, 4).size() == 3);
}

namespace {

/// Whether the layers of some networks say of all their parameters that they are done.
template <class Networks>
bool say_all(const typename Networks::Options& options, int dimension) {
  const vrfm::Flow<float, Kokkos::Serial, Networks> flow(Kokkos::Serial(), options, 1);
  const auto noise = vrfm::standard_normal<float>(Kokkos::Serial(), dimension);
  const auto pairs = vrfm::independent(noise, noise);
  using Rows = vrfm::detail::EvaluateRows<float, Networks, vrfm::Elbo, decltype(pairs)>;
  const Rows rows{flow.networks(), vrfm::Elbo{}, pairs, flow.values().data(), nullptr, 0.5, {}};
  DoneList list;
  double losses[Rows::terms];
  auto arena = vrfm::Arena<float>::measure();
  rows(vrfm::BatchContext<Kokkos::Serial>::dry_run(Kokkos::Serial()), 2, 0,
       vrfm::Gradient<float>{flow.values().data(), false, &list}, losses, vrfm::Update::overwrite,
       arena);
  const auto plan = list.buckets(flow.parameters().count(), 1);
  return std::all_of(plan.begin(), plan.end(), [](const Bucket& b) { return b.calls > 0; });
}

}  // namespace

TEST_CASE("all networks say what is done", "[training][ranks]") {
  CHECK(say_all<vrfm::MlpNetworks<>>(tiny_flow(), 2));
  CHECK(say_all<vrfm::UnetNetworks>(tiny_unet(), 16));
  CHECK(say_all<vrfm::ResidualNetworks>(
      {.grid = {6, 6}, .latent = 2, .features = 4, .blocks = 1, .posterior_features = 4}, 36));
}

TEST_CASE("a bucket leaves when its last layer is done", "[training][ranks]") {
  using Buckets = vrfm::detail::Buckets<float, Kokkos::Serial, AdverseCommunicator>;
  Mail mail;
  const Partition partition(2, 2);
  DoneList list;
  list.done(6, 4);
  list.done(2, 4);
  list.done(0, 2);
  std::array<std::vector<int>, 2> begun;
  std::array<std::vector<float>, 2> gradients;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      const auto r = static_cast<std::size_t>(rank);
      const AdverseCommunicator communicator(mail, rank, 2, 4 * sizeof(float));
      auto& gradient = gradients[r];
      gradient.assign(10, static_cast<float>(rank + 1));
      float* const root[] = {gradient.data()};
      Buckets buckets(Kokkos::Serial(), communicator, partition, list.buckets(10, 4), root,
                      gradient.data());
      const auto done = [&](std::size_t offset, std::size_t count) {
        buckets.done(offset, count);
        begun[r].push_back(communicator.begun());
      };
      for (int pass = 0; pass < 2; ++pass) {
        buckets.begin({});
        done(6, 4);  // all of [8, 10), half of [4, 8)
        done(2, 4);  // the rest of it, and half of [0, 4), whose other half is never done
        buckets.finish();
        begun[r].push_back(communicator.begun());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& counts : begun) {
    // After the first call one bucket has left, at the end all three.
    CHECK(counts[0] == 1);
    CHECK(counts[1] <= 2);
    CHECK(counts[2] == 3);
    CHECK(counts[3] == 4);
    CHECK(counts[5] == 6);
  }
  CHECK(gradients[0] == std::vector<float>(10, 6));
  CHECK(gradients[1] == gradients[0]);
}

#endif
