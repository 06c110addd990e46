// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SinkhornTransport: the samples of another coupling, of which each step draws for every x0 an x1, with its condition,
// from the row of x0 in the entropic plan of the batch (transport/sinkhorn.hpp): x1 is drawn with replacement, and its
// distribution is the batch's up to the plan's tolerance. As the regularisation falls the pairs tend to those of
// OptimalTransport, as it rises to independent ones; with a Brownian bridge between them they are a Schroedinger
// bridge (Tong et al., "Simulation-free Schroedinger bridges", 2024). All of it is kernels on the execution space; the
// pairs depend on neither threads nor ranks.
#pragma once

#include <vrfm/couplings/detail/drawn_batch.hpp>
#include <vrfm/transport/sinkhorn.hpp>
#include <vrfm/transport/squared_distances.hpp>

namespace vrfm {

struct SinkhornTransportOptions {
  int batch = 0;                    ///< samples of a global batch
  int block = 0;                    ///< most samples that are paired among themselves; 0: the batch
  SinkhornIteration sinkhorn = {};  ///< how each plan is computed
};

/// Copies share their tables, so a coupling serves one trainer at a time.
template <Real T, ExecutionSpace Exec, class Inner>
class SinkhornTransport {
 public:
  using value_type = T;
  static constexpr bool prepares_on_host = vrfm::prepares_on_host<Inner>;

  /// Allocates the tables: two of batch x block doubles, the largest. Throws std::invalid_argument if an option is out
  /// of range or does not fit `inner`.
  SinkhornTransport(const Inner& inner, const SinkhornTransportOptions& options)
      : blocks_(detail::transport_blocks("SinkhornTransport", options.batch, options.block)),
        how_(options.sinkhorn),
        drawn_(inner, options.batch),
        packed_("vrfm::SinkhornTransport::packed",
                distance_memory<Exec>(blocks_, inner.dimension())) {
    how_.check();
    const auto n = static_cast<std::size_t>(options.batch);
    const auto columns = static_cast<std::size_t>(blocks_.largest_leaf());
    costs_ = Table<double, Exec>(
        Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::SinkhornTransport::costs"), 2 * n,
        columns);
    potentials_ = Array<double, Exec>("vrfm::SinkhornTransport::potentials", 2 * n);
    pending_ = Array<int, Exec>("vrfm::SinkhornTransport::pending",
                                static_cast<std::size_t>(how_.iterations) + 1);
  }

  KOKKOS_FUNCTION int dimension() const { return drawn_.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return drawn_.condition(); }

  /// Throws std::invalid_argument unless a step draws this batch.
  void check(int batch) const {
    detail::check_transport_batch("SinkhornTransport", drawn_.batch(), batch);
    check_batch(drawn_.inner(), batch);
  }

  /// Draws the batch and its pairs. Does not fence.
  void prepare(const Exec& exec, const DrawAddress& address, int) const {
    drawn_.fill(exec, address);
    const int n = drawn_.batch();
    const Matrix<double> all = matrix(costs_);
    const Matrix<double> cost = all.row_range(0, n), transposed = all.row_range(n, n);
    squared_distances<Exec, T>(exec, blocks_, drawn_.x0(), drawn_.x1(), packed_.data(), cost,
                               transposed);
    const SinkhornPlan plan{blocks_, cost, transposed, potentials_.data(), pending_.data()};
    vrfm::sinkhorn(exec, how_, plan);
    draw_partners(exec, how_, plan, address, drawn_.partners());
  }

  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    drawn_.draw(address.sample, slot);
  }

 private:
  Partition blocks_;
  SinkhornIteration how_;
  detail::DrawnBatch<T, Exec, Inner> drawn_;
  Array<T, Exec> packed_;
  Table<double, Exec> costs_;  // |x0 - x1|^2, and the same transposed
  Array<double, Exec> potentials_;
  Array<int, Exec> pending_;
};

/// The samples of `inner` by an entropic plan: sinkhorn_transport<float>(exec, inner, {.batch = 1024, .sinkhorn =
/// {.regularisation = 0.1}}).
template <Real T, ExecutionSpace Exec, class Inner>
SinkhornTransport<T, Exec, Inner> sinkhorn_transport(const Exec&, const Inner& inner,
                                                     const SinkhornTransportOptions& options) {
  return SinkhornTransport<T, Exec, Inner>(inner, options);
}

}  // namespace vrfm
