// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every benchmark reports: its rate of arithmetic, and that as a fraction of the machine's peak,
// the rate of one large product by BatchContext over all cores, measured in the same run.
#pragma once

#include <benchmark/benchmark.h>

#include <vrfm/linalg/batch_context.hpp>

namespace vrfm::bench {

using Exec = Kokkos::DefaultExecutionSpace;

/// Floating-point operations a second of a 1024^3 product, the best of some.
template <class T>
double peak() {
  static const double rate = [] {
    constexpr int n = 1024;
    const Exec exec;
    const Table<T, Exec> a("a", n, n), b("b", n, n), c("c", n, n);
    Kokkos::deep_copy(a, T(1));
    Kokkos::deep_copy(b, T(1));
    double best = 0;
    for (int repetition = 0; repetition < 20; ++repetition) {
      exec.fence();
      const Kokkos::Timer timer;
      BatchContext<Exec>(exec).template gemm<Op::none, Op::transpose>(matrix(a), matrix(b),
                                                                      matrix(c), Update::overwrite);
      exec.fence();
      best = std::fmax(best, 2.0 * n * n * n / timer.seconds());
    }
    return best;
  }();
  return rate;
}

/// Reports `operations` an iteration as a rate and as a fraction of `peak` operations a second.
inline void report(benchmark::State& state, double operations, double peak) {
  using benchmark::Counter;
  state.counters["flop/s"] = Counter(operations, Counter::kIsIterationInvariantRate);
  state.counters["of_gemm"] = Counter(operations / peak, Counter::kIsIterationInvariantRate);
}

/// Adds the rate of `count` things an iteration.
inline void report_rate(benchmark::State& state, const std::string& name, double count) {
  state.counters[name] = benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate);
}

/// `count` numbers in (-1, 1), the same in every run.
template <class T, class Space = Exec>
Array<T, Space> numbers(std::size_t count) {
  const Array<T, Space> values("numbers", count);
  const auto host = Kokkos::create_mirror_view(values);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < count; ++i) {
    state = 1664525u * state + 1013904223u;
    host(i) = static_cast<T>(static_cast<float>(state >> 8) / float(1 << 23) - 1.0f);
  }
  Kokkos::deep_copy(values, host);
  return values;
}

}  // namespace vrfm::bench
