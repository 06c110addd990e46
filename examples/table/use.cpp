// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/table/use.hpp>

#include <cmath>
#include <cstdio>
#include <limits>

#include <vrfm/sampling/aggregated_posterior.hpp>

#include <examples/common/ranks.hpp>
#include <examples/table/pictures.hpp>

namespace table {
namespace {

/// Rows of x1, standardised.
Rows standardised_rows(const Exec& exec, const Model& model, const UseOptions& o) {
  const Rows rows = read_fields(exec, o.data, model.shape, "--data");
  model.scales.x1.standardize(exec, rows);
  return rows;
}

/// Rows in the data's units, as the data are in their file, under the name that they have there.
void write_rows(const Exec& exec, const UseOptions& o, const Model& model, const Rows& rows) {
  const RowShape& shape = model.shape;
  const std::string name = shape.array.empty() ? "samples" : shape.array;
  OutputArray out{name, shape.columns, in_file_order(shape.x1, to_doubles(exec, rows))};
  if (shape.x1.is_field()) {
    out.columns = channel_names(shape.dimension());
    for (const int extent : shape.x1.row()) out.extents.push_back(static_cast<std::size_t>(extent));
  }
  write_output(o.output, {out});
  if (shape.x1.is_field()) {
    common::say("%zu fields of %s: %s", rows.extent(0), field_text(shape.x1).c_str(),
                o.output.c_str());
  } else {
    common::say("%zu rows of %zu columns: %s", rows.extent(0), rows.extent(1), o.output.c_str());
  }
  if (!o.png.empty()) write_pictures(o.png, shape, to_doubles(exec, rows));
}

/// z of each row: of the codes, or nothing where it is drawn from the prior.
Rows latents_of(const Exec& exec, const Model& model, std::size_t count, std::uint32_t seed,
                std::uint64_t first) {
  if (!model.aggregated()) return {};
  return vrfm::draw_latents(exec, model.codes, count, seed, first);
}

void expect_latent(const Model& model, const char* command) {
  vrfm::expect(model.settings.latent > 0, command, " needs a model with z (--model vrfm), got ",
               model.settings.model);
}

Rows condition_field(const Exec& exec, const Model& model, const std::string& array) {
  const RowShape& shape = model.shape;
  vrfm::expect(array.empty() == (shape.field_channels == 0),
               array.empty()
                   ? "--field-file: this model is given fields: expected their file, got none"
                   : "--field-file has no effect: this model is given no fields");
  if (array.empty()) return {};
  Arrays arrays;
  const vrfm::RowReader& reader = arrays.open(array_name(array, "--field-file"));
  const FieldShape found = shape_like(reader, shape.x1, true, "--field-file");
  vrfm::expect(found.channels == shape.field_channels, "--field-file: expected fields of ",
               shape.field_channels, " channels, found ", found.channels, " in ", reader.name());
  vrfm::RowRoles roles;
  roles.x1 = {{&reader, field_columns(found, shape.x1.grid, all_channels(found))}};
  const Rows field = vrfm::pack<float>(exec, vrfm::RowSource(roles)).rows;
  if (model.scales.field.columns() > 0) model.scales.field.standardize(exec, field);
  return field;
}

std::vector<std::string> latent_names(const char* prefix, int latent) {
  std::vector<std::string> names;
  for (int j = 0; j < latent; ++j) names.push_back(prefix + std::to_string(j));
  return names;
}

}  // namespace

Rows read_rows(const Exec& exec, const std::string& array, const std::vector<std::string>& names,
               const std::string& option) {
  Arrays arrays;
  const vrfm::RowReader& reader = arrays.open(array_name(array, option));
  std::vector<std::size_t> columns;
  if (column_names(reader).size() == names.size() && reader.info().columns.empty()) {
    for (std::size_t j = 0; j < names.size(); ++j) columns.push_back(j);
  } else {
    columns = columns_named(reader, names, option);
  }
  vrfm::RowRoles roles;
  roles.x1 = {{&reader, columns}};
  return vrfm::pack<float>(exec, vrfm::RowSource(roles)).rows;
}

Rows read_fields(const Exec& exec, const std::string& array, const RowShape& shape,
                 const std::string& option) {
  if (!shape.x1.is_field()) return read_rows(exec, array, shape.columns, option);
  Arrays arrays;
  const vrfm::RowReader& reader = arrays.open(array_name(array, option));
  const FieldShape found = shape_like(reader, shape.x1, false, option);
  std::vector<std::size_t> channels = all_channels(found);
  if (found.channels != shape.x1.channels) {
    channels = places_of(channel_names(found.channels), shape.columns,
                         "the channels of " + reader.name(), option);
  }
  vrfm::RowRoles roles;
  roles.x1 = {{&reader, field_columns(found, shape.x1.grid, channels)}};
  return vrfm::pack<float>(exec, vrfm::RowSource(roles)).rows;
}

Conditions condition_of(const Exec& exec, const Model& model, const UseOptions& o) {
  Conditions tables;
  const RowShape& shape = model.shape;
  vrfm::expect(o.label < shape.classes, "--label: expected one of ", shape.classes,
               " classes, got ", o.label);
  vrfm::expect((o.label >= 0) == (shape.classes > 0),
               shape.classes > 0 ? "--label: this model has classes: expected one of them, got none"
                                 : "--label has no effect: this model has no classes");
  if (shape.classes > 0) {
    vrfm::Array<std::int32_t, Exec> label("table::label", 1);
    Kokkos::deep_copy(label, o.label);
    tables.labels = label;
  }
  tables.field = condition_field(exec, model, o.field_file);
  vrfm::expect(!shape.condition.empty() || (o.condition.empty() && o.condition_file.empty()),
               "--condition has no effect: this model has no condition");
  if (shape.condition.empty()) return tables;
  Rows vector;
  if (!o.condition_file.empty()) {
    vector = read_rows(exec, o.condition_file, shape.condition, "--condition-file");
  } else {
    std::vector<float> row(shape.condition.size(), std::numeric_limits<float>::quiet_NaN());
    for (const std::string& text : o.condition) {
      const std::size_t equals = text.find('=');
      const auto found =
          std::find(shape.condition.begin(), shape.condition.end(), text.substr(0, equals));
      char* end = nullptr;
      const char* const number = equals == std::string::npos ? "" : text.c_str() + equals + 1;
      const double value = std::strtod(number, &end);
      vrfm::expect(
          found != shape.condition.end() && end != number && *end == '\0' && std::isfinite(value),
          "--condition: expected NAME=NUMBER of ", detail::listed(shape.condition), ", found '",
          text, "'");
      row[static_cast<std::size_t>(found - shape.condition.begin())] = static_cast<float>(value);
    }
    for (std::size_t j = 0; j < row.size(); ++j) {
      vrfm::expect(!std::isnan(row[j]), "--condition: expected ", shape.condition[j],
                   "=NUMBER, or a --condition-file, found none");
    }
    vector = to_rows(exec, row, row.size());
  }
  if (model.scales.vector.columns() > 0) model.scales.vector.standardize(exec, vector);
  tables.vector = vector;
  return tables;
}

Rows draw_rows(const Exec& exec, const Model& model, std::size_t count, std::uint32_t seed,
               const Conditions& condition, const SolverOptions& solver, double guidance) {
  const Rows rows =
      model.flow->noise(count, seed, vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source));
  model.flow->move(rows, solver,
                   {.latents = latents_of(exec, model, count, seed, 0),
                    .condition = condition,
                    .guidance = guidance,
                    .seed = seed});
  model.scales.x1.restore(exec, rows);
  return rows;
}

void add_tolerance(CLI::App* command, SolverOptions& o) {
  command->add_option("--tolerance", o.tolerance, "relative and absolute error of a step of dopri5")
      ->check(positive_option())
      ->capture_default_str();
}

void add_solver(CLI::App* command, SolverOptions& o) {
  command
      ->add_option(
          "--solver", o.solver,
          "auto (dopri5 of --model rfm on rows, otherwise midpoint), euler, midpoint, dopri5")
      ->check(CLI::IsMember({"auto", "euler", "midpoint", "dopri5"}))
      ->capture_default_str();
  command
      ->add_option("--steps", o.steps,
                   "steps of euler, and of midpoint, which has two evaluations a step")
      ->check(count_option())
      ->capture_default_str();
  add_tolerance(command, o);
}

void sample(const UseOptions& o) {
  const Exec exec;
  const Model model = load_model(exec, o.load);
  vrfm::expect(o.png.empty() || model.shape.x1.is_field(),
               "--png has no effect: this model's rows are no fields");
  const Rows rows =
      draw_rows(exec, model, o.count, o.seed, condition_of(exec, model, o), o.solver, o.guidance);
  write_rows(exec, o, model, rows);
}

void density(const UseOptions& o) {
  const Exec exec;
  const Model model = load_model(exec, o.load);
  const Rows rows = read_fields(exec, o.data, model.shape, "--data");
  const auto slopes = vrfm::to_host(exec, model.scales.x1.log_slope(exec, rows));
  model.scales.x1.standardize(exec, rows);
  const auto condition = condition_of(exec, model, o);
  const std::size_t count = rows.extent(0);
  const int draws = model.settings.latent > 0 ? o.draws : 1;
  // Each number of a row costs an exact divergence one more derivative of the velocity.
  constexpr int most_exact = 64, usual_probes = 4;
  const bool dear = model.settings.network == "unet" && model.flow->dimension() > most_exact;
  const int probes = o.probes >= 0 ? o.probes : dear ? usual_probes : 0;
  // log of the mean over draws of z of the densities, by their largest.
  std::vector<std::vector<float>> all;
  for (int m = 0; m < draws; ++m) {
    const std::uint64_t first = static_cast<std::uint64_t>(m) * count;
    all.push_back(
        model.flow->log_density(rows, {.latents = latents_of(exec, model, count, o.seed, first),
                                       .condition = condition,
                                       .seed = o.seed,
                                       .first_id = first,
                                       .probes = probes,
                                       .tolerance = o.solver.tolerance}));
  }
  OutputArray out{"log_density", {"log_density"}, {}};
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double most = -std::numeric_limits<double>::infinity(), total = 0;
    for (const auto& each : all) most = std::max(most, static_cast<double>(each[i]));
    for (const auto& each : all) total += std::exp(static_cast<double>(each[i]) - most);
    out.values.push_back(most + std::log(total / draws) + slopes(i));
    sum += out.values.back();
  }
  write_output(o.output, {out});
  common::say("mean log density %.4f nats of %zu rows, in the units of the data: %s",
              sum / static_cast<double>(count), count, o.output.c_str());
  if (probes > 0) {
    common::say(
        "note: divergences are estimated by %d draws of random signs (Hutchinson), which "
        "scatters log densities%s; --probes 0 is exact, at the cost of %d derivatives",
        probes, draws > 1 ? " and biases their mean over z upwards" : "", model.flow->dimension());
  }
}

void encode(const UseOptions& o) {
  const Exec exec;
  const Model model = load_model(exec, o.load);
  expect_latent(model, "encode");
  const Rows rows = standardised_rows(exec, model, o);
  const auto codes = model.flow->encode(rows, condition_of(exec, model, o), o.seed);
  write_output(o.output,
               {{"mean", latent_names("mean", model.settings.latent), to_doubles(exec, codes.mean)},
                {"log_variance", latent_names("log_variance", model.settings.latent),
                 to_doubles(exec, codes.log_variance)}});
  common::say("mean and log variance of z of %zu rows: %s", rows.extent(0), o.output.c_str());
}

void reconstruct(const UseOptions& o) {
  const Exec exec;
  const Model model = load_model(exec, o.load);
  expect_latent(model, "reconstruct");
  const Rows rows = standardised_rows(exec, model, o);
  const auto condition = condition_of(exec, model, o);
  const Rows x = model.flow->noise(rows.extent(0), o.seed, vrfm::Purpose::source);
  model.flow->move(x, o.solver,
                   {.latents = model.flow->encode(rows, condition, o.seed).z,
                    .condition = condition,
                    .guidance = o.guidance,
                    .seed = o.seed});
  model.scales.x1.restore(exec, x);
  write_rows(exec, o, model, x);
}

void interpolate(const UseOptions& o) {
  const Exec exec;
  const Model model = load_model(exec, o.load);
  expect_latent(model, "interpolate");
  vrfm::expect(o.count >= 2, "--count: expected at least 2 rows, got ", o.count);
  const Rows rows = standardised_rows(exec, model, o);
  for (const std::size_t row : o.between) {
    vrfm::expect(row < rows.extent(0), "--between: expected rows below ", rows.extent(0), ", got ",
                 row);
  }
  const auto condition = condition_of(exec, model, o);
  const auto mean = vrfm::to_host(exec, model.flow->encode(rows, condition, 0).mean);
  std::vector<float> z;
  for (std::size_t i = 0; i < o.count; ++i) {
    const float w = static_cast<float>(i) / static_cast<float>(o.count - 1);
    for (std::size_t j = 0; j < mean.extent(1); ++j) {
      z.push_back((1 - w) * mean(o.between[0], j) + w * mean(o.between[1], j));
    }
  }
  // One x0 for all, so that z alone makes the difference.
  const auto one = vrfm::to_host(exec, model.flow->noise(1, o.seed, vrfm::Purpose::source));
  std::vector<float> start;
  for (std::size_t i = 0; i < o.count; ++i) {
    start.insert(start.end(), one.data(), one.data() + one.size());
  }
  const Rows x = to_rows(exec, start, rows.extent(1));
  model.flow->move(x, o.solver,
                   {.latents = to_rows(exec, z, mean.extent(1)),
                    .condition = condition,
                    .guidance = o.guidance,
                    .seed = o.seed});
  model.scales.x1.restore(exec, x);
  write_rows(exec, o, model, x);
}

}  // namespace table
