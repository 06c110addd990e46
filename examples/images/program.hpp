// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The main() of an image program: the commands train, sample and evaluate on one set of images, and latents where
// these are of latents.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include <examples/common/program.hpp>
#include <examples/images/evaluate.hpp>
#include <examples/images/latents.hpp>
#include <examples/images/options.hpp>
#include <examples/images/sample.hpp>
#include <examples/images/train.hpp>

namespace images {

template <class Set>
CLI::App* add_train(CLI::App& app, TrainOptions& o) {
  CLI::App* command = add_command(
      app, "train", "Train a flow; writes checkpoints, weights, losses, pictures and report.html");
  o.iterations = Set::iterations(Set::recipes().front());
  add_folder(command, "--data", o.data, std::string("folder of ") + Set::files);
  add_folder(command, "-o,--output", o.output, "folder of all results");
  command->add_option("--iterations", o.iterations, "training steps")->check(steps_option());
  const std::string runs = "Long runs";
  CLI::Option* overwrite = add_overwrite(command, o.overwrite)->group(runs);
  command
      ->add_flag("--resume", o.resume,
                 "continue from the newest checkpoint, if there is one, with its settings, to the "
                 "recipe's iterations")
      ->excludes(overwrite)
      ->group(runs);
  command
      ->add_option("--checkpoint-every", o.checkpoint_every,
                   "steps between checkpoints; 0: at the end and when a signal comes only")
      ->check(steps_or_none_option())
      ->group(runs);
  command->add_option("--keep", o.keep, "checkpoints that stay")
      ->check(count_option())
      ->group(runs);
  command->add_option("--sample-every", o.sample_every, "steps between grids of samples; 0: none")
      ->check(steps_or_none_option())
      ->group(runs);
  command
      ->add_flag("--shard-optimizer", o.shard_optimizer,
                 "each rank keeps a part of the optimizer's state and of the average: less memory, "
                 "the same results")
      ->group(runs);
  command
      ->add_option("--compare-ranks", o.compare_every,
                   "steps between comparisons of all ranks' weights; 0: before checkpoints only")
      ->check(steps_or_none_option())
      ->group(runs);
  if constexpr (Set::has_classes) {
    command
        ->add_flag("--recompute", o.recompute,
                   "less memory, for one more forward pass of each block; the same results")
        ->group(runs);
  }
  command->add_option("--samples", o.count, "images of a grid")
      ->check(range_option(1, 10'000))
      ->group(runs);
  add_sampling(command, o.sampling);
  if constexpr (Set::has_classes) add_guidance(command, o.sampling);
  return command;
}

template <class Set>
CLI::App* add_sample(CLI::App& app, SampleOptions& o) {
  CLI::App* command = add_command(app, "sample",
                                  "Draw images from weights; writes samples.npz (uint8, NHWC, "
                                  "arr_0) and pictures");
  add_folder(command, "--load", o.load,
             "weights or checkpoint that train wrote, or other weights with --recipe");
  add_folder(command, "-o,--output", o.output, "folder of all results");
  add_overwrite(command, o.overwrite);
  command->add_option("--count", o.count, "images")->check(count_option());
  command->add_option("--seed", o.seed, "seed of x0 and z")->check(seed_option());
  command
      ->add_option("--manifold", o.manifold,
                   "images along each side of the picture of a two-dimensional z; 0: none")
      ->check(count_or_none_option());
  command->add_option("--shared", o.shared, "grids that share one z each; 0: none")
      ->check(count_or_none_option());
  if constexpr (Set::has_classes) {
    o.sampling = Set::sampling();
    command
        ->add_option("--decoder", o.decoder,
                     "weights of the autoencoder that makes pictures of latents (safetensors, "
                     "diffusers' names); without it pictures show three channels of the latents")
        ->default_str("");
  }
  add_sampling(command, o.sampling);
  if constexpr (Set::has_classes) add_guidance(command, o.sampling);
  return command;
}

template <class Set>
CLI::App* add_evaluate(CLI::App& app, EvaluateOptions& o) {
  CLI::App* command = add_command(app, "evaluate",
                                  "Losses of weights on the test images, along t, at the same "
                                  "draws for all; vrfm_image_metrics "
                                  "compares samples");
  command
      ->add_option("--load", o.load,
                   "weights or checkpoints that train wrote, or other weights with --recipe; one "
                   "or more")
      ->required()
      ->default_str("");
  add_folder(command, "--data", o.data, std::string("folder of ") + Set::files);
  add_folder(command, "-o,--output", o.output, "folder of all results");
  add_overwrite(command, o.overwrite);
  command->add_option("--count", o.count, "test images at each t")->check(count_option());
  command->add_option("--times", o.times, "values of t")->check(count_option());
  command->add_option("--batch", o.batch, "images at a time")->check(count_option());
  command->add_option("--seed", o.seed, "seed of the draws")->check(seed_option());
  if constexpr (Set::has_classes) {
    o.sampling = Set::sampling();
    command
        ->add_option(
            "--samples", o.samples,
            "samples whose classes are recognised by the nearest training latents; 0: none")
        ->check(count_or_none_option());
    command->add_option("--neighbours", o.neighbours, "nearest latents, of which most decide")
        ->check(range_option(1, most_neighbours));
    add_sampling(command, o.sampling);
    add_guidance(command, o.sampling);
  }
  return command;
}

/// The command sweep (sweep.hpp), instantiated beside the trainings of few steps.
template <class Set>
void sweep_command(const SweepOptions& options, const std::string& command_line,
                   const vrfm::StopSignal& stop);

template <class Set>
CLI::App* add_sweep(CLI::App& app, SweepOptions& o) {
  CLI::App* command = add_command(
      app, "sweep",
      "Frechet distance of samples to the images over the evaluations of the network, for several "
      "weights; a second start goes on with what is not there yet");
  command->add_option("--load", o.load, "weights or checkpoints that train wrote; one or more")
      ->required()
      ->default_str("");
  add_folder(command, "--data", o.data, std::string("folder of ") + Set::files);
  add_folder(command, "-o,--output", o.output, "folder of all results");
  add_overwrite(command, o.overwrite);
  command
      ->add_option("--split", o.split, "the images that samples are compared with: train or test")
      ->check(CLI::IsMember({"train", "test"}));
  auto* inception =
      command
          ->add_option("--inception", o.inception,
                       "features of FID: weights of the Inception network (safetensors; see "
                       "vrfm_image_metrics features --help)")
          ->default_str("");
  command
      ->add_option("--classifier", o.classifier,
                   "or features of a classifier: weights that vrfm_image_metrics train-classifier "
                   "wrote")
      ->excludes(inception)
      ->default_str("");
  const std::string group = "Sampling";
  command->add_option("--steps", o.steps, "numbers of steps of solvers that do not choose them")
      ->delimiter(',')
      ->check(count_option())
      ->default_str(to_text(o.steps))
      ->group(group);
  command
      ->add_option("--solvers", o.solvers,
                   "solvers: auto (of maps flow-map, else euler), euler, heun, dopri5")
      ->delimiter(',')
      ->check(CLI::IsMember({"auto", "euler", "heun", "dopri5"}))
      ->default_str(to_text(o.solvers))
      ->group(group);
  command->add_option("--count", o.count, "samples of each distance; published ones take 50,000")
      ->check(range_option(2, 10'000'000))
      ->group(group);
  command->add_option("--seed", o.seed, "seed of x0 and z")->check(seed_option())->group(group);
  command
      ->add_option("--tolerance", o.sampling.tolerance,
                   "relative and absolute error of a step of dopri5")
      ->check(positive_option())
      ->group(group);
  command
      ->add_option("--sample-batch", o.sampling.batch, "images at a time, which bounds the memory")
      ->check(count_option())
      ->group(group);
  return command;
}

template <class Set>
int program(int argc, char** argv) {
  const common::Program program(std::string("vrfm_") + Set::name, argc, argv);
  CLI::App app(std::string("Trains, samples and evaluates rectified flows (rfm) and variational "
                           "rectified flows (vrfm) on ") +
               Set::title + ".");
  app.require_subcommand(1);
  TrainOptions train;
  SampleOptions sample;
  EvaluateOptions evaluate;
  CLI::App* training = add_train<Set>(app, train);
  CLI::App* sampling = add_sample<Set>(app, sample);
  CLI::App* evaluating = add_evaluate<Set>(app, evaluate);
  LatentsOptions latents;
  CLI::App* encoding = nullptr;
  if constexpr (Set::has_classes) encoding = add_latents(app, latents);
  SweepOptions sweep;
  CLI::App* sweeping = nullptr;
  if constexpr (Set::few_steps) sweeping = add_sweep<Set>(app, sweep);
  using Options = SettingOptions<Set>;
  const Options options(training, Options::Which::all, "Settings of the training");
  const std::string others = "Weights of other programs (safetensors without settings)";
  const Options to_sample(sampling, Options::Which::of_networks, others);
  const Options to_evaluate(evaluating, Options::Which::of_networks, others);
  sample.image = Set::shape();
  sampling->add_option("--image", sample.image, "height, width and channels of an image")
      ->delimiter(',')
      ->expected(3)
      ->check(count_option())
      ->default_str(to_text(sample.image))
      ->group(others);
  if constexpr (Set::has_classes) {
    evaluating
        ->add_option("--latent-factor", evaluate.latent_factor,
                     "what the files' latents are multiplied by for these weights")
        ->check(positive_option())
        ->group(others);
  }
  typename Set::Settings settings;
  std::optional<GivenNetworks<Set>> sampled;
  std::optional<typename Set::Settings> evaluated;
  const auto given = [&](const char* name) { return sampling->get_option(name)->count() > 0; };
  return program.main(
      app,
      [&] {
        if constexpr (Set::has_classes) {
          if (encoding->parsed()) check_latents(*encoding, latents);
        }
        if (training->parsed()) {
          settings = options.settings(train.resume ? settings_of_run(train.output)
                                                   : std::optional<vrfm::Settings>());
          if constexpr (Set::has_classes) settings.recompute = train.recompute;
          check_matmul_precision(settings);
          check_method(settings);
          (void)resolved(train.sampling, settings.map());
          train.iterations_given = training->get_option("--iterations")->count() > 0;
          if (!train.iterations_given) train.iterations = Set::iterations(settings.recipe);
          check_sampling(*training, train.sampling);
        }
        if (sampling->parsed()) {
          check_sampling(*sampling, sample.sampling);
          refuse_unused(*sampling, "--image", given("--recipe"), "without --recipe");
          if constexpr (Set::has_classes) {
            vrfm::expect(!given("--decoder") || !sample.decoder.empty(),
                         "option --decoder: expected the file of an autoencoder's weights, got ''; "
                         "without the option pictures show three channels of the latents");
          }
          if (to_sample.recipe_given()) sampled = {to_sample.settings(), sample.image};
        }
        if constexpr (Set::few_steps) {
          if (sweeping->parsed()) {
            vrfm::expect(!sweep.inception.empty() || !sweep.classifier.empty(),
                         "sweep: expected --inception or --classifier, the network whose features "
                         "are compared");
            const bool adaptive = std::find(sweep.solvers.begin(), sweep.solvers.end(), "dopri5") !=
                                  sweep.solvers.end();
            vrfm::expect(distinct(sweep.load), "--load names a file twice");
            vrfm::expect(distinct(sweep.steps), "--steps names a number twice");
            vrfm::expect(distinct(sweep.solvers), "--solvers names a solver twice");
            refuse_unused(*sweeping, "--tolerance", adaptive, "without dopri5 in --solvers");
            refuse_unused(*sweeping, "--steps", !adaptive || sweep.solvers.size() > 1,
                          "with --solvers dopri5, which chooses its own steps");
          }
        }
        if (evaluating->parsed()) {
          if constexpr (Set::has_classes) {
            check_sampling(*evaluating, evaluate.sampling);
            for (const char* name : {"--solver", "--steps", "--tolerance", "--sample-batch",
                                     "--neighbours", "--classes", "--guidance"}) {
              refuse_unused(*evaluating, name, evaluate.samples > 0, "with --samples 0");
            }
          }
          if (to_evaluate.recipe_given()) evaluated = to_evaluate.settings();
          if constexpr (Set::has_classes) {
            refuse_unused(*evaluating, "--latent-factor", evaluated.has_value(),
                          "without --recipe");
            if (evaluated) evaluated->latent_factor = evaluate.latent_factor;
          }
        }
      },
      [&] {
        if constexpr (Set::has_classes) {
          if (encoding->parsed()) {
            const vrfm::StopSignal stop;
            latents_command(latents, stop);
          }
        }
        if (training->parsed()) {
          const vrfm::StopSignal stop;
          Training<Set>(train, settings, program.command_line(), stop).run();
        }
        if (sampling->parsed()) {
          const vrfm::StopSignal stop;
          sample_command<Set>(sample, sampled, given("--manifold"), given("--shared"), stop);
        }
        if constexpr (Set::few_steps) {
          if (sweeping->parsed()) {
            const vrfm::StopSignal stop;
            sweep_command<Set>(sweep, program.command_line(), stop);
          }
        }
        if (evaluating->parsed())
          evaluate_command<Set>(evaluate, evaluated, program.command_line());
      });
}

}  // namespace images
