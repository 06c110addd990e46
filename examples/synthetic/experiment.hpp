// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The experiment of vrfm_synthetic: for every variant and seed it trains (or loads) a flow, samples
// it with every number of steps, and measures the samples.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <examples/synthetic/measurement.hpp>
#include <examples/synthetic/training.hpp>

namespace synthetic {

/// That --load and --resume find what they name, before anything is written.
/// Throws std::runtime_error.
inline void check_inputs(const Options& o) {
  bool any = false;
  for (const Variant& variant : variants_of(o)) {
    for (const std::uint32_t seed : o.seeds) {
      if (!o.load.empty() && !std::filesystem::exists(weights_to_load(o, variant, seed))) {
        throw std::runtime_error("--load " + o.load + ": expected weights of " +
                                 name_of(variant, seed) + " in " +
                                 weights_to_load(o, variant, seed).string() +
                                 ", found no such file; --model, --encoder-input and --seeds "
                                 "choose what is loaded");
      }
      any = any || std::filesystem::exists(checkpoint_of(o, variant, seed));
    }
  }
  if (o.resume && !any) {
    throw std::runtime_error("--resume: expected checkpoints in " +
                             (std::filesystem::path(o.output) / "checkpoints").string() +
                             ", found none of this run's models and seeds");
  }
}

/// Everything; `announce` is told what begins. Nothing if SIGTERM or SIGINT stopped it: --resume then
/// continues. Throws std::invalid_argument for impossible settings.
inline std::optional<Results> run_experiment(
    const Exec& exec, const Options& o, const std::function<void(const std::string&)>& announce) {
  const Kokkos::Timer timer;
  const Measurement measurement(exec, o);
  Results results;
  results.experiment = o.experiment;
  results.dimension = static_cast<std::size_t>(o.dimension());
  results.iterations = o.iterations;
  results.seeds.assign(o.seeds.begin(), o.seeds.end());
  results.backend = backend_text(exec);
  results.settings = report_rows(o);
  check_inputs(o);
  const std::filesystem::path output = o.output;
  for (const auto& folder : {output, output / "weights", output / "samples"}) create_folder(folder);
  results.exact = measurement.exact();
  measurement.add_truth(results);
  const vrfm::StopSignal stop;
  for (const Variant& variant : variants_of(o)) {
    for (const std::uint32_t seed : o.seeds) {
      const auto flow = o.load.empty() ? train(exec, o, variant, seed, stop, results)
                                       : std::optional(load(exec, o, variant, seed));
      if (!flow) return std::nullopt;
      announce(name_of(variant, seed) + ": sampling and measuring");
      measurement.measure(*flow, variant, seed, results);
      if (seed == o.seeds.front()) measurement.follow(*flow, variant, results);
      if (stop.received()) {
        announce(std::string(stop.name()) + ": stopped after " + name_of(variant, seed) +
                 (o.load.empty() ? "; --resume continues" : ""));
        return std::nullopt;
      }
    }
  }
  results.seconds = timer.seconds();
  return results;
}

}  // namespace synthetic
