// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a training on images leaves to look at: pictures on the way and at the end, metrics.json and
// report.html. All ranks draw; the root writes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <examples/common/run.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/report.hpp>

namespace images {

inline constexpr std::uint32_t picture_seed = 7;

/// How a training went.
struct TrainingFacts {
  std::size_t images, parameters;
  std::int64_t steps;
  double seconds, steps_per_second;  ///< of the last start
  vrfm::Settings stored;
};

template <class Set>
class RunReport {
 public:
  RunReport(const TrainOptions& options, const typename Set::Settings& settings,
            const std::string& command_line, const vrfm::StopSignal& stop)
      : options_(options),
        settings_(settings),
        command_line_(command_line),
        stop_(stop),
        output_(options.output) {}

  /// Writes a grid of samples, samples/NAME.png.
  void paint(const std::string& name, const Painter<FlowOf<Set>>& painter) const {
    const Picture picture = painter.draw(options_.count, picture_seed);
    if (common::is_root()) show(output_ / "samples", {name, "", "", grid(picture)});
  }

  /// Writes the last pictures, metrics.json and report.html, and prints the losses. Throws Stopped if a signal
  /// comes before all pictures are there.
  void write(const TrainingFacts& facts, const LossLog& losses,
             const Painter<FlowOf<Set>>& painter) const {
    const std::string pictures = last_pictures(painter, facts.steps);
    if (!common::is_root()) return;
    const bool latent = settings_.latent > 0;
    const auto figures = draw_plans(
        {*loss_figure({{model_name(settings_), colour(0), losses, latent}})}, output_ / "figures",
        "gnuplot", [this] { common::end_if_stopped(stop_, stopped_message); });
    const std::size_t tail = std::min<std::size_t>(100, losses.steps());
    const double velocity = losses.final_mean(tail, losses.main_name()),
                 kl = losses.final_mean(tail, "kl");
    write_metrics(facts, losses, velocity, kl);

    std::string body =
        "<p>" + model_name(settings_) + " (recipe " + escape(settings_.recipe, Markup::html) +
        ", " + grouped(static_cast<long long>(facts.parameters)) + " parameters) was trained for " +
        grouped(facts.steps) + " steps of " +
        plural(static_cast<std::size_t>(settings_.batch), "image") + " on " +
        plural(facts.images, "image") + ". It is one training, of the seed " +
        std::to_string(settings_.seed) +
        ": how much seeds differ is not known.</p>\n<div class=\"result\"><p>Over the last " +
        plural(tail, "step") + " the " + loss_title(losses) + " is <strong>" +
        decimal(velocity, 4) + "</strong>" +
        (latent ? ", the KL divergence <strong>" + decimal(kl, 3) + "</strong> nats a dimension"
                : std::string()) +
        ".</p></div>\n<h2>Pictures</h2>\n" + pictures + figure_section(figures);
    std::vector<Setting> rows;
    const vrfm::Settings usual = texts_with_recipe(Set::recipe(settings_.recipe));
    for (const auto& [name, value] : facts.stored) {
      if (name == "iterations") continue;  // below
      const auto found = usual.find(name);
      rows.push_back(
          {name, value, name != "recipe" && found != usual.end() && found->second == value});
    }
    rows.push_back({"iterations", std::to_string(options_.iterations),
                    options_.iterations == Set::iterations(settings_.recipe)});
    rows.push_back({"backend", backend_text(Exec())});
    if (std::isfinite(facts.seconds)) {
      rows.push_back(
          {"time of the last start", std::to_string(static_cast<long long>(facts.seconds)) + " s"});
    }
    body += settings_table(rows) + command_section(command_line_);
    vrfm::write_file_atomically(output_ / "report.html",
                                report_page(model_name(settings_) + " on " + Set::title, body));
    std::printf("%s %.4f%s (mean over the last %s)\nReport: %s\n", loss_title(losses).c_str(),
                velocity, latent ? (", KL " + decimal(kl, 4) + " nats a dimension").c_str() : "",
                plural(tail, "step").c_str(),
                std::filesystem::absolute(output_ / "report.html").c_str());
  }

 private:
  /// "velocity loss"
  static std::string loss_title(const LossLog& losses) {
    std::string name = losses.main_name();
    std::replace(name.begin(), name.end(), '_', ' ');
    return name + " loss";
  }

  static std::string solver_text(const SamplingOptions& o) {
    if (o.solver == "dopri5") return "Dormand-Prince at a tolerance of " + exact_text(o.tolerance);
    const std::string name = o.solver == "heun"       ? "Heun step"
                             : o.solver == "sde"      ? "Euler-Maruyama step"
                             : o.solver == "flow-map" ? "step of the map"
                                                      : "Euler step";
    if (o.solver == "flow-map" && o.steps != 1)
      return std::to_string(o.steps) + " steps of the map";
    return plural(static_cast<std::size_t>(o.steps), name);
  }

  /// Which weights pictures are drawn from.
  std::string average_note(std::int64_t steps) const {
    if (!(settings_.ema_decay > 0)) return ".";
    const std::string start = start_of_average(settings_, steps);
    return " from the moving average of the weights" + (start.empty() ? "." : ", " + start + '.');
  }

  static constexpr const char* stopped_message =
      "stopped while it drew pictures; the training is done, --resume draws them";

  /// All as a square.
  vrfm::GridImage grid(const Picture& picture) const {
    return picture.grid(static_cast<std::size_t>(options_.count), 0);
  }

  /// Their figures' HTML.
  std::string last_pictures(const Painter<FlowOf<Set>>& painter, std::int64_t steps) const {
    const auto folder = output_ / "samples";
    const std::string solver = solver_text(painter.options());
    const std::string drawn = " Drawn with " + solver + ".";
    std::string html;
    const auto add = [&](const std::string& name, const std::string& title,
                         const std::string& caption, const Picture& picture) {
      if (common::is_root()) html += show(folder, {name, title, caption, grid(picture)});
    };
    // Within a picture a rank alone cannot end.
    const bool alone = common::communicator().size() == 1;
    add("final", "Samples", "Drawn with " + solver + average_note(steps),
        painter.draw(options_.count, picture_seed, [this, alone] {
          if (alone) common::end_if_stopped(stop_, stopped_message);
        }));
    for (int k = 0; settings_.latent > 0 && k < 2; ++k) {
      common::end_together_if_stopped(stop_, stopped_message);
      const std::string number = std::to_string(k + 1);
      if (settings_.latent == 2) {
        const Picture picture = painter.manifold(16, picture_seed, k);
        if (!common::is_root()) continue;
        html += show(folder, {"manifold-" + number, "Manifold of z, x0 number " + number,
                              "z from the inverse normal distribution of a regular grid, the same "
                              "x0 everywhere: neighbours should change smoothly." +
                                  drawn,
                              picture.grid(256, 16)});
      } else {
        add("shared-z-" + number, "One z for all, z number " + number,
            "The same x0 is at the same place for each z." + drawn,
            painter.shared(options_.count, picture_seed, k));
      }
    }
    return html;
  }

  void write_metrics(const TrainingFacts& facts, const LossLog& losses, double velocity,
                     double kl) const {
    nlohmann::ordered_json curves;
    for (const auto& [key, name] :
         {std::pair<const char*, std::string>{"velocity_loss", losses.main_name()},
          {"kl", "kl"},
          {"gradient_norm", LossLog::norm_name}}) {
      if (!losses.has(name)) continue;
      const Curve curve = losses.curve(name);
      curves["step"] = curve.x;
      curves[key] = curve.y;
    }
    nlohmann::ordered_json document = {{"set", Set::name},
                                       {"settings", facts.stored},
                                       {"iterations", facts.steps},
                                       {"parameters", facts.parameters},
                                       {"final_velocity_loss", velocity}};
    if (settings_.latent > 0) document["final_kl"] = kl;
    document["backend"] = backend_text(Exec());
    document["seconds"] = facts.seconds;
    document["steps_per_second"] = facts.steps_per_second;
    document["curves"] = curves;
    vrfm::write_file_atomically(output_ / "metrics.json", document.dump(2) + "\n");
  }

  TrainOptions options_;
  typename Set::Settings settings_;
  std::string command_line_;
  const vrfm::StopSignal& stop_;
  std::filesystem::path output_;
};

}  // namespace images
