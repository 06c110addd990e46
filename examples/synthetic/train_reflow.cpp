// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reflow: a flow trained again, on pairs that a trained flow has made of its source; and again on pairs of that one.
#include <vrfm/data/stored_pairs.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/together.hpp>
#include <vrfm/sampling/make_pairs.hpp>

#include <examples/common/fingerprint.hpp>
#include <examples/synthetic/training_methods.hpp>
#include <examples/synthetic/training_run.hpp>

namespace synthetic {

namespace {

// Pairs are apart from those of any training and from the samples that are measured.
constexpr std::uint32_t pairs_seed = 0x5EED0003;

/// A trained flow that makes pairs, and the file of its weights, which an earlier part of the run wrote.
struct Teacher {
  FlowType flow;
  std::filesystem::path weights;
};

Teacher teacher_of(const TrainingJob& job) {
  const Method& method = method_named(method_named(job.variant.model).teacher());
  const Variant variant{method.name, inputs_of(job.options, method).front()};
  const auto file = Folder{job.options.output}.file("weights", variant, job.seed, ".safetensors");
  const FlowType flow = make_flow(job.exec, job.options, variant, job.seed);
  vrfm::load_weights(file, flow);
  return {flow, file};
}

/// Whether a file has the pairs that would be made.
bool has_pairs(const std::filesystem::path& file, const vrfm::Metadata& wanted) {
  if (!std::filesystem::exists(file)) return false;
  try {
    return vrfm::PairFile::open(file).metadata() == wanted;
  } catch (const std::runtime_error&) {
    return false;  // damaged: they are made anew
  }
}

/// Makes the pairs, on the root, unless they are there. Throws Stopped if a signal comes meanwhile.
void provide_pairs(const TrainingJob& job, const Teacher& teacher, const std::string& stage,
                   const std::filesystem::path& file) {
  const int count = settings_of(job.options, job.variant).pairs;
  const bool alone = common::communicator().size() == 1;
  vrfm::together(common::communicator(), [&] {
    if (!common::is_root()) return;
    const vrfm::Metadata from{{"teacher", common::file_print(teacher.weights.string())},
                              {"pairs", std::to_string(count)}};
    if (has_pairs(file, from)) return;
    common::say("%s%s: %d pairs of its teacher", name_of(job.variant, job.seed).c_str(),
                stage.c_str(), count);
    vrfm::make_pairs(file, teacher.flow, source_of(job.exec, job.options), vrfm::DormandPrince{},
                     {.count = static_cast<std::size_t>(count), .seed = pairs_seed}, from, [&] {
                       // Of several ranks one alone cannot end.
                       if (alone) {
                         common::end_if_stopped(job.stop,
                                                "stopped while it made pairs; --resume continues");
                       }
                     });
  });
}

}  // namespace

std::optional<FlowType> train_reflow(const TrainingJob& job) {
  const Options& o = job.options;
  const TrainingSettings s = settings_of(o, job.variant);
  const Folder folder{o.output};
  for (int round = 1; round <= s.rounds && o.resume; ++round) {
    refuse_other_settings(job, stage_of(round, s.rounds));  // before anything is replaced
  }
  Teacher teacher = teacher_of(job);
  for (int round = 1; round <= s.rounds; ++round) {
    const std::string stage = stage_of(round, s.rounds);
    const auto file = folder.file("pairs", job.variant, job.seed, stage + ".safetensors");
    provide_pairs(job, teacher, stage, file);
    const auto pairs = vrfm::PairFile::open(file);
    const auto flow =
        train_by(job, make_flow(job.exec, o, job.variant, job.seed),
                 vrfm::BasicVelocityLoss<vrfm::LinearSchedule, ChosenTimes>{
                     .velocity = reduction_of(s), .times = times_of(s)},
                 vrfm::StoredPairs<float, Exec>(job.exec, pairs, {.batch = s.batch}), stage);
    if (!flow) return std::nullopt;
    teacher = {*flow, folder.file("weights", job.variant, job.seed, stage + ".safetensors")};
  }
  return teacher.flow;
}

}  // namespace synthetic
