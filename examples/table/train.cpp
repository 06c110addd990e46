// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train.hpp>

#include <cstdio>

#include <nlohmann/json.hpp>

namespace table {
namespace {

/// run.json: the command and all that it came to.
void write_record(const TrainOptions& o, const TableSettings& settings, const DataSet& set,
                  const std::string& command_line) {
  nlohmann::ordered_json record{{"command", command_line},
                                {"data", o.data.data},
                                {"rows", set.rows()},
                                {"columns", set.shape().columns},
                                {"condition", set.shape().condition},
                                {"classes", set.shape().classes},
                                {"iterations", o.iterations}};
  for (const auto& [name, value] : texts(settings)) record["settings"][name] = value;
  vrfm::write_file_atomically(
      std::filesystem::path(o.output) / "run.json",
      record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
}

void describe(const TrainOptions& o, const TableSettings& settings, const DataSet& set) {
  const FlowType flow(Exec(), settings.flow(set.shape()), 0);
  say("%zu rows of %zu columns (%s)%s", set.rows(), set.shape().columns.size(),
      detail::listed(set.shape().columns).c_str(),
      set.shape().condition.empty() ? ""
                                    : (" given " + detail::listed(set.shape().condition)).c_str());
  if (set.shape().classes > 0) say("%d classes", set.shape().classes);
  for (const auto& row : rows_of(settings)) say("  --%s %s", row.name.c_str(), row.value.c_str());
  say("  --iterations %lld", static_cast<long long>(o.iterations));
  say("%zu parameters; the rows take %.1f MB in memory, at most two windows of 1,000,000 of them",
      flow.parameters().count(),
      static_cast<double>(set.rows() * set.row_columns() * sizeof(float)) / 1e6);
}

}  // namespace

void train(const TrainOptions& given, const std::string& command_line) {
  TrainOptions o = given;
  const vrfm::StopSignal stop;
  const DataSet set(o.data);
  TableSettings settings = o.settings;
  settings.choose(set.shape(), set.rows());
  vrfm::expect(settings.model == "rfm" || settings.latent > 0,
               "--latent: a vrfm needs at least 1 dimension of z, got 0; --model rfm has none");
  if (o.validate_every == 0) o.validate_every = std::max<std::int64_t>(1, o.iterations / 20);
  describe(o, settings, set);
  if (o.dry_run) return;

  common::OutputFolder output(o.output);
  if (!o.resume) {
    const std::vector<std::string> results{"weights.safetensors", "checkpoint.safetensors"};
    if (o.overwrite) {
      output.remove(results);
      output.remove({"held_out.csv", "losses.npz", "best.safetensors", "run.json"});
    } else {
      output.refuse_results(results, "--resume continues, --overwrite replaces them");
    }
  }
  const vrfm::RowSource rows = set.source(vrfm::SplitPart::training, settings.seed);
  vrfm::RowScalesFit fit(rows.layout(), rows.rows(), set.scales());
  vrfm::RowWindows<float> training(rows, {}, [&](const float* row) {
    try {
      fit.add(row);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(error.what() + std::string("; columns count from 0: ") +
                               detail::listed(set.shape().columns));
    }
  });
  const vrfm::RowScales scales = fit.finish();
  if (training.dropped() > 0) {
    say("note: %zu rows with a NaN or an infinity are left out, first %s", training.dropped(),
        training.first_dropped().c_str());
  }
  for (const int k : scales.x1.constant()) {
    say("note: column '%s' is constant", set.shape().columns[static_cast<std::size_t>(k)].c_str());
  }
  std::unique_ptr<vrfm::RowWindows<float>> validation;
  if (o.data.validation > 0) {
    validation = std::make_unique<vrfm::RowWindows<float>>(
        set.source(vrfm::SplitPart::validation, settings.seed));
  }
  if (is_root()) write_record(o, settings, set, command_line);
  const TrainingData data{o, settings, set, scales, training, validation.get(), stop};
  settings.model == "rfm" ? train_rfm(data) : train_vrfm(data);
}

}  // namespace table
