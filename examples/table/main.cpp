// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_table: flows on tables and fields of one's own, from a file to new rows in the same format.
#include <string>

#include <examples/common/program.hpp>
#include <examples/table/evaluate.hpp>
#include <examples/table/inspect.hpp>
#include <examples/table/train.hpp>
#include <examples/table/use.hpp>

namespace {

using namespace table;

CLI::App* add_train(CLI::App& app, TrainOptions& o) {
  CLI::App* const c = app.add_subcommand("train", "Train a flow on rows or fields of a file");
  c->add_option("-d,--data", o.data.data,
                "rows: FILE, or FILE:ARRAY (.csv, .npy, .npz, .safetensors, .h5)")
      ->required();
  c->add_option(
       "--columns", o.data.columns,
       "columns, or channels of fields, to learn, names, numbers from 0 or ranges, a,b,5-9; all "
       "that no other option names, if not given")
      ->delimiter(',');
  c->add_option("--condition", o.data.condition,
                "columns that the others are given: of the data, or all of FILE[:ARRAY] or :ARRAY")
      ->delimiter(',');
  c->add_option(
       "--grid", o.data.grid,
       "extents of rows that are fields, such as 32,32 [all but the channels' of the array]")
      ->delimiter(',')
      ->expected(1, 3)
      ->check(whole_option(1, 1 << 20));
  c->add_option("--channels", o.data.channels,
                "where they are in an array of fields, first or last; auto: the shorter of the two")
      ->check(CLI::IsMember({"auto", "first", "last"}))
      ->capture_default_str();
  c->add_option(
      "--field", o.data.field,
      "FILE[:ARRAY] or :ARRAY of fields that the others are given, on the same grid, or on "
      "one whose extents divide it");
  c->add_option("--label", o.data.label, "column of a class, whole numbers from 0, that is given");
  c->add_option("--weight", o.data.weight, "column of weights, by which rows are drawn");
  c->add_option("--ids", o.data.ids,
                "column whose equal numbers stay on one side of the validation's split");
  c->add_option("--standardize", o.data.standardize,
                "KIND, or COLUMN=KIND: deviation, quantiles, log[:SHIFT], logit[:LOW:HIGH], none; "
                "discrete or discrete-KIND for whole numbers [deviation]")
      ->delimiter(',');
  c->add_option("--validation", o.data.validation, "share of rows that are held out; 0: none")
      ->check(fraction_option())
      ->capture_default_str();
  c->add_flag("--drop-nan", o.data.drop_nan, "leave out rows with a NaN or an infinity");
  c->add_option("-o,--output", o.output, "folder of the run")->capture_default_str();
  c->add_option("-n,--iterations", o.iterations, "steps at which the training ends")
      ->check(steps_option())
      ->capture_default_str();
  c->add_option("--validate-every", o.validate_every,
                "steps between held-out losses; 0: a twentieth of the iterations")
      ->check(steps_or_none_option())
      ->capture_default_str();
  c->add_option(
       "--patience", o.patience,
       "held-out losses in a row that are not less, after which the training ends; 0: never")
      ->check(count_or_none_option())
      ->capture_default_str();
  c->add_option("--checkpoint-every", o.checkpoint_every,
                "steps between checkpoints; 0: at the end and when a signal comes only")
      ->check(steps_or_none_option())
      ->capture_default_str();
  auto* const resume = c->add_flag("--resume", o.resume, "continue from the run's checkpoint");
  c->add_flag("--overwrite", o.overwrite, "replace the run in the folder")->excludes(resume);
  c->add_flag("--dry-run", o.dry_run,
              "say what would be done, and how long it would take, and end");
  TableSettings::each(o.settings, AddSettings{c, "Model and training"});
  c->set_config("--config", "", "TOML file of options, by their long names");
  return c;
}

void add_load(CLI::App* c, UseOptions& o) {
  c->add_option("-l,--load", o.load, "folder of a run, or its weights")->required();
}
void add_output(CLI::App* c, UseOptions& o) {
  c->add_option("-o,--output", o.output, "file *.csv, *.npy, *.npz or *.h5")->required();
}
void add_data(CLI::App* c, UseOptions& o) {
  c->add_option("-d,--data", o.data, "rows: FILE or FILE:ARRAY, with the model's columns")
      ->required();
}
void add_condition(CLI::App* c, UseOptions& o) {
  auto* const given = c->add_option("--condition", o.condition, "NAME=NUMBER of each, for all rows")
                          ->delimiter(',');
  c->add_option("--condition-file", o.condition_file,
                "FILE or FILE:ARRAY of conditions, one a row, used round and round")
      ->excludes(given);
  c->add_option("--field-file", o.field_file,
                "FILE or FILE:ARRAY of fields, of a model with --field, used round and round");
  c->add_option("--label", o.label, "class of all rows")->default_str("");
}
void add_guidance(CLI::App* c, UseOptions& o) {
  c->add_option("--guidance", o.guidance,
                "g of v_null + g (v_c - v_null), of a model with --condition-dropout")
      ->check(finite_option())
      ->capture_default_str();
}
void add_seed(CLI::App* c, UseOptions& o) {
  c->add_option("--seed", o.seed, "of everything that is drawn")
      ->check(seed_option())
      ->capture_default_str();
}
void add_draws(CLI::App* c, UseOptions& o) {
  c->add_option("--draws", o.draws, "draws of z that a density is the mean of")
      ->check(count_option())
      ->capture_default_str();
  c->add_option(
       "--probes", o.probes,
       "of an estimated divergence, 0: it is exact; -1: 4 of fields of more than 64 numbers")
      ->check(whole_option(-1, 10'000))
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  const common::Program program("vrfm_table", argc, argv);
  CLI::App app("Flows on rows and fields of one's own: a table in, new rows of the same kind out.");
  app.footer(shared_footer);
  app.require_subcommand(1);
  TrainOptions training;
  UseOptions use;
  EvaluateOptions evaluation;
  std::string inspected;
  CLI::App* const trains = add_train(app, training);
  const auto add = [&](const char* name, const char* what) {
    return app.add_subcommand(name, what);
  };

  CLI::App* const samples = add("sample", "Draw new rows");
  add_load(samples, use);
  add_output(samples, use);
  samples->add_option("-c,--count", use.count, "rows")
      ->check(count_option())
      ->capture_default_str();
  add_condition(samples, use);
  add_guidance(samples, use);
  add_solver(samples, use.solver);
  add_seed(samples, use);
  samples->add_option("--png", use.png, "a picture of the first 64 fields");

  CLI::App* const densities = add("density", "Log densities of rows, in nats and the data's units");
  add_load(densities, use);
  add_data(densities, use);
  add_output(densities, use);
  add_condition(densities, use);
  add_draws(densities, use);
  add_tolerance(densities, use.solver);
  add_seed(densities, use);

  CLI::App* const encodes = add("encode", "Mean and log variance of z of rows");
  CLI::App* const reconstructs = add("reconstruct", "Rows drawn anew under their own z");
  CLI::App* const interpolates = add("interpolate", "Rows under z's between those of two rows");
  for (CLI::App* const c : {encodes, reconstructs, interpolates}) {
    add_load(c, use);
    add_data(c, use);
    add_output(c, use);
    add_condition(c, use);
    if (c != encodes) add_guidance(c, use), add_solver(c, use.solver);
    if (c != encodes) add_seed(c, use);
  }
  interpolates->add_option("--between", use.between, "the two rows, numbers from 0, such as 3,17")
      ->delimiter(',')
      ->expected(2)
      ->required();
  interpolates->add_option("-c,--count", use.count, "rows")
      ->check(count_option())
      ->capture_default_str();

  CLI::App* const evaluates = add_evaluate(app, evaluation);
  CLI::App* const inspects = add("inspect", "What a file holds");
  inspects->add_option("data", inspected, "FILE or FILE:ARRAY")->required();

  const auto complete = [&] {
    if (!*trains && !*evaluates && !*inspects) check_output(use.output);
  };
  const auto run = [&] {
    if (*trains) return train(training, program.command_line());
    if (*samples) return sample(use);
    if (*densities) return density(use);
    if (*encodes) return encode(use);
    if (*reconstructs) return reconstruct(use);
    if (*interpolates) return interpolate(use);
    if (*evaluates) return evaluate(evaluation, program.command_line());
    inspect(inspected);
  };
  return program.main(app, complete, [&] {
    try {
      run();
    } catch (const std::runtime_error& error) {
      // The library names its own way of saying it.
      std::string what = error.what();
      const std::size_t at = what.find("NanRows::drop leaves them out");
      if (at == std::string::npos) throw;
      throw std::runtime_error(what.substr(0, at) + "--drop-nan leaves them out");
    }
  });
}
