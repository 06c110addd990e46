// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ranks that are threads of one process and send messages, which are delayed and overtake each other.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <vrfm/parallel/communicator.hpp>
#include <vrfm/parallel/message_sum.hpp>

namespace vrfm::test {

/// Messages under way.
struct Mail {
  std::mutex mutex;
  std::condition_variable arrived;
  std::map<std::pair<int, int>, std::deque<std::vector<char>>> boxes;  // by (from, to)
};

/// A rank's end of the mail. Messages to different ranks leave in a random order and after random times, and a
/// test may say that they are not there yet.
class AdverseMessenger {
 public:
  AdverseMessenger(Mail& mail, int rank, int size)
      : mail_(&mail), rank_(rank), size_(size), random_(static_cast<unsigned>(rank) + 7) {}

  int rank() const { return rank_; }
  int size() const { return size_; }
  std::size_t bytes() const { return bytes_; }
  int messages() const { return messages_; }

  void exchange(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    begin(outgoing, incoming);
    wait();
  }

  void begin(std::span<const Outgoing> outgoing, std::span<const Incoming> incoming) const {
    if (!expected_.empty()) std::abort();  // one exchange at a time
    expected_.assign(incoming.begin(), incoming.end());
    std::vector<std::size_t> order(outgoing.size());
    for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::shuffle(order.begin(), order.end(), random_);
    // From one rank to another messages keep their order.
    std::map<int, std::vector<std::size_t>> due;
    for (std::size_t k = outgoing.size(); k > 0; --k) due[outgoing[k - 1].to].push_back(k - 1);
    for (const std::size_t k : order) {
      auto& next = due[outgoing[k].to];
      const Outgoing& out = outgoing[next.back()];
      next.pop_back();
      if (random_() % 8 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(random_() % 50));
      const auto* data = static_cast<const char*>(out.data);
      const std::lock_guard lock(mail_->mutex);
      mail_->boxes[{rank_, out.to}].emplace_back(data, data + out.bytes);
      mail_->arrived.notify_all();
      bytes_ += out.bytes;
      ++messages_;
    }
  }

  bool test() const {
    if (expected_.empty()) return true;
    if (random_() % 4 == 0) return false;
    std::unique_lock lock(mail_->mutex);
    while (!expected_.empty() && take_one()) {
    }
    return expected_.empty();
  }

  void wait() const {
    std::unique_lock lock(mail_->mutex);
    while (!expected_.empty()) mail_->arrived.wait(lock, [&] { return take_one(); });
  }

 private:
  /// The first message that is expected, if it is there.
  bool take_one() const {
    const Incoming& in = expected_.front();
    auto& box = mail_->boxes[{in.from, rank_}];
    if (box.empty()) return false;
    if (box.front().size() != in.bytes) std::abort();  // Catch2's assertions are for one thread
    std::copy(box.front().begin(), box.front().end(), static_cast<char*>(in.data));
    box.pop_front();
    expected_.pop_front();
    return true;
  }

  Mail* mail_;
  int rank_, size_;
  mutable std::mt19937 random_;
  mutable std::size_t bytes_ = 0;
  mutable int messages_ = 0;
  mutable std::deque<Incoming> expected_;
};

/// All that a communicator may have, by such messages. Copies are one rank.
class AdverseCommunicator {
 public:
  /// bucket_bytes: see OverlappingCommunicator.
  AdverseCommunicator(Mail& mail, int rank, int size, std::size_t bucket_bytes = 0)
      : state_(std::make_shared<State>(AdverseMessenger(mail, rank, size))),
        bucket_bytes_(bucket_bytes) {}

  int rank() const { return state_->messenger.rank(); }
  int size() const { return state_->messenger.size(); }
  bool is_root() const { return rank() == 0; }

  template <ExecutionSpace Exec, class S>
  void sum(const Exec& exec, const Partition& partition, std::span<S* const> roots, S* result,
           std::size_t count) const {
    tree_sum(state_->messenger, exec, partition, roots, result, count, state_->memory);
  }
  Segment segment(const Partition& partition, std::size_t count, std::size_t unit) const {
    return segment_of(partition, rank(), size(), count, unit);
  }
  /// What the others hold is lost indeed.
  template <ExecutionSpace Exec, class S>
  void reduce_scatter(const Exec& exec, const Partition& partition, std::span<S* const> roots,
                      S* result, std::size_t count, std::size_t unit) const {
    vrfm::reduce_scatter(state_->messenger, exec, partition, roots, result, count, unit,
                         state_->memory);
    const Segment own = segment(partition, count, unit);
    std::fill(result, result + own.begin, S(-7));
    std::fill(result + own.end, result + count, S(-7));
  }
  template <ExecutionSpace Exec, class S>
  void all_gather(const Exec& exec, const Partition& partition, S* values, std::size_t count,
                  std::size_t unit) const {
    exec.fence();
    vrfm::all_gather(state_->messenger, partition, values, count, unit, state_->memory);
  }
  std::size_t bucket_bytes() const { return bucket_bytes_; }
  template <ExecutionSpace Exec, class S>
  PendingSum<AdverseMessenger&, Exec, S> begin_sum(const Exec& exec, const Partition& partition,
                                                   std::span<S* const> roots, S* result,
                                                   std::size_t count) const {
    ++state_->begun;
    return {state_->messenger, exec, partition, roots, result, count, state_->memory};
  }
  /// Calls of begin_sum.
  int begun() const { return state_->begun; }
  bool any(bool flag) const { return any_by_messages(state_->messenger, flag); }
  template <ExecutionSpace Exec, class View>
  void broadcast(const Exec& exec, const View& values) const {
    exec.fence();
    broadcast_by_messages(state_->messenger, values.data(),
                          values.size() * sizeof(typename View::value_type));
  }

 private:
  struct State {
    explicit State(const AdverseMessenger& of) : messenger(of) {}
    AdverseMessenger messenger;
    MessageMemory memory;
    int begun = 0;
  };

  std::shared_ptr<State> state_;
  std::size_t bucket_bytes_;
};

}  // namespace vrfm::test
