// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Many ranks: threads of one process that share a batch make the steps of one rank alone, to the bit.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <tests/extension/communicator.hpp>
#include <tests/io/support.hpp>
#include <tests/support/adverse_ranks.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"
#include "tiny_unet.hpp"

#include <vrfm/training/checkpoint_folder.hpp>
#include <vrfm/training/long_run.hpp>

#if defined(KOKKOS_ENABLE_SERIAL)

using namespace vrfm::test;
using extension::ThreadCommunicator;
using extension::ThreadTeam;
using vrfm::Execution;
using vrfm::Launch;
using Exec = Kokkos::Serial;
using TinyFlow = vrfm::Flow<float, Exec>;

namespace {

using RankTrainer = decltype(tiny_trainer(std::declval<TinyFlow>(), tiny_options(),
                                          tiny_optimizer(), std::declval<ThreadCommunicator>()));

/// The trainers of `size` ranks. Kokkos lets the main thread alone allocate, so they are made, saved and
/// compared there; their steps are made by a thread each.
class Ranks {
 public:
  Ranks(int size, const vrfm::TrainerOptions& options, std::uint32_t seed) : team_(size) {
    for (int rank = 0; rank < size; ++rank) {
      trainers_.push_back(std::make_unique<RankTrainer>(
          tiny_trainer(TinyFlow(Exec(), tiny_flow(), seed), options, tiny_optimizer(),
                       ThreadCommunicator(team_, rank))));
    }
  }

  std::vector<std::unique_ptr<RankTrainer>>& trainers() { return trainers_; }

  template <class Body>
  void each(const Body& body) {
    std::vector<std::thread> threads;
    for (auto& trainer : trainers_) threads.emplace_back([&] { body(*trainer); });
    for (auto& thread : threads) thread.join();
  }

 private:
  ThreadTeam team_;
  std::vector<std::unique_ptr<RankTrainer>> trainers_;
};

/// Trains on `size` ranks that send messages; use(trainers) then.
template <class Make, class Use>
void on_messages(int size, std::size_t bucket_bytes, std::int64_t steps, const Make& make,
                 const Use& use) {
  Mail mail;
  std::vector<decltype(make(std::declval<AdverseCommunicator>()))> trainers;
  for (int rank = 0; rank < size; ++rank) {
    trainers.push_back(make(AdverseCommunicator(mail, rank, size, bucket_bytes)));
  }
  std::vector<std::thread> threads;
  for (auto& trainer : trainers) threads.emplace_back([&] { trainer.run(steps); });
  for (auto& thread : threads) thread.join();
  use(trainers);
}

}  // namespace

namespace vrfm::test {

/// Outside of the unnamed namespace, in which nvcc finds that nothing refers to its member.
struct AskingElbo : Elbo {
  static constexpr bool uses_teacher = true;
};

}  // namespace vrfm::test

TEST_CASE("any number of ranks makes the steps of one", "[training][ranks]") {
  static_assert(vrfm::Communicator<ThreadCommunicator>);
  // 450 samples: 4 leaves in tiles; 5 of 90 and 450 of one otherwise. Neither divides by all sizes, and
  // 16 ranks are more than the leaves of the first two.
  for (const Launch& launch :
       {Launch{Execution::tiles, 0}, Launch{Execution::batch, 100}, Launch{Execution::batch, 1}}) {
    const auto options = in_launch(tiny_options(), launch);
    const std::int64_t steps = launch.batch == 1 ? 2 : 8;
    auto alone = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
    alone.run(steps);
    for (const int size : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}) {
      INFO(size << " ranks, leaves of " << launch.batch);
      Ranks ranks(size, options, 1);
      ranks.each([&](RankTrainer& trainer) { trainer.run(steps); });
      for (const auto& trainer : ranks.trainers()) {
        CHECK((state_of(*trainer) == state_of(alone)));
      }
    }
  }
}

TEST_CASE("a run goes on with another number of ranks", "[training][ranks]") {
  const TemporaryFolder folder;
  const auto options = in_launch(tiny_options(), {Execution::batch, 100});
  auto whole = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
  whole.run(9);
  vrfm::save_checkpoint(folder / "c", tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options), {});
  for (const auto& [size, last] : {std::pair{3, 2}, std::pair{1, 5}, std::pair{8, 9}}) {
    Ranks ranks(size, options, 99);
    for (auto& trainer : ranks.trainers()) vrfm::load_checkpoint(folder / "c", *trainer, {});
    ranks.each([&, last = last](RankTrainer& trainer) {
      trainer.run(last);
      vrfm::save_checkpoint(folder / "c", trainer, {});
    });
  }
  auto last = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 99), options);
  vrfm::load_checkpoint(folder / "c", last, {});
  CHECK((state_of(last) == state_of(whole)));
}

TEST_CASE("a rank that has gone astray is found before a checkpoint", "[training][ranks]") {
  const TemporaryFolder folder;
  const auto options = in_launch(tiny_options(), {Execution::batch, 100});
  Ranks ranks(4, options, 1);
  ranks.each([](RankTrainer& trainer) { trainer.run(2); });
  auto& lost = *ranks.trainers()[2];
  const auto& slot = lost.parameters().entries()[1];
  lost.values()(slot.offset) = std::nextafter(lost.values()(slot.offset), 1.0f);
  ranks.trainers()[3]->state().back().values(0) += 1;
  const auto attempts = [&](const auto& save) {
    std::array<std::string, 4> messages;
    ranks.each([&](RankTrainer& trainer) {
      const auto rank = static_cast<std::size_t>(trainer.communicator().rank());
      messages[rank] = thrown<std::runtime_error>([&] { save(trainer); });
    });
    return messages;
  };
  const std::string expected =
      "vrfm: at step 2 the ranks 2, 3 differ from rank 0, the first of them from '" + slot.name +
      "' on";
  for (const std::string& message :
       attempts([&](RankTrainer& t) { vrfm::save_checkpoint(folder / "c", t, {}); })) {
    CHECK(message == expected);
  }
  for (const std::string& message :
       attempts([&](RankTrainer& t) { vrfm::CheckpointFolder(folder / "f").save(t, {}); })) {
    CHECK(message == expected);
  }
  CHECK_FALSE(std::filesystem::exists(folder / "c"));
  CHECK_FALSE(std::filesystem::exists(folder / "f"));
}

TEST_CASE("dropout does not depend on ranks, nor on who accumulates", "[training][ranks]") {
  using ImageFlow = vrfm::Flow<float, Exec, vrfm::UnetNetworks>;
  const auto noise = vrfm::standard_normal<float>(Exec(), 16);
  const auto make = [&](const auto& communicator) {
    return vrfm::Trainer(
        ImageFlow(Exec(), tiny_unet(0.3), 1), vrfm::Elbo{.beta = 0.1}, tiny_optimizer(),
        vrfm::independent(noise, noise),
        {.batch = 5, .clip_norm = 0.5, .ema_decay = 0.9, .launch = {Execution::batch, 1}},
        communicator);
  };
  auto alone = make(vrfm::SelfCommunicator{});
  alone.run(3);
  for (const int size : {2, 3, 8}) {
    ThreadTeam team(size);
    std::vector<decltype(make(std::declval<ThreadCommunicator>()))> trainers;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank)
      trainers.push_back(make(ThreadCommunicator(team, rank)));
    for (auto& trainer : trainers) threads.emplace_back([&] { trainer.run(3); });
    for (auto& thread : threads) thread.join();
    for (const auto& trainer : trainers) CHECK((state_of(trainer) == state_of(alone)));
  }
}

TEST_CASE("any number of ranks with the optimizer in shards makes the steps of one",
          "[training][ranks]") {
  static_assert(vrfm::ShardingCommunicator<AdverseCommunicator>);
  for (const Launch& launch : {Launch{Execution::tiles, 0}, Launch{Execution::batch, 100}}) {
    auto options = in_launch(tiny_options(), launch);
    const auto make = [&](const auto& communicator) {
      const auto networks = launch.batch == 0 ? wide_flow() : tiny_flow();
      return tiny_trainer(TinyFlow(Exec(), networks, 1), options, tiny_optimizer(), communicator);
    };
    auto alone = make(vrfm::SelfCommunicator{});
    alone.run(6);
    options.shard_optimizer = true;
    for (const int size : {1, 2, 3, 4, 8}) {
      INFO(size << " ranks, leaves of " << launch.batch);
      on_messages(size, 0, 6, make, [&](const auto& trainers) {
        // The segments of all ranks, in their places.
        std::vector<std::vector<double>> arrays(alone.state().size(),
                                                std::vector<double>(alone.values().size(), -1));
        for (const auto& trainer : trainers) {
          CHECK(host_numbers(trainer.values()) == host_numbers(alone.values()));
          for (std::size_t k = 0; k < arrays.size(); ++k) {
            const auto own = host_numbers(trainer.state()[k].values);
            CHECK(own.size() == trainer.segment().count());
            std::copy(own.begin(), own.end(), arrays[k].data() + trainer.segment().begin);
          }
        }
        CHECK(arrays == state_of(alone).arrays);
      });
    }
  }
}

TEST_CASE("a checkpoint of shards is the file of one rank", "[training][ranks]") {
  const TemporaryFolder folder;
  auto options = in_launch(tiny_options(), {Execution::batch, 100});
  const auto make = [&](const auto& communicator) {
    return tiny_trainer(TinyFlow(Exec(), wide_flow(), 1), options, tiny_optimizer(), communicator);
  };
  const vrfm::Settings settings{{"width", "wide"}};
  auto alone = make(vrfm::SelfCommunicator{});
  alone.run(2);
  vrfm::save_checkpoint(folder / "alone", alone, settings);
  options.shard_optimizer = true;
  for (const int size : {2, 3, 4, 8}) {
    INFO(size << " ranks");
    on_messages(size, 0, 2, make, [&](const auto& trainers) {
      const auto on_all = [&](const auto& save) {
        std::vector<std::string> errors(trainers.size());
        std::vector<std::thread> threads;
        for (std::size_t rank = 0; rank < trainers.size(); ++rank) {
          threads.emplace_back([&, rank] {
            errors[rank] = thrown<std::runtime_error>([&] { save(trainers[rank]); });
          });
        }
        for (auto& thread : threads) thread.join();
        for (const auto& error : errors) CHECK(error == errors[0]);
        return errors[0];
      };
      CHECK(on_all([&](const auto& trainer) {
              vrfm::save_checkpoint(folder / "shards", trainer, settings);
            }) == "(nothing thrown)");
      CHECK((slurp(folder / "shards") == slurp(folder / "alone")));
      CHECK(on_all([&](const auto& trainer) {
              vrfm::save_checkpoint(folder / "none" / "shards", trainer, settings);
            })
                .starts_with("rank 0: " + (folder / "none" / "shards").string() +
                             ": cannot write: expected a folder"));
    });
  }
  CHECK(folder.names() == std::vector<std::string>{"alone", "shards"});
}

TEST_CASE("buckets that leave during the backward pass make the steps of one",
          "[training][ranks]") {
  static_assert(vrfm::OverlappingCommunicator<AdverseCommunicator, Exec, float>);
  static_assert(!vrfm::OverlappingCommunicator<ThreadCommunicator, Exec, float>);
  for (const int leaf : {100, 30}) {
    const auto options = in_launch(tiny_options(), {Execution::batch, leaf});
    const auto make = [&](const auto& communicator) {
      return tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options, tiny_optimizer(),
                          communicator);
    };
    auto alone = make(vrfm::SelfCommunicator{});
    alone.run(4);
    const std::size_t bytes = alone.parameters().count() * sizeof(float);
    for (const int size : {2, 3, 4, 7, 8}) {
      for (const std::size_t bucket : {bytes / 5, bytes}) {
        INFO(size << " ranks, leaves of " << leaf << ", buckets of " << bucket << " bytes");
        on_messages(size, bucket, 4, make, [&](const auto& trainers) {
          for (const auto& trainer : trainers) {
            CHECK((state_of(trainer) == state_of(alone)));
            const std::size_t numbers = bucket / sizeof(float), all = bytes / sizeof(float);
            // One bucket leaves as a whole.
            const std::size_t buckets = bucket == bytes ? 0 : (all - 1) / numbers + 1;
            CHECK(trainer.communicator().begun() == static_cast<int>(4 * buckets));
          }
        });
      }
    }
  }
}

TEST_CASE("shards need a communicator that has them, and an objective that asks no average",
          "[training][ranks]") {
  auto options = tiny_options();
  options.shard_optimizer = true;
  ThreadTeam team(1);
  const TinyFlow flow(Exec(), tiny_flow(), 1);
  CHECK(thrown<std::invalid_argument>(
            [&] { tiny_trainer(flow, options, tiny_optimizer(), ThreadCommunicator(team, 0)); }) ==
        "vrfm: shard_optimizer needs a communicator with segment(partition, count, unit), "
        "reduce_scatter(exec, partition, roots, result, count, unit) and "
        "all_gather(exec, partition, values, count, unit)");
  CHECK(thrown<std::invalid_argument>([&] {
          vrfm::Trainer(flow, vrfm::test::AskingElbo{}, tiny_optimizer(),
                        tiny_coupling<float>(Exec()), options);
        }) ==
        "vrfm: this objective asks the moving average of all parameters: expected no "
        "shard_optimizer");
}

TEST_CASE("a stop signal of one rank stops all at the same step", "[training][ranks]") {
  Ranks ranks(3, tiny_options(), 1);
  ranks.each([](RankTrainer& trainer) {
    vrfm::long_run(trainer, 10, {}, {},
                   [&] { return trainer.communicator().rank() == 2 && trainer.step() == 4; });
  });
  for (const auto& trainer : ranks.trainers()) CHECK(trainer->step() == 4);
}

TEST_CASE("a number that is not finite is seen by all ranks", "[training][ranks]") {
  Ranks ranks(4, tiny_options(), 1);
  for (auto& trainer : ranks.trainers()) {
    trainer->values()(3) = std::numeric_limits<float>::quiet_NaN();
  }
  std::vector<std::string> errors(4);
  ranks.each([&](RankTrainer& trainer) {
    errors[static_cast<std::size_t>(trainer.communicator().rank())] =
        thrown<vrfm::NotFiniteError>([&] { trainer.run(5); });
  });
  for (const auto& error : errors) CHECK(contains(error, "step 0 is not finite"));
}

#endif
