// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowStream: the rows of a RowWindows, which may be more than memory holds, as a distribution that kernels draw from.
// The rows of each step are gathered on the host before it. It draws each row once an epoch, or as often as its weight
// says, as RowDraws does; if one window holds all rows it draws what RowDraws draws of them.
#pragma once

#include <cstdint>
#include <string>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/data/detail/step_tables.hpp>
#include <vrfm/data/row_windows.hpp>

namespace vrfm {

namespace detail {

/// The step of an address where the host can read it.
struct TellStep {
  StepNumber step;
  std::uint32_t* number;
  KOKKOS_FUNCTION void operator()(int) const { *number = step; }
};

}  // namespace detail

/// Copies share their tables, and streams of one RowWindows its window, so a stream serves one trainer at a time.
template <Real T, ExecutionSpace Exec>
class RowStream {
 public:
  using value_type = T;
  static constexpr bool prepares_on_host = true;

  /// batch: samples of a step, over all its parts. Keeps a pointer to `windows`, which must outlive it. Throws
  /// std::invalid_argument unless batch is positive.
  RowStream(const Exec&, RowWindows<T>& windows, int batch)
      : windows_(&windows), layout_(windows.layout()), batch_(batch), step_("vrfm::RowStream", 1) {
    expect(batch > 0, "rows are drawn in batches of at least 1, got ", batch);
    host_step_ = Kokkos::create_mirror_view(step_);
    tables_ = detail::StepTables<T, Exec>(static_cast<std::size_t>(batch),
                                          {0, layout_.dimension, layout_.condition()});
  }

  KOKKOS_FUNCTION int dimension() const { return layout_.dimension; }
  KOKKOS_FUNCTION ConditionShape condition() const { return layout_.condition(); }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == batch_, "these rows are drawn in batches of ", batch_, ", but a step draws ",
           batch);
  }

  /// Gathers the step's rows. Waits for `exec`, and where the window ends for the thread that reads the next one, whose
  /// exception it throws.
  void prepare(const Exec& exec, const DrawAddress& address, Purpose purpose, int) const {
    launch_each(exec, "vrfm::RowStream::tell_step", 1,
                detail::TellStep{address.step, step_.data()});
    copy_elements(exec, host_step_, step_);
    exec.fence();  // the copies of the step before are done, too
    windows_->gather(detail::host_exec_of(exec), {address.seed, purpose_of(address.use, purpose)},
                     host_step_(0), batch_, tables_.host());
    tables_.upload(exec);
  }

  /// Writes x1 and condition of sample number `sample` of the step that was prepared.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t, const RandomStream&,
                            const Slot<T>& slot) const {
    tables_.draw(sample, slot);
  }
  /// The same of x1 alone, to x [dimension()].
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t, const RandomStream&, T* x) const {
    tables_.draw(sample, x);
  }

 private:
  RowWindows<T>* windows_;  // on the host
  RowLayout layout_;
  int batch_;
  Array<std::uint32_t, Exec> step_;
  typename Array<std::uint32_t, Exec>::host_mirror_type host_step_;
  detail::StepTables<T, Exec> tables_;
};

/// The rows of `windows`, which the caller keeps: row_stream(exec, windows, 256).
template <Real T, ExecutionSpace Exec>
RowStream<T, Exec> row_stream(const Exec& exec, RowWindows<T>& windows, int batch) {
  return RowStream<T, Exec>(exec, windows, batch);
}

}  // namespace vrfm
