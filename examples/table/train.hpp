// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train`: a flow on rows of one's own, with a held-out loss on the way, whose best weights are kept, and
// an end before the last step if it no longer falls.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/row_stream.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/held_out_loss.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/table/model.hpp>

namespace table {

struct TrainOptions {
  DataOptions data;
  TableSettings settings;
  std::string output = "vrfm_table";
  std::int64_t iterations = 10'000, checkpoint_every = 0, validate_every = 0;
  int patience = 10;
  bool resume = false, overwrite = false, dry_run = false;
};

/// What a training needs, opened once.
struct TrainingData {
  const TrainOptions& options;
  TableSettings settings;  ///< with what the data chose
  const DataSet& set;
  vrfm::RowScales scales;
  vrfm::RowWindows<float>& training;
  vrfm::RowWindows<float>* validation;  ///< null: there is none
  const vrfm::StopSignal& stop;
};

/// The held-out losses of a training, kept as held_out.csv: "step,loss".
class HeldOutLog {
 public:
  /// Of the steps up to `last`, if there is a file.
  HeldOutLog(std::filesystem::path file, std::int64_t last) : file_(std::move(file)) {
    if (!std::filesystem::exists(file_)) return;
    const vrfm::CsvTable table = vrfm::read_csv(file_, {"step", "loss"});
    for (std::size_t i = 0; i < table.rows; ++i) {
      if (table.values[2 * i] <= static_cast<double>(last)) {
        rows_.insert(rows_.end(), {table.values[2 * i], table.values[2 * i + 1]});
      }
    }
  }

  /// Returns whether it is the least so far.
  bool add(std::int64_t step, double loss) {
    const bool least = !(loss >= best());
    rows_.insert(rows_.end(), {static_cast<double>(step), loss});
    const std::vector<std::string> names{"step", "loss"};
    if (is_root()) vrfm::write_csv(file_, names, rows_);
    return least;
  }
  double best() const {
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < rows_.size(); i += 2) best = std::min(best, rows_[i]);
    return best;
  }
  /// How many losses came since the least.
  int since_best() const {
    int count = 0;
    for (std::size_t i = rows_.size(); i > 0 && rows_[i - 1] > best(); i -= 2) ++count;
    return count;
  }

 private:
  std::filesystem::path file_;
  std::vector<double> rows_;
};

/// The moments of the posterior of at most `most` training rows, every k-th.
template <class AnyFlow>
Codes codes_of(const AnyFlow& flow, const TrainingData& data, std::size_t most = 16'384) {
  const Exec exec = flow.exec();
  const vrfm::RowSource source = data.set.source(vrfm::SplitPart::training, data.settings.seed);
  const std::size_t width = source.row_columns(), dimension = data.set.shape().columns.size(),
                    stride = (data.training.count() + most - 1) / most;
  std::vector<float> rows;
  std::size_t number = 0;
  vrfm::RowScratch<float> scratch;
  source.for_each_block(
      vrfm::RowSource::pass_rows, scratch, [&](const float* block, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i, ++number) {
          if (number % stride != 0) continue;
          rows.insert(rows.end(), block + i * width, block + i * width + dimension);
        }
      });
  const Rows x1 = to_rows(exec, rows, dimension);
  data.scales.x1.standardize(exec, x1);
  return vrfm::encode(flow, {}, vrfm::Table<const float, Exec>(x1));
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
  vrfm::Trainer trainer(flow, objective,
                        data.settings.optimizer(data.settings.cosine ? o.iterations : 0), pairs,
                        data.settings.trainer_options(data.settings.seed, {}), communicator());
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
       .weights = output / "weights.safetensors",
       .enough = [&log, patience] { return log && patience > 0 && log->since_best() >= patience; }},
      Objective::terms);
  log = std::make_unique<HeldOutLog>(output / "held_out.csv", trainer.step());
  const auto validate = [&] {
    if (held_out == nullptr) return;
    const AnyFlow averages = run.trained();
    const double loss =
        vrfm::held_out_losses(averages, objective, *held_out,
                              {.count = held_out_count, .seed = data.settings.seed}, communicator())
            .mean("velocity");
    const bool best = log->add(trainer.step(), loss);
    if (best && is_root()) {
      vrfm::save_weights(best_file, averages, stored);
    }
    say("%s  step %lld: held-out loss %.5f%s", data.settings.model.c_str(),
        static_cast<long long>(trainer.step()), loss, best ? ", the least so far" : "");
  };
  const bool done =
      run.train(data.stop, {{o.validate_every, validate}},
                [&](const AnyFlow& averages, const vrfm::Settings& record) {
                  const AnyFlow kept = averages;
                  if (held_out != nullptr && std::isfinite(log->best()))
                    vrfm::load_weights(best_file, kept);
                  Codes codes;
                  if constexpr (requires { objective.beta; }) {
                    if (keeps_codes(data.settings, data.set.shape())) codes = codes_of(kept, data);
                  }
                  save_model(output / "weights.safetensors", kept, record, data.scales, codes);
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
      vrfm::standard_normal<float>(exec, static_cast<int>(data.set.shape().columns.size())),
      vrfm::standardized(exec, vrfm::row_stream(exec, windows, batch), data.scales));
  return vrfm::DroppedCondition(pairs, data.settings.condition_dropout);
}

/// Trains `flow`, in source files of their own because they take long to compile.
template <class AnyFlow, class Objective>
void train_by(const TrainingData& data, const AnyFlow& flow, const Objective& objective) {
  const Exec exec = flow.exec();
  const auto pairs = pairs_of(exec, data, data.training, data.settings.batch);
  if (data.validation == nullptr) {
    return train_flow<AnyFlow, Objective, std::remove_const_t<decltype(pairs)>>(
        data, flow, objective, pairs, nullptr, 0);
  }
  const int count = static_cast<int>(std::min<std::uint32_t>(data.validation->count(), 4096));
  const auto held_out = pairs_of(exec, data, *data.validation, count);
  train_flow(data, flow, objective, pairs, &held_out, count);
}

void train_rfm(const TrainingData& data);
void train_vrfm(const TrainingData& data);

/// Opens the data, chooses what is left to them, and trains. Throws what these throw.
void train(const TrainOptions& options, const std::string& command_line);

}  // namespace table
