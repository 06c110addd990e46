// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flow: a velocity network, its posterior if it is variational, and the flat array of their
// parameters. latent = 0 is the rectified-flow baseline, latent > 0 variational rectified flow.
#pragma once

#include <vrfm/models/mlp/posterior.hpp>

namespace vrfm {

struct FlowOptions {
  int dimension = 1;
  int latent = 0;  ///< columns of z; 0: rectified flow
  EncoderInput encoder_input = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t;
  EncoderOptions encoder = {};
  int latent_width = 128;  ///< hidden width of z's encoder and of the posterior's head
  int latent_depth = 3;
  int decoder_width = 64;
  int decoder_depth = 4;
};

/// The networks of a flow on data of few dimensions, as one value that kernels carry.
template <Activation Act = Gelu>
struct MlpNetworks {
  using Options = FlowOptions;

  VelocityNetwork<Act> velocity;
  PosteriorNetwork<Act> posterior;  ///< empty if velocity.latent() == 0

  MlpNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  MlpNetworks(ParameterList& list, const Options& options)
      : velocity(list, "velocity",
                 {.dimension = options.dimension,
                  .latent = options.latent,
                  .encoder = options.encoder,
                  .latent_width = options.latent_width,
                  .latent_depth = options.latent_depth,
                  .decoder_width = options.decoder_width,
                  .decoder_depth = options.decoder_depth}) {
    if (options.latent == 0) return;
    posterior = PosteriorNetwork<Act>(list, "posterior",
                                      {.dimension = options.dimension,
                                       .latent = options.latent,
                                       .input = options.encoder_input,
                                       .encoder = options.encoder,
                                       .head_width = options.latent_width,
                                       .head_depth = options.latent_depth});
  }
};

/// The networks of a flow: a velocity network and a posterior, their parameters listed by a
/// constructor that takes Options.
template <class N>
concept FlowNetworks = std::constructible_from<N, ParameterList&, const typename N::Options&> &&
                       requires(const N& networks) {
                         { networks.velocity.dimension() } -> std::same_as<int>;
                         { networks.velocity.latent() } -> std::same_as<int>;
                         { networks.posterior.latent() } -> std::same_as<int>;
                       };

/// `products`: the precision in which devices multiply its matrices (linalg/context.hpp).
template <Real T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          FlowNetworks Networks = MlpNetworks<>, Compute products = Compute::float32>
class Flow {
 public:
  static constexpr Compute compute = products;
  using value_type = T;
  using execution_space = Exec;
  using Options = typename Networks::Options;

  /// Builds the networks and draws their parameters from `seed`.
  /// Throws std::invalid_argument naming the first impossible option.
  Flow(const Exec& exec, const Options& options, std::uint32_t seed)
      : exec_(exec), networks_(list_, options) {
    values_ = Array<T, Exec>("vrfm::Flow::parameters", list_.count());
    initialize<Exec, T>(exec_, list_, values_, seed);
  }

  /// The same networks on the same values, which are shared, with products in another precision.
  template <Compute other>
  explicit Flow(const Flow<T, Exec, Networks, other>& flow)
      : exec_(flow.exec()),
        list_(flow.parameters()),
        networks_(flow.networks()),
        values_(flow.values()) {}

  const Exec& exec() const { return exec_; }
  int dimension() const { return networks_.velocity.dimension(); }
  int latent() const { return networks_.velocity.latent(); }
  const Networks& networks() const { return networks_; }
  const ParameterList& parameters() const { return list_; }
  /// The flat array; slot s begins at parameters().slots()[s].offset.
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
