// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entropic transport between the samples x_i and y_j of a block, n of each with the weight 1 / n: the plan
//   P_ij = exp(f_i + g_j - C_ij / eps), C_ij = |x_i - y_j|^2,
// that makes sum P C + eps sum P (ln P - 1) least among those whose rows and columns sum to 1 / n (Cuturi, "Sinkhorn
// distances", 2013). Sinkhorn's iteration in the log domain (Peyre and Cuturi, "Computational optimal transport",
// 4.4): g_j = -ln(n sum_i exp(f_i - C_ij / eps)), then f_i likewise, so that after it the rows' sums are exact. All
// exponents are at most 0 after the first half of an iteration, because each P_ij is a part of a sum 1 / n: so the
// potential of the iteration before shifts them, and a sum that is too small to be trusted is taken again about its
// largest term. Exponentials are in float, everything else in double; a sum has one order.
#pragma once

#include <cstdint>

#include <vrfm/core/fast_math.hpp>
#include <vrfm/core/launch.hpp>
#include <vrfm/core/matrix.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/parallel/partition.hpp>

namespace vrfm {

namespace detail::pairing {

/// Columns that one call of a kernel works on; on devices the threads are the columns.
template <ExecutionSpace Exec>
inline constexpr int chunk_columns = is_host_space<Exec> ? 64 : 1;

/// Some columns of one block: what all kernels of a plan have in common.
struct PlanChunk {
  int first, size;   // the block's samples
  int begin, count;  // its columns begin ... begin + count - 1
};

template <int width>
KOKKOS_INLINE_FUNCTION PlanChunk plan_chunk(const Partition& blocks, int chunks, int index) {
  const int block = index / chunks, begin = index % chunks * width;
  const int size = blocks.sample_count(block);
  return {blocks.first_sample(block), size, begin, math::minimum(width, size - begin)};
}

/// Adds the terms of one row of the costs, exp(shift + other - cost / eps), to the sums of some columns. Loops of
/// one type each become vector code.
template <int width>
KOKKOS_INLINE_FUNCTION void add_terms(const double* cost, double inverse, double other,
                                      const double* shift, int count, double* sums) {
  float term[std::size_t(width)];
  VRFM_INDEPENDENT_ITERATIONS
  for (int l = 0; l < count; ++l) {
    term[l] = static_cast<float>((shift[l] + other) - cost[l] * inverse);
  }
  VRFM_INDEPENDENT_ITERATIONS
  for (int l = 0; l < count; ++l) term[l] = fast::exp(term[l]);
  VRFM_INDEPENDENT_ITERATIONS
  for (int l = 0; l < count; ++l) sums[l] += static_cast<double>(term[l]);
}

struct StartPlan {
  double* potentials;
  int potential_count;
  int* pending;
  int pending_count;

  KOKKOS_FUNCTION void operator()(int i) const {
    if (i < potential_count) potentials[i] = 0;
    if (i < pending_count) pending[i] = i == 0 ? 1 : 0;
  }
};

/// Half an iteration: the potentials `own` of some columns of `cost`, given those of its rows.
template <int width>
struct UpdatePotential {
  Partition blocks;
  int chunks;  // of the largest block
  ConstMatrix<double> cost;
  double inverse;  // 1 / eps
  const double* other;
  double* own;
  double tolerance;
  int* pending;  // whether this iteration and the next are wanted
  bool last;     // half

  KOKKOS_FUNCTION void operator()(int index) const {
    const auto c = plan_chunk<width>(blocks, chunks, index);
    if (c.count <= 0 || pending[0] == 0) return;
    double shift[std::size_t(width)], sums[std::size_t(width)];
    double* const potential = own + c.first + c.begin;
    for (int l = 0; l < c.count; ++l) {
      shift[l] = potential[l];
      sums[l] = 0;
    }
    add_rows(c, shift, sums);
    bool extreme = false, again = false;
    for (int l = 0; l < c.count; ++l) {
      again = again || !(math::fabs(sums[l] * c.size - 1) <= tolerance);
      extreme = extreme || !(sums[l] > 1e-20 && sums[l] < 1e20);
    }
    if (extreme) {
      largest_terms(c, shift);
      for (int l = 0; l < c.count; ++l) sums[l] = 0;
      add_rows(c, shift, sums);
    }
    for (int l = 0; l < c.count; ++l) potential[l] = shift[l] - math::log(sums[l] * c.size);
    if (last && again) Kokkos::atomic_fetch_or(pending + 1, 1);
  }

 private:
  KOKKOS_INLINE_FUNCTION void add_rows(const PlanChunk& c, const double* shift,
                                       double* sums) const {
    for (int k = 0; k < c.size; ++k) {
      add_terms<width>(cost.row(c.first + k) + c.begin, inverse, other[c.first + k], shift, c.count,
                       sums);
    }
  }

  /// Minus the largest exponent of each column without a shift.
  KOKKOS_INLINE_FUNCTION void largest_terms(const PlanChunk& c, double* shift) const {
    for (int k = 0; k < c.size; ++k) {
      const double* const row = cost.row(c.first + k) + c.begin;
      for (int l = 0; l < c.count; ++l) {
        const double opposite = row[l] * inverse - other[c.first + k];
        shift[l] = k == 0 ? opposite : math::minimum(shift[l], opposite);
      }
    }
  }
};

/// For each column i of `cost`, whose rows are the y_j, a j drawn with probability n P_ij: the sample's number in the
/// batch.
template <int width>
struct DrawPartner {
  Partition blocks;
  int chunks;
  ConstMatrix<double> cost;
  double inverse;
  const double *f, *g;
  DrawAddress address;
  Matrix<std::int32_t> partner;

  KOKKOS_FUNCTION void operator()(int index) const {
    const auto c = plan_chunk<width>(blocks, chunks, index);
    if (c.count <= 0) return;
    double sums[std::size_t(width)], target[std::size_t(width)];
    int behind[std::size_t(width)];
    for (int l = 0; l < c.count; ++l) sums[l] = 0;
    for (int k = 0; k < c.size; ++k) add_row(c, k, sums);
    for (int l = 0; l < c.count; ++l) {
      const auto a = address.at(c.first + c.begin + l);
      target[l] =
          sums[l] * a.stream(Purpose::coupling).template uniform<double>(a.sample, a.step, 0);
      sums[l] = 0;
      behind[l] = 0;
    }
    // The first j at which the sum exceeds the target is the number of those at which it does not.
    for (int k = 0; k < c.size; ++k) {
      add_row(c, k, sums);
      for (int l = 0; l < c.count; ++l) behind[l] += sums[l] <= target[l] ? 1 : 0;
    }
    for (int l = 0; l < c.count; ++l) {
      partner(c.first + c.begin + l, 0) = c.first + math::minimum(behind[l], c.size - 1);
    }
  }

 private:
  KOKKOS_INLINE_FUNCTION void add_row(const PlanChunk& c, int k, double* sums) const {
    add_terms<width>(cost.row(c.first + k) + c.begin, inverse, g[c.first + k],
                     f + c.first + c.begin, c.count, sums);
  }
};

}  // namespace detail::pairing

/// How an entropic plan is computed.
struct SinkhornIteration {
  double regularisation = 0.05;  ///< eps, in the unit of squared distances
  int iterations = 100;          ///< at most
  double tolerance =
      1e-3;  ///< of the rows' sums, relative: an iteration that finds them so is the last

  /// Throws std::invalid_argument naming the first setting that is out of range.
  void check() const {
    expect(math::is_finite(regularisation) && regularisation > 0,
           "Sinkhorn: regularisation must be above 0, got ", regularisation);
    expect(iterations >= 1, "Sinkhorn: expected at least 1 iteration, got ", iterations);
    expect(tolerance >= 0, "Sinkhorn: tolerance must be >= 0, got ", tolerance);
  }
};

/// Squared distances of the samples of some blocks, and the plans of these in memory that the caller owns.
struct SinkhornPlan {
  Partition blocks;
  ConstMatrix<double> cost;  ///< [N][samples of the largest block], as squared_distances writes it
  ConstMatrix<double> transposed;  ///< the same with x and y exchanged
  double* potentials;              ///< [2 N]: all f, then all g
  int* pending;                    ///< [iterations + 1], working memory

  double* f() const { return potentials; }
  double* g() const { return potentials + blocks.samples(); }
};

namespace detail::pairing {

template <ExecutionSpace Exec>
int plan_chunks(const Partition& blocks) {
  return (blocks.largest_leaf() + chunk_columns<Exec> - 1) / chunk_columns<Exec>;
}

}  // namespace detail::pairing

/// Computes the potentials of all blocks, from 0. Launches kernels alone: no allocation, no fence.
template <ExecutionSpace Exec>
void sinkhorn(const Exec& exec, const SinkhornIteration& how, const SinkhornPlan& plan) {
  constexpr int width = detail::pairing::chunk_columns<Exec>;
  const int chunks = detail::pairing::plan_chunks<Exec>(plan.blocks);
  const int calls = plan.blocks.leaves() * chunks, n = plan.blocks.samples();
  const double inverse = 1 / how.regularisation;
  launch_each(exec, "vrfm::sinkhorn::start", math::maximum(2 * n, how.iterations + 1),
              detail::pairing::StartPlan{plan.potentials, 2 * n, plan.pending, how.iterations + 1});
  using HalfIteration = detail::pairing::UpdatePotential<width>;
  for (int k = 0; k < how.iterations; ++k) {
    int* const pending = plan.pending + k;
    launch_each(exec, "vrfm::sinkhorn::columns", calls,
                HalfIteration{plan.blocks, chunks, plan.cost, inverse, plan.f(), plan.g(),
                              how.tolerance, pending, false});
    launch_each(exec, "vrfm::sinkhorn::rows", calls,
                HalfIteration{plan.blocks, chunks, plan.transposed, inverse, plan.g(), plan.f(),
                              how.tolerance, pending, true});
  }
}

/// partner(i, 0) = the number in the batch of a y, drawn for x_i from its row of the plan with the numbers of
/// `address`. The same for any number of threads. Does not fence.
template <ExecutionSpace Exec>
void draw_partners(const Exec& exec, const SinkhornIteration& how, const SinkhornPlan& plan,
                   const DrawAddress& address, Matrix<std::int32_t> partner) {
  constexpr int width = detail::pairing::chunk_columns<Exec>;
  const int chunks = detail::pairing::plan_chunks<Exec>(plan.blocks);
  launch_each(exec, "vrfm::draw_partners", plan.blocks.leaves() * chunks,
              detail::pairing::DrawPartner<width>{plan.blocks, chunks, plan.transposed,
                                                  1 / how.regularisation, plan.f(), plan.g(),
                                                  address, partner});
}

}  // namespace vrfm
