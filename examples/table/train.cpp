// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/train.hpp>

#include <memory>
#include <optional>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/table/flow.hpp>

namespace table {

struct MlpKind;
struct UnetKind;

// Each kind's are in source files of their own.
template <class Kind>
void train_rfm(const TrainingData& data);
template <class Kind>
void train_vrfm(const TrainingData& data);

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
                                {"grid", set.shape().x1.grid},
                                {"field", o.data.field},
                                {"iterations", o.iterations}};
  for (const auto& [name, value] : texts(settings)) record["settings"][name] = value;
  vrfm::write_file_atomically(
      std::filesystem::path(o.output) / "run.json",
      record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
}

/// Windows of a million rows, or of 2^28 numbers.
vrfm::RowWindowsOptions window_of(std::size_t columns) {
  vrfm::RowWindowsOptions options;
  options.window_rows = std::clamp<std::size_t>((1 << 28) / columns, 16, options.window_rows);
  options.block_rows = std::min(options.block_rows, options.window_rows / 16);
  return options;
}

void describe(const TrainOptions& o, const TableSettings& settings, const DataSet& set) {
  const RowShape& shape = set.shape();
  const std::string given =
      shape.condition.empty() ? "" : " given " + detail::listed(shape.condition);
  if (shape.x1.is_field()) {
    say("%zu fields of %s%s (--grid, --channels)", set.rows(), field_text(shape.x1).c_str(),
        given.c_str());
    if (shape.field_channels > 0) say("given fields of %d channels", shape.field_channels);
  } else {
    say("%zu rows of %zu columns (%s)%s", set.rows(), shape.columns.size(),
        detail::listed(shape.columns).c_str(), given.c_str());
  }
  if (shape.classes > 0) say("%d classes", shape.classes);
  for (const auto& row : rows_of(settings)) say("  --%s %s", row.name.c_str(), row.value.c_str());
  say("  --iterations %lld", static_cast<long long>(o.iterations));
  say("%zu parameters; the rows take %.1f MB in memory, at most two windows of %zu of them",
      make_flow(Exec(), settings, shape)->parameters(),
      static_cast<double>(set.rows() * set.row_columns() * sizeof(float)) / 1e6,
      window_of(set.row_columns()).window_rows);
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
  std::optional<OutputFolder> output;
  if (!o.dry_run) output.emplace(o.output);
  if (output && !o.resume) {
    const std::vector<std::string> results{"weights.safetensors", "checkpoint.safetensors"};
    if (o.overwrite) {
      output->remove(results);
      output->remove({"held_out.csv", "losses.npz", "losses.csv", "best.safetensors", "run.json"});
      output->remove_files("events", {".vrfm"});
    } else {
      output->refuse_results(results, "--resume continues, --overwrite replaces them");
    }
  }
  const vrfm::RowSource rows = set.source(vrfm::SplitPart::training, settings.seed);
  vrfm::RowScalesFit fit(rows.layout(), rows.rows(), set.scales());
  vrfm::RowWindows<float> training(rows, window_of(rows.row_columns()), [&](const float* row) {
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
    say("note: %s '%s' is constant", set.shape().x1.is_field() ? "channel" : "column",
        set.shape().columns[static_cast<std::size_t>(k)].c_str());
  }
  std::unique_ptr<vrfm::RowWindows<float>> validation;
  if (o.data.validation > 0) {
    validation = std::make_unique<vrfm::RowWindows<float>>(
        set.source(vrfm::SplitPart::validation, settings.seed), window_of(rows.row_columns()));
  }
  if (output && is_root()) write_record(o, settings, set, command_line);
  const TrainingData data{o, settings, set, scales, training, validation.get(), stop};
  const bool rfm = settings.model == "rfm";
  if (settings.network == "unet") {
    rfm ? train_rfm<UnetKind>(data) : train_vrfm<UnetKind>(data);
  } else {
    rfm ? train_rfm<MlpKind>(data) : train_vrfm<MlpKind>(data);
  }
}

}  // namespace table
