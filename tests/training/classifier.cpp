// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The trainer on what is no flow: a classifier by its cross entropy learns digits; weights, checkpoints, the moving
// average and held-out losses are those of any model; the bits do not depend on the number of threads or on how
// often a run ends in between; what does not belong together is refused.
#include <cmath>
#include <string>
#include <vector>

#include <examples/standins/standins.hpp>
#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>
#include <tests/support/with_threads.hpp>

#include "support.hpp"

#include <vrfm/data/image_draws.hpp>
#include <vrfm/models/classifier/classifier.hpp>
#include <vrfm/objectives/cross_entropy.hpp>
#include <vrfm/training/checkpoint.hpp>
#include <vrfm/training/held_out_loss.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Model = Classifier<float, Exec>;

constexpr int batch = 50;

ImageSet<Exec> digits(Split split, std::size_t count) {
  return {Exec(), standins::make_images(standins::Set::digits, split, count, 4)};
}

auto pairs_of(const ImageSet<Exec>& images, int samples, int classes = 10) {
  return independent(standard_normal<float>(Exec(), images.dimension()),
                     ImageDraws<Exec>(images, samples, false, classes));
}

auto trainer_of(const Model& model, const ImageSet<Exec>& images, const TrainerOptions& options) {
  return Trainer(model, CrossEntropy{.label_smoothing = 0.05}, AdamW{.learning_rate = 3e-3},
                 pairs_of(images, options.batch), options);
}

Model small_model(std::uint64_t seed = 1) { return {Exec(), {.base = 8, .features = 32}, seed}; }

/// A batch in leaves, clipped, and averaged.
TrainerOptions options() {
  return {.batch = batch, .seed = 3, .clip_norm = 1, .ema_decay = 0.9, .launch = {.batch = 16}};
}

HeldOutLosses held_out(const Model& model, const ImageSet<Exec>& images, int at_a_time = 0) {
  return held_out_losses(model, CrossEntropy{}, pairs_of(images, images.count()),
                         {.count = images.count(), .launch = {.batch = at_a_time}});
}

}  // namespace

TEST_CASE("a classifier learns digits", "[training][classifier]") {
  const auto train = digits(Split::train, 1'000), test = digits(Split::test, 200);
  const Model model = small_model();
  const auto before = held_out(model, test);
  CHECK(before.mean("error") > 0.7);
  CHECK(std::fabs(before.mean("cross_entropy") - std::log(10.0)) < 1);
  auto trainer = trainer_of(model, train, options());
  double last = 0;
  trainer.run(80, 20, [&](const TrainingReport& report) {
    CHECK(std::string(report.terms[0]) == "cross_entropy");
    last = report.means[1];
  });
  CHECK(last < 0.2);
  for (const auto& trained : {model, model.with_values(trainer.average())}) {
    const auto after = held_out(trained, test);
    CHECK(after.mean("error") < 0.25);
    CHECK(after.mean("cross_entropy") < 1);
    // Each image counts once, however many at a time.
    const double wrong = 200 * after.mean("error");
    CHECK(std::fabs(wrong - std::round(wrong)) < 1e-9);
    CHECK(std::fabs(held_out(trained, test, 64).mean("error") - after.mean("error")) < 1e-12);
  }
}

TEST_CASE("a classifier's run continues from a checkpoint to the same bits",
          "[training][classifier]") {
  const TemporaryFolder folder;
  const auto train = digits(Split::train, 120);
  const Model whole = small_model();
  auto uninterrupted = trainer_of(whole, train, options());
  uninterrupted.run(6);

  auto first = trainer_of(small_model(), train, options());
  first.run(4);
  save_checkpoint(folder / "at-4.safetensors", first, {{"data", "digits"}});
  const Model again = small_model(2);
  auto second = trainer_of(again, train, options());
  load_checkpoint(folder / "at-4.safetensors", second, {{"data", "digits"}});
  CHECK(second.step() == 4);
  second.run(6);
  CHECK((state_of(second) == state_of(uninterrupted)));

  save_weights(folder / "weights.safetensors", again, {{"data", "digits"}});
  const Model loaded = small_model(3);
  CHECK(load_weights(folder / "weights.safetensors", loaded) == Settings{{"data", "digits"}});
  CHECK(host_numbers(loaded.values()) == host_numbers(whole.values()));
  CHECK(load_average(folder / "at-4.safetensors", loaded).size() > 0);
  CHECK(host_numbers(loaded.values()) == host_numbers(first.average()));
  const Model other(Exec(), {.height = 30, .base = 8, .features = 32}, 1);
  CHECK(contains(
      thrown<std::runtime_error>([&] { load_weights(folder / "weights.safetensors", other); }),
      "'classifier.height' is 28 in the file's network, but 30 in this one"));
}

TEST_CASE("writes trained classifiers", "[.][write_classifier]") {
  auto out = hidden_output();
  const auto train = digits(Split::train, 120), test = digits(Split::test, 30);
  const Model model = small_model();
  auto trainer = trainer_of(model, train, options());
  trainer.run(3);
  for (const double value : host_numbers(model.values())) out << value << '\n';
  for (const double mean : held_out(model, test, 7).means) out << mean << '\n';
}

TEST_CASE("a classifier's bits do not depend on the number of threads", "[training][classifier]") {
  const auto one = output_with_threads("[write_classifier]", 1);
  CHECK(one.size() > 1'000);
  CHECK(output_with_threads("[write_classifier]", 2) == one);
}

TEST_CASE("a classifier refuses pairs that it cannot learn from", "[training][classifier]") {
  using Invalid = std::invalid_argument;
  const auto train = digits(Split::train, 30);
  const Model model = small_model();
  const auto refused = [&](const auto& pairs, const CrossEntropy& objective = {},
                           const Launch& launch = {}) {
    const TrainerOptions o{.batch = 10, .launch = launch};
    return thrown<Invalid>([&] { Trainer(model, objective, AdamW{}, pairs, o); });
  };
  const auto pairs = pairs_of(train, 10);
  CHECK(refused(pairs) == "(nothing thrown)");
  CHECK(refused(DroppedCondition(pairs, 0)) == "(nothing thrown)");
  CHECK(refused(DroppedCondition(pairs, 0.1)) ==
        "vrfm: this objective needs the condition of every sample, but the coupling drops that of "
        "some");
  CHECK(refused(pairs_of(train, 10, 0)) ==
        "vrfm: the model's condition has 10 classes but the coupling's has 0 classes");
  CHECK(refused(pairs_of(train, 10, 11)) ==
        "vrfm: the model's condition has 10 classes but the coupling's has 11 classes");
  CHECK(refused(tiny_coupling<float>(Exec())) ==
        "vrfm: the model has 784 dimensions but the coupling has 2 dimensions");
  CHECK(
      contains(refused(pairs, {.label_smoothing = 2}), "label_smoothing must be in [0, 1), got 2"));
  CHECK(refused(pairs, {}, {.execution = Execution::tiles}) ==
        "vrfm: these networks are too large for tiles: expected Execution::batch");
  const auto held_out_of = [&](const auto& drawn) {
    return thrown<Invalid>([&] { held_out_losses(model, CrossEntropy{}, drawn, {.count = 10}); });
  };
  CHECK(held_out_of(pairs) == "(nothing thrown)");
  CHECK(contains(held_out_of(DroppedCondition(pairs, 0.5)), "the coupling drops that of some"));
}
