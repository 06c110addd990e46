// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/evaluate.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vrfm/metrics/calibration.hpp>
#include <vrfm/metrics/classifier_two_sample.hpp>
#include <vrfm/metrics/correlation.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/ensemble_score.hpp>
#include <vrfm/metrics/latent_diagnostics.hpp>
#include <vrfm/metrics/wasserstein.hpp>

#include <examples/common/number_options.hpp>
#include <examples/common/output_folder.hpp>
#include <examples/table/evaluation.hpp>
#include <examples/table/report.hpp>

namespace table {
namespace {

using Conditions = vrfm::ConditionTables<float, Exec>;

/// Held-out rows: x1 in the data's units, and their conditions, standardised.
struct HeldOutRows {
  Rows x1;
  Conditions condition;
};

HeldOutRows held_out_rows(const Exec& exec, const Model& model, const EvaluateOptions& o) {
  DataOptions data = model.data;
  vrfm::SplitPart part = vrfm::SplitPart::validation;
  if (!o.data.empty()) {
    data.data = o.data;
    part = vrfm::SplitPart::all;
  }
  vrfm::expect(part == vrfm::SplitPart::all || data.validation > 0,
               "--data: this model was trained without a held-out part (--validation 0): expected "
               "rows that it has not seen, got none");
  const DataSet set(data);
  vrfm::expect(set.shape().columns.size() == model.shape.columns.size() &&
                   set.shape().condition.size() == model.shape.condition.size() &&
                   set.shape().classes <= model.shape.classes,
               "--data: expected rows of ", model.shape.columns.size(), " columns, ",
               model.shape.condition.size(), " of a condition and ", model.shape.classes,
               " classes, found ", set.shape().columns.size(), ", ", set.shape().condition.size(),
               " and ", set.shape().classes);
  const vrfm::RowSource source = set.source(part, model.settings.seed);
  const auto packed = vrfm::pack<float>(exec, source);
  const auto host = vrfm::to_host(exec, packed.rows);
  const std::size_t all = host.extent(0), stride = (all + o.count - 1) / o.count;
  std::vector<float> x1, vector;
  std::vector<std::int32_t> labels;
  const vrfm::RowLayout& layout = packed.layout;
  for (std::size_t i = 0; i < all; i += stride) {
    const float* const row = &host(i, 0);
    x1.insert(x1.end(), row, row + layout.dimension);
    vector.insert(vector.end(), row + layout.vector_at(), row + layout.field_at());
    if (layout.classes > 0) labels.push_back(static_cast<std::int32_t>(row[layout.label_at()]));
  }
  HeldOutRows rows{to_rows(exec, x1, static_cast<std::size_t>(layout.dimension)), {}};
  if (layout.columns > 0) {
    const Rows conditions = to_rows(exec, vector, static_cast<std::size_t>(layout.columns));
    model.scales.vector.standardize(exec, conditions);
    rows.condition.vector = conditions;
  }
  if (!labels.empty()) {
    const vrfm::Array<std::int32_t, Exec> on_device("table::labels", labels.size());
    using Host = Kokkos::View<const std::int32_t*, Kokkos::HostSpace>;
    vrfm::copy_elements(exec, on_device, Host(labels.data(), labels.size()));
    exec.fence();
    rows.condition.labels = on_device;
  }
  return rows;
}

/// As many rows of the training, standardised: what the distances of equal distributions are by chance. None where its
/// file is no longer there.
Rows training_rows(const Exec& exec, const Model& model, std::size_t count) {
  try {
    const DataSet set(model.data);
    const auto packed =
        vrfm::pack<float>(exec, set.source(vrfm::SplitPart::training, model.settings.seed));
    const auto host = vrfm::to_host(exec, packed.rows);
    const std::size_t all = host.extent(0), stride = std::max<std::size_t>(1, all / count);
    std::vector<float> x1;
    for (std::size_t i = 0; i < all && x1.size() < count * model.shape.columns.size();
         i += stride) {
      x1.insert(x1.end(), &host(i, 0), &host(i, 0) + model.shape.columns.size());
    }
    const Rows rows = to_rows(exec, x1, model.shape.columns.size());
    model.scales.x1.standardize(exec, rows);
    return rows;
  } catch (const std::runtime_error&) {
    return {};
  }
}

Rows copy_of(const Exec& exec, const Rows& rows) {
  const Rows copy("table::copy", rows.extent(0), rows.extent(1));
  vrfm::copy_elements(exec, copy, rows);
  exec.fence();
  return copy;
}

Rows column_of(const Exec& exec, const Rows& rows, std::size_t j) {
  const auto host = vrfm::to_host(exec, rows);
  std::vector<float> values;
  for (std::size_t i = 0; i < rows.extent(0); ++i) values.push_back(host(i, j));
  return to_rows(exec, values, 1);
}

std::pair<double, double> mean_and_deviation(const Exec& exec, const Rows& rows, std::size_t j) {
  const auto host = vrfm::to_host(exec, rows);
  const auto n = static_cast<double>(rows.extent(0));
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < rows.extent(0); ++i) mean += static_cast<double>(host(i, j)) / n;
  for (std::size_t i = 0; i < rows.extent(0); ++i) {
    const double off = static_cast<double>(host(i, j)) - mean;
    square += off * off / n;
  }
  return {mean, std::sqrt(square)};
}

/// The ensembles of the conditions of some rows.
Calibration calibrate(const Exec& exec, const Model& model, const HeldOutRows& held_out,
                      const Rows& standardised, const EvaluateOptions& o) {
  Calibration c;
  c.cases = std::min<std::size_t>(1000, held_out.x1.extent(0));
  c.members = o.members;
  const std::size_t columns = held_out.x1.extent(1);
  const Kokkos::View<float***, Kokkos::LayoutRight, Exec> ensembles("table::ensembles", c.cases,
                                                                    c.members, columns);
  const auto to = Kokkos::create_mirror_view(ensembles);
  Conditions condition = held_out.condition;
  for (std::size_t m = 0; m < c.members; ++m) {
    const auto seed = static_cast<std::uint32_t>(o.seed + 1 + m);
    const Rows rows = draw_rows(exec, model, c.cases, seed, condition, o.solver);
    model.scales.x1.standardize(exec, rows);
    const auto host = vrfm::to_host(exec, rows);
    for (std::size_t i = 0; i < c.cases; ++i) {
      for (std::size_t j = 0; j < columns; ++j) to(i, m, j) = host(i, j);
    }
  }
  Kokkos::deep_copy(ensembles, to);
  const auto truths =
      Kokkos::subview(standardised, std::pair<std::size_t, std::size_t>(0, c.cases), Kokkos::ALL);
  c.crps = vrfm::crps(exec, ensembles, truths);
  c.energy_score = vrfm::energy_score(exec, ensembles, truths);
  c.ratio = vrfm::spread_against_error(exec, ensembles, truths).ratio;
  const auto coverage = vrfm::interval_coverage(exec, ensembles, truths, {0.5, 0.9});
  c.inside_50 = coverage[0].coverage;
  c.inside_90 = coverage[1].coverage;
  const auto ranks = vrfm::rank_histogram(exec, ensembles, truths, o.seed);
  c.ranks = ranks.count;
  c.rank_p_value = ranks.p_value;
  return c;
}

/// Of rows that are standardised. z drawn from the codes is that of training rows, whose mixture is the prior then.
LatentUse use_of_latent(const Exec& exec, const Model& model, const Rows& standardised,
                        const Conditions& condition, const EvaluateOptions& o) {
  const auto codes = vrfm::encode(model.flow, {}, vrfm::Table<const float, Exec>(standardised),
                                  {.condition = condition, .seed = o.seed});
  const auto usage = vrfm::latent_usage(exec, codes.mean, codes.log_variance);
  const std::size_t count = standardised.extent(0);
  const auto prior =
      model.aggregated()
          ? vrfm::draw_latents(exec, model.codes, count, o.seed)
          : vrfm::draw_latents(model.flow, count, {.seed = o.seed, .condition = condition});
  LatentUse use{{},
                usage.active,
                vrfm::describe_latents(usage, vrfm::aggregated_posterior(exec, codes.z, prior))};
  for (const vrfm::Estimate& kl : usage.kl) use.kl.push_back(kl.value);
  return use;
}

nlohmann::ordered_json json_of(const vrfm::Estimate& estimate) {
  return {{"value", estimate.value}, {"standard_error", estimate.standard_error}};
}

void write_metrics(const std::filesystem::path& path, const Evaluation& e) {
  nlohmann::ordered_json json{{"model", e.model},
                              {"run", e.run},
                              {"data", e.data},
                              {"held_out_rows", e.held_out},
                              {"drawn_rows", e.drawn},
                              {"energy_distance", e.energy_distance},
                              {"energy_distance_of_training_rows", e.energy_chance},
                              {"classifier",
                               {{"accuracy", e.classifier_accuracy},
                                {"standard_error", e.classifier_error},
                                {"p_value", e.classifier_p_value}}}};
  for (const Marginal& m : e.marginals) {
    json["columns"].push_back({{"name", m.name},
                               {"mean", m.mean_drawn},
                               {"mean_held_out", m.mean_held_out},
                               {"deviation", m.deviation_drawn},
                               {"deviation_held_out", m.deviation_held_out},
                               {"wasserstein1_over_deviation", m.distance},
                               {"wasserstein1_of_training_rows", m.chance}});
  }
  if (!e.correlated.empty()) {
    json["correlation_difference"] = json_of(e.correlation);
    json["correlation_difference"]["columns"] = e.correlated;
  }
  if (e.latent) {
    json["latent"] = {
        {"kl", e.latent->kl}, {"active", e.latent->active}, {"words", e.latent->words}};
  }
  if (e.calibration) {
    const Calibration& c = *e.calibration;
    json["calibration"] = {{"cases", c.cases},
                           {"members", c.members},
                           {"crps", json_of(c.crps)},
                           {"energy_score", json_of(c.energy_score)},
                           {"spread_over_error", json_of(c.ratio)},
                           {"inside_50", json_of(c.inside_50)},
                           {"inside_90", json_of(c.inside_90)},
                           {"ranks", c.ranks},
                           {"rank_p_value", c.rank_p_value}};
  }
  vrfm::write_file_atomically(
      path, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
}

}  // namespace

CLI::App* add_evaluate(CLI::App& app, EvaluateOptions& o) {
  CLI::App* const c =
      app.add_subcommand("evaluate", "Compare drawn rows with rows that were held out");
  c->add_option("-l,--load", o.load, "folder of a run, or its weights")->required();
  c->add_option("-o,--output", o.output, "folder of report.html and metrics.json [RUN/evaluation]");
  c->add_option("-d,--data", o.data,
                "other rows than those that the training held out: FILE or FILE:ARRAY, with the "
                "same columns");
  c->add_option("-c,--count", o.count, "rows of each, at most")
      ->check(whole_option(10, 1'000'000))
      ->capture_default_str();
  c->add_option("--members", o.members, "of an ensemble, of models with a condition")
      ->check(whole_option(2, 10'000))
      ->capture_default_str();
  add_solver(c, o.solver);
  c->add_option("--seed", o.seed, "of everything that is drawn")
      ->check(seed_option())
      ->capture_default_str();
  c->add_flag("--overwrite", o.overwrite, "replace an evaluation in the folder");
  return c;
}

void evaluate(const EvaluateOptions& given, const std::string& command_line) {
  EvaluateOptions o = given;
  const Exec exec;
  const Model model = load_model(exec, o.load);
  if (o.output.empty()) {
    const std::filesystem::path load(o.load);
    o.output = (std::filesystem::is_directory(load) ? load : load.parent_path()) / "evaluation";
  }
  OutputFolder output(o.output);
  if (!o.overwrite) {
    output.refuse_results({"metrics.json", "report.html"},
                          "--overwrite replaces them, or choose another folder");
  }
  const HeldOutRows held_out = held_out_rows(exec, model, o);
  const std::size_t count = held_out.x1.extent(0), columns = held_out.x1.extent(1);
  vrfm::expect(count >= 10, "expected at least 10 held-out rows, found ", count);
  const Rows drawn = draw_rows(exec, model, count, o.seed, held_out.condition, o.solver);
  const Rows a = copy_of(exec, drawn), b = copy_of(exec, held_out.x1);
  model.scales.x1.standardize(exec, a);
  model.scales.x1.standardize(exec, b);

  const Rows chance = training_rows(exec, model, count);
  const bool known = chance.extent(0) > 0;

  Evaluation e;
  e.model = model.settings.model;
  e.run = o.load;
  e.data = o.data.empty() ? model.data.data : o.data;
  e.held_out = e.drawn = count;
  for (std::size_t j = 0; j < columns; ++j) {
    Marginal m{.name = model.shape.columns[j]};
    std::tie(m.mean_held_out, m.deviation_held_out) = mean_and_deviation(exec, held_out.x1, j);
    std::tie(m.mean_drawn, m.deviation_drawn) = mean_and_deviation(exec, drawn, j);
    const Rows of_a = column_of(exec, a, j), of_b = column_of(exec, b, j);
    const double spread = mean_and_deviation(exec, of_b, 0).second;
    const double unit = spread > 0 ? spread : 1;
    m.distance = vrfm::wasserstein1(exec, of_a, of_b) / unit;
    m.chance = known ? vrfm::wasserstein1(exec, column_of(exec, chance, j), of_b) / unit : NAN;
    e.marginals.push_back(m);
  }
  e.energy_distance = vrfm::energy_distance(exec, a, b, vrfm::EnergyEstimate::unbiased);
  e.energy_chance =
      known ? vrfm::energy_distance(exec, chance, b, vrfm::EnergyEstimate::unbiased) : NAN;
  const auto classifier = vrfm::classifier_two_sample(exec, a, b, {.seed = o.seed});
  e.classifier_accuracy = classifier.accuracy;
  e.classifier_error = classifier.standard_error;
  e.classifier_p_value = classifier.p_value;
  if (columns > 1 && model.scales.x1.constant().empty()) {
    const auto difference = vrfm::correlation_difference(exec, a, b);
    e.correlation = difference.difference;
    e.correlated = model.shape.columns[static_cast<std::size_t>(difference.row)] + " and " +
                   model.shape.columns[static_cast<std::size_t>(difference.column)];
  }
  if (model.settings.latent > 0 && count > 16) {
    e.latent = use_of_latent(exec, model, b, held_out.condition, o);
  }
  if (model.shape.conditional()) e.calibration = calibrate(exec, model, held_out, b, o);
  e.held_out_rows = to_doubles(exec, held_out.x1);
  e.drawn_rows = to_doubles(exec, drawn);
  e.settings = rows_of(model.settings);
  e.command_line = command_line;
  write_metrics(output / "metrics.json", e);
  write_report(output.path(), e);
  common::say(
      "classifier %.1f +- %.1f %% (50 is chance), energy distance %.5f (training rows: %.5f)",
      100 * e.classifier_accuracy, 100 * e.classifier_error, e.energy_distance, e.energy_chance);
  for (const Marginal& m : e.marginals) {
    if (columns > 12) break;
    common::say("  %-16s Wasserstein-1 %.4f of the deviation (training rows: %.4f)", m.name.c_str(),
                m.distance, m.chance);
  }
  if (e.latent) common::say("z: %s", e.latent->words.c_str());
  if (e.calibration) {
    const Calibration& c = *e.calibration;
    common::say(
        "inside 50 %%: %.1f, 90 %%: %.1f %% of the cases; spread over error %.3f; CRPS %.4f",
        100 * c.inside_50.value, 100 * c.inside_90.value, c.ratio.value, c.crps.value);
  }
  std::printf("Report: %s\n", std::filesystem::absolute(output / "report.html").c_str());
}

}  // namespace table
