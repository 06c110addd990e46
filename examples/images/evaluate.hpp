// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `evaluate`: losses of given weights on the test images, at the same draws for all, as
// means over equally spaced t and along t.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <vrfm/training/mean_losses.hpp>

#include <examples/images/report.hpp>
#include <examples/images/run.hpp>

namespace images {

/// What one file of weights shows.
struct Evaluation {
  std::string label, path;
  bool latent;
  std::vector<double> t, velocity, kl;  ///< along t

  double mean(const std::vector<double>& values) const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
};

template <class Set>
Evaluation evaluate(const std::string& path, const vrfm::Images& images,
                    const EvaluateOptions& options) {
  const auto loaded = LoadedFlow<Set>::read(path);
  vrfm::expect(loaded.shape == shape_of(images), "expected test images of ", to_text(loaded.shape),
               " (height, width, channels) as in ", path, ", found ", to_text(shape_of(images)));
  const Exec& exec = loaded.flow.exec();
  // With all images in a batch, each step's draws are all images once.
  const auto pairs = vrfm::independent(
      vrfm::standard_normal<float>(exec, loaded.flow.dimension()),
      vrfm::ImageDraws<Exec>(vrfm::ImageSet<Exec>(exec, images), static_cast<int>(images.count)));
  Evaluation result{model_name(loaded.settings), path, loaded.settings.latent > 0, {}, {}, {}};
  with_objective(loaded.settings, [&](const auto& objective) {
    for (int k = 0; k < options.times; ++k) {
      const double t = (k + 0.5) / options.times;
      const auto losses =
          vrfm::mean_losses(loaded.flow, objective, pairs,
                            {.count = std::min(options.count, static_cast<int>(images.count)),
                             .batch = options.batch,
                             .seed = options.seed,
                             .step = static_cast<std::uint32_t>(k)},
                            vrfm::FixedTime{t});
      result.t.push_back(t);
      result.velocity.push_back(losses.velocity);
      result.kl.push_back(losses.kl);
    }
  });
  return result;
}

template <class Set>
void evaluate_command(const EvaluateOptions& options, const std::string& command_line) {
  const auto images = Set::read(options.data, vrfm::Split::test);
  std::vector<Evaluation> all;
  std::vector<TrainingCurves> trainings;
  for (const std::string& path : options.load) {
    std::fprintf(stderr, "%s\n", path.c_str());
    all.push_back(evaluate<Set>(path, images, options));
    auto& label = all.back().label;
    if (options.load.size() > 1) {
      label += " (" + std::filesystem::absolute(path).parent_path().filename().string() + ")";
    }
    // The training that wrote the weights left its losses beside them.
    const auto log = LossLog::in(std::filesystem::path(path).parent_path());
    if (std::filesystem::exists(log)) {
      trainings.push_back({label, LossLog::read(log), all.back().latent});
    }
  }

  CurvePanel velocity{
      "Velocity loss on the test images", "t", "mean squared error a number", {}, 1};
  nlohmann::ordered_json rows = nlohmann::json::array();
  std::string table =
      "<div class=\"table\"><table><thead><tr><th class=\"text\">Weights</th><th>Velocity "
      "loss</th><th>KL (nats a dimension)</th><th class=\"text\">File</th></tr></thead><tbody>\n";
  std::printf("%-30s %14s %10s\n", "weights", "velocity loss", "KL");
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Evaluation& e = all[k];
    velocity.families.push_back({escape(e.label, Markup::gnuplot), colour(k), {{e.t, e.velocity}}});
    rows.push_back({{"weights", e.path},
                    {"model", e.label},
                    {"velocity_loss", e.mean(e.velocity)},
                    {"kl", e.mean(e.kl)},
                    {"t", e.t},
                    {"velocity_loss_at_t", e.velocity},
                    {"kl_at_t", e.kl}});
    table += "<tr><td class=\"text\">" + escape(e.label, Markup::html) + "</td><td>" +
             decimal(e.mean(e.velocity), 4) + "</td><td>" +
             (e.latent ? decimal(e.mean(e.kl), 4) : "–") + "</td><td class=\"text long\">" +
             escape(e.path, Markup::html) + "</td></tr>\n";
    std::printf("%-30s %14.4f %10.4f\n", e.label.c_str(), e.mean(e.velocity), e.mean(e.kl));
  }
  table += "</tbody></table></div>\n";

  const std::filesystem::path output = options.output;
  create_folder(output);
  std::vector<FigurePlan> plans{curve_figure(
      "losses-over-t", "Held-out losses along t",
      "Reconstruction of the velocity on test images, at the same draws for all. V-RFM's z comes "
      "from its posterior.",
      {velocity})};
  if (auto plan = loss_figure(trainings)) plans.push_back(*plan);
  const auto figures = draw_plans(plans, output / "figures");
  vrfm::write_file_atomically(
      output / "metrics.json",
      nlohmann::ordered_json{{"set", Set::name}, {"images", images.count}, {"weights", rows}}.dump(
          2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
          "\n");
  vrfm::write_file_atomically(
      output / "report.html",
      report_page(std::string("Losses on the test images of ") + Set::title,
                  table + figure_section(figures) + command_section(command_line)));
  std::printf("Report: %s\n", std::filesystem::absolute(output / "report.html").c_str());
}

}  // namespace images
