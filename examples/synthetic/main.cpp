// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_synthetic: the paper's synthetic experiments from data to report.
#include <cstdio>
#include <string>
#include <vector>

#include <examples/common/program.hpp>
#include <examples/synthetic/experiment.hpp>
#include <examples/synthetic/report.hpp>
#include <examples/synthetic/report/markdown.hpp>
#include <examples/synthetic/report/metrics_json.hpp>

namespace {

/// What a person should see first: the models side by side at the fewest steps.
void print_summary(const synthetic::Results& results) {
  const std::size_t seeds = results.seeds.size();
  const std::string model =
      seeds == 1 ? "model (one seed)" : "model (mean, " + std::to_string(seeds) + " seeds)";
  std::printf("%-24s %6s %10s %10s %12s %10s %11s\n", model.c_str(), "steps", "true LL",
              "Parzen LL", "Wasserstein", "MMD2*1000", "path ratio");
  std::vector<std::pair<synthetic::Variant, int>> seen;
  for (const auto& run : results.runs) {
    const std::pair<synthetic::Variant, int> key{run.variant, run.steps};
    if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
    seen.push_back(key);
    double count = 0, true_ll = 0, parzen = 0, wasserstein = 0, mmd = 0, ratio = 0;
    for (const auto& other : results.runs) {
      if (!(other.variant == run.variant) || other.steps != run.steps) continue;
      ++count;
      true_ll += other.true_ll;
      parzen += other.parzen_ll;
      wasserstein += other.wasserstein1;
      mmd += other.squared_mmd;
      ratio += other.path_ratio;
    }
    const std::string name = run.variant.model + ' ' + run.variant.encoder_input;
    const std::string steps = run.steps > 0 ? std::to_string(run.steps) : run.solver;
    std::printf("%-24s %6s %10.3f %10.3f %12.4f %10.3f %11.3f\n", name.c_str(), steps.c_str(),
                true_ll / count, parzen / count, wasserstein / count, 1000 * mmd / count,
                ratio / count);
  }
  std::printf("%-24s %6s %10.3f %10.3f %12.4f %10.3f\n", "exact target samples", "",
              results.exact.true_ll, results.exact.parzen_ll, results.exact.wasserstein1,
              1000 * results.exact.squared_mmd);
}

void run(const synthetic::Options& options, const std::string& command) {
  const vrfm::StopSignal stop;
  common::OutputFolder output(options.output);
  auto found =
      synthetic::run_experiment(synthetic::Exec{}, options, output, stop,
                                [](const std::string& what) { common::say("%s", what.c_str()); });
  if (!found || !common::is_root()) return;
  synthetic::Results& results = *found;
  results.command_line = command;
  std::fprintf(stderr, "figures and report\n");

  synthetic::write_metrics_json(output / "metrics.json", results);
  synthetic::write_markdown(output / "table.md", results);
  const std::string how =
      options.load.empty() ? "; the trainings are done, --resume draws them" : "";
  const auto figures = synthetic::draw_figures(results, output / "figures", "gnuplot", [&] {
    common::end_if_stopped(stop, "stopped while it drew figures" + how);
  });
  for (const auto& notice : figures.notices) {
    std::fprintf(stderr, "vrfm_synthetic: notice: %s\n", notice.c_str());
  }
  synthetic::write_report(output / "report.html", results, figures);
  print_summary(results);
  std::printf("\nReport: %s\n", std::filesystem::absolute(output / "report.html").c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const common::Program program("vrfm_synthetic", argc, argv);
  CLI::App app;
  synthetic::Options options;
  describe(app, options);
  return program.main(
      app, [&] { complete(app, options); }, [&] { run(options, program.command_line()); });
}
