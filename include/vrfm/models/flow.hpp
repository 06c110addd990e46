// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flow: a velocity network, its posterior if it is variational, and the flat array of their
// parameters. latent = 0 is the rectified-flow baseline, latent > 0 variational rectified flow.
#pragma once

#include <vrfm/models/latent_model.hpp>
#include <vrfm/models/mlp/networks.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm {

namespace detail {

template <class N>
concept HasNetworks = requires(const N& networks) {
  typename N::Options;
  networks.velocity;
  networks.posterior;
  networks.prior;
} && std::constructible_from<N, ParameterList&, const typename N::Options&>;

}  // namespace detail

/// The networks of a flow: a velocity model, a posterior and a prior, their parameters listed by a
/// constructor that takes Options. `static constexpr bool host_only = true` where kernels cannot carry
/// them.
template <class N>
concept FlowNetworks = detail::HasNetworks<N> && VelocityModel<VelocityOf<N>> &&
                       LatentModel<PosteriorOf<N>> && PriorModel<PriorOf<N>>;

/// `precision`: that in which devices multiply its matrices (linalg/context.hpp); List: by which engines
/// (linalg/engines/list.hpp).
template <Real T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          class Networks = MlpNetworks<>, Compute precision = Compute::float32,
          class List = DefaultEngines>
class Flow {
  static_assert(detail::HasNetworks<Networks>,
                "vrfm: networks need members velocity, posterior and prior, a type Options, and a "
                "constructor from ParameterList& and const Options&");
  static_assert(RequireVelocityModel<VelocityOf<Networks>>::ok);
  static_assert(RequireLatentModel<PosteriorOf<Networks>>::ok);
  static_assert(PriorModel<PriorOf<Networks>>,
                "vrfm: a prior needs what a posterior needs, and standard() -> bool");

 public:
  static constexpr Compute compute = precision;
  using products = Products<precision, List>;
  using value_type = T;
  using execution_space = Exec;
  using Options = typename Networks::Options;

  /// Builds the networks and draws their parameters from `seed`.
  /// Throws std::invalid_argument naming the first impossible option, or a seed of more than 32 bits.
  Flow(const Exec& exec, const Options& options, std::uint64_t seed)
      : exec_(exec), networks_(list_, options) {
    values_ = Array<T, Exec>("vrfm::Flow::parameters", list_.count());
    initialize<Exec, T>(exec_, list_, values_, narrow<std::uint32_t>(seed, "the seed"));
  }

  /// The same networks, which may be Stored otherwise, on the same values, which are shared, with products in this
  /// precision.
  template <class Other, Compute other>
    requires std::constructible_from<Networks, const Other&>
  explicit Flow(const Flow<T, Exec, Other, other, List>& flow)
      : exec_(flow.exec()),
        list_(flow.parameters()),
        networks_(flow.networks()),
        values_(flow.values()) {}

  const Exec& exec() const { return exec_; }
  int dimension() const { return networks_.velocity.dimension(); }
  int latent() const { return networks_.velocity.inputs().latent; }
  const Networks& networks() const { return networks_; }
  const ParameterList& parameters() const { return list_; }
  /// The flat array; slot s begins at parameters().entries()[s].offset.
  const Array<T, Exec>& values() const { return values_; }

  /// The same networks on other values, such as a trainer's moving average; these are shared, not
  /// copied. Throws std::invalid_argument for another number of values.
  Flow with_values(const Array<T, Exec>& values) const {
    expect_same("the values", values.extent(0), "the flow", list_.count(), "numbers");
    Flow other = *this;
    other.values_ = values;
    return other;
  }

 private:
  Exec exec_;
  ParameterList list_;
  Networks networks_;
  Array<T, Exec> values_;
};

}  // namespace vrfm
