// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The experiment of vrfm_synthetic: for every variant and seed it trains (or loads) a flow, samples
// it with every number of steps, and measures the samples. All ranks train; the root does the rest.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <vrfm/parallel/together.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/synthetic/measurement.hpp>
#include <examples/synthetic/report/metrics_json.hpp>
#include <examples/synthetic/report/settings.hpp>
#include <examples/synthetic/training.hpp>

namespace synthetic {

/// That --load finds what it names, and that the folder's results may be written over, before anything is
/// written. Throws std::runtime_error.
inline void check_files(const Options& o, const OutputFolder& output) {
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
  if (o.overwrite || (o.resume && any)) return;
  const std::string choose = "--overwrite replaces them, or choose another folder";
  output.refuse_results({"report.html", "metrics.json"}, choose);
  if (!o.load.empty() || o.resume) return;
  for (const char* folder : {"checkpoints", "weights"}) {
    const auto files = output.files(folder, {".safetensors"});
    if (files.empty()) continue;
    throw std::runtime_error("--output " + o.output + ": holds " + files.front().string() +
                             " of an earlier run; --resume continues it, " + choose);
  }
}

/// Removes what an earlier run left, or, where weights were loaded, what was made of its weights.
inline void remove_earlier(const Options& o, const OutputFolder& output) {
  output.remove({"report.html", "metrics.json", "table.md"});
  output.remove_files("samples", {".npy"});
  output.remove_files("figures", {".png"});
  if (!o.load.empty()) return;
  output.remove_files("weights", {".safetensors"});
  output.remove_files("checkpoints", {".safetensors", ".npz", ".npy"});
  output.remove_files("pairs", {".safetensors"});
}

/// What --beside names. Throws for a file that does not fit, or has what is about to be trained.
inline Results read_others(const Options& o, const Results& own) {
  Results others;
  others.experiment = own.experiment;
  others.exact = own.exact;
  vrfm::together(common::communicator(), [&] {
    if (!common::is_root()) return;
    for (const std::string& file : o.beside) add_metrics_json(file, others);
    for (const Training& training : others.train) {
      for (const Variant& variant : variants_of(o)) {
        const bool seed = std::find(o.seeds.begin(), o.seeds.end(), training.seed) != o.seeds.end();
        vrfm::expect(!(seed && variant == training.variant), "--beside has ",
                     name_of(variant, static_cast<std::uint32_t>(training.seed)),
                     " already: --model, --encoder-input and --seeds choose what is trained");
      }
    }
  });
  return others;
}

/// Everything; `announce` is told what begins. Nothing if a signal stopped a training: --resume then continues.
/// Throws Stopped if one came later, and std::invalid_argument for impossible settings.
inline std::optional<Results> run_experiment(
    const Exec& exec, const Options& o, OutputFolder& output, const vrfm::StopSignal& stop,
    const std::function<void(const std::string&)>& announce) {
  check_files(o, output);
  const Kokkos::Timer timer;
  const Measurement measurement(exec, o);
  Results results;
  results.experiment = o.experiment;
  results.dimension = static_cast<std::size_t>(o.dimension());
  results.loaded = o.load;
  results.seeds.assign(o.seeds.begin(), o.seeds.end());
  results.backend = backend_text(exec);
  results.settings = report_rows(o);
  for (const char* folder : {"samples", "figures"}) output.add(folder);
  for (const char* folder : {"checkpoints", "weights"}) {
    if (o.load.empty()) output.add(folder);
  }
  const bool reflow = std::any_of(o.models.begin(), o.models.end(), [](const std::string& model) {
    return method_named(model).teacher() != nullptr;
  });
  if (o.load.empty() && reflow) output.add("pairs");
  auto before_writing = [&, replaced = !o.overwrite]() mutable {
    if (!std::exchange(replaced, true)) remove_earlier(o, output);
  };
  const std::function<void()> before = std::ref(before_writing);
  if (common::is_root()) {
    results.exact = measurement.exact();
    measurement.add_truth(results);
  }
  const Results others = read_others(o, results);
  for (const Variant& variant : variants_of(o)) {
    for (const std::uint32_t seed : o.seeds) {
      const auto flow = o.load.empty() ? train({exec, o, variant, seed, stop, before, results})
                                       : std::optional(load(exec, o, variant, seed, results));
      if (!flow) return std::nullopt;
      if (common::is_root()) {
        before();
        announce(name_of(variant, seed) + ": sampling and measuring");
        measurement.measure(*flow, variant, seed, results);
        if (seed == o.seeds.front()) measurement.follow(*flow, variant, results);
      }
      common::end_together_if_stopped(stop, "stopped after " + name_of(variant, seed) +
                                                (o.load.empty() ? "; --resume continues" : ""));
    }
  }
  results.seconds = timer.seconds();
  add_results(others, results);
  return results;
}

}  // namespace synthetic
