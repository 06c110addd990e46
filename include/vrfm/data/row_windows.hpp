// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowWindows: rows that may be more than memory holds, in the order of their draws. A window of them is in memory
// while a thread reads the next (data/detail/window_plan.hpp says which rows these are); if one window holds all, the
// arrays are read once. The order does not depend on how the arrays are read, and any draw is found by its step, so a run
// may begin anywhere. Programs link a thread library (Threads::Threads).
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/data/detail/step_tables.hpp>
#include <vrfm/data/detail/window_plan.hpp>
#include <vrfm/data/row_source.hpp>

namespace vrfm {

struct RowWindowsOptions {
  std::size_t block_rows = 4096;        ///< consecutive rows of the arrays, which stay together
  std::size_t window_rows = 1'000'000;  ///< rows in memory, about; twice as many are
};

namespace detail {

/// On the host: rows of a window to the tables of a step.
template <class T>
struct GatherRows {
  const T* rows;
  const std::uint32_t* order;
  RowLayout layout;
  SampleColumns<T> to;
  std::size_t first;  // sample of the step
  void operator()(int i) const {
    const std::size_t s = first + static_cast<std::size_t>(i);
    const auto at = [s](auto* table, int columns) {
      return table + s * static_cast<std::size_t>(columns);
    };
    const Slot<T> slot{nullptr,
                       at(to.x1, layout.dimension),
                       at(to.labels, layout.classes > 0 ? 1 : 0),
                       at(to.vector, layout.columns),
                       at(to.field, layout.field_columns),
                       nullptr};
    layout.write(rows + order[i] * static_cast<std::size_t>(layout.row_columns()), slot);
  }
};

}  // namespace detail

template <Real T>
class RowWindows {
 public:
  /// Passes over all rows once, and calls visit(const T* row) for each that is wanted, packed, in turn, such as
  /// RowScalesFit::add. The readers of `source` must outlive it. Throws std::invalid_argument for an option that is out
  /// of range, std::runtime_error as RowSource::read and check, and if all weights are 0.
  explicit RowWindows(const RowSource& source, const RowWindowsOptions& options = {},
                      const std::function<void(const T*)>& visit = {})
      : source_(source), o_(options), columns_(source.row_columns()) {
    expect(o_.block_rows > 0, "blocks of rows have at least 1, got ", o_.block_rows);
    expect(o_.window_rows >= o_.block_rows, "a window of rows holds at least a block of ",
           o_.block_rows, ", got ", o_.window_rows);
    first_pass(visit);
    reader_ = std::thread([this] { read_ahead(); });
  }
  RowWindows(const RowWindows&) = delete;
  RowWindows& operator=(const RowWindows&) = delete;
  ~RowWindows() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = abandon_ = true;
    }
    changed_.notify_all();
    reader_.join();
  }

  const RowLayout& layout() const { return source_.layout(); }
  /// Rows that are wanted.
  std::uint32_t count() const { return blocks_.count; }
  /// Of an epoch.
  std::uint32_t windows() const { return blocks_.windows; }
  /// Rows in which a number was NaN or infinite, and the first of them.
  std::size_t dropped() const { return scratch_.nan_rows; }
  const std::string& first_dropped() const { return scratch_.first_nan; }

  /// Copies the rows of all samples of a step to `to`, by kernels of `host`, and waits for them. Allocates at the
  /// beginning of an epoch. Throws what the reading thread has thrown since; the next call tries again.
  template <ExecutionSpace Host>
  void gather(const Host& host, const detail::OrderKey& key, std::uint32_t step, int batch,
              const detail::SampleColumns<T>& to) {
    for (int i = 0; i < batch;) {
      const auto [epoch, position] = detail::epoch_place(
          blocks_.count, static_cast<std::uint32_t>(batch), step, static_cast<std::uint64_t>(i));
      const auto plan = plan_of(key, epoch);
      const std::uint32_t w = plan->window_of(position), end = plan->first_draw[w + 1];
      const Window& window = acquire({plan, w});
      const int n =
          static_cast<int>((std::min)(static_cast<std::uint32_t>(batch - i), end - position));
      launch_each(host, "vrfm::RowWindows::gather", n,
                  detail::GatherRows<T>{window.rows, &window.order[position - plan->first_draw[w]],
                                        layout(), to, static_cast<std::size_t>(i)});
      host.fence();
      i += n;
    }
  }

 private:
  using Plan = std::shared_ptr<const detail::WindowPlan>;

  struct Place {
    Plan plan;
    std::uint32_t window = 0;

    bool operator==(const Place& other) const {
      return plan && other.plan && plan->key == other.plan->key &&
             plan->epoch == other.plan->epoch && window == other.window;
    }
  };
  struct Window {
    Place place;                  // without a plan: nothing was read
    std::unique_ptr<T[]> memory;  // unless the one window of all rows serves
    const T* rows = nullptr;
    std::vector<std::uint32_t> order;  // of its draws
  };
  enum class State { idle, wanted, done };

  void first_pass(const std::function<void(const T*)>& visit) {
    detail::WeightRange range;
    const auto weight_at = static_cast<std::size_t>(layout().weight_at());
    source_.template for_each_block<T>(o_.block_rows, scratch_,
                                       [&](const T* rows, std::size_t kept) {
                                         double weight = 0;
                                         for (std::size_t i = 0; i < kept; ++i) {
                                           const T* const row = rows + i * columns_;
                                           if (visit) visit(row);
                                           if (!layout().weighted) continue;
                                           weight += static_cast<double>(row[weight_at]);
                                           range.add(static_cast<double>(row[weight_at]));
                                         }
                                         blocks_.kept.push_back(static_cast<std::uint32_t>(kept));
                                         blocks_.weights.push_back(weight);
                                         if (scratch_.kept <= o_.window_rows) {
                                           all_.insert(all_.end(), rows, rows + kept * columns_);
                                         } else {
                                           all_ = {};
                                         }
                                       });
    blocks_.count = narrow<std::uint32_t>(scratch_.kept, "the number of rows");
    narrow<std::uint32_t>(blocks_.kept.size(), "the number of blocks of rows");
    blocks_.windows =
        static_cast<std::uint32_t>((scratch_.kept + o_.window_rows - 1) / o_.window_rows);
    if (layout().weighted && !(range.most > 0)) {
      throw std::runtime_error(text("vrfm: expected a weight above 0 among ", blocks_.count,
                                    " rows of ", source_.packer().name(), ", found none"));
    }
    if (!layout().weighted || range.equal()) blocks_.weights.clear();
    if (blocks_.windows == 1) return;
    // A window ends with the block that completes its share; behind it there is room to read one more.
    const std::size_t most = (blocks_.count - 1) / blocks_.windows + 1 + 2 * o_.block_rows;
    for (Window* window : {&front_, &back_}) {
      window->memory = std::make_unique_for_overwrite<T[]>(most * columns_);
    }
  }

  Plan plan_of(const detail::OrderKey& key, std::uint64_t epoch) {
    for (const Plan& plan : plans_) {
      if (plan && plan->key == key && plan->epoch == epoch) return plan;
    }
    plans_[0] = std::exchange(plans_[1], nullptr);
    return plans_[1] = std::make_shared<const detail::WindowPlan>(blocks_, key, epoch);
  }

  /// The window behind one, that has draws.
  Place behind(const Place& place) {
    for (std::uint32_t w = place.window + 1; w < place.plan->windows(); ++w) {
      if (place.plan->draws(w) > 0) return {place.plan, w};
    }
    const Plan plan = plan_of(place.plan->key, place.plan->epoch + 1);
    return {plan, plan->window_of(0)};
  }

  const Window& acquire(const Place& place) {
    if (front_.place == place) return front_;
    std::unique_lock lock(mutex_);
    const auto wait = [&] { changed_.wait(lock, [&] { return state_ != State::wanted; }); };
    if (!(wanted_ == place)) abandon_ = true;
    wait();
    if (state_ == State::idle || !(wanted_ == place)) {
      request(place);
      wait();
    }
    state_ = State::idle;
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    std::swap(front_, back_);
    request(behind(place));
    return front_;
  }

  void request(const Place& place) {
    wanted_ = place;
    error_ = nullptr;
    abandon_ = false;
    state_ = State::wanted;
    changed_.notify_all();
  }

  /// The reading thread. It alone uses back_ while a window is wanted.
  void read_ahead() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stop_ || state_ == State::wanted; });
      if (stop_) return;
      const Place place = wanted_;
      lock.unlock();
      std::exception_ptr error;
      try {
        fill(back_, place);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = error;
      state_ = State::done;
      changed_.notify_all();
    }
  }

  void fill(Window& window, const Place& place) {
    window.place = {};
    const detail::WindowPlan& plan = *place.plan;
    const std::uint32_t w = place.window;
    std::size_t rows = 0;
    if (blocks_.windows == 1) {
      window.rows = all_.data();
      rows = blocks_.count;
    } else {
      window.rows = window.memory.get();
      for (std::uint32_t i = plan.first_block[w]; i < plan.first_block[w + 1]; ++i) {
        if (abandon_) return;
        rows += read_block(plan.blocks[i], window.memory.get() + rows * columns_);
      }
    }
    const bool weighted = !blocks_.weights.empty();
    if (weighted) {
      cumulative_.resize(rows);
      const T* const weights = window.rows + layout().weight_at();
      detail::cumulate_weights(rows, plan.weight[w], plan.weight[w + 1], cumulative_.data(),
                               [&](std::size_t i) { return weights[i * columns_]; });
    }
    plan.order(w, weighted ? cumulative_.data() : nullptr, static_cast<std::uint32_t>(rows),
               window.order);
    window.place = place;
  }

  std::size_t read_block(std::uint32_t block, T* out) {
    const std::size_t expected = blocks_.kept[block], first = block * o_.block_rows;
    if (expected == 0) return 0;
    const std::size_t count = (std::min)(o_.block_rows, source_.rows() - first);
    const std::size_t kept = source_.read(first, count, out, reading_);
    if (kept == expected) return kept;
    throw std::runtime_error(text("vrfm: ", source_.packer().name(), ": expected ", expected,
                                  " of the rows ", first, " to ", first + count - 1,
                                  " as in the first pass, found ", kept));
  }

  RowSource source_;
  RowWindowsOptions o_;
  std::size_t columns_;
  RowScratch<T> scratch_, reading_;  // of the first pass; of the reading thread
  detail::BlockCounts blocks_;
  std::vector<T> all_;  // if one window holds them
  std::vector<double> cumulative_;
  Plan plans_[2];
  Window front_, back_;
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  Place wanted_;
  std::exception_ptr error_;
  bool stop_ = false;
  std::atomic<bool> abandon_ = false;  // what is read is no longer wanted
  std::thread reader_;
};

}  // namespace vrfm
