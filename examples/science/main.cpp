// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_science: data of sciences whose distribution is known, in the files that their programs write, and judges of
// what a model of vrfm_table has drawn. calorimeter.sh and lorenz.sh beside this file are whole runs.
#include <examples/common/options.hpp>
#include <examples/common/program.hpp>
#include <examples/common/rows_file.hpp>
#include <examples/science/calorimeter.hpp>
#include <examples/science/lorenz.hpp>

namespace {

using namespace science;

CLI::Option* add_output(CLI::App* c, std::string& output, const char* what = "file *.h5 or *.npz") {
  return c->add_option("-o,--output", output, what)->capture_default_str();
}
void add_count(CLI::App* c, std::size_t& count, const char* what) {
  c->add_option("-c,--count", count, what)->check(common::count_option())->capture_default_str();
}
void add_folder(CLI::App* c, std::string& output, bool& overwrite) {
  c->add_option("-o,--output", output, "folder of table.md and a picture")->capture_default_str();
  c->add_flag("--overwrite", overwrite, "replace results in the folder");
}
void add_seed(CLI::App* c, std::uint32_t& seed) {
  c->add_option("--seed", seed, "equal seeds, equal files")
      ->check(common::seed_option())
      ->capture_default_str();
}

/// Where arrays have names.
void check_arrays(const std::string& path) {
  common::check_output(path);
  const std::string format = common::format_of(path);
  vrfm::expect(format == ".h5" || format == ".npz",
               "--output: expected a file of several arrays, *.h5 or *.npz, found '", path, "'");
}

struct Calorimeters {
  ShowerOptions generate;
  ShowerRowsOptions rows, showers;
  ShowerJudgeOptions judge;
  CLI::App *generates, *makes_rows, *makes_showers, *judges;

  explicit Calorimeters(CLI::App& app) {
    CLI::App* const all = app.add_subcommand(
        "calorimeter",
        "Showers of photons in layers, given their energy, as CaloChallenge's files");
    all->require_subcommand(1);
    generates = all->add_subcommand("generate", "Write showers: incident_energies, showers (MeV)");
    add_output(generates, generate.output);
    add_count(generates, generate.count, "showers");
    generates->add_option("--layers", generate.layers, "of one radiation length each")
        ->check(common::range_option(3, 1000))
        ->capture_default_str();
    generates->add_option("--lowest", generate.lowest, "energy, MeV")
        ->check(common::positive_option())
        ->capture_default_str();
    generates->add_option("--highest", generate.highest, "energy, MeV")
        ->check(common::positive_option())
        ->capture_default_str();
    add_seed(generates, generate.seed);

    makes_rows = all->add_subcommand("rows", "Rows to learn of showers: response and layers");
    makes_rows->add_option("-d,--data", rows.data, "file of showers")->required();
    add_output(makes_rows, rows.output)->required();
    add_seed(makes_rows, rows.seed);

    makes_showers = all->add_subcommand("showers", "Showers of rows that were drawn");
    makes_showers->add_option("-r,--rows", showers.rows, "rows, FILE of one array")->required();
    makes_showers->add_option("-d,--data", showers.data, "file of the rows' incident_energies")
        ->required();
    add_output(makes_showers, showers.output)->required();

    judges = all->add_subcommand("judge", "Compare showers that were drawn with the truth");
    judges->add_option("-t,--truth", judge.truth, "file of showers that no model has seen")
        ->required();
    judges->add_option("--other", judge.other, "another file of true showers, to compare with")
        ->required();
    judges->add_option("-s,--showers", judge.showers, "files METHOD-EVALUATIONS.*, rfm-4.h5")
        ->required();
    judges->add_option("--codes", judge.codes, "z of the truth's showers, of vrfm_table encode");
    add_folder(judges, judge.output, judge.overwrite);
  }

  void complete() const {
    if (*generates) check_arrays(generate.output);
    if (*makes_rows) check_arrays(rows.output);
    if (*makes_showers) check_arrays(showers.output);
  }
  void run() const {
    if (*generates) generate_showers(generate);
    if (*makes_rows) rows_of_showers(rows);
    if (*makes_showers) showers_of_rows(showers);
    if (*judges) judge_showers(judge);
  }
};

struct LorenzSystem {
  ForecastOptions generate;
  ForecastJudgeOptions judge;
  CLI::App *generates, *judges;

  explicit LorenzSystem(CLI::App& app) {
    CLI::App* const all =
        app.add_subcommand("lorenz", "Forecasts of Lorenz' system from a measured present");
    all->require_subcommand(1);
    generates = all->add_subcommand("generate", "Write cases: what is measured, and what comes");
    add_output(generates, generate.output, "file *.csv, *.npy, *.npz or *.h5");
    add_count(generates, generate.count, "cases");
    add_seed(generates, generate.seed);

    judges = all->add_subcommand("judge", "Compare ensembles that were drawn with the truth");
    judges->add_option("-t,--truth", judge.truth, "file *.csv of cases that no model has seen")
        ->required();
    judges
        ->add_option(
            "-e,--ensembles", judge.ensembles,
            "files METHOD-EVALUATIONS.*, rfm-4.npy: row m N + i is member m of case i of N")
        ->required();
    judges->add_option("--archive", judge.archive, "states that exact forecasts are made of")
        ->check(common::count_option())
        ->capture_default_str();
    add_folder(judges, judge.output, judge.overwrite);
    add_seed(judges, judge.seed);
  }

  void complete() const {
    if (*generates) common::check_output(generate.output);
  }
  void run() const {
    if (*generates) generate_forecasts(generate);
    if (*judges) judge_forecasts(judge);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const common::Program program("vrfm_science", argc, argv);
  CLI::App app("Data whose distribution is known, and judges of what models have made of them.");
  app.footer(common::shared_footer);
  app.require_subcommand(1);
  const Calorimeters calorimeter(app);
  const LorenzSystem lorenz(app);
  return program.main(
      app, [&] { calorimeter.complete(), lorenz.complete(); },
      [&] { calorimeter.run(), lorenz.run(); });
}
