// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reflow: a flow trained again, on pairs that a trained flow has made of its source; and again on pairs of that one.
#include <vrfm/data/stored_pairs.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/together.hpp>
#include <vrfm/sampling/make_pairs.hpp>

#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

namespace {

// Pairs are apart from those of any training and from the samples that are measured.
constexpr std::uint32_t pairs_seed = 0x5EED0003;

/// The trained flow of the method that teaches, whose weights an earlier part of the run wrote.
FlowType teacher_of(const TrainingJob& job) {
  const Method& method = method_named(method_named(job.variant.model).teacher());
  const Variant teacher{method.name, inputs_of(job.options, method).front()};
  const FlowType flow = make_flow(job.exec, job.options, teacher, job.seed);
  vrfm::load_weights(Folder{job.options.output}.file("weights", teacher, job.seed, ".safetensors"),
                     flow);
  return flow;
}

}  // namespace

std::optional<FlowType> train_reflow(const TrainingJob& job) {
  const Options& o = job.options;
  const TrainingSettings s = settings_of(o, job.variant);
  FlowType teacher = teacher_of(job);
  std::optional<FlowType> flow;
  for (int round = 1; round <= s.rounds; ++round) {
    const std::string stage = round < s.rounds ? "-round" + std::to_string(round) : "";
    const auto file = Folder{o.output}.file("pairs", job.variant, job.seed, stage + ".safetensors");
    vrfm::together(common::communicator(), [&] {
      if (!common::is_root()) return;
      create_folder(file.parent_path());
      common::say("%s%s: %d pairs of its teacher", name_of(job.variant, job.seed).c_str(),
                  stage.c_str(), s.pairs);
      vrfm::make_pairs(file, teacher, source_of(job.exec, o), vrfm::DormandPrince{},
                       {.count = static_cast<std::size_t>(s.pairs), .seed = pairs_seed});
    });
    const auto pairs = vrfm::PairFile::open(file);
    flow = train_by(job, make_flow(job.exec, o, job.variant, job.seed),
                    vrfm::BasicVelocityLoss<vrfm::LinearSchedule, ChosenTimes>{
                        .velocity = reduction_of(s), .times = times_of(s)},
                    vrfm::StoredPairs<float, Exec>(job.exec, pairs, {.batch = s.batch}), stage);
    if (!flow) return std::nullopt;
    teacher = *flow;
  }
  return flow;
}

}  // namespace synthetic
