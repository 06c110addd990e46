// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// StoredPairs: a coupling of the pairs (x0, x1), with z and condition where they have one, of a PairFile, such as
// make_pairs makes (sampling/make_pairs.hpp): training on them is reflow (Liu, Gong and Liu 2023). Batches take the
// pairs one after the other, in an order that is shuffled anew in each epoch and depends on (seed, epoch) alone, so the
// batch may be split in any way, and the step is the only position to save. On hosts kernels read the mapped file
// themselves; for devices the rows of each step are gathered on the host: both may be larger than memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/data/detail/epoch_order.hpp>
#include <vrfm/data/detail/step_tables.hpp>
#include <vrfm/io/pair_file.hpp>

namespace vrfm {

struct StoredPairsOptions {
  int batch = 1;  ///< samples of a step, over all its parts
  int classes =
      0;  ///< labels are 0 ... classes, `classes` the null class; 0: labels are not written
  bool latents = true;    ///< whether z is written, where the file has it
  bool condition = true;  ///< the same of vector and field
};

namespace detail {

/// On the execution space: the rows of a step.
struct OrderStep {
  EpochOrder order;
  DrawAddress address;
  std::uint32_t* rows;
  KOKKOS_FUNCTION void operator()(int i) const {
    rows[i] = order(address.sample(i), address.step, address.stream(Purpose::target));
  }
};

/// On the host: gathers them.
template <class T>
struct GatherPairs {
  SampleColumns<const T> file;
  SampleColumns<T> gathered;
  const std::uint32_t* rows;
  SampleShape shape;
  void operator()(int i) const {
    copy_sample(file, rows[i], gathered, static_cast<std::size_t>(i), shape);
  }
};

}  // namespace detail

/// `gathered`: whether the rows of a step are copied to where kernels read them, or kernels read the file. Copies then
/// share their tables, so a coupling serves one trainer at a time.
template <Real T, ExecutionSpace Exec, bool gathered = !is_host_space<Exec>>
class StoredPairs {
 public:
  using value_type = T;
  static constexpr bool prepares_on_host = gathered;

  /// Keeps pointers into `file`, which must outlive it. Throws std::invalid_argument for an option that does not fit
  /// the file, std::runtime_error if its numbers are not of T.
  StoredPairs(const Exec&, const PairFile& file, const StoredPairsOptions& options)
      : order_{narrow<std::uint32_t>(file.shape().count, "the number of pairs"),
               static_cast<std::uint32_t>(options.batch)},
        shape_{0, narrow<int>(file.shape().dimension, "the columns of a pair"), {}} {
    shape_.source = shape_.dimension;
    expect(options.batch > 0, "pairs are drawn in batches of at least 1, got ", options.batch);
    expect(options.classes >= 0, "pairs need classes >= 0, got ", options.classes);
    expect(options.classes == 0 || file.shape().labels, file.name(), ": expected labels of ",
           options.classes, " classes, found no tensor 'labels'");
    expect(options.classes == 0 || file.largest_label() <= options.classes, file.name(),
           ": expected labels of at most ", options.classes, ", the null class, found ",
           file.largest_label());
    ConditionShape& rest = shape_.rest;
    rest.classes = options.classes;
    if (options.latents) rest.latent = narrow<int>(file.shape().latent, "the columns of z");
    if (options.condition) {
      rest.columns = narrow<int>(file.shape().columns, "the columns of the vector");
      rest.field_columns = narrow<int>(file.shape().field_columns, "the columns of the field");
    }
    const PairRows<T> rows = file.rows<T>();
    file_ = {rows.x0.data(),     rows.x1.data(),    rows.z.data(),
             rows.vector.data(), rows.field.data(), rows.labels.data()};
    if constexpr (gathered) {
      const auto batch = static_cast<std::size_t>(options.batch);
      tables_ = detail::StepTables<T, Exec>(batch, shape_);
      rows_ = Array<std::uint32_t, Exec>(
          Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::StoredPairs::rows"), batch);
      host_rows_ = Kokkos::create_mirror_view(rows_);
    }
  }

  KOKKOS_FUNCTION int dimension() const { return shape_.dimension; }
  KOKKOS_FUNCTION ConditionShape condition() const { return shape_.rest; }
  /// Pairs of the file.
  KOKKOS_FUNCTION int count() const { return static_cast<int>(order_.count); }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == static_cast<int>(order_.batch), "these pairs are drawn in batches of ",
           order_.batch, ", but a step draws ", batch);
  }

  /// The row of the file that the draw at `address` takes.
  KOKKOS_FUNCTION int row(const SampleAddress& address) const {
    return static_cast<int>(order_(address.sample, address.step, address.stream(Purpose::target)));
  }

  /// Gathers the step's rows. Allocates nothing; waits for `exec`.
  void prepare(const Exec& exec, const DrawAddress& address, int) const
    requires gathered
  {
    const int batch = static_cast<int>(order_.batch);
    launch_each(exec, "vrfm::StoredPairs::order", batch,
                detail::OrderStep{order_, address, rows_.data()});
    copy_elements(exec, host_rows_, rows_);
    exec.fence();  // the copies of the step before are done, too
    const auto host = detail::host_exec_of(exec);
    launch_each(host, "vrfm::StoredPairs::gather", batch,
                detail::GatherPairs<T>{file_, tables_.host(), host_rows_.data(), shape_});
    host.fence();
    tables_.upload(exec);
  }

  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    if constexpr (gathered) {
      tables_.draw(address.sample, slot);
    } else {
      const detail::SampleColumns<T> to{slot.x0,     slot.x1,    slot.z,
                                        slot.vector, slot.field, slot.label};
      detail::copy_sample(file_, static_cast<std::size_t>(row(address)), to, 0, shape_);
    }
  }

 private:
  detail::EpochOrder order_;
  detail::SampleShape shape_;
  detail::SampleColumns<const T> file_ = {};  // on the host
  detail::StepTables<T, Exec> tables_;
  Array<std::uint32_t, Exec> rows_;
  typename Array<std::uint32_t, Exec>::host_mirror_type host_rows_;
};

/// The pairs of a file that the caller keeps: stored_pairs<float>(exec, file, {.batch = 256}).
template <Real T, ExecutionSpace Exec>
StoredPairs<T, Exec> stored_pairs(const Exec& exec, const PairFile& file,
                                  const StoredPairsOptions& options) {
  return StoredPairs<T, Exec>(exec, file, options);
}
template <Real T, ExecutionSpace Exec>
StoredPairs<T, Exec> stored_pairs(const Exec&, PairFile&&, const StoredPairsOptions&) = delete;

}  // namespace vrfm
