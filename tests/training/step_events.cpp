// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A step neither allocates nor waits. Counted are the allocations and fences that Kokkos reports to
// tools (fences where this version of Kokkos reports them), and every call of the host's operator new,
// of which a step may make as many as its launches would if they did nothing: Kokkos takes the label
// of a launch as a std::string.
#include <cstdint>
#include <new>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>

#include "host_allocations.hpp"
#include "support.hpp"

#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/unet/networks.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// Allocations and fences of Kokkos since the object was made. One object at a time.
class KokkosEvents {
 public:
  KokkosEvents() {
    allocations_ = fences_ = 0;
    Kokkos::Tools::Experimental::set_allocate_data_callback([](const Kokkos_Profiling_SpaceHandle,
                                                               const char*, const void*,
                                                               const uint64_t) { ++allocations_; });
    Kokkos::Tools::Experimental::set_begin_fence_callback(
        [](const char*, const uint32_t, uint64_t*) { ++fences_; });
  }
  KokkosEvents(const KokkosEvents&) = delete;
  KokkosEvents& operator=(const KokkosEvents&) = delete;
  ~KokkosEvents() {
    Kokkos::Tools::Experimental::set_allocate_data_callback(nullptr);
    Kokkos::Tools::Experimental::set_begin_fence_callback(nullptr);
  }

  int allocations() const { return allocations_; }
  int fences() const { return fences_; }

 private:
  inline static int allocations_ = 0, fences_ = 0;
};

/// Launches of kernels while `f` runs. Not among the events above, because a tool that asks for
/// kernels makes Kokkos fence around each.
template <class F>
int launches_of(const F& f) {
  static int launches = 0;
  launches = 0;
  Kokkos::Tools::Experimental::set_begin_parallel_for_callback(
      [](const char*, const uint32_t, uint64_t*) { ++launches; });
  f();
  Kokkos::Tools::Experimental::set_begin_parallel_for_callback(nullptr);
  return launches;
}

template <class F>
int host_allocations_of(const F& f) {
  const int before = host_allocations();
  f();
  return host_allocations() - before;
}

struct DoNothing {
  KOKKOS_FUNCTION void operator()(int) const {}
};

/// Calls of operator new by a launch of a kernel that does nothing.
template <class Exec>
int host_allocations_of_a_launch() {
  const Exec exec;
  const auto launch = [&] {
    Kokkos::parallel_for("vrfm::test::DoNothing", Kokkos::RangePolicy<Exec>(exec, 0, 1),
                         DoNothing{});
    exec.fence();
  };
  launch();
  return host_allocations_of(launch);
}

template <class Exec, class TrainerType>
void check_events(TrainerType trainer) {
  {
    const KokkosEvents control;
    const Kokkos::View<int*, typename Exec::memory_space> block("vrfm::test::control", 3);
    REQUIRE(control.allocations() > 0);
  }
  REQUIRE(host_allocations_of([] { ::operator delete(::operator new(1)); }) == 1);
  bool fences_are_reported = false;
  {
    const KokkosEvents control;
    Exec().fence();
    fences_are_reported = control.fences() > 0;
  }
  if (!fences_are_reported) {
    WARN("Kokkos " << KOKKOS_VERSION << " does not report fences to tools: they are not counted");
  }
  const auto run = [&](std::int64_t steps, std::int64_t report_every) {
    trainer.run(trainer.step() + steps, report_every, [](const TrainingReport&) {});
  };
  run(12, 12);  // makes room for the statistics of so many steps, and on CUDA records the step
  const auto fences_of = [&](std::int64_t steps, std::int64_t report_every) {
    const KokkosEvents events;
    run(steps, report_every);
    CHECK(events.allocations() == 0);
    return events.fences();
  };
  const int once = fences_of(4, 4);
  CHECK(fences_of(12, 12) == once);
  if (fences_are_reported) {
    CHECK(once > 0);
    CHECK(fences_of(12, 4) > once);  // the host waits once a report
  }
  const int launches = launches_of([&] { run(12, 12); }) - launches_of([&] { run(4, 4); });
  CHECK(launches >= 8);
  CHECK(host_allocations_of([&] { run(12, 12); }) - host_allocations_of([&] { run(4, 4); }) <=
        launches * host_allocations_of_a_launch<Exec>());
}

/// A trainer of images of 8 x 8 x 1, in two parts of a batch.
template <class Networks>
auto image_trainer(const typename Networks::Options& options) {
  const Kokkos::DefaultExecutionSpace exec;
  const Flow<float, Kokkos::DefaultExecutionSpace, Networks> flow(exec, options, 1);
  const auto noise = standard_normal<float>(exec, 64);
  return Trainer(flow, Elbo{.beta = 0.1}, tiny_optimizer(), independent(noise, noise),
                 {.batch = 3,
                  .clip_norm = 0.5,
                  .ema_decay = 0.9,
                  .launch = {.execution = Execution::batch, .batch = 2}});
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a step neither allocates nor waits", "[training][trainer]", Spaces) {
  for (const auto execution : {Execution::tiles, Execution::batch}) {
    check_events<TestType>(
        tiny_trainer(Flow<float, TestType>(TestType(), tiny_flow(), 1),
                     in_launch(tiny_options(), {.execution = execution, .batch = 100})));
  }
}

TEST_CASE("a step of image networks neither allocates nor waits", "[training][trainer]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  SECTION("U-Nets") {
    for (const auto fusion : {Fusion::adaptive_norm, Fusion::bottleneck_sum}) {
      check_events<Exec>(
          image_trainer<UnetNetworks>({.velocity = {.path = {.grid = {8, 8},
                                                             .channels = 1,
                                                             .base = 4,
                                                             .multipliers = {1, 2},
                                                             .blocks = 1,
                                                             .attention_extents = {4},
                                                             .head_channels = 4,
                                                             .groups = 2},
                                                    .latent = 3,
                                                    .fusion = fusion,
                                                    .latent_width = 4},
                                       .posterior_base = 2,
                                       .encoder_input = EncoderInput::x1 | EncoderInput::t}));
    }
  }
  SECTION("residual networks") {
    check_events<Exec>(image_trainer<ResidualNetworks>(
        {.grid = {8, 8}, .latent = 2, .features = 4, .blocks = 2, .posterior_features = 4}));
  }
}
