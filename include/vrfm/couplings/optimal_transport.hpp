// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// OptimalTransport: the samples of another coupling, paired anew in each step so that the sum of |x0 - x1|^2 over the
// batch is least: minibatch optimal transport (Pooladian et al., "Multisample flow matching", 2023; Tong et al.,
// "Improving and generalizing flow-based generative models", 2023). x1 is permuted, with its condition, inside the
// global batch or fixed blocks of it, so the pairs depend on neither threads nor ranks: each rank draws and solves the
// whole batch. Distances are a kernel; each block's assignment is solved on one thread of the host, in time up to
// block^3. In 1000 samples that is a few times ten milliseconds: a `block` makes it less.
#pragma once

#include <vrfm/core/copy.hpp>
#include <vrfm/couplings/detail/drawn_batch.hpp>
#include <vrfm/transport/assignment.hpp>
#include <vrfm/transport/squared_distances.hpp>

namespace vrfm {

struct OptimalTransportOptions {
  int batch = 0;  ///< samples of a global batch
  int block = 0;  ///< most samples that are paired among themselves; 0: the batch
};

namespace detail::pairing {

/// On the host: one block's partners.
struct SolveBlock {
  Partition blocks;
  ConstMatrix<double> cost;
  double* memory;
  std::size_t memory_each;
  std::int32_t* partner;  // [samples]

  void operator()(int block) const {
    const int first = blocks.first_sample(block), size = blocks.sample_count(block);
    Arena<double> arena(memory + static_cast<std::size_t>(block) * memory_each, memory_each);
    AssignmentSolver solver(size, arena);
    solver.solve(cost.row_range(first, size).col_range(0, size));
    for (int i = 0; i < size; ++i) partner[first + i] = first + solver.columns()[i];
  }
};

struct CopyPartner {
  const std::int32_t* from;
  Matrix<std::int32_t> to;

  KOKKOS_FUNCTION void operator()(int i) const { to(i, 0) = from[i]; }
};

}  // namespace detail::pairing

/// Copies share their tables, so a coupling serves one trainer at a time.
template <Real T, ExecutionSpace Exec, class Inner>
class OptimalTransport {
 public:
  using value_type = T;
  /// The assignment is the host's work, so a step cannot be recorded with it.
  static constexpr bool prepares_on_host = true;

  /// Allocates the tables. Throws std::invalid_argument if a size is out of range or does not fit `inner`.
  OptimalTransport(const Inner& inner, const OptimalTransportOptions& options)
      : blocks_(detail::transport_blocks("OptimalTransport", options.batch, options.block)),
        drawn_(inner, options.batch),
        packed_(uninitialised("vrfm::OptimalTransport::packed"),
                distance_memory<Exec>(blocks_, inner.dimension())),
        cost_(uninitialised("vrfm::OptimalTransport::cost"),
              static_cast<std::size_t>(options.batch),
              static_cast<std::size_t>(blocks_.largest_leaf())),
        partner_(uninitialised("vrfm::OptimalTransport::partner"),
                 static_cast<std::size_t>(options.batch)),
        host_cost_(Kokkos::create_mirror_view(cost_)),
        host_partner_(Kokkos::create_mirror_view(partner_)),
        memory_("vrfm::OptimalTransport::memory",
                static_cast<std::size_t>(blocks_.leaves()) * solver_memory(blocks_)) {}

  KOKKOS_FUNCTION int dimension() const { return drawn_.dimension(); }
  KOKKOS_FUNCTION ConditionShape condition() const { return drawn_.condition(); }

  /// Throws std::invalid_argument unless a step draws this batch.
  void check(int batch) const {
    detail::check_transport_batch("OptimalTransport", drawn_.batch(), batch);
    check_batch(drawn_.inner(), batch);
  }

  /// Draws the batch and pairs it. Allocates nothing; waits for `exec` unless that is the host. A block in which a
  /// distance is not finite stays as it was drawn.
  void prepare(const Exec& exec, const DrawAddress& address, int) const {
    drawn_.fill(exec, address);
    squared_distances<Exec, T>(exec, blocks_, drawn_.x0(), drawn_.x1(), packed_.data(),
                               matrix(cost_));
    copy_elements(exec, host_cost_, cost_);
    if constexpr (!detail::is_synchronous<Exec>) exec.fence();
    const HostExec host = host_of(exec);
    launch_each(host, "vrfm::OptimalTransport::solve", blocks_.leaves(),
                detail::pairing::SolveBlock{blocks_, matrix(host_cost_), memory_.data(),
                                            solver_memory(blocks_), host_partner_.data()});
    if constexpr (!detail::is_synchronous<HostExec>) host.fence();
    copy_elements(exec, partner_, host_partner_);
    launch_each(exec, "vrfm::OptimalTransport::copy_partner", drawn_.batch(),
                detail::pairing::CopyPartner{partner_.data(), drawn_.partners()});
  }

  KOKKOS_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    drawn_.draw(address.sample, slot);
  }

 private:
  using HostExec = std::conditional_t<is_host_space<Exec>, Exec, Kokkos::DefaultHostExecutionSpace>;

  static auto uninitialised(const char* label) {
    return Kokkos::view_alloc(Kokkos::WithoutInitializing, std::string(label));
  }
  static std::size_t solver_memory(const Partition& blocks) {
    return AssignmentSolver::memory(blocks.largest_leaf());
  }
  static HostExec host_of(const Exec& exec) {
    if constexpr (is_host_space<Exec>) {
      return exec;
    } else {
      return HostExec();
    }
  }

  Partition blocks_;
  detail::DrawnBatch<T, Exec, Inner> drawn_;
  Array<T, Exec> packed_;
  Table<double, Exec> cost_;
  Array<std::int32_t, Exec> partner_;
  typename Table<double, Exec>::host_mirror_type host_cost_;
  typename Array<std::int32_t, Exec>::host_mirror_type host_partner_;
  Kokkos::View<double*, Kokkos::HostSpace> memory_;
};

/// The samples of `inner` by optimal transport: optimal_transport<float>(exec, inner, {.batch = 256}).
template <Real T, ExecutionSpace Exec, class Inner>
OptimalTransport<T, Exec, Inner> optimal_transport(const Exec&, const Inner& inner,
                                                   const OptimalTransportOptions& options) {
  return OptimalTransport<T, Exec, Inner>(inner, options);
}

}  // namespace vrfm
