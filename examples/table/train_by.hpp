// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainings of both models, of any kind of networks.
#pragma once

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>

#include <sys/resource.h>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/data/row_stream.hpp>
#include <vrfm/metrics/latent_diagnostics.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/held_out_loss.hpp>

#include <examples/common/run.hpp>
#include <examples/table/held_out_log.hpp>
#include <examples/table/networks.hpp>
#include <examples/table/some_rows.hpp>
#include <examples/table/train.hpp>

namespace table {

/// The moments of the posterior of some training rows, every k-th.
template <class AnyFlow>
Codes codes_of(const AnyFlow& flow, const TrainingData& data) {
  const std::size_t most = data.some(16'384, 1 << 24);
  const std::size_t stride = (data.training.count() + most - 1) / most;
  const Rows x1 =
      some_rows(flow.exec(), data.set.source(vrfm::SplitPart::training, data.settings.seed),
                data.scales, stride)
          .x1;
  data.scales.x1.standardize(flow.exec(), x1);
  return vrfm::encode(flow, {}, vrfm::Table<const float, Exec>(x1), {.launch = data.launch()});
}

/// What z tells of some rows, held-out ones if there are any, from time to time.
class LatentWatch {
 public:
  /// Nothing to watch in models without z.
  explicit LatentWatch(const TrainingData& data) : data_(data) {
    if (data.settings.latent == 0) return;
    const auto part =
        data.validation != nullptr ? vrfm::SplitPart::validation : vrfm::SplitPart::training;
    rows_ = some_rows(Exec(), data.set.source(part, data.settings.seed), data.scales, 1,
                      data.some(1024, 1 << 18));
    data.scales.x1.standardize(Exec(), rows_.x1);
  }

  template <class AnyFlow>
  int active(const AnyFlow& flow) const {
    const auto codes = vrfm::encode(flow, {}, vrfm::Table<const float, Exec>(rows_.x1),
                                    {.condition = rows_.condition, .launch = data_.launch()});
    return vrfm::latent_usage(flow.exec(), codes.mean, codes.log_variance).active;
  }

 private:
  const TrainingData& data_;
  GivenRows rows_;
};

/// Of a dry run: what some steps take.
template <class AnyTrainer>
void describe_steps(AnyTrainer& trainer, std::int64_t iterations) {
  constexpr int steps = 3;
  trainer.run(1);  // the first one takes longer
  const Kokkos::Timer timer;
  trainer.run(1 + steps);
  const double seconds = timer.seconds() / steps;
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  say("%.3g s a step, so %.3g min for %lld steps at most; %.0f MB of memory so far", seconds,
      seconds * static_cast<double>(iterations) / 60, static_cast<long long>(iterations),
      static_cast<double>(use.ru_maxrss) / 1000);
}

/// "; KL 2.97 nats, 3 of 8 dimensions active"
inline std::string latent_text(double kl, int active, int latent) {
  char text[100];
  std::snprintf(text, sizeof text, "; KL %.2f nats, %d of %d dimensions active", kl, active,
                latent);
  return text;
}

/// At the end of a training. kl: NaN if it is not known.
inline void warn_of_latent(const TableSettings& settings, int active, double kl) {
  if (active > 0 && !(kl < settings.rate / 4)) return;
  say("note: z tells next to nothing (%d of %d dimensions active, --rate %g): raise --rate, or "
      "train longer; or --model rfm, which has no z",
      active, settings.latent, settings.rate);
}

/// Trains `flow` on `pairs`; `held_out`: null, or pairs of the validation rows. Writes what is there at the end.
template <class AnyFlow, class Objective, class Pairs>
void train_flow(const TrainingData& data, const AnyFlow& flow, const Objective& objective,
                const Pairs& pairs, const Pairs* held_out, int held_out_count) {
  const TrainOptions& o = data.options;
  const std::filesystem::path output = o.output, best_file = output / "best.safetensors";
  vrfm::Settings stored = texts(data.settings);
  note_shape(data.set.shape(), o.data, stored);
  stored["table.rows"] = std::to_string(data.training.count());
  // Where the rate has come down to.
  if (data.settings.cosine) stored["iterations"] = std::to_string(o.iterations);
  vrfm::Trainer trainer(
      flow, objective, data.settings.optimizer(data.settings.cosine ? o.iterations : 0), pairs,
      data.settings.trainer_options(data.settings.seed, data.launch()), communicator());
  if (o.dry_run) return describe_steps(trainer, o.iterations);
  constexpr bool has_latent = requires { objective.beta; };
  const LatentWatch watch(data);
  const CheckpointFile checkpoint(output / "checkpoint.safetensors");
  const int patience = o.patience;
  std::unique_ptr<HeldOutLog> log;
  TrainingRun run(
      flow, trainer, checkpoint,
      {.name = data.settings.model,
       .iterations = o.iterations,
       .checkpoint_every = o.checkpoint_every,
       .report_every = 20,
       .resume = o.resume,
       .settings = stored,
       .losses = output / "losses.npz",
       .events = output / "events",
       .weights = output / "weights.safetensors",
       .enough = [&log, patience] { return log && patience > 0 && log->since_best() >= patience; }},
      Objective::terms);
  log = std::make_unique<HeldOutLog>(output / "held_out.csv", trainer.step());
  double kl = std::numeric_limits<double>::quiet_NaN();  // of the last validation
  const auto validate = [&] {
    if (held_out == nullptr) return;
    const AnyFlow averages = run.trained();
    const auto losses = vrfm::held_out_losses(
        averages, objective, *held_out,
        {.count = held_out_count, .seed = data.settings.seed, .launch = data.launch()},
        communicator());
    const double loss = losses.mean("velocity");
    const bool best = log->add(trainer.step(), loss);
    if (best && is_root()) {
      vrfm::save_weights(best_file, averages, stored);
    }
    std::string of_latent;
    run.note({{"held-out/velocity", loss}});
    if constexpr (has_latent) {
      kl = losses.mean("kl");
      if (is_root()) {
        const int active = watch.active(averages);
        of_latent = latent_text(kl, active, data.settings.latent);
        run.note({{"held-out/kl", kl}, {"held-out/active dimensions", active}});
      }
    }
    say("%s  step %lld: held-out loss %.5f%s%s", data.settings.model.c_str(),
        static_cast<long long>(trainer.step()), loss, of_latent.c_str(),
        best ? ", the least so far" : "");
  };
  const bool done =
      run.train(data.stop, {{o.validate_every, validate}},
                [&](const AnyFlow& averages, const vrfm::Settings& record) {
                  const AnyFlow kept = averages;
                  if (held_out != nullptr && std::isfinite(log->best()))
                    vrfm::load_weights(best_file, kept);
                  Codes codes;
                  if constexpr (has_latent) {
                    if (keeps_codes(data.settings, data.set.shape())) codes = codes_of(kept, data);
                    warn_of_latent(data.settings, watch.active(kept), kl);
                  }
                  save_model(output / "weights.safetensors", kept, record, data.scales, codes);
                  run.losses().write_csv(output / "losses.csv");
                });
  if (!done || !is_root()) return;
  if (log->since_best() >= patience && patience > 0 && trainer.step() < o.iterations) {
    say("%s: ended at step %lld, because the held-out loss did not fall %d times in a row",
        data.settings.model.c_str(), static_cast<long long>(trainer.step()), patience);
  }
  say("%s: %s", data.settings.model.c_str(), (output / "weights.safetensors").c_str());
}

/// The pairs of the rows of `windows`, whose condition, if there is one, is dropped now and then.
inline auto pairs_of(const Exec& exec, const TrainingData& data, vrfm::RowWindows<float>& windows,
                     int batch) {
  const auto pairs = vrfm::independent(
      vrfm::standard_normal<float>(exec, data.dimension()),
      vrfm::standardized(exec, vrfm::row_stream(exec, windows, batch), data.scales));
  return vrfm::DroppedCondition(pairs, data.settings.condition_dropout);
}

template <class AnyFlow, class Objective>
void train_by(const TrainingData& data, const AnyFlow& flow, const Objective& objective) {
  const Exec exec = flow.exec();
  const auto pairs = pairs_of(exec, data, data.training, data.settings.batch);
  if (data.validation == nullptr) {
    return train_flow<AnyFlow, Objective, std::remove_const_t<decltype(pairs)>>(
        data, flow, objective, pairs, nullptr, 0);
  }
  const int count =
      static_cast<int>(std::min<std::size_t>(data.validation->count(), data.some(4096, 1 << 19)));
  const auto held_out = pairs_of(exec, data, *data.validation, count);
  train_flow(data, flow, objective, pairs, &held_out, count);
}

/// Trains a flow without z. This and the next have source files of their own for each kind of networks, because they
/// take long to compile.
template <class Kind>
void train_rfm(const TrainingData& data) {
  using Flow = vrfm::Flow<float, Exec, typename Kind::Networks>;
  const TableSettings& s = data.settings;
  train_by(data, Flow(Exec(), Kind::options(s, data.set.shape()), s.seed), vrfm::VelocityLoss{});
}

template <class Kind>
void train_vrfm(const TrainingData& data) {
  using Flow = vrfm::Flow<float, Exec, vrfm::LearnedBeta<typename Kind::Networks>>;
  const TableSettings& s = data.settings;
  // Near what a rate of some nats needs of standardised rows, which it finds within some hundred steps.
  constexpr double first_beta = 0.3;
  train_by(
      data,
      Flow(Exec(), {.networks = Kind::options(s, data.set.shape()), .beta = first_beta}, s.seed),
      vrfm::Elbo{.rate = s.rate});
}

}  // namespace table
