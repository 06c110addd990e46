// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Couplings: where training pairs (x0, x1) and their conditions come from. A coupling is a light
// value that kernels copy. It writes the pair of one address; the draw depends on nothing else, so
// a batch may be split in any way.
//
//   dimension()                 columns of x0 and x1
//   draw(address, slot)         writes one sample (core/distribution.hpp), inside a kernel
// and, where there is something to it,
//   condition()                 ConditionShape: what is written of c, and of z
//   check(batch)                throws std::invalid_argument unless a global batch may have this size
//   prepare(exec, address, batch)
//                               a coupling over the batch: launches what fills its tables for the samples
//                               0 ... batch - 1 of the step at `address`, before they are drawn. The step
//                               may be a counter in the device's memory (StepNumber), and the launches may
//                               be recorded: no allocation, no copy to the host, no fence.
//   prepares_on_host            static constexpr bool, true if `prepare` copies to the host or waits for the
//                               device after all: then it is called before what may be recorded
#pragma once

#include <vrfm/core/check.hpp>
#include <vrfm/core/distribution.hpp>

namespace vrfm {

template <class C, class T>
concept Coupling = requires(const C& coupling, const SampleAddress& address, const Slot<T>& slot) {
  { coupling.dimension() } -> std::convertible_to<int>;
  coupling.draw(address, slot);
};

/// Says in one sentence what a coupling lacks.
template <class C, class T>
struct RequireCoupling {
  static_assert(
      requires(const C& coupling) {
        { coupling.dimension() } -> std::convertible_to<int>;
      }, "vrfm: a coupling needs dimension() -> int");
  static_assert(
      requires(const C& coupling, const SampleAddress& address, const Slot<T>& slot) {
        coupling.draw(address, slot);
      },
      "vrfm: a coupling needs draw(const SampleAddress&, const Slot<T>&) const, T the "
      "type of the flow that is trained");
  static constexpr bool ok = Coupling<C, T>;
};

/// Lets a coupling over the batch prepare the step at `address`.
template <ExecutionSpace Exec, class C>
void prepare_coupling(const Exec& exec, const C& coupling, const DrawAddress& address, int batch) {
  if constexpr (requires { coupling.prepare(exec, address, batch); }) {
    coupling.prepare(exec, address, batch);
  }
}

}  // namespace vrfm
