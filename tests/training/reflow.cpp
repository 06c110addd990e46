// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reflow: the pairs of a trained flow, in a file made block by block, and flows that are trained on them. Row by row
// they are sample()'s; a file and tables train alike; one step of Euler comes nearer to the target than the teacher's.
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/stored_pairs.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/metrics/wasserstein.hpp>
#include <vrfm/sampling/make_pairs.hpp>
#include <vrfm/training/held_out_loss.hpp>

using namespace vrfm;
using test::host_numbers;
using test::state_of;
using test::TemporaryFolder;
using test::thrown;
using test::tiny_flow;
using Exec = Kokkos::DefaultExecutionSpace;
using TinyFlow = Flow<float, Exec>;

namespace {

FlowOptions given_latent(int latent) {
  FlowOptions options = tiny_flow(latent);
  options.encoder_input = EncoderInput::none;
  return options;
}

template <class View>
std::vector<float> floats(const View& table) {
  const auto host = to_host(Exec(), table);
  return {host.data(), host.data() + host.size()};
}

std::vector<float> floats(std::span<const float> values) { return {values.begin(), values.end()}; }

/// The pairs of a file in tables, in the file's order.
struct TabledPairs {
  StoredPairs<float, Exec> stored;
  PairTables<float, Exec> pairs;
  KOKKOS_FUNCTION int dimension() const { return stored.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return stored.condition(); }
  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<float>& slot) const {
    const int n = stored.row(address);
    for (int d = 0; d < dimension(); ++d) slot.x0[d] = pairs.x0(n, d);
    for (int d = 0; d < dimension(); ++d) slot.x1[d] = pairs.x1(n, d);
    for (int j = 0; j < condition().latent; ++j) slot.z[j] = pairs.z(n, j);
  }
};

template <class Coupling>
auto student(const TinyFlow& flow, const Coupling& coupling) {
  return Trainer(flow, VelocityLoss{}, test::tiny_optimizer(), coupling,
                 {.batch = 50, .seed = 5, .ema_decay = 0.9});
}

}  // namespace

TEST_CASE("pairs are those of samples, for blocks of any size", "[training][reflow]") {
  const TinyFlow flow(Exec(), tiny_flow(2), 1);
  const auto source = standard_normal<float>(Exec(), 2);
  const TemporaryFolder folder;
  const auto make = [&](const char* name, std::size_t block, const Launch& launch) {
    make_pairs(folder / name, flow, source, Euler{3},
               {.count = 60, .seed = 7, .first_id = 11, .block = block, .launch = launch},
               {{"solver", "Euler 3"}});
  };
  make("whole", 100, {});
  make("blocks", 7, {});
  CHECK(test::slurp(folder / "whole") == test::slurp(folder / "blocks"));
  make("batch", 100, {Execution::batch, 0});
  make("batches", 25, {Execution::batch, 4});
  CHECK(test::slurp(folder / "batch") == test::slurp(folder / "batches"));

  const auto file = PairFile::open(folder / "whole");
  const auto rows = file.rows<float>();
  CHECK(file.metadata().at("solver") == "Euler 3");
  CHECK(floats(rows.x0) == floats(draw_all<float>(Exec(), source, 60, 7,
                                                  purpose_of(Use::sampling, Purpose::source), 11)));
  CHECK(floats(rows.z) == floats(draw_latents(flow, 60, {.seed = 7, .first_id = 11})));
  CHECK(floats(rows.x1) ==
        floats(sample(flow, source, Euler{3}, {.count = 60, .seed = 7, .first_id = 11})));
  const auto pairs = draw_pairs(flow, source, Euler{3}, {.count = 60, .seed = 7, .first_id = 11});
  CHECK((floats(pairs.x1) == floats(rows.x1) && floats(pairs.z) == floats(rows.z)));
  const auto without = draw_pairs(flow, source, Euler{3},
                                  {.count = 60, .seed = 7, .first_id = 11, .latents = false});
  CHECK((floats(without.x1) == floats(rows.x1) && without.z.extent(1) == 0));
}

TEST_CASE("pairs keep the condition that they were made under", "[training][reflow]") {
  FlowOptions options = tiny_flow(0);
  options.classes = 3;
  options.condition_columns = 2;
  const TinyFlow flow(Exec(), options, 1);
  const auto source = standard_normal<float>(Exec(), 2);
  const std::size_t count = 20;
  const Array<std::int32_t, Exec> labels("labels", count);
  const auto host = Kokkos::create_mirror_view(labels);
  for (std::size_t n = 0; n < count; ++n) host(n) = static_cast<std::int32_t>(n % 3);
  Kokkos::deep_copy(labels, host);
  const auto vector = draw_all<float>(Exec(), source, 20, 4, Purpose::user);
  const TemporaryFolder folder;
  PairOptions<float, Exec> how{.count = count, .seed = 7, .guidance = 1.5, .block = 6};
  how.condition = {labels, vector, {}};
  make_pairs(folder / "pairs", flow, source, Euler{2}, how);
  const auto file = PairFile::open(folder / "pairs");
  const auto rows = file.rows<float>();
  CHECK(std::vector<std::int32_t>(rows.labels.begin(), rows.labels.end()) ==
        std::vector<std::int32_t>(host.data(), host.data() + count));
  CHECK(floats(rows.vector) == floats(vector));
  const auto field = velocity_of(flow, {.condition = how.condition, .guidance = 1.5});
  CHECK(floats(rows.x1) ==
        floats(sample(Exec(), field, source, Euler{2}, {.count = count, .seed = 7})));
  const auto pairs = stored_pairs<float>(Exec(), file, {.batch = 50, .classes = 3});
  CHECK_NOTHROW(student(flow, pairs));

  how.count = 21;
  CHECK(thrown<std::invalid_argument>([&] {
          make_pairs(folder / "p", flow, source, Euler{2}, how);
        }) == "vrfm: condition.labels has 20 rows but the call has 21 rows");
}

TEST_CASE("a file of pairs and tables of them train alike", "[training][reflow]") {
  const TinyFlow teacher(Exec(), tiny_flow(2), 1);
  const auto source = standard_normal<float>(Exec(), 2);
  const TemporaryFolder folder;
  const PairOptions<float, Exec> how{.count = 170, .seed = 7, .block = 64};
  make_pairs(folder / "pairs", teacher, source, Euler{3}, how);
  const auto file = PairFile::open(folder / "pairs");
  const StoredPairs<float, Exec> stored(Exec(), file, {.batch = 50});
  const StoredPairs<float, Exec, true> gathered(Exec(), file, {.batch = 50});
  const TabledPairs tabled{stored, draw_pairs(teacher, source, Euler{3}, how)};
  const auto state = [&](const auto& coupling) {
    auto trainer = student(TinyFlow(Exec(), given_latent(2), 3), coupling);
    trainer.run(12);
    return state_of(trainer);
  };
  const auto expected = state(tabled);
  CHECK((state(stored) == expected));
  CHECK((state(gathered) == expected));
  // Without z they are pairs for a flow without a latent variable.
  auto plain = student(TinyFlow(Exec(), tiny_flow(0), 3),
                       stored_pairs<float>(Exec(), file, {.batch = 50, .latents = false}));
  plain.run(2);
}

TEST_CASE("one step of a flow that was trained on pairs is nearer to the target",
          "[training][reflow]") {
  FlowOptions options = tiny_flow(0);
  options.encoder = {.features = 16, .width = 24, .depth = 1};
  options.decoder_width = 32;
  const auto source = standard_normal<float>(Exec(), 2);
  const auto target = mixture_on_circle<float>(Exec(), 3, 2.0, 0.1);
  const AdamW optimizer{.learning_rate = StepFunction::cosine(1e-2, 10, 400, 0.01)};
  const TinyFlow teacher(Exec(), options, 1), reflowed(Exec(), options, 2);
  Trainer(teacher, VelocityLoss{}, optimizer, independent(source, target), {.batch = 256}).run(400);
  const TemporaryFolder folder;
  make_pairs(folder / "pairs", teacher, source, Euler{20}, {.count = 4000, .seed = 7});
  const auto file = PairFile::open(folder / "pairs");
  Trainer(reflowed, VelocityLoss{}, optimizer, stored_pairs<float>(Exec(), file, {.batch = 256}),
          {.batch = 256})
      .run(400);

  const auto real = draw_all<float>(Exec(), target, 2000, 3, Purpose::user);
  const auto distance = [&](const TinyFlow& flow, int steps) {
    return sliced_wasserstein1(
        Exec(), sample(flow, source, Euler{steps}, {.count = 2000, .seed = 9}), real);
  };
  INFO("one step: teacher " << distance(teacher, 1) << ", reflowed " << distance(reflowed, 1)
                            << "; twenty: teacher " << distance(teacher, 20));
  CHECK(distance(reflowed, 1) < 0.6 * distance(teacher, 1));
}

TEST_CASE("a flow learns what z of its pairs tells", "[training][reflow]") {
  // x1 = z, so that u = z - x0 is known under z, and without it has the variance of z at least.
  const auto normal = standard_normal<float>(Exec(), 2);
  const auto x0 = draw_all<float>(Exec(), normal, 2000, 1, Purpose::user);
  const auto z = draw_all<float>(Exec(), normal, 2000, 2, Purpose::user);
  const auto loss = [&](int latent, const GivenPairs<float, Exec>& pairs) {
    const TinyFlow flow(Exec(), given_latent(latent), 1);
    Trainer(flow, VelocityLoss{}, AdamW{.learning_rate = 1e-2}, pairs, {.batch = 256}).run(300);
    return held_out_losses(flow, VelocityLoss{}, pairs, {.count = 1000}).means[0];
  };
  const double with = loss(2, {x0, z, z}), without = loss(0, {x0, z});
  INFO("with z " << with << ", without " << without);
  CHECK(with < 0.5 * without);
}

TEST_CASE("pairs that do not fit are refused", "[training][reflow]") {
  using Invalid = std::invalid_argument;
  const auto source = standard_normal<float>(Exec(), 2);
  const Table<float, Exec> x("x", 8, 2), z("z", 8, 3);
  const auto refused = [&](const FlowOptions& options, const auto& objective,
                           const auto& coupling) {
    const TinyFlow flow(Exec(), options, 1);
    return thrown<Invalid>([&] { (void)held_out_losses(flow, objective, coupling, {.count = 4}); });
  };
  using Given = GivenPairs<float, Exec>;
  CHECK(refused(tiny_flow(0), VelocityLoss{}, Given(x, x, z)) ==
        "vrfm: the coupling gives z of 3 columns, but the flow has no latent variable");
  CHECK(refused(tiny_flow(3), Elbo{}, Given(x, x, z)) ==
        "vrfm: the coupling gives z, but the flow has a posterior that tells it: expected "
        "EncoderInput::none, or a coupling without z");
  CHECK(
      refused(given_latent(3), VelocityLoss{}, Given(x, x)) ==
      "vrfm: the flow has a latent variable without a posterior: expected a coupling that gives z "
      "of 3 columns, such as stored pairs");
  CHECK(refused(given_latent(2), VelocityLoss{}, Given(x, x, z)) ==
        "vrfm: the flow's z has 2 columns but the coupling's has 3 columns");
  CHECK(refused(given_latent(3), VelocityLoss{}, Given(x, x, z)) == "(nothing thrown)");
  CHECK(
      refused(given_latent(3), Elbo{}, Given(x, x, z)) ==
      "vrfm: Elbo trains a posterior, but this flow has none; use VelocityLoss on pairs that give "
      "z");

  FlowOptions learned = tiny_flow(2);
  learned.prior = PriorKind::given_source;
  const TinyFlow flow(Exec(), learned, 1);
  CHECK(
      thrown<Invalid>([&] { (void)draw_pairs(flow, source, Euler{2}, {.count = 5}); }) ==
      "vrfm: pairs with z are of flows whose prior is N(0, I), which this flow's is not: expected "
      "latents = false");
  CHECK(draw_pairs(flow, source, Euler{2}, {.count = 5, .latents = false}).x1.extent(0) == 5);
  learned.encoder_input = EncoderInput::none;
  CHECK(thrown<Invalid>([&] { TinyFlow(Exec(), learned, 1); }) ==
        "vrfm: a learned prior is trained by a posterior: expected an encoder_input that is not "
        "none");
  const TinyFlow given(Exec(), given_latent(2), 1);
  CHECK(thrown<Invalid>([&] { (void)encode(given, x, x); }) ==
        "vrfm: encode needs a posterior, but this flow has none: its z were given");

  const TemporaryFolder folder;
  const TinyFlow plain(Exec(), tiny_flow(0), 1);
  CHECK(thrown<Invalid>([&] { make_pairs(folder / "p", plain, source, Euler{2}, {.count = 0}); }) ==
        "vrfm: make_pairs needs at least 1 pair, got 0");
  CHECK(thrown<Invalid>([&] {
          make_pairs(folder / "p", plain, source, DormandPrince{.norm = ErrorNorm::batch},
                     {.count = 5});
        }) == "vrfm: pairs are made in blocks: expected an error norm of each sample");
  CHECK(folder.names().empty());
}
