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
#include <vrfm/sampling/aggregated_posterior.hpp>

#include <examples/common/number_options.hpp>
#include <examples/common/output_folder.hpp>
#include <examples/table/evaluation.hpp>
#include <examples/table/field_metrics.hpp>
#include <examples/table/report.hpp>
#include <examples/table/some_rows.hpp>

namespace table {
namespace {

std::string describe(const RowShape& shape) {
  if (!shape.x1.is_field()) return "rows that are no fields";
  return "fields of " + field_text(shape.x1) + " given " + std::to_string(shape.field_channels) +
         " channels";
}

/// At most so many rows: fields are dear to draw.
std::size_t count_of(const Model& model, const EvaluateOptions& o) {
  if (o.count > 0) return o.count;
  if (!model.shape.x1.is_field()) return 5000;
  return std::clamp<std::size_t>((1 << 18) / static_cast<std::size_t>(model.shape.points()), 64,
                                 1000);
}

GivenRows held_out_rows(const Exec& exec, const Model& model, const EvaluateOptions& o) {
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
  const RowShape &found = set.shape(), &shape = model.shape;
  vrfm::expect(found.columns.size() == shape.columns.size() &&
                   found.condition.size() == shape.condition.size() &&
                   found.classes <= shape.classes,
               "--data: expected rows of ", shape.columns.size(), " columns, ",
               shape.condition.size(), " of a condition and ", shape.classes, " classes, found ",
               found.columns.size(), ", ", found.condition.size(), " and ", found.classes);
  vrfm::expect(found.x1.grid == shape.x1.grid && found.field_channels == shape.field_channels,
               "--data: expected ", describe(shape), ", found ", describe(found));
  const vrfm::RowSource source = set.source(part, model.settings.seed);
  return some_rows(exec, source, model.scales, stride_of(source, count_of(model, o)));
}

/// As many rows of the training, standardised: what the distances of equal distributions are by chance. None where its
/// file is no longer there.
Rows training_rows(const Exec& exec, const Model& model, std::size_t count) {
  try {
    const DataSet set(model.data);
    const vrfm::RowSource source = set.source(vrfm::SplitPart::training, model.settings.seed);
    const std::size_t stride = std::max<std::size_t>(1, count_rows(source) / count);
    const Rows rows = some_rows(exec, source, model.scales, stride, count).x1;
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
Calibration calibrate(const Exec& exec, const Model& model, const GivenRows& held_out,
                      const Rows& standardised, const EvaluateOptions& o) {
  Calibration c;
  const bool fields = model.shape.x1.is_field();
  c.cases = std::min<std::size_t>(fields ? 100 : 1000, held_out.x1.extent(0));
  c.members = o.members > 0 ? o.members : fields ? 16 : 32;
  const auto looked_at = [&](const Rows& rows) {
    return fields ? probes_of(exec, model.shape.x1, rows) : rows;
  };
  const Rows all_truths = looked_at(standardised);
  const std::size_t columns = all_truths.extent(1);
  const Kokkos::View<float***, Kokkos::LayoutRight, Exec> ensembles("table::ensembles", c.cases,
                                                                    c.members, columns);
  const auto to = Kokkos::create_mirror_view(ensembles);
  Conditions condition = held_out.condition;
  for (std::size_t m = 0; m < c.members; ++m) {
    const auto seed = static_cast<std::uint32_t>(o.seed + 1 + m);
    const Rows rows = draw_rows(exec, model, c.cases, seed, condition, o.solver);
    model.scales.x1.standardize(exec, rows);
    const auto host = vrfm::to_host(exec, looked_at(rows));
    for (std::size_t i = 0; i < c.cases; ++i) {
      for (std::size_t j = 0; j < columns; ++j) to(i, m, j) = host(i, j);
    }
  }
  Kokkos::deep_copy(ensembles, to);
  const auto truths =
      Kokkos::subview(all_truths, std::pair<std::size_t, std::size_t>(0, c.cases), Kokkos::ALL);
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
  const auto codes = model.flow->encode(standardised, condition, o.seed);
  const auto usage = vrfm::latent_usage(exec, codes.mean, codes.log_variance);
  const std::size_t count = standardised.extent(0);
  const Rows prior = model.aggregated() ? vrfm::draw_latents(exec, model.codes, count, o.seed)
                                        : model.flow->draw_latents(count, condition, o.seed);
  LatentUse use{{},
                usage.active,
                vrfm::describe_latents(usage, vrfm::aggregated_posterior(exec, codes.z, prior))};
  for (const vrfm::Estimate& kl : usage.kl) use.kl.push_back(kl.value);
  return use;
}

/// What a two-sample test is of: rows, or features of fields.
struct Sets {
  Rows drawn, held_out, chance;
};

/// Features in units of their deviation in drawn and held-out fields together, because one that is constant in the data
/// has none there.
Sets sets_of_fields(const Exec& exec, const FieldShape& shape, const Rows& drawn,
                    const Rows& held_out, const Rows& chance) {
  Sets sets{features_of(exec, shape, drawn), features_of(exec, shape, held_out), {}};
  if (chance.extent(0) > 0) sets.chance = features_of(exec, shape, chance);
  vrfm::StandardizationFit fit(static_cast<int>(sets.held_out.extent(1)),
                               sets.drawn.extent(0) + sets.held_out.extent(0), {});
  for (const Rows& set : {sets.drawn, sets.held_out}) {
    const auto host = vrfm::to_host(exec, set);
    for (std::size_t i = 0; i < host.extent(0); ++i) fit.add(&host(i, 0));
  }
  const auto scale = fit.finish();
  for (const Rows& set : {sets.drawn, sets.held_out, sets.chance}) {
    if (set.extent(0) > 0) scale.standardize(exec, set);
  }
  return sets;
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
  for (const Spectrum& spectrum : e.spectra) {
    nlohmann::ordered_json of_channel{{"channel", spectrum.channel}};
    for (std::size_t k = 0; k < spectrum.drawn.size(); ++k) {
      of_channel["power"].push_back({{"waves", k + 1},
                                     {"drawn", json_of(spectrum.drawn[k])},
                                     {"held_out", json_of(spectrum.held_out[k])}});
    }
    for (const auto& band : spectrum.bands) {
      of_channel["ratio"].push_back({{"waves", band.name}, {"ratio", json_of(band.ratio)}});
    }
    json["spectra"].push_back(of_channel);
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
  c->add_option("-c,--count", o.count, "rows of each, at most; 0: 5000, and fewer of fields")
      ->check(whole_option(0, 1'000'000))
      ->capture_default_str();
  c->add_option("--members", o.members,
                "of an ensemble, of models with a condition; 0: 32, of fields 16")
      ->check(whole_option(0, 10'000))
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
  vrfm::expect(o.members != 1, "--members: expected at least 2 of an ensemble, got 1");
  const GivenRows held_out = held_out_rows(exec, model, o);
  const FieldShape& field = model.shape.x1;
  const bool is_field = field.is_field();
  const std::size_t count = held_out.x1.extent(0), columns = model.shape.columns.size();
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
  e.field = field;
  // Of fields all points of a channel count alike.
  const auto by_column = [&](const Rows& rows) { return is_field ? points_of(rows, field) : rows; };
  const Rows drawn_columns = by_column(drawn), held_out_columns = by_column(held_out.x1),
             a_columns = by_column(a), b_columns = by_column(b), chance_columns = by_column(chance);
  for (std::size_t j = 0; j < columns; ++j) {
    Marginal m{.name = (is_field ? "channel " : "") + model.shape.columns[j]};
    std::tie(m.mean_held_out, m.deviation_held_out) = mean_and_deviation(exec, held_out_columns, j);
    std::tie(m.mean_drawn, m.deviation_drawn) = mean_and_deviation(exec, drawn_columns, j);
    const Rows of_a = column_of(exec, a_columns, j), of_b = column_of(exec, b_columns, j);
    const double spread = mean_and_deviation(exec, of_b, 0).second;
    const double unit = spread > 0 ? spread : 1;
    m.distance = vrfm::wasserstein1(exec, of_a, of_b) / unit;
    m.chance =
        known ? vrfm::wasserstein1(exec, column_of(exec, chance_columns, j), of_b) / unit : NAN;
    e.marginals.push_back(m);
  }
  const Sets sets = is_field ? sets_of_fields(exec, field, a, b, chance) : Sets{a, b, chance};
  e.energy_distance =
      vrfm::energy_distance(exec, sets.drawn, sets.held_out, vrfm::EnergyEstimate::unbiased);
  e.energy_chance = known ? vrfm::energy_distance(exec, sets.chance, sets.held_out,
                                                  vrfm::EnergyEstimate::unbiased)
                          : NAN;
  const auto classifier =
      vrfm::classifier_two_sample(exec, sets.drawn, sets.held_out, {.seed = o.seed});
  e.classifier_accuracy = classifier.accuracy;
  e.classifier_error = classifier.standard_error;
  e.classifier_p_value = classifier.p_value;
  for (int c = 0; is_field && c < field.channels; ++c) {
    e.spectra.push_back(compare_spectra(exec, field, c, a, b));
  }
  if (columns > 1 && model.scales.x1.constant().empty()) {
    const auto difference = vrfm::correlation_difference(exec, a_columns, b_columns);
    e.correlation = difference.difference;
    e.correlated = e.marginals[static_cast<std::size_t>(difference.row)].name + " and " +
                   e.marginals[static_cast<std::size_t>(difference.column)].name;
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
  for (const Spectrum& spectrum : e.spectra) {
    std::string text;
    for (const auto& band : spectrum.bands) {
      text += (text.empty() ? "" : ", ") + band.name + ": " + decimal(band.ratio.value, 3) +
              " +- " + decimal(band.ratio.standard_error, 3);
    }
    common::say("  channel %d: power of drawn over held-out fields at waves %s", spectrum.channel,
                text.c_str());
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
