// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Messenger: ranks that have memories of their own and send each other messages. What a Communicator
// needs besides its sum is made of messages here: any by dissemination and broadcast by a binomial tree,
// log2 n messages one after the other each; gather by one message a rank.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <vrfm/core/compat.hpp>

namespace vrfm {

struct Outgoing {
  int to = 0;
  const void* data = nullptr;
  std::size_t bytes = 0;
};

struct Incoming {
  int from = 0;
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// Sends and receives between ranks. exchange() returns when all its messages have come and its outgoing
/// data may change. From one rank to another messages arrive in the order in which they were sent.
template <class M>
concept Messenger = requires(const M& messenger, std::span<const Outgoing> outgoing,
                             std::span<const Incoming> incoming) {
  { messenger.rank() } -> std::same_as<int>;
  { messenger.size() } -> std::same_as<int>;
  messenger.exchange(outgoing, incoming);
};

/// With exchanges that do not block, one at a time: begin() starts one, whose data stay as they are until
/// test() has returned true or wait() has returned.
template <class M>
concept PollingMessenger =
    Messenger<M> && requires(const M& messenger, std::span<const Outgoing> outgoing,
                             std::span<const Incoming> incoming) {
      messenger.begin(outgoing, incoming);
      { messenger.test() } -> std::same_as<bool>;
      messenger.wait();
    };

/// True on all ranks if `flag` is true on one. After the round of distance d a rank knows of the 2d ranks
/// that end with itself.
template <Messenger M>
bool any_by_messages(const M& messenger, bool flag) {
  const int rank = messenger.rank(), size = messenger.size();
  for (int distance = 1; distance < size; distance *= 2) {
    bool theirs = false;
    const bool mine = flag;
    const Outgoing out{(rank + distance) % size, &mine, sizeof mine};
    const Incoming in{(rank - distance + size) % size, &theirs, sizeof theirs};
    messenger.exchange(std::span(&out, 1), std::span(&in, 1));
    flag = flag || theirs;
  }
  return flag;
}

/// The `bytes` at `data` become those of rank 0.
template <Messenger M>
void broadcast_by_messages(const M& messenger, void* data, std::size_t bytes) {
  const int rank = messenger.rank(), size = messenger.size();
  int distance = 1;
  while (distance < size) distance *= 2;
  for (distance /= 2; distance >= 1; distance /= 2) {
    if (rank % distance != 0) continue;
    const bool sends = rank % (2 * distance) == 0;
    const Outgoing out{rank + distance, data, bytes};
    const Incoming in{rank - distance, data, bytes};
    if (sends && out.to < size) messenger.exchange(std::span(&out, 1), {});
    if (!sends) messenger.exchange({}, std::span(&in, 1));
  }
}

/// The elements of all ranks, in the order of ranks, on rank 0; none on the others. Their numbers may
/// differ.
template <Messenger M, class T>
  requires std::is_trivially_copyable_v<T>
std::vector<T> gather(const M& messenger, std::span<const T> mine) {
  const int rank = messenger.rank(), size = messenger.size();
  const std::uint64_t count = mine.size();
  if (rank != 0) {
    const Outgoing announced{0, &count, sizeof count}, data{0, mine.data(), mine.size_bytes()};
    messenger.exchange(std::span(&announced, 1), {});
    if (count > 0) messenger.exchange(std::span(&data, 1), {});
    return {};
  }
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(size), count);
  std::vector<Incoming> incoming;
  for (int from = 1; from < size; ++from) {
    incoming.push_back({from, &counts[static_cast<std::size_t>(from)], sizeof count});
  }
  messenger.exchange({}, incoming);
  std::size_t all = 0;
  for (const std::uint64_t each : counts) all += each;
  std::vector<T> gathered(mine.begin(), mine.end());
  gathered.resize(all);
  incoming.clear();
  T* next = gathered.data() + mine.size();
  for (int from = 1; from < size; ++from) {
    const std::size_t theirs = counts[static_cast<std::size_t>(from)];
    if (theirs > 0) incoming.push_back({from, next, theirs * sizeof(T)});
    next += theirs;
  }
  messenger.exchange({}, incoming);
  return gathered;
}

/// Samples [first, first + count).
struct Share {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

/// What rank `rank` of `size` draws of `all` samples: consecutive ids, as many on each rank as possible.
inline Share share_of(std::uint64_t all, int rank, int size) {
  const auto n = static_cast<std::uint64_t>(size), r = static_cast<std::uint64_t>(rank);
  const std::uint64_t each = all / n, rest = all % n;
  return {r * each + math::minimum(r, rest), each + (r < rest ? 1u : 0u)};
}

}  // namespace vrfm
