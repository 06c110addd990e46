// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `evaluate`: losses of given weights on the test images, at the same draws for all, as
// means over equally spaced t and along t. All ranks compute; the root writes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <vrfm/training/held_out_loss.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/recognition.hpp>
#include <examples/images/report.hpp>

namespace images {

/// What one file of weights shows.
struct Evaluation {
  std::string label, path;
  bool latent;
  std::optional<std::int64_t> steps;
  std::vector<double> t, velocity, kl;    ///< along t; kl is empty without a latent variable
  std::optional<double> recognised = {};  ///< share of samples whose class is seen

  double mean(const std::vector<double>& values) const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
};

template <class Set>
Evaluation evaluate(const LoadedFlow<Set>& loaded, const std::string& path,
                    const std::string& label, const typename Set::Data& data,
                    const EvaluateOptions& options) {
  // One step after the other goes through the images, each of which comes as often as the others.
  const int count = std::min(options.count, static_cast<int>(Set::count(data)));
  const auto pairs = Set::pairs(loaded.flow.exec(), data, loaded.settings, count, false);
  Evaluation result{label, path, loaded.settings.latent > 0, loaded.steps, {}, {}, {}};
  common::say("%s", path.c_str());
  for (int k = 0; k < options.times; ++k) {
    const double t = (k + 0.5) / options.times;
    with_velocity_objective(loaded.settings, vrfm::FixedTime{t}, [&](const auto& objective) {
      const auto losses = vrfm::held_out_losses(loaded.flow, objective, pairs,
                                                {.count = count,
                                                 .seed = options.seed,
                                                 .step = static_cast<std::uint32_t>(k),
                                                 .launch = {.batch = options.batch}},
                                                common::communicator());
      result.velocity.push_back(losses.mean("velocity"));
      if (result.latent) result.kl.push_back(losses.mean("kl"));
    });
    vrfm::expect(std::isfinite(result.velocity.back()), options.data,
                 ": expected finite losses, found ", result.velocity.back(), " at t = ", t, " for ",
                 path);
    result.t.push_back(t);
    common::say("  t = %.3f: velocity loss %.4f", t, result.velocity.back());
  }
  return result;
}

template <class Set>
Painter<FlowOf<Set>> painter_of(const LoadedFlow<Set>& loaded, const EvaluateOptions& options) {
  return {loaded.flow, Set::developer(loaded.shape), options.sampling};
}

/// Shares of samples and of real latents whose class the nearest training latents tell.
struct RecognisedShares {
  double samples, real;
};

template <class Set>
RecognisedShares recognised_share(const LoadedFlow<Set>& loaded, const typename Set::Data& training,
                                  const typename Set::Data& test, const EvaluateOptions& options) {
  const double factor = loaded.settings.latent_factor;
  const int classes = loaded.settings.classes;
  constexpr std::size_t most = 20'000, most_real = 1'000;
  const Labelled known = labelled_latents(training, factor, classes, most),
                 held_out = labelled_latents(test, factor, classes, most_real);
  const auto painter = painter_of<Set>(loaded, options);
  std::size_t right = 0, first = painter.first_of(options.samples);
  const std::size_t begin = first, own = vrfm::share_of(static_cast<std::size_t>(options.samples),
                                                        common::communicator().rank(),
                                                        common::communicator().size())
                                             .count;
  painter.numbers(options.samples, options.seed, [&](const Numbers& x) {
    common::say("samples whose classes are recognised: %zu of %zu drawn",
                first - begin + x.extent(0), own);
    Labelled drawn{Labelled::Rows("images::drawn", x.extent(0), x.extent(1)), {}};
    Kokkos::deep_copy(drawn.rows, x);
    for (std::size_t i = 0; i < x.extent(0); ++i) drawn.labels.push_back(painter.class_of(first++));
    right += recognised(known, drawn, options.neighbours);
  });
  const auto all = vrfm::gather(common::communicator(), std::span<const std::size_t>(&right, 1));
  right = 0;
  for (const std::size_t one : all) right += one;  // of the root: the other ranks have none
  return {static_cast<double>(right) / options.samples,
          static_cast<double>(recognised(known, held_out, options.neighbours)) /
              static_cast<double>(held_out.labels.size())};
}

/// Where a training wrote such a file.
template <class Set>
std::filesystem::path run_folder(const LoadedFlow<Set>& flow, const std::filesystem::path& path) {
  const auto folder = std::filesystem::absolute(path).parent_path();
  return flow.kind == LoadedFlow<Set>::Kind::checkpoint ? folder.parent_path() : folder;
}

/// The models' names and, of several, what distinguishes the files: the folder of a training or the
/// name of another program's file, or both where one alone does not.
template <class Set>
std::vector<std::string> labels_of(const std::vector<LoadedFlow<Set>>& flows,
                                   const std::vector<std::filesystem::path>& paths) {
  using Kind = typename LoadedFlow<Set>::Kind;
  std::vector<std::string> folders, names, labels;
  for (std::size_t k = 0; k < flows.size(); ++k) {
    folders.push_back(run_folder(flows[k], paths[k]).filename().string());
    names.push_back(flows[k].kind == Kind::as_given ? paths[k].stem().string() : folders[k]);
  }
  for (std::size_t k = 0; k < flows.size(); ++k) {
    labels.push_back(model_name(flows[k].settings));
    if (flows.size() == 1) continue;
    const bool alone = std::count(names.begin(), names.end(), names[k]) == 1;
    labels[k] += " (" + (alone ? names[k] : folders[k] + "/" + paths[k].stem().string()) + ")";
  }
  return labels;
}

/// `given`: the settings of networks for files that carry none. Throws std::invalid_argument if all do.
template <class Set>
void evaluate_command(const EvaluateOptions& options,
                      const std::optional<typename Set::Settings>& given,
                      const std::string& command_line) {
  const auto data = Set::read(options.data, vrfm::Split::test);
  std::optional<GivenNetworks<Set>> networks;
  if (given) networks = {*given, Set::shape_of(data)};
  std::vector<LoadedFlow<Set>> flows;
  for (const std::string& path : options.load) {
    flows.push_back(LoadedFlow<Set>::read(path, networks));
    const auto& shape = flows.back().shape;
    vrfm::expect(shape == Set::shape_of(data), "expected test images of ", to_text(shape),
                 " (height, width, channels) as in ", path, ", found ",
                 to_text(Set::shape_of(data)));
  }
  const auto as_given = [](const auto& flow) {
    return flow.kind == LoadedFlow<Set>::Kind::as_given;
  };
  vrfm::expect(!networks || std::any_of(flows.begin(), flows.end(), as_given),
               "all of --load carry their settings, option --recipe has no effect");
  OutputFolder output(options.output);
  if (!options.overwrite) {
    output.refuse_results({"report.html", "metrics.json"},
                          "--overwrite replaces them, or choose another folder");
  }
  output.add("figures");

  std::optional<typename Set::Data> training;  // whose neighbours tell a sample's class
  if constexpr (Set::has_classes) {
    for (std::size_t k = 0; k < flows.size(); ++k) {
      check_guidance(flows[k].settings, options.sampling, options.load[k]);
      if (options.samples > 0) painter_of<Set>(flows[k], options).check();
    }
    if (options.samples > 0) {
      training.emplace(Set::read(options.data, vrfm::Split::train));
      vrfm::expect(Set::shape_of(*training) == Set::shape_of(data), training->name(),
                   ": expected latents of ", to_text(Set::shape_of(data)),
                   " (height, width, channels) as those of the test, found ",
                   to_text(Set::shape_of(*training)));
      vrfm::expect(training->scale() == data.scale(), training->name(), ": expected the ",
                   vrfm::LatentFiles::scale_key, " of the test's latents");
    }
  }
  const auto labels = labels_of(flows, {options.load.begin(), options.load.end()});
  std::vector<Evaluation> all;
  std::vector<TrainingCurves> trainings;
  std::set<std::filesystem::path> logs;
  for (std::size_t k = 0; k < flows.size(); ++k) {
    all.push_back(evaluate(flows[k], options.load[k], labels[k], data, options));
    if constexpr (Set::has_classes) {
      if (training) {
        const auto shares = recognised_share(flows[k], *training, data, options);
        all.back().recognised = shares.samples;
        common::say("  classes recognised in %d samples: %.1f %%; in test latents: %.1f %%",
                    options.samples, 100 * shares.samples, 100 * shares.real);
      }
    }
    // The training that wrote the weights left its losses beside them.
    const auto folder = run_folder(flows[k], options.load[k]);
    const auto log = LossLog::existing(folder / losses_file);
    if (as_given(flows[k]) || !log || !logs.insert(*log).second) continue;
    std::string label = model_name(flows[k].settings);
    if (flows.size() > 1) label += " (" + folder.filename().string() + ")";
    trainings.push_back({label, colour(k), LossLog::read(*log), all.back().latent});
  }

  if (!common::is_root()) return;

  CurvePanel velocity{"Velocity loss on the test images", "t", "mean squared error", {}, 1};
  nlohmann::ordered_json rows = nlohmann::json::array();
  std::string table =
      "<div class=\"table\"><table><thead><tr><th class=\"text\">Weights</th><th>Training "
      "steps</th><th>Velocity "
      "loss</th><th>KL (nats a dimension)</th>" +
      std::string(training ? "<th>Classes recognised</th>" : "") +
      "<th class=\"text\">File</th></tr></thead><tbody>\n";
  std::size_t width = 0;
  for (const auto& label : labels) width = std::max(width, label.size());
  std::printf("%-*s %14s %16s\n", static_cast<int>(width), "weights", "velocity loss",
              "KL a dimension");
  for (std::size_t k = 0; k < all.size(); ++k) {
    const Evaluation& e = all[k];
    velocity.families.push_back({escape(e.label, Markup::gnuplot), colour(k), {{e.t, e.velocity}}});
    rows.push_back(
        {{"weights", e.path},
         {"model", e.label},
         {"steps", e.steps ? nlohmann::ordered_json(*e.steps) : nlohmann::ordered_json()},
         {"velocity_loss", e.mean(e.velocity)},
         {"t", e.t},
         {"velocity_loss_at_t", e.velocity}});
    if (e.latent) {
      rows.back()["kl"] = e.mean(e.kl);
      rows.back()["kl_at_t"] = e.kl;
    }
    if (e.recognised) rows.back()["classes_recognised"] = *e.recognised;
    table += "<tr><td class=\"text\">" + escape(e.label, Markup::html) + "</td><td>" +
             (e.steps ? grouped(*e.steps) : "n/a") + "</td><td>" + decimal(e.mean(e.velocity), 4) +
             "</td><td>" + (e.latent ? decimal(e.mean(e.kl), 4) : "–") +
             (e.recognised ? "</td><td>" + decimal(100 * *e.recognised, 1) + " %" : std::string()) +
             "</td><td class=\"text long\">" + escape(e.path, Markup::html) + "</td></tr>\n";
    std::printf("%-*s %14.4f %16s\n", static_cast<int>(width), e.label.c_str(), e.mean(e.velocity),
                e.latent ? decimal(e.mean(e.kl), 4).c_str() : "-");
  }
  table += "</tbody></table></div>\n";

  const auto count = std::min(static_cast<std::size_t>(options.count), Set::count(data));
  const std::string intro =
      "<p>Means over " + plural(count, "test image") + " at each of " +
      plural(static_cast<std::size_t>(options.times), "value") +
      " of t, which are equally spaced. The velocity loss is the squared error of the velocity, as "
      "a mean over the images' numbers; V-RFM's z comes from its posterior. Each file is one "
      "training, of one seed." +
      std::string(training
                      ? " A sample's class is recognised if most of its nearest training latents "
                        "have it; " +
                            plural(static_cast<std::size_t>(options.samples), "sample") + "."
                      : "") +
      "</p>\n";

  std::vector<FigurePlan> plans{curve_figure("losses-over-t", "Held-out losses along t",
                                             "Each file of weights on the same images, x0 and t.",
                                             {velocity})};
  if (auto plan = loss_figure(trainings)) plans.push_back(*plan);
  const auto figures = draw_plans(plans, output / "figures");
  vrfm::write_file_atomically(
      output / "metrics.json",
      nlohmann::ordered_json{{"set", Set::name}, {"images", count}, {"weights", rows}}.dump(
          2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
          "\n");
  vrfm::write_file_atomically(
      output / "report.html",
      report_page(std::string("Losses on the test images of ") + Set::title,
                  intro + table + figure_section(figures) + command_section(command_line)));
  std::printf("Report: %s\n", std::filesystem::absolute(output / "report.html").c_str());
}

}  // namespace images
