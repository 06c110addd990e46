// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A particle code on many ranks that learns while it runs. Its emission stands for an expensive model: all
// ranks together train a flow on particles that it emitted, and the flow draws more of them, each rank's
// straight into its arrays. What is emitted, learnt from and drawn follows from the particles' global ids
// alone, so weights and particles have the same bits however the particles are spread over ranks.
// Usage: mpirun -n 3 vrfm_in_situ_mpi [how many particles rank 0, 1 and 2 emit in each step]
#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <vrfm/parallel/mpi_communicator.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Policy = Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::size_t>>;
using Positions = Kokkos::View<float**, Kokkos::LayoutRight, Exec>;  // the application's own

/// The application's emission: half a ring.
struct Emit {
  Positions x;
  std::uint64_t first_id;

  KOKKOS_FUNCTION void operator()(std::size_t i) const {
    const vrfm::RandomStream stream(5, vrfm::Purpose::user);
    float scatter = 0;
    stream.normal<float>(first_id + i, 0, 0, 1, &scatter);
    const float angle = 3.14159265f * stream.uniform<float>(first_id + i, 0, 4);
    x(i, 0) = (1 + 0.1f * scatter) * vrfm::math::cos(angle);
    x(i, 1) = (1 + 0.1f * scatter) * vrfm::math::sin(angle);
  }
};

/// The application's physics: a rotation about the origin with drag towards it.
struct Advance {
  Positions x;
  float dt;

  KOKKOS_FUNCTION void operator()(std::size_t i) const {
    const float x0 = x(i, 0), x1 = x(i, 1);
    x(i, 0) = x0 + dt * (-x1 - 0.2f * x0);
    x(i, 1) = x1 + dt * (x0 - 0.2f * x1);
  }
};

/// A hash of an id and a number, by the generator that draws.
std::uint64_t hash(std::uint64_t id, float value = 0) {
  const vrfm::RandomStream stream(6, vrfm::Purpose::user);
  const auto block = stream.words(id, std::bit_cast<std::uint32_t>(value), 0);
  return std::uint64_t{block.word[0]} << 32 | block.word[1];
}

std::uint64_t sum_of_ranks(MPI_Comm comm, std::uint64_t value) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_UINT64_T, MPI_SUM, comm);
  return value;
}

/// A fixed number of all particles that were ever emitted: those whose ids have the smallest hashes, which is
/// a random choice. Every rank holds the same rows in the same order.
struct Experience {
  using Entry = std::array<std::uint64_t, 2>;  // the hash, and the bits of the position

  const Positions rows{"application::experience", 1'000, 2};
  std::vector<Entry> kept = {};

  /// All ranks call it, each with its new particles first_id, first_id + 1, ...
  void add(MPI_Comm comm, const Exec& exec, const Positions& emitted, std::uint64_t first_id) {
    const auto x = vrfm::to_host(exec, emitted);
    std::vector<Entry> mine;  // soon a few of many
    for (std::size_t k = 0; k < x.extent(0); ++k) {
      const std::array<float, 2> position{x(k, 0), x(k, 1)};
      const Entry entry{hash(first_id + k), std::bit_cast<std::uint64_t>(position)};
      if (kept.size() < rows.extent(0) || entry < kept.back()) mine.push_back(entry);
    }
    keep_smallest(mine);

    int size = 0;
    MPI_Comm_size(comm, &size);
    std::vector<int> words(static_cast<std::size_t>(size)), begins(words.size() + 1);
    const int own = static_cast<int>(2 * mine.size());
    MPI_Allgather(&own, 1, MPI_INT, words.data(), 1, MPI_INT, comm);
    for (std::size_t r = 0; r < words.size(); ++r) begins[r + 1] = begins[r] + words[r];
    const std::size_t before = kept.size();
    kept.resize(before + static_cast<std::size_t>(begins.back() / 2));
    MPI_Allgatherv(mine.data(), own, MPI_UINT64_T, kept.data() + before, words.data(),
                   begins.data(), MPI_UINT64_T, comm);
    keep_smallest(kept);
    if (kept.empty()) throw std::runtime_error("expected particles to learn from, found none");

    const auto host = Kokkos::create_mirror_view(rows);
    for (std::size_t k = 0; k < rows.extent(0); ++k) {  // in turn, as long as there are fewer
      const auto position = std::bit_cast<std::array<float, 2>>(kept[k % kept.size()][1]);
      for (std::size_t d = 0; d < 2; ++d) host(k, d) = position[d];
    }
    Kokkos::deep_copy(rows, host);
  }

  void keep_smallest(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end());
    if (entries.size() > rows.extent(0)) entries.resize(rows.extent(0));
  }
};

/// What the flow learns to draw: any of the rows.
struct AnyRow {
  Positions rows;

  KOKKOS_FUNCTION int dimension() const { return 2; }
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step,
                            const vrfm::RandomStream& stream, float* x) const {
    const int row = stream.index(sample, step, 0, static_cast<int>(rows.extent(0)));
    for (int d = 0; d < 2; ++d) x[d] = rows(row, d);
  }
};

void simulate(MPI_Comm comm, const vrfm::MpiCommunicator& ranks, std::size_t emitted) {
  constexpr int steps = 12;
  const std::size_t drawn = vrfm::share_of(500, ranks.rank(), ranks.size()).count;
  const Exec exec;
  const Positions x("application::positions", steps * (emitted + drawn), 2);
  std::vector<std::uint64_t> ids;  // of the rows that there are
  std::uint64_t next_id = 0;

  // The next rows of this rank, and the id of the first: they follow those of the ranks before.
  const auto append = [&](std::uint64_t count) {
    std::uint64_t before = 0;
    MPI_Exscan(&count, &before, 1, MPI_UINT64_T, MPI_SUM, comm);
    if (ranks.is_root()) before = 0;  // MPI leaves it undefined
    const std::uint64_t first_id = next_id + before;
    const auto rows = std::make_pair(ids.size(), ids.size() + count);
    for (std::uint64_t k = 0; k < count; ++k) ids.push_back(first_id + k);
    next_id += sum_of_ranks(comm, count);
    return std::pair<Positions, std::uint64_t>(Kokkos::subview(x, rows, Kokkos::ALL), first_id);
  };

  Experience experience;
  const auto noise = vrfm::standard_normal<float>(exec, 2);
  const vrfm::Flow<float, Exec> flow(exec, {.dimension = 2}, 1);
  vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{},
                        vrfm::independent(noise, AnyRow{experience.rows}),
                        {.batch = 250, .warn = {}}, ranks);  // the rows are not filled yet
  for (int step = 0; step < steps; ++step) {
    const auto [emission, first_emitted] = append(emitted);
    Kokkos::parallel_for("application::emit", Policy(exec, 0, emitted),
                         Emit{emission, first_emitted});
    experience.add(comm, exec, emission, first_emitted);

    const bool trains = step % 4 == 0;
    if (trains) trainer.run(trainer.step() + 200, 200);
    const auto [draws, first_drawn] = append(drawn);
    vrfm::sample_into(exec, vrfm::velocity_of(flow), noise, draws, vrfm::Heun{4},
                      {.count = drawn, .seed = 7, .first_id = first_drawn})
        .expect_finished();
    if (trains) {
      const auto host = vrfm::to_host(exec, draws);
      std::uint64_t near = 0;
      for (std::size_t k = 0; k < drawn; ++k) {
        near += std::abs(std::hypot(host(k, 0), host(k, 1)) - 1) < 0.3f ? 1u : 0u;
      }
      near = sum_of_ranks(comm, near);
      if (ranks.is_root()) {
        std::printf("step %d: after %d steps of training %d of 500 are drawn near the ring\n", step,
                    static_cast<int>(trainer.step()), static_cast<int>(near));
      }
    }
    Kokkos::parallel_for("application::advance", Policy(exec, 0, ids.size()), Advance{x, 0.1f});
  }

  // A sum of hashes, which no order changes.
  const auto positions = vrfm::to_host(exec, x);
  const auto weights = vrfm::to_host(exec, flow.values());
  std::uint64_t checksum = 0;
  for (std::size_t k = 0; k < ids.size(); ++k) {
    checksum += hash(2 * ids[k], positions(k, 0)) + hash(2 * ids[k] + 1, positions(k, 1));
  }
  checksum = sum_of_ranks(comm, checksum);
  for (std::size_t k = 0; k < weights.size(); ++k) checksum += hash(k, weights(k));
  if (ranks.is_root()) {
    std::printf("checksum of the weights and of %llu particles: %016llx\n",
                static_cast<unsigned long long>(next_id),
                static_cast<unsigned long long>(checksum));
  }
}

/// What the command line says for this rank; else of 1,000 particles the more, the higher the rank.
std::size_t emitted_by(int rank, int size, int argc, char** argv) {
  const auto before = [size](int r) { return 1'000 * r * r / (size * size); };
  auto count = static_cast<std::size_t>(before(rank + 1) - before(rank));
  if (rank + 1 < argc && std::sscanf(argv[rank + 1], "%zu", &count) != 1) {
    throw std::invalid_argument("expected a number of particles, found " +
                                std::string(argv[rank + 1]));
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  int level = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
  MPI_Comm comm = MPI_COMM_NULL;  // the application's own
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  {
    Kokkos::ScopeGuard kokkos(argc, argv);
    const vrfm::MpiCommunicator ranks(comm);
    try {
      simulate(comm, ranks, emitted_by(ranks.rank(), ranks.size(), argc, argv));
    } catch (const std::exception& error) {
      // Ranks that wait for this one in vrfm hear of it and throw RankError; those that wait in a call of
      // MPI's own end with it.
      std::fprintf(stderr, "in_situ_mpi: rank %d: %s\n", ranks.rank(), error.what());
      ranks.fail(error.what());
      std::this_thread::sleep_for(std::chrono::seconds(1));
      MPI_Abort(comm, 1);
    }
  }
  MPI_Comm_free(&comm);
  MPI_Finalize();
}
