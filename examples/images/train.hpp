// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `train`: a run that may last days, be stopped at any time and be continued to the same
// bits, and at its end is told in report.html.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <vrfm/training/checkpoint_folder.hpp>
#include <vrfm/training/long_run.hpp>
#include <vrfm/training/progress.hpp>
#include <vrfm/training/stop_signal.hpp>

#include <examples/images/report.hpp>
#include <examples/images/run.hpp>

namespace images {

inline constexpr std::uint32_t picture_seed = 7;

/// Which data a run was made with: their number and a hash (FNV-1a) of the pixels.
inline std::string fingerprint(const vrfm::Images& images) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::uint8_t pixel : images.pixels) hash = (hash ^ pixel) * 0x100000001b3u;
  char text[64];
  std::snprintf(text, sizeof text, "%zu images, %016llx", images.count,
                static_cast<unsigned long long>(hash));
  return text;
}

template <class Set>
class Training {
 public:
  /// Throws what reading the data and building the networks throw.
  Training(const TrainOptions& options, const typename Set::Settings& settings,
           const std::string& command_line)
      : options_(options),
        command_line_(command_line),
        settings_(settings),
        output_(options.output),
        checkpoints_(output_ / "checkpoints", options.keep),
        images_(Set::read(options.data, vrfm::Split::train)),
        shape_(shape_of(images_)),
        flow_(Exec(), Set::networks(settings, shape_, true), settings.seed),
        stored_(texts(settings)) {
    stored_["set"] = Set::name;
    stored_["image"] = to_text(shape_);
    stored_["data"] = fingerprint(images_);
    if (!options_.resume && !checkpoints_.files().empty()) {
      throw std::runtime_error("--output " + output_.string() + ": holds the checkpoint " +
                               checkpoints_.files().front().string() +
                               "; --resume continues from it, or choose another folder");
    }
    create_folder(output_ / "samples");
  }

  void run() {
    with_objective(settings_, [this](const auto& objective) {
      with_matmul_precision(settings_, flow_, [&](const auto& flow) { train(flow, objective); });
    });
  }

 private:
  template <class FlowType, class Objective>
  void train(const FlowType& flow, const Objective& objective) {
    const vrfm::StopSignal stop;
    const Exec& exec = flow_.exec();
    const vrfm::ImageDraws<Exec> target(vrfm::ImageSet<Exec>(exec, images_), settings_.batch,
                                        settings_.mirror);
    const auto source = vrfm::standard_normal<float>(exec, flow_.dimension());
    vrfm::AdamW optimizer;
    optimizer.learning_rate = {.base = settings_.learning_rate, .warmup = settings_.warmup};
    optimizer.weight_decay = settings_.weight_decay;
    vrfm::Trainer trainer(flow, objective, optimizer, vrfm::independent(source, target),
                          {.batch = settings_.batch,
                           .micro_batch = settings_.micro_batch,
                           .seed = settings_.seed,
                           .clip_norm = settings_.clip_norm,
                           .ema_decay = settings_.ema_decay,
                           .execution = vrfm::Execution::batch});
    if (options_.resume) resume(trainer);
    vrfm::expect(trainer.step() <= options_.iterations, output_.string(), " has ", trainer.step(),
                 " steps done, more than --iterations ", options_.iterations);

    const auto save = [&] {
      // The losses first: a checkpoint is never ahead of them, and resuming cuts them to its step.
      losses_.write(LossLog::in(output_));
      return checkpoints_.save(trainer, stored_);
    };
    const auto paint = [&] {
      std::string digits = std::to_string(trainer.step());
      digits.insert(0, digits.size() < 9 ? 9 - digits.size() : 0, '0');
      show(output_ / "samples", {"step-" + digits, "", "", samples(trainer)});
    };
    const std::int64_t first = trainer.step();
    Kokkos::Timer timer;
    const bool done =
        vrfm::long_run(trainer, options_.iterations, progress(first),
                       {{options_.checkpoint_every, save}, {options_.sample_every, paint}},
                       [&] { return stop.received(); });
    if (!done) {
      std::fprintf(stderr, "\n%s: stopped after step %lld, written to %s; --resume continues\n",
                   stop.name(), static_cast<long long>(trainer.step()), save().c_str());
      return;
    }
    seconds_ = timer.seconds();
    steps_here_ = trainer.step() - first;
    save();
    vrfm::save_weights(output_ / "weights.safetensors", flow_, stored_);
    if (settings_.ema_decay > 0) {
      vrfm::save_weights(output_ / "weights-ema.safetensors", flow_.with_values(trainer.average()),
                         stored_);
    }
    finish(trainer);
  }

  template <class TrainerType>
  void resume(TrainerType& trainer) {
    const auto found = checkpoints_.load_newest(trainer, stored_, [](const std::string& error) {
      std::fprintf(stderr, "skipped a damaged checkpoint: %s\n", error.c_str());
    });
    if (!found) {
      std::fprintf(stderr, "no checkpoint in %s yet: training begins\n",
                   checkpoints_.path().c_str());
      return;
    }
    losses_ = LossLog::read(LossLog::in(output_), trainer.step());
    std::fprintf(stderr, "continues from %s\n", found->c_str());
  }

  /// Keeps the losses, and shows their means twice a second at most.
  std::function<void(const vrfm::TrainingReport&)> progress(std::int64_t first) {
    const auto total = std::make_shared<Kokkos::Timer>(),
               window = std::make_shared<Kokkos::Timer>();
    return [this, total, window, bar = vrfm::ProgressBar(model_name(settings_)),
            shown = first](vrfm::TrainingReport report) mutable {
      losses_.add(report.losses[0]);
      if (window->seconds() < 0.5 && report.step < report.last_step) return;
      const auto begin = static_cast<std::size_t>(shown),
                 end = static_cast<std::size_t>(report.step);
      report.velocity = losses_.mean(begin, end, 0);
      report.kl = losses_.mean(begin, end, 1);
      report.seconds = total->seconds();
      report.samples_per_second =
          static_cast<double>(report.step - shown) * settings_.batch / window->seconds();
      // The bar takes the steps since it began from the losses of its first report.
      const std::vector<vrfm::StepLosses> since(end - begin);
      report.losses = since;
      bar(report);
      shown = report.step;
      window->reset();
    };
  }

  /// Which weights pictures are drawn from, and what the first, random ones still count for there.
  std::string average_note(std::int64_t steps) const {
    if (!(settings_.ema_decay > 0)) return ".";
    const double left = 100 * std::pow(settings_.ema_decay, static_cast<double>(steps));
    return " from the moving average of the weights" +
           (left < 1 ? std::string(".")
                     : ", of which " + decimal(left, 0) +
                           " % are still the untrained weights: train for more steps, or with a "
                           "smaller --ema-decay.");
  }

  /// The flow that images are drawn from, in float32: the moving average's, if there is one.
  template <class TrainerType>
  FlowOf<Set> shown_flow(const TrainerType& trainer) const {
    return settings_.ema_decay > 0 ? flow_.with_values(trainer.average()) : flow_;
  }

  template <class TrainerType>
  vrfm::GridImage samples(const TrainerType& trainer) const {
    const Painter<FlowOf<Set>> painter(shown_flow(trainer), shape_, options_.sampling);
    return painter.draw(options_.count, picture_seed)
        .grid(static_cast<std::size_t>(options_.count), 0, Set::scale);
  }

  template <class TrainerType>
  void finish(const TrainerType& trainer) {
    std::fprintf(stderr, "pictures and report\n");
    const std::string solver =
        options_.sampling.solver == "dopri5"
            ? std::string("Dormand-Prince")
            : plural(static_cast<std::size_t>(options_.sampling.steps), "Euler step");
    std::string pictures =
        show(output_ / "samples",
             {"final", "Samples", "Drawn with " + solver + average_note(trainer.step()),
              samples(trainer)});
    const Painter<FlowOf<Set>> painter(shown_flow(trainer), shape_, options_.sampling);
    if (settings_.latent == 2) {
      for (int k = 0; k < 2; ++k) {
        pictures += show(output_ / "samples",
                         {"manifold-" + std::to_string(k + 1),
                          "Manifold of z, x0 number " + std::to_string(k + 1),
                          "z from the inverse normal distribution of a regular grid, the same x0 "
                          "everywhere: neighbours should change smoothly.",
                          painter.manifold(16, picture_seed, k).grid(256, 16, Set::scale)});
      }
    } else if (settings_.latent > 0) {
      for (int k = 0; k < 2; ++k) {
        pictures += show(output_ / "samples",
                         {"shared-z-" + std::to_string(k + 1),
                          "One z for all, z number " + std::to_string(k + 1),
                          "The same x0 is at the same place for each z.",
                          painter.shared(options_.count, picture_seed, k)
                              .grid(static_cast<std::size_t>(options_.count), 0, Set::scale)});
      }
    }
    const auto figures = draw_plans(
        {*loss_figure({{model_name(settings_), colour(0), losses_, settings_.latent > 0}})},
        output_ / "figures");

    const std::size_t steps = losses_.steps(), tail = std::min<std::size_t>(100, steps);
    const double velocity = losses_.mean(steps - tail, steps, 0);
    const double kl = losses_.mean(steps - tail, steps, 1);
    const double rate = seconds_ > 0 ? static_cast<double>(steps_here_) / seconds_ : 0;
    nlohmann::ordered_json curves;
    for (const auto& [name, column] : {std::pair<const char*, std::size_t>{"velocity_loss", 0},
                                       {"kl", 1},
                                       {"gradient_norm", 2}}) {
      const Curve curve = losses_.curve(column);
      curves["step"] = curve.x;
      curves[name] = curve.y;
    }
    const nlohmann::ordered_json document = {{"set", Set::name},
                                             {"settings", stored_},
                                             {"iterations", trainer.step()},
                                             {"parameters", flow_.parameters().count()},
                                             {"final_velocity_loss", velocity},
                                             {"final_kl", kl},
                                             {"backend", backend()},
                                             {"seconds", seconds_},
                                             {"steps_per_second", rate},
                                             {"curves", curves}};
    vrfm::write_file_atomically(output_ / "metrics.json", document.dump(2) + "\n");

    std::string body =
        "<p>" + model_name(settings_) + " (recipe " + escape(settings_.recipe, Markup::html) +
        ", " + grouped(static_cast<long long>(flow_.parameters().count())) +
        " parameters) was trained for " + grouped(trainer.step()) + " steps of " +
        plural(static_cast<std::size_t>(settings_.batch), "image") + " on " +
        plural(images_.count, "image") + ".</p>\n<div class=\"result\"><p>Over the last " +
        plural(tail, "step") + " the velocity loss is <strong>" + decimal(velocity, 4) +
        "</strong>" +
        (settings_.latent > 0
             ? ", the KL divergence <strong>" + decimal(kl, 3) + "</strong> nats a dimension"
             : std::string()) +
        ".</p></div>\n<h2>Pictures</h2>\n" + pictures + figure_section(figures);
    std::vector<Setting> rows;
    for (const auto& [name, value] : stored_) rows.push_back({name, value});
    rows.push_back({"iterations", std::to_string(options_.iterations)});
    rows.push_back({"backend", backend()});
    rows.push_back({"time of the last start", clock_of(seconds_)});
    body += settings_table(rows) + command_section(command_line_);
    vrfm::write_file_atomically(output_ / "report.html",
                                report_page(model_name(settings_) + " on " + Set::title, body));
    std::printf(
        "velocity loss %.4f%s (mean over the last %s)\nReport: %s\n", velocity,
        settings_.latent > 0 ? (", KL " + decimal(kl, 4) + " nats a dimension").c_str() : "",
        plural(tail, "step").c_str(), std::filesystem::absolute(output_ / "report.html").c_str());
  }

  static std::string clock_of(double seconds) {
    return std::to_string(static_cast<long long>(seconds)) + " s";
  }

  TrainOptions options_;
  std::string command_line_;
  typename Set::Settings settings_;
  std::filesystem::path output_;
  vrfm::CheckpointFolder checkpoints_;
  vrfm::Images images_;
  std::vector<int> shape_;
  FlowOf<Set> flow_;
  vrfm::Settings stored_;
  LossLog losses_;
  double seconds_ = 0;
  std::int64_t steps_here_ = 0;
};

}  // namespace images
