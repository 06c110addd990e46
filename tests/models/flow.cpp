// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flow: which networks it builds, under which names, and that its parameters come from its seed.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/linalg/execution.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/unet/networks.hpp>

using namespace vrfm;
using namespace vrfm::test;

static_assert(FlowNetworks<MlpNetworks<>> && FlowNetworks<MlpNetworks<Silu>>);
static_assert(FlowNetworks<ResidualNetworks> && FlowNetworks<UnetNetworks>);
static_assert(DifferentiableModel<MlpVelocity<>> && DifferentiableModel<ResidualVelocity> &&
              DifferentiableModel<UnetVelocity>);
// Kernels carry those of few layers, and say so of what they make.
static_assert(!host_only<MlpNetworks<>> && !host_only<GaussianPrior<MlpPosterior<>>>);
static_assert(host_only<UnetNetworks> && host_only<GaussianPrior<UnetPosterior>> &&
              host_only<UnetVelocity>);

namespace {

FlowOptions small(int latent) {
  return {.dimension = 2,
          .latent = latent,
          .encoder = {.features = 4, .width = 5},
          .latent_width = 6,
          .decoder_width = 7};
}

template <class View>
std::vector<float> on_host(const View& view) {
  Kokkos::fence();
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.extent(0)};
}

std::size_t count_prefix(const ParameterList& list, const std::string& prefix) {
  return static_cast<std::size_t>(
      std::count_if(list.entries().begin(), list.entries().end(),
                    [&](const ParameterSlot& slot) { return slot.name.starts_with(prefix); }));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a flow owns its networks' parameters", "[models][flow]", Spaces) {
  using Exec = TestType;
  const Flow<float, Exec> variational(Exec(), small(3), 1), baseline(Exec(), small(0), 1);
  CHECK((variational.dimension() == 2 && variational.latent() == 3));
  CHECK(baseline.latent() == 0);
  CHECK(count_prefix(variational.parameters(), "velocity.") == 22);
  CHECK(count_prefix(variational.parameters(), "posterior.") == 3 * 4 + 6);
  CHECK(count_prefix(baseline.parameters(), "velocity.") == 16);
  CHECK(baseline.parameters().entries().size() == 16);
  CHECK(variational.values().extent(0) == variational.parameters().count());

  const auto values = on_host(variational.values());
  const Array<float, Exec> again("again", values.size());
  initialize<Exec, float>(Exec(), variational.parameters(), again, 1);
  CHECK(on_host(again) == values);
  CHECK(on_host(Flow<float, Exec>(Exec(), small(3), 2).values()) != values);
}

TEST_CASE("a flow passes its options on", "[models][flow]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  auto options = small(3);
  options.encoder_input = EncoderInput::x1;
  options.latent_depth = 2;
  options.decoder_depth = 5;
  const Flow<double, Host> flow(Host(), options, 1);
  CHECK(count_prefix(flow.parameters(), "posterior.x1_encoder.") == 4);
  CHECK(count_prefix(flow.parameters(), "posterior.head.") == 4);
  CHECK(count_prefix(flow.parameters(), "velocity.latent_encoder.") == 4);
  CHECK(count_prefix(flow.parameters(), "velocity.decoder.") == 10);
  CHECK(flow.networks().posterior.input() == EncoderInput::x1);

  // A posterior that sees nothing is none: z comes with the pairs.
  options.encoder_input = EncoderInput::none;
  const Flow<double, Host> given(Host(), options, 1);
  CHECK((given.latent() == 3 && given.networks().posterior.latent() == 0));
  CHECK(count_prefix(given.parameters(), "posterior.") == 0);
}

TEST_CASE("a flow with a condition and a learned prior", "[models][flow]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  auto options = small(3);
  options.classes = 4;
  options.condition_columns = 2;
  options.second_time = true;
  options.prior = PriorKind::given_source;
  const Flow<double, Host> flow(Host(), options, 1);
  CHECK(flow.networks().velocity.inputs() ==
        ModelInputs{.latent = 3, .classes = 4, .condition_columns = 2, .second_time = true});
  CHECK(flow.networks().posterior.inputs() ==
        ModelInputs{.latent = 3, .classes = 4, .condition_columns = 2});
  CHECK(flow.networks().prior.inputs() == flow.networks().posterior.inputs());
  CHECK(count_prefix(flow.parameters(), "prior.x0_encoder.") == 4);
  CHECK(count_prefix(flow.parameters(), "prior.label_emb.") == 1);
  CHECK(count_prefix(flow.parameters(), "velocity.span_encoder.") == 4);
  CHECK(Flow<double, Host>(Host(), small(3), 1).networks().prior.standard());

  options.latent = 0;
  CHECK(thrown<std::invalid_argument>([&] { Flow<double, Host>(Host(), options, 1); }) ==
        "vrfm: a learned prior needs latent >= 1, got 0");
}

TEST_CASE("a flow can be seen in another precision of its products", "[models][flow]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  using Rounded = Flow<float, Host, MlpNetworks<>, Compute::tf32>;
  const Flow<float, Host> flow(Host(), small(3), 1);
  const Rounded seen(flow);
  static_assert(Rounded::compute == Compute::tf32);
  CHECK(seen.values().data() == flow.values().data());
  CHECK(seen.latent() == 3);
  CHECK(seen.parameters().count() == flow.parameters().count());
}

TEST_CASE("a flow can be seen with other values", "[models][flow]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  const Flow<float, Host> flow(Host(), small(3), 1), other(Host(), small(3), 2);
  const auto seen = flow.with_values(other.values());
  CHECK(seen.values().data() == other.values().data());
  CHECK(flow.values().data() != other.values().data());
  CHECK(seen.parameters().count() == flow.parameters().count());
  CHECK(contains(thrown<std::invalid_argument>(
                     [&] { (void)flow.with_values(Array<float, Host>("short", 3)); }),
                 "the values"));
}

TEST_CASE("a seed of a flow has 32 bits", "[models][flow]") {
  const auto error = vrfm::test::thrown<std::invalid_argument>([] {
    vrfm::Flow<float>(Kokkos::DefaultExecutionSpace(), {.dimension = 1}, std::uint64_t{1} << 40);
  });
  CHECK(error == "vrfm: the seed is 1099511627776, but must be in 0 to 4294967295");
}
