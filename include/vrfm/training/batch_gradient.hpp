// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// BatchGradient: an objective's losses and gradient over a global batch that ranks share. The batch is
// cut into the leaves of a Partition, which depend on the batch and the kind of launch alone; in tiles a
// rank evaluates its leaves at once, else one after the other, each a batch of at most launch.batch
// samples. The leaves are added along the partition's tree: the same bits for any number of threads and
// ranks. In tiles there is a gradient for each leaf; one after the other, at most log2(leaves) + 1 for a
// power of two, as the digits of a binary counter of leaves (twice that for other ranges of leaves). Of a
// rank's last leaf in turn, buckets of the gradient may leave for the other ranks while it is evaluated.
#pragma once

#include <optional>
#include <string>

#include <vrfm/core/copy.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/parallel/tree_sum.hpp>
#include <vrfm/training/detail/add_leaves.hpp>
#include <vrfm/training/detail/buckets.hpp>
#include <vrfm/training/detail/fit.hpp>
#include <vrfm/training/detail/leaf_kernels.hpp>
#include <vrfm/training/detail/shards.hpp>

namespace vrfm {

template <class FlowType, class Objective, class Pairing, class Comm = SelfCommunicator>
class BatchGradient {
 public:
  using T = typename FlowType::value_type;
  using Exec = typename FlowType::execution_space;
  using Networks = std::decay_t<decltype(std::declval<FlowType>().networks())>;
  using Rows = detail::EvaluateRows<T, Networks, Objective, Pairing>;
  using P = typename Rows::P;
  static constexpr int terms = Rows::terms;

  /// Allocates gradients and working memory for the batch that `draws` and the shards' partition tell, which
  /// is detail::partition_of the launch. `teacher` may be null.
  BatchGradient(const FlowType& flow, const Objective& objective, const Pairing& coupling,
                const DrawAddress& draws, const Launch& launch, const T* teacher,
                const detail::Shards<Comm>& shards)
      : exec_(flow.exec()),
        shards_(shards),
        tiled_(launch.execution == Execution::tiles),
        partition_(shards.partition()),
        range_(partition_.owned(shards.communicator().rank(), shards.communicator().size())),
        roots_(partition_.roots(range_)),
        count_(static_cast<std::int64_t>(flow.parameters().count())),
        values_(flow.values().data(), flow.parameters().count()),
        teacher_(uses_teacher<Objective> ? teacher : nullptr, flow.parameters().count()),
        rows_{flow.networks(),
              objective,
              coupling,
              values_.stored(),
              teacher_.stored(),
              1.0 / partition_.samples(),
              draws} {
    allocate();
  }

  const Partition& partition() const { return partition_; }
  /// The gradient of the mean loss, after enqueue: the elements of the shards' segment.
  const T* gradient() const { return gradients_.data(); }
  /// The terms' sums over the batch.
  const double* losses() const { return losses_.data(); }
  /// Partial sums of the gradient's squares, one a block of flat_block elements.
  const Array<double, Exec>& squares() const { return squares_; }
  double row_weight() const { return rows_.row_weight; }

  /// What a coupling prepares on the host for the step that the draws' address tells. Before enqueue, because it
  /// cannot be recorded.
  void prepare() {
    if constexpr (prepares_on_host<Pairing>) prepare_pairs();
  }

  /// Launches the evaluation of this rank's leaves at the step that the draws' address tells. The launches
  /// depend on nothing that changes.
  void enqueue() {
    evaluate(true);
    // Leaves that were evaluated in turn are added up but for the losses.
    LeafRange range = range_;
    if (!tiled_) range.count = 1;
    const bool one_node = detail::is_one_node(range, partition_.leaves());
    detail::AddLeaves<T> add{
        gradients_.data(), stride_, range,  partition_.leaves(), one_node, count_,
        losses_.data(),    terms,   range_, squares_.data()};
    add_blocks("vrfm::BatchGradient::add_leaves", add, {0, static_cast<std::size_t>(count_)});
  }

  /// Adds the ranks' leaves, behind enqueue. All ranks call it; one alone need not.
  void sum() {
    if (!buckets_) shards_.sum(exec_, std::span<T* const>(gradient_roots_), gradients_.data());
    shards_.communicator().sum(exec_, partition_, std::span<double* const>(loss_roots_),
                               losses_.data(), static_cast<std::size_t>(terms));
    const detail::AddLeaves<T> square{
        gradients_.data(), stride_, {0, 1}, partition_.leaves(), true, count_,
        losses_.data(),    terms,   {0, 1}, squares_.data()};
    add_blocks("vrfm::BatchGradient::sum_squares", square, shards_.segment());
    shards_.gather_blocks(exec_, squares_.data());
  }

  /// Which samples' losses are not finite at the step that the draws' address tells, as the end of a sentence.
  /// Evaluates them once more. All ranks call it.
  std::string bad_samples() {
    prepare();
    evaluate(false);
    const auto host = to_host(exec_, losses_);
    int own = 0;  // 1 + the first leaf
    for (int k = range_.count * terms - 1; k >= 0; --k) {
      if (!math::is_finite(host(k))) own = 1 + range_.first + k / terms;
    }
    const auto ranks = all_ranks(shards_.communicator(), own);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      if (ranks[r] == 0) continue;
      const int leaf = static_cast<int>(ranks[r]) - 1;
      return text(", first from the samples ", partition_.first_sample(leaf), " to ",
                  partition_.first_sample(leaf + 1) - 1, " of the batch",
                  ranks.size() > 1 ? text(", on rank ", r) : "");
    }
    return ", though each loss is finite";
  }

 private:
  /// shared: the gradient is then summed over ranks, so buckets may leave.
  void evaluate(bool shared) {
    if constexpr (!prepares_on_host<Pairing>) prepare_pairs();
    values_.store(exec_);
    teacher_.store(exec_);
    if (tiled_) {
      if constexpr (!host_only<Rows>) evaluate_in_tiles();
    } else {
      evaluate_in_turn(shared);
    }
  }

  void prepare_pairs() {
    prepare_coupling(exec_, rows_.coupling, rows_.draws, partition_.samples());
  }

  void allocate() {
    // Buffers of gradients: of all leaves, or as many as are needed at a time.
    int buffers = range_.count;
    if (!tiled_) {
      std::vector<TreeNode> stack;
      buffers = 0;
      for (int k = 0; k < range_.count; ++k) {
        buffers = math::maximum(buffers, static_cast<int>(stack.size()) + 1);
        partition_.push(stack, {0, range_.first + k});
      }
    }
    const int concurrent = tile_concurrency(exec_);
    workers_ = tiled_ ? math::maximum(1, math::minimum(range_.count, concurrent)) : 1;
    tile_rows_ = math::minimum(partition_.largest_leaf(),
                               tiled_ ? detail::most_tile_rows<Exec> : partition_.largest_leaf());
    stride_ = Arena<T>::padded(static_cast<std::size_t>(count_));
    Arena<T> measure = Arena<T>::measure();
    double unused[std::size_t(terms)];
    T* const some = const_cast<T*>(values_.values());
    detail::DoneList parts_done;
    rows_(BatchContextOf<Exec, FlowType>::dry_run(exec_,
                                                  tiled_ ? Execution::tiles : Execution::batch),
          tile_rows_, 0, Gradient<T>{some, false, &parts_done}, unused, Update::overwrite, measure);
    memory_each_ = measure.peak();
    gradients_ = Array<T, Exec>("vrfm::BatchGradient::gradients",
                                static_cast<std::size_t>(math::maximum(1, buffers)) * stride_);
    memory_ = Array<T, Exec>("vrfm::BatchGradient::memory",
                             static_cast<std::size_t>(workers_) * memory_each_);
    losses_ = Array<double, Exec>("vrfm::BatchGradient::losses",
                                  static_cast<std::size_t>(math::maximum(1, range_.count) * terms));
    squares_ = Array<double, Exec>("vrfm::BatchGradient::squares",
                                   static_cast<std::size_t>(flat_blocks(count_)) + 1);
    stack_.reserve(static_cast<std::size_t>(math::maximum(1, buffers)));
    for (std::size_t k = 0; k < roots_.size(); ++k) {
      const auto leaf = static_cast<std::size_t>(roots_[k].first_leaf() - range_.first);
      gradient_roots_.push_back(gradients_.data() + (tiled_ ? leaf : k) * stride_);
      loss_roots_.push_back(losses_.data() + leaf * terms);
    }
    if constexpr (overlaps) {
      const Comm& communicator = shards_.communicator();
      const std::size_t each = communicator.bucket_bytes() / sizeof(T);
      const auto count = static_cast<std::size_t>(count_);
      if (tiled_ || shards_.divided() || each == 0 || count <= each) return;
      buckets_.emplace(exec_, communicator, partition_, parts_done.buckets(count, each),
                       std::span<T* const>(gradient_roots_), gradients_.data());
    }
  }

  void evaluate_in_tiles() {
    if (range_.count == 0) return;
    launch_tiles<FlowType::compute>(
        exec_, "vrfm::BatchGradient::evaluate", workers_,
        detail::EvaluateLeaves<T, Rows>{rows_, partition_, range_, tile_rows_, workers_,
                                        gradients_.data(), stride_, losses_.data(), memory_.data(),
                                        memory_each_});
  }

  void evaluate_in_turn(bool shared) {
    stack_.clear();
    const BatchContextOf<Exec, FlowType> ctx(exec_);
    for (int k = 0; k < range_.count; ++k) {
      const int leaf = range_.first + k;
      T* const buffer = gradients_.data() + stack_.size() * stride_;
      int merges = partition_.push(stack_, {0, leaf});
      Gradient<T> gradient{buffer, false};
      if constexpr (overlaps) {
        if (buckets_ && shared && k + 1 == range_.count) {
          buckets_->begin({buffer, stride_, merges});
          gradient.watch = &*buckets_;
          merges = 0;
        }
      }
      Arena<T> arena(memory_.data(), memory_each_);
      rows_(ctx, partition_.sample_count(leaf), partition_.first_sample(leaf), gradient,
            losses_.data() + k * terms, Update::overwrite, arena);
      for (T* from = buffer; merges > 0; --merges) {
        T* const into = from - stride_;
        flat_map(exec_, "vrfm::BatchGradient::add_leaf", count_, AddArray<T>{into, from});
        from = into;
      }
    }
    if constexpr (overlaps) {
      if (!buckets_ || !shared) return;
      if (range_.count == 0) buckets_->begin({});
      buckets_->finish();
    }
  }

  /// Leaves are added by the threads of a team on a device, all their blocks; one leaf is only squared, the
  /// blocks of a segment.
  void add_blocks(const char* label, const detail::AddLeaves<T>& add, const Segment& segment) {
    const std::int64_t first = flat_blocks(static_cast<std::int64_t>(segment.begin)),
                       end = flat_blocks(static_cast<std::int64_t>(segment.end));
    if (!is_host_space<Exec> && add.range.count > 1) {
      launch_tiles(exec_, label, static_cast<int>(end), add);
    } else {
      launch_each(exec_, label, first, end, add);
    }
  }

  static constexpr bool overlaps = OverlappingCommunicator<Comm, Exec, T>;

  Exec exec_;
  detail::Shards<Comm> shards_;
  bool tiled_;
  Partition partition_;
  LeafRange range_;
  std::vector<TreeNode> roots_, stack_;
  std::int64_t count_;
  StoredArray<P, T, Exec> values_, teacher_;
  Rows rows_;
  Array<T, Exec> gradients_, memory_;
  Array<double, Exec> losses_, squares_;
  std::vector<T*> gradient_roots_;
  std::vector<double*> loss_roots_;
  std::optional<detail::BucketsOf<T, Exec, Comm>> buckets_;
  int workers_ = 1, tile_rows_ = 1;
  std::size_t stride_ = 0, memory_each_ = 0;
};

}  // namespace vrfm
