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
#include <type_traits>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/data/shuffle.hpp>
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

/// Rows of pairs as kernels read or write them; null: there is none.
template <class T>
struct PairColumns {
  T *x0, *x1, *z, *vector, *field;
  std::conditional_t<std::is_const_v<T>, const std::int32_t, std::int32_t>* labels;
};

/// Copies row n of one table to row i of another.
template <class T>
KOKKOS_INLINE_FUNCTION void copy_row(const T* from, std::size_t n, T* to, std::size_t i,
                                     int columns) {
  const auto count = static_cast<std::size_t>(columns);
  for (std::size_t j = 0; j < count; ++j) to[i * count + j] = from[n * count + j];
}

/// The same of all of a pair.
template <class T>
KOKKOS_INLINE_FUNCTION void copy_pair(const PairColumns<const T>& from, std::size_t n,
                                      const PairColumns<T>& to, std::size_t i, int dimension,
                                      const ConditionShape& shape) {
  copy_row(from.x0, n, to.x0, i, dimension);
  copy_row(from.x1, n, to.x1, i, dimension);
  copy_row(from.z, n, to.z, i, shape.latent);
  copy_row(from.vector, n, to.vector, i, shape.columns);
  copy_row(from.field, n, to.field, i, shape.field_columns);
  if (shape.classes > 0) to.labels[i] = from.labels[n];
}

/// The row of the file that each sample of a step takes: position n = step batch + sample runs through it again and
/// again.
struct PairOrder {
  std::uint32_t count, batch;

  KOKKOS_INLINE_FUNCTION std::uint32_t operator()(const SampleAddress& address) const {
    const std::uint64_t n = std::uint64_t{address.step} * batch + address.sample;
    return shuffled(static_cast<std::uint32_t>(n % count), count, n / count,
                    address.stream(Purpose::target));
  }
};

/// On the execution space: the rows of a step.
struct OrderStep {
  PairOrder order;
  DrawAddress address;
  std::uint32_t* rows;
  KOKKOS_FUNCTION void operator()(int i) const { rows[i] = order(address.at(i)); }
};

/// On the host: gathers them.
template <class T>
struct GatherPairs {
  PairColumns<const T> file;
  PairColumns<T> gathered;
  const std::uint32_t* rows;
  int dimension;
  ConditionShape shape;
  void operator()(int i) const {
    copy_pair(file, rows[i], gathered, static_cast<std::size_t>(i), dimension, shape);
  }
};

}  // namespace detail

/// `gathered`: whether the rows of a step are copied to where kernels read them, or kernels read the file. Copies then
/// share their tables, so a coupling serves one trainer at a time.
template <Real T, ExecutionSpace Exec, bool gathered = !is_host_space<Exec>>
class StoredPairs {
  using Columns = detail::PairColumns<T>;
  using ConstColumns = detail::PairColumns<const T>;

 public:
  using value_type = T;
  static constexpr bool prepares_on_host = gathered;

  /// Keeps pointers into `file`, which must outlive it. Throws std::invalid_argument for an option that does not fit
  /// the file, std::runtime_error if its numbers are not of T.
  StoredPairs(const Exec&, const PairFile& file, const StoredPairsOptions& options)
      : order_{narrow<std::uint32_t>(file.shape().count, "the number of pairs"),
               static_cast<std::uint32_t>(options.batch)},
        dimension_(narrow<int>(file.shape().dimension, "the columns of a pair")) {
    expect(options.batch > 0, "pairs are drawn in batches of at least 1, got ", options.batch);
    expect(options.classes >= 0, "pairs need classes >= 0, got ", options.classes);
    expect(options.classes == 0 || file.shape().labels, file.name(), ": expected labels of ",
           options.classes, " classes, found no tensor 'labels'");
    expect(options.classes == 0 || file.largest_label() <= options.classes, file.name(),
           ": expected labels of at most ", options.classes, ", the null class, found ",
           file.largest_label());
    shape_.classes = options.classes;
    if (options.latents) shape_.latent = narrow<int>(file.shape().latent, "the columns of z");
    if (options.condition) {
      shape_.columns = narrow<int>(file.shape().columns, "the columns of the vector");
      shape_.field_columns = narrow<int>(file.shape().field_columns, "the columns of the field");
    }
    const PairRows<T> rows = file.rows<T>();
    file_ = {rows.x0.data(),     rows.x1.data(),    rows.z.data(),
             rows.vector.data(), rows.field.data(), rows.labels.data()};
    if constexpr (gathered) allocate();
  }

  KOKKOS_FUNCTION int dimension() const { return dimension_; }
  KOKKOS_FUNCTION ConditionShape condition() const { return shape_; }
  /// Pairs of the file.
  KOKKOS_FUNCTION int count() const { return static_cast<int>(order_.count); }

  /// Throws std::invalid_argument unless a step draws `batch` samples.
  void check(int batch) const {
    expect(batch == static_cast<int>(order_.batch), "these pairs are drawn in batches of ",
           order_.batch, ", but a step draws ", batch);
  }

  /// The row of the file that the draw at `address` takes.
  KOKKOS_FUNCTION int row(const SampleAddress& address) const {
    return static_cast<int>(order_(address));
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
    const HostExec host = host_of(exec);
    launch_each(host, "vrfm::StoredPairs::gather", batch,
                detail::GatherPairs<T>{file_, columns_of(host_numbers_.data(), host_labels_.data()),
                                       host_rows_.data(), dimension_, shape_});
    host.fence();
    copy_elements(exec, numbers_, host_numbers_);
    copy_elements(exec, labels_, host_labels_);
  }

  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    const Columns to{slot.x0, slot.x1, slot.z, slot.vector, slot.field, slot.label};
    if constexpr (gathered) {
      const Columns from = columns_of(numbers_.data(), labels_.data());
      detail::copy_pair(
          ConstColumns{from.x0, from.x1, from.z, from.vector, from.field, from.labels},
          static_cast<std::size_t>(address.sample), to, 0, dimension_, shape_);
    } else {
      detail::copy_pair(file_, order_(address), to, 0, dimension_, shape_);
    }
  }

 private:
  template <class View>
  using HostOf = typename View::host_mirror_type;

  using HostExec = std::conditional_t<is_host_space<Exec>, Exec, Kokkos::DefaultHostExecutionSpace>;

  static HostExec host_of(const Exec& exec) {
    if constexpr (is_host_space<Exec>) {
      return exec;
    } else {
      return HostExec();
    }
  }

  void allocate() {
    const auto uninitialised = [](const char* label) {
      return Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label));
    };
    const auto batch = static_cast<std::size_t>(order_.batch);
    const auto columns = static_cast<std::size_t>(2 * dimension_ + shape_.latent + shape_.columns +
                                                  shape_.field_columns);
    numbers_ = Array<T, Exec>(uninitialised("vrfm::StoredPairs::numbers"), batch * columns);
    labels_ = Array<std::int32_t, Exec>(uninitialised("vrfm::StoredPairs::labels"),
                                        shape_.classes > 0 ? batch : 0);
    rows_ = Array<std::uint32_t, Exec>(uninitialised("vrfm::StoredPairs::rows"), batch);
    host_numbers_ = Kokkos::create_mirror_view(numbers_);
    host_labels_ = Kokkos::create_mirror_view(labels_);
    host_rows_ = Kokkos::create_mirror_view(rows_);
  }

  /// The tables of a step, one behind the other.
  KOKKOS_FUNCTION Columns columns_of(T* numbers, std::int32_t* labels) const {
    const auto batch = static_cast<std::size_t>(order_.batch);
    T* const x1 = numbers + batch * static_cast<std::size_t>(dimension_);
    T* const z = x1 + batch * static_cast<std::size_t>(dimension_);
    T* const vector = z + batch * static_cast<std::size_t>(shape_.latent);
    T* const field = vector + batch * static_cast<std::size_t>(shape_.columns);
    return {numbers, x1, z, vector, field, labels};
  }

  detail::PairOrder order_;
  int dimension_;
  ConditionShape shape_ = {};
  ConstColumns file_ = {};  // on the host
  Array<T, Exec> numbers_;
  Array<std::int32_t, Exec> labels_;
  Array<std::uint32_t, Exec> rows_;
  HostOf<Array<T, Exec>> host_numbers_;
  HostOf<Array<std::int32_t, Exec>> host_labels_;
  HostOf<Array<std::uint32_t, Exec>> host_rows_;
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
