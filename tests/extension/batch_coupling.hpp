// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A coupling over the batch of one's own: in one dimension, the x0 and the x1 of a batch in ascending
// order, which is their optimal transport. Each step's tables are made by two kernels: no allocation, no
// wait, so the step can be recorded.
#pragma once

#include <vrfm/couplings/coupling.hpp>

namespace extension {

template <class Source, class Target, class Exec>
class SortedCoupling {
 public:
  /// Of batches of `batch` samples.
  SortedCoupling(const Source& source, const Target& target, int batch)
      : source_(source),
        target_(target),
        drawn_("drawn", 2, std::size_t(batch)),
        sorted_("sorted", 2, std::size_t(batch)) {}

  KOKKOS_FUNCTION int dimension() const { return 1; }

  void check(int batch) const {
    vrfm::expect(batch == static_cast<int>(drawn_.extent(1)), "SortedCoupling sorts batches of ",
                 drawn_.extent(1), ", but a step draws ", batch);
  }

  void prepare(const Exec& exec, const vrfm::DrawAddress& address, int batch) const {
    Kokkos::parallel_for("Draw", Range(exec, 0, batch), Draw{*this, address});
    Kokkos::parallel_for("Sort", Range(exec, 0, 2 * batch), Sort{drawn_, sorted_});
  }

  KOKKOS_FUNCTION void draw(const vrfm::SampleAddress& address,
                            const vrfm::Slot<float>& slot) const {
    slot.x0[0] = sorted_(0, address.sample);
    slot.x1[0] = sorted_(1, address.sample);
  }

 private:
  using Range = Kokkos::RangePolicy<Exec, vrfm::LightKernel, Kokkos::IndexType<int>>;

 public:
  struct Draw {
    SortedCoupling c;
    vrfm::DrawAddress address;
    KOKKOS_FUNCTION void operator()(int i) const {
      const auto a = address.at(i);
      c.source_.draw(a.sample, a.step, a.stream(vrfm::Purpose::source), &c.drawn_(0, i));
      c.target_.draw(a.sample, a.step, a.stream(vrfm::Purpose::target), &c.drawn_(1, i));
    }
  };

  /// Puts one value where it belongs: behind all that are smaller, or equal and drawn before it.
  struct Sort {
    vrfm::Table<float, Exec> drawn, sorted;
    KOKKOS_FUNCTION void operator()(int index) const {
      const int n = static_cast<int>(drawn.extent(1)), row = index / n, i = index % n;
      int rank = 0;
      for (int j = 0; j < n; ++j) {
        const bool before =
            drawn(row, j) < drawn(row, i) || (drawn(row, j) == drawn(row, i) && j < i);
        rank += before ? 1 : 0;
      }
      sorted(row, rank) = drawn(row, i);
    }
  };

 private:
  Source source_;
  Target target_;
  vrfm::Table<float, Exec> drawn_, sorted_;
};

}  // namespace extension
