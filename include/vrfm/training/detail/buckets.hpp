// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Buckets: parts of a gradient that leave for the sum of ranks as soon as the layers that write them are
// done, while the backward pass goes on (Li et al. 2020, "PyTorch Distributed"). A dry run tells how often
// layers say done() of which elements, so how often a bucket hears it before it is complete, and in which
// order buckets complete. That order is the same on all ranks. There is no thread: what came in the
// meantime is added, and what is next leaves, whenever a layer is done.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <vrfm/layers/parameters.hpp>
#include <vrfm/linalg/flat.hpp>
#include <vrfm/parallel/communicator.hpp>

namespace vrfm::detail {

/// A segment of the gradient, and of how many calls of done() it is part.
struct Bucket {
  Segment segment;
  int calls = 0;
  int left = 0;  // of them, in the present pass
};

/// Keeps what layers say in a dry run.
class DoneList final : public GradientWatch {
 public:
  void done(std::size_t offset, std::size_t count) override {
    calls_.push_back({offset, offset + count});
  }

  /// `count` elements in buckets of `each`, in the order in which they are complete; last those of
  /// which some elements' layers say nothing.
  std::vector<Bucket> buckets(std::size_t count, std::size_t each) const {
    struct Planned {
      Bucket bucket;
      std::size_t last;  // call
    };
    std::vector<Planned> plan;
    for (std::size_t begin = 0; begin < count; begin += each) {
      Planned next{{{begin, math::minimum(count, begin + each)}}, 0};
      std::vector<Segment> parts;
      for (std::size_t k = 0; k < calls_.size(); ++k) {
        if (!meet(calls_[k], next.bucket.segment)) continue;
        parts.push_back(calls_[k]);
        ++next.bucket.calls;
        next.last = k;
      }
      if (!cover(parts, next.bucket.segment)) {
        next.bucket.calls = -1;
        next.last = calls_.size();
      }
      plan.push_back(next);
    }
    std::stable_sort(plan.begin(), plan.end(),
                     [](const Planned& a, const Planned& b) { return a.last < b.last; });
    std::vector<Bucket> ordered;
    for (const Planned& planned : plan) ordered.push_back(planned.bucket);
    return ordered;
  }

  static bool meet(const Segment& a, const Segment& b) {
    return a.begin < b.end && b.begin < a.end;
  }

 private:
  static bool cover(std::vector<Segment>& parts, const Segment& whole) {
    std::sort(parts.begin(), parts.end(),
              [](const Segment& a, const Segment& b) { return a.begin < b.begin; });
    std::size_t covered = whole.begin;
    for (const Segment& part : parts) {
      if (part.begin > covered) return false;
      covered = math::maximum(covered, part.end);
    }
    return covered >= whole.end;
  }

  std::vector<Segment> calls_;
};

template <class T, class Exec, class Comm>
class Buckets final : public GradientWatch {
 public:
  /// In which additions the last leaf's gradient, at `leaf`, becomes the last root: `merges` times the array
  /// `stride` elements before, which itself is added next.
  struct Merges {
    T* leaf;
    std::size_t stride;
    int merges;
  };

  Buckets(const Exec& exec, const Comm& communicator, const Partition& partition,
          std::vector<Bucket> plan, std::span<T* const> roots, T* result)
      : exec_(exec),
        communicator_(communicator),
        partition_(partition),
        plan_(std::move(plan)),
        roots_(roots.begin(), roots.end()),
        bucket_roots_(roots_),
        result_(result) {}

  /// A pass begins in which the other leaves' gradients are done already.
  void begin(const Merges& merges) {
    merges_ = merges;
    next_ = 0;
    for (Bucket& bucket : plan_) bucket.left = bucket.calls;
  }

  void done(std::size_t offset, std::size_t count) override {
    for (Bucket& bucket : plan_) {
      if (DoneList::meet({offset, offset + count}, bucket.segment)) --bucket.left;
    }
    while (next_ < plan_.size()) {
      if (!pending_) {
        if (plan_[next_].left != 0) return;
        leave(plan_[next_].segment);
      }
      if (!pending_->test()) return;
      arrive();
    }
  }

  /// The pass has ended: returns when all buckets are summed.
  void finish() {
    while (next_ < plan_.size()) {
      if (!pending_) leave(plan_[next_].segment);
      pending_->wait();
      arrive();
    }
  }

 private:
  using Pending = decltype(std::declval<const Comm&>().begin_sum(
      std::declval<const Exec&>(), std::declval<const Partition&>(),
      std::declval<std::span<T* const>>(), std::declval<T*>(), std::size_t{}));

  void leave(const Segment& segment) {
    T* from = merges_.leaf;
    for (int k = 0; k < merges_.merges; ++k) {
      T* const into = from - merges_.stride;
      flat_map(exec_, "vrfm::Buckets::merge", static_cast<std::int64_t>(segment.count()),
               AddArray<T>{into + segment.begin, from + segment.begin});
      from = into;
    }
    for (std::size_t k = 0; k < roots_.size(); ++k) bucket_roots_[k] = roots_[k] + segment.begin;
    pending_.emplace(communicator_.begin_sum(exec_, partition_, std::span<T* const>(bucket_roots_),
                                             result_ + segment.begin, segment.count()));
  }

  void arrive() {
    pending_.reset();
    ++next_;
  }

  Exec exec_;
  Comm communicator_;
  Partition partition_;
  std::vector<Bucket> plan_;
  std::vector<T*> roots_, bucket_roots_;
  T* result_;
  Merges merges_{};
  std::size_t next_ = 0;
  std::optional<Pending> pending_;
};

/// For a communicator without begin_sum.
struct NoBuckets {};

template <class T, class Exec, class Comm>
using BucketsOf =
    std::conditional_t<OverlappingCommunicator<Comm, Exec, T>, Buckets<T, Exec, Comm>, NoBuckets>;

}  // namespace vrfm::detail
