// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The TrainableModel concept: networks with the flat array of their parameters, which a Trainer fits by an objective
// for these networks. A Flow is one, a Classifier another.
//
//   value_type, execution_space
//   exec()            an instance of execution_space
//   parameters()      ParameterList: names and shapes
//   values()          Array<value_type, execution_space>, which training changes
//   dimension()       columns of x1
//   networks()        what objectives are given; `static constexpr bool host_only = true` where kernels cannot
//                     carry them. Those of a flow have velocity, posterior and prior (models/flow.hpp); others
//                     have inputs() -> ModelInputs: what of the coupling's condition the objective asks for
//   products, compute optional: how it multiplies (linalg/execution.hpp)
#pragma once

#include <vrfm/core/concepts.hpp>
#include <vrfm/layers/parameters.hpp>
#include <vrfm/models/condition.hpp>

namespace vrfm {

namespace detail {

template <class M>
concept HasModelTypes = requires {
  typename M::value_type;
  typename M::execution_space;
};

template <class M>
concept HasModelParameters = requires(const M& model) {
  { model.exec() } -> std::convertible_to<typename M::execution_space>;
  { model.parameters() } -> std::convertible_to<const ParameterList&>;
  {
    model.values()
  } -> std::convertible_to<Array<typename M::value_type, typename M::execution_space>>;
};

/// Whether networks are those of a flow.
template <class N>
concept HasVelocity = requires(const N& networks) { networks.velocity; };

template <class M>
concept HasModelNetworks =
    requires(const M& model) {
      { model.dimension() } -> std::convertible_to<int>;
      model.networks();
    } && (HasVelocity<std::remove_cvref_t<decltype(std::declval<const M&>().networks())>> ||
          requires(const M& model) {
            { model.networks().inputs() } -> std::same_as<ModelInputs>;
          });

}  // namespace detail

template <class M>
concept TrainableModel =
    detail::HasModelTypes<M> && detail::HasModelParameters<M> && detail::HasModelNetworks<M>;

/// Says in one sentence what a model lacks.
template <class M>
struct RequireModel {
  static_assert(detail::HasModelTypes<M>,
                "vrfm: a model needs the member types value_type and execution_space");
  static_assert(!detail::HasModelTypes<M> || detail::HasModelParameters<M>,
                "vrfm: a model needs exec(), parameters() -> ParameterList and values() -> "
                "Array<value_type, execution_space>");
  static_assert(detail::HasModelNetworks<M>,
                "vrfm: a model needs dimension() -> int and networks(), which have velocity, "
                "posterior and prior, or inputs() -> ModelInputs");
  static constexpr bool ok = TrainableModel<M>;
};

}  // namespace vrfm
