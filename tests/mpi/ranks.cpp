// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ranks that are processes: mpirun -n 1, 2, 3, 4. Each rank compares its training with one that it makes
// alone.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#endif
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/nodes.hpp>
#include <tests/support/thrown.hpp>
#include <tests/training/support.hpp>

#include <vrfm/data/draw.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/log_likelihood.hpp>
#include <vrfm/metrics/mmd.hpp>
#include <vrfm/parallel/mpi_communicator.hpp>
#include <vrfm/training/checkpoint_folder.hpp>
#include <vrfm/training/held_out_loss.hpp>

using namespace vrfm::test;
using vrfm::Execution;
using vrfm::Launch;
using vrfm::MpiCommunicator;
using vrfm::Partition;
using vrfm::Reproducible;
using Exec = Kokkos::DefaultHostExecutionSpace;
using TinyFlow = vrfm::Flow<float, Exec>;

static_assert(vrfm::ShardingCommunicator<MpiCommunicator> && vrfm::Messenger<MpiCommunicator>);

namespace {

/// The sums of this rank's nodes, leaf k being k / 7 + i at element i.
template <class S>
std::vector<std::vector<S>> nodes_of(const Partition& partition, const vrfm::LeafRange& range,
                                     std::size_t count) {
  return vrfm::test::nodes_of(partition, range, [&](int leaf) {
    std::vector<S> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = S(leaf) / S(7) + S(i);
    return values;
  });
}

template <class S>
std::vector<S> sum_of(const MpiCommunicator& ranks, const Partition& partition, std::size_t count) {
  auto nodes = nodes_of<S>(partition, partition.owned(ranks.rank(), ranks.size()), count);
  std::vector<S*> roots;
  for (auto& node : nodes) roots.push_back(node.data());
  std::vector<S> result(count);
  ranks.sum(Exec(), partition, std::span<S* const>(roots), result.data(), count);
  return result;
}

template <class S>
void check_sums() {
  const std::size_t count = 1000;
  for (const int leaves : {1, 3, 8, 11, 64}) {
    INFO(leaves << " leaves");
    const Partition partition(leaves, leaves);
    const auto alone = nodes_of<S>(partition, {0, leaves}, count);
    CHECK(sum_of<S>(MpiCommunicator(MPI_COMM_WORLD), partition, count) == alone[0]);
    for (const auto reproducible : {Reproducible::fixed, Reproducible::fast}) {
      const MpiCommunicator ranks(MPI_COMM_WORLD, {.reproducible = reproducible});
      const auto found = sum_of<S>(ranks, partition, count);
      // Each of the additions errs by half a unit in the last place of a partial sum at most.
      const S most = S(leaves) * std::numeric_limits<S>::epsilon();
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(std::fabs(found[i] - alone[0][i]) <= most * std::fabs(alone[0][i]));
      }
      if (reproducible == Reproducible::fixed) CHECK(sum_of<S>(ranks, partition, count) == found);
    }
  }
}

/// The losses and the norm of the gradient of each step, which it makes.
template <class TrainerType>
std::vector<double> losses_of(TrainerType& trainer, std::int64_t steps) {
  std::vector<double> numbers;
  trainer.run(steps, steps, [&](const vrfm::TrainingReport& report) {
    for (const auto& step : report.losses) {
      numbers.insert(numbers.end(), step.terms.begin(), step.terms.end());
      numbers.push_back(step.gradient_norm);
    }
  });
  return numbers;
}

/// A folder for all ranks, by the root's name for it.
std::filesystem::path shared_folder(const MpiCommunicator& ranks) {
  const vrfm::Array<double, Exec> process("process", 1);
  process(0) = getpid();
  ranks.broadcast(Exec(), process);
  return std::filesystem::temp_directory_path() /
         ("vrfm-mpi-" + std::to_string(static_cast<long>(process(0))));
}

}  // namespace

TEST_CASE("processes add up to the bits of one", "[mpi]") {
  check_sums<float>();
  check_sums<double>();
}

TEST_CASE("processes train to the bits of one", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  for (const Launch& launch :
       {Launch{Execution::tiles, 0}, Launch{Execution::batch, 100}, Launch{Execution::batch, 1}}) {
    INFO("leaves of " << launch.batch);
    auto options = in_launch(tiny_options(), launch);
    const std::int64_t steps = launch.batch == 1 ? 2 : 8;
    auto alone = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
    alone.run(steps);
    auto shared = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options, tiny_optimizer(), ranks);
    shared.run(steps);
    CHECK((state_of(shared) == state_of(alone)));
  }
}

TEST_CASE("processes train in buckets to the bits of one", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD, {.bucket_bytes = 512});
  static_assert(vrfm::OverlappingCommunicator<MpiCommunicator, Exec, float>);
  for (const int leaf : {100, 30}) {
    INFO("leaves of " << leaf);
    const auto options = in_launch(tiny_options(), {Execution::batch, leaf});
    auto alone = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
    alone.run(4);
    auto shared = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options, tiny_optimizer(), ranks);
    shared.run(4);
    CHECK((state_of(shared) == state_of(alone)));
  }
}

TEST_CASE("processes own segments of the sum of one, and gather all", "[mpi]") {
  const std::size_t count = 1000, unit = 256;
  for (const auto reproducible :
       {Reproducible::invariant, Reproducible::fixed, Reproducible::fast}) {
    const MpiCommunicator ranks(MPI_COMM_WORLD, {.reproducible = reproducible});
    for (const int leaves : {1, 3, 8}) {
      INFO(leaves << " leaves, promise " << static_cast<int>(reproducible));
      const Partition partition(leaves, leaves);
      const auto alone = nodes_of<double>(partition, {0, leaves}, count)[0];
      auto nodes = nodes_of<double>(partition, partition.owned(ranks.rank(), ranks.size()), count);
      std::vector<double*> roots;
      for (auto& node : nodes) roots.push_back(node.data());
      std::vector<double> values(count);
      ranks.reduce_scatter(Exec(), partition, std::span<double* const>(roots), values.data(), count,
                           unit);
      const auto own = ranks.segment(partition, count, unit);
      CHECK((own.count() == 0 || own.begin % unit == 0));
      const std::vector<double> sums(values.data() + own.begin, values.data() + own.end);
      std::fill(values.begin(), values.end(), -1.0);
      std::copy(sums.begin(), sums.end(), values.data() + own.begin);
      ranks.all_gather(Exec(), partition, values.data(), count, unit);
      if (reproducible == Reproducible::invariant) CHECK(values == alone);
      // Each of the additions errs by half a unit in the last place of a partial sum at most.
      const double most = leaves * std::numeric_limits<double>::epsilon();
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(std::fabs(values[i] - alone[i]) <= most * std::fabs(alone[i]));
      }
    }
  }
}

TEST_CASE("processes that keep the optimizer in shards train to the bits of one", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  // 450 samples: 4 leaves in tiles, 5 of 90 otherwise. The parameters are many blocks, or two, of which
  // some rank of three or four owns none.
  for (const Launch& launch : {Launch{Execution::tiles, 0}, Launch{Execution::batch, 100}}) {
    for (const double decay : {0.9, 0.0}) {
      INFO("leaves of " << launch.batch << ", decay " << decay);
      auto options = in_launch(tiny_options(), launch);
      options.ema_decay = decay;
      const auto networks = launch.batch == 0 ? wide_flow() : tiny_flow();
      auto alone = tiny_trainer(TinyFlow(Exec(), networks, 1), options);
      const auto losses = losses_of(alone, 8);
      options.shard_optimizer = true;
      auto shared = tiny_trainer(TinyFlow(Exec(), networks, 1), options, tiny_optimizer(), ranks);
      CHECK(losses_of(shared, 8) == losses);
      CHECK((state_of(shared) == state_of(alone)));
      CHECK(host_numbers(shared.average()) == host_numbers(alone.average()));

      // Memory: of each array of the state a segment, the ranks' segments together all parameters.
      CHECK(shared.sharded() == (ranks.size() > 1));
      const auto count = shared.parameters().count(), own = shared.segment().count();
      for (const auto& array : shared.state()) CHECK(array.values.size() == own);
      const std::size_t blocks = (count + 255) / 256, n = static_cast<std::size_t>(ranks.size());
      CHECK(own <= (blocks + n - 1) / n * 256);
      const vrfm::Array<double, Exec> sum("sum", 1);
      sum(0) = static_cast<double>(own);
      double* const root[] = {sum.data()};
      ranks.sum(Exec(), Partition(ranks.size(), ranks.size()), std::span<double* const>(root),
                sum.data(), 1);
      CHECK(sum(0) == static_cast<double>(count));
    }
  }
}

TEST_CASE("a run goes on with shards or without", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  const auto path = shared_folder(ranks);
  auto options = in_launch(tiny_options(), {Execution::batch, 100});
  auto alone = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
  alone.run(9);
  // Three steps each: in shards, all ranks without, in shards; the root alone reads the first file, too.
  for (const std::int64_t last : {3, 6, 9}) {
    options.shard_optimizer = last != 6;
    auto trainer = tiny_trainer(TinyFlow(Exec(), tiny_flow(), last == 3 ? 1 : 99), options,
                                tiny_optimizer(), ranks);
    const auto found = vrfm::CheckpointFolder(path).load_newest(trainer, {});
    CHECK(found.has_value() == (last > 3));
    ranks.any(false);  // all have read
    trainer.run(last);
    const auto file = vrfm::CheckpointFolder(path).save(trainer, {});
    if (last < 9) continue;
    CHECK((state_of(trainer) == state_of(alone)));
    if (!ranks.is_root()) continue;
    options.shard_optimizer = false;
    auto one = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 99), options);
    vrfm::load_checkpoint(file, one, {});
    CHECK((state_of(one) == state_of(alone)));
  }
  ranks.any(false);  // nobody reads any more
  if (ranks.is_root()) std::filesystem::remove_all(path);
}

TEST_CASE("processes have the held-out losses of one", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  const TinyFlow flow(Exec(), tiny_flow(), 1);
  const auto pairs = vrfm::independent(vrfm::standard_normal<float>(Exec(), 2),
                                       vrfm::standard_normal<float>(Exec(), 2));
  for (const int batch : {0, 9, 50}) {
    INFO("leaves of " << batch);
    const vrfm::HeldOutOptions options{.count = 103, .seed = 4, .launch = {.batch = batch}};
    const auto alone = vrfm::held_out_losses(flow, vrfm::Elbo{}, pairs, options);
    CHECK(vrfm::held_out_losses(flow, vrfm::Elbo{}, pairs, options, ranks).means == alone.means);
  }
}

TEST_CASE("processes have the metrics of one", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  const auto density = vrfm::mixture_on_circle<float>(Exec(), 6, 1.0, 0.1);
  const auto x = vrfm::draw_all(Exec(), density, 700, 1,
                                vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source), 0);
  const auto y = vrfm::draw_all(Exec(), density, 1301, 2,
                                vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source), 0);
  CHECK(vrfm::true_log_likelihood(Exec(), density, y, ranks) ==
        vrfm::true_log_likelihood(Exec(), density, y));
  CHECK(vrfm::parzen_log_likelihood(Exec(), x, y, 0.1, ranks) ==
        vrfm::parzen_log_likelihood(Exec(), x, y, 0.1));
  CHECK(vrfm::energy_distance(Exec(), x, y, vrfm::EnergyEstimate::unbiased, ranks) ==
        vrfm::energy_distance(Exec(), x, y, vrfm::EnergyEstimate::unbiased));
  CHECK(vrfm::squared_mmd(Exec(), x, y, {0.1, 1}, vrfm::PairEstimate::unbiased, ranks) ==
        vrfm::squared_mmd(Exec(), x, y, {0.1, 1}, vrfm::PairEstimate::unbiased));
}

TEST_CASE("processes save together and go on together", "[mpi]") {
  const MpiCommunicator ranks(MPI_COMM_WORLD);
  const auto path = shared_folder(ranks);
  const auto options = in_launch(tiny_options(), {Execution::batch, 100});
  auto alone = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options);
  alone.run(8);
  {
    auto first = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 1), options, tiny_optimizer(), ranks);
    first.run(3);
    vrfm::CheckpointFolder(path).save(first, {});
  }
  auto second = tiny_trainer(TinyFlow(Exec(), tiny_flow(), 99), options, tiny_optimizer(), ranks);
  CHECK(vrfm::CheckpointFolder(path).load_newest(second, {}).has_value());
  second.run(8);
  CHECK((state_of(second) == state_of(alone)));

  // What the root cannot write is an error of all.
  const auto file = path / "step-000000003.safetensors";
  CHECK(thrown<std::runtime_error>([&] {
          vrfm::CheckpointFolder(file).save(second, {});
        }).starts_with("checkpoint of step 8: "));
  ranks.any(false);  // nobody reads any more
  if (ranks.is_root()) std::filesystem::remove_all(path);
}

TEST_CASE("some processes of a program share a batch, others another", "[mpi]") {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm half = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, rank % 2, 0, &half);
  {
    const MpiCommunicator ranks(half);
    MPI_Comm_free(&half);  // it works on a duplicate
    const Partition partition(8, 8);
    CHECK(sum_of<float>(ranks, partition, 10) == nodes_of<float>(partition, {0, 8}, 10)[0]);
    CHECK(ranks.any(rank < 2));
    CHECK_FALSE(ranks.any(false));
    const vrfm::Array<double, Exec> values("values", 3);
    Kokkos::deep_copy(values, rank % 2 + 1.5 * (rank / 2));
    ranks.broadcast(Exec(), values);
    CHECK(values(2) == rank % 2);
  }
  CHECK(thrown<std::invalid_argument>([] { MpiCommunicator{MPI_COMM_NULL}; }) ==
        "vrfm: an MpiCommunicator needs a communicator, got MPI_COMM_NULL");
}

TEST_CASE("a process that cannot go on ends the others' waiting", "[mpi]") {
  MpiCommunicator ranks(MPI_COMM_WORLD);
  if (ranks.size() == 1) return;
  // The last one fails; the others are about to wait for it.
  const bool fails = ranks.rank() == ranks.size() - 1;
  const Partition partition(ranks.size(), ranks.size());
  if (fails) ranks.fail("the disk is full");
  if (!fails) {
    CHECK(thrown<vrfm::RankError>([&] { sum_of<float>(ranks, partition, 1 << 20); }) ==
          "vrfm: rank " + std::to_string(ranks.size() - 1) + ": the disk is full");
  }
  MPI_Barrier(MPI_COMM_WORLD);

  // Nobody answers in time.
  const MpiCommunicator impatient(MPI_COMM_WORLD, {.patience = 0.2});
  if (!ranks.is_root()) std::this_thread::sleep_for(std::chrono::milliseconds(400));
  // The first round of any() is from the rank before.
  const std::string own = vrfm::text("vrfm: waited 0.2 s for rank ", ranks.size() - 1);
  const std::string found = thrown<std::runtime_error>([&] {
    for (;;) impatient.any(false);
  });
  CHECK(found == (ranks.is_root() ? own : "vrfm: rank 0: " + own.substr(6)));
  MPI_Barrier(MPI_COMM_WORLD);
}

TEST_CASE("a communicator without MPI's is one process", "[mpi]") {
  const MpiCommunicator alone;
  CHECK(alone.size() == 1);
  CHECK(alone.is_root());
  CHECK(alone.any(true));
  CHECK_FALSE(alone.any(false));
  CHECK(sum_of<float>(alone, Partition(8, 8), 10) ==
        nodes_of<float>(Partition(8, 8), {0, 8}, 10)[0]);
}

int main(int argc, char* argv[]) {
  const auto early = thrown<std::runtime_error>([] { MpiCommunicator{MPI_COMM_WORLD}; });
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  int status = early.find("MPI is not initialised") == std::string::npos ? 1 : 0;
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    status += Catch::Session().run(argc, argv);
  }
  MPI_Finalize();
  return status;
}
