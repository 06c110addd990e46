// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// mean_losses: an objective's losses on samples that are held out, without a gradient, at draws that
// are the same for every flow; at one time t, or over a time sampler.
#pragma once

#include <vrfm/training/trainer.hpp>

namespace vrfm {

/// Always the same t: losses along t, and fixed points of t for a mean.
struct FixedTime {
  double t = 0.5;

  template <class T>
  KOKKOS_INLINE_FUNCTION T draw(const RandomStream&, std::uint64_t, std::uint32_t) const {
    return static_cast<T>(t);
  }
};

struct MeanLossesOptions {
  int count = 1000;        ///< samples
  int batch = 0;           ///< samples at a time, which bounds the memory; 0: all
  std::uint32_t seed = 0;  ///< of pairs, times and posterior draws
  std::uint32_t step = 0;  ///< of these draws: another one, other draws
};

/// Means over the samples.
struct MeanLosses {
  double velocity = 0, kl = 0;
};

/// The losses that a step of a Trainer with this batch, seed and step reports. Waits for the end.
/// Throws std::invalid_argument if something does not fit.
template <class FlowType, class Objective, class Pairing, TimeSampler Times = UniformTime,
          Schedule Path = LinearSchedule>
MeanLosses mean_losses(const FlowType& flow, const Objective& objective, const Pairing& coupling,
                       const MeanLossesOptions& options, const Times& times = {},
                       const Path& path = {}) {
  using T = typename FlowType::value_type;
  using Exec = typename FlowType::execution_space;
  using Networks = std::decay_t<decltype(flow.networks())>;
  objective.check(flow.networks());
  expect(options.count >= 1 && options.batch >= 0,
         "mean_losses needs count >= 1 and batch >= 0 (0: all), got ", options.count, " and ",
         options.batch);
  expect_same("the flow", static_cast<std::size_t>(flow.dimension()), "the coupling",
              static_cast<std::size_t>(coupling.dimension()), "dimensions");
  const Exec& exec = flow.exec();
  const detail::EvaluateRows<T, Networks, Objective, Pairing, Path, Times> evaluate{
      flow.networks(),      objective, coupling,     path,        times,
      flow.values().data(), 1,         options.seed, options.step};
  const int batch = options.batch > 0 ? math::min(options.batch, options.count) : options.count;
  Arena<T> measured = Arena<T>::measure();
  double unused[2];
  evaluate(MeasureContext{tile_concurrency(exec)}, batch, 0, Gradient<T>{}, unused,
           Update::overwrite, measured);
  const Array<T, Exec> memory(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::mean_losses::memory"),
      measured.peak());
  const Array<double, Exec> sums("vrfm::mean_losses::sums", 2);
  Arena<T> arena(memory.data(), measured.peak());
  for (int first = 0; first < options.count; first += batch) {
    evaluate(BatchContext<Exec, FlowType::compute>(exec), math::min(batch, options.count - first),
             static_cast<std::uint64_t>(first), Gradient<T>{}, sums.data(),
             first > 0 ? Update::accumulate : Update::overwrite, arena);
  }
  const auto host = Kokkos::create_mirror_view(sums);
  Kokkos::deep_copy(exec, host, sums);
  exec.fence();
  return {host(0) / options.count, host(1) / options.count};
}

}  // namespace vrfm
