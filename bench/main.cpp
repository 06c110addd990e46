// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The benchmark program; its options are Google Benchmark's (--benchmark_filter=training).
#include <iostream>
#include <sstream>

#include "support.hpp"

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  using vrfm::bench::Exec;
  benchmark::AddCustomContext("execution space", Exec::name());
  benchmark::AddCustomContext("concurrency", std::to_string(Exec{}.concurrency()));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("Kokkos", std::to_string(KOKKOS_VERSION));
  const auto rate = [](double peak) { return std::to_string(peak * 1e-9) + " GF/s"; };
  benchmark::AddCustomContext("gemm, float", rate(vrfm::bench::peak<float>()));
  benchmark::AddCustomContext("gemm, double", rate(vrfm::bench::peak<double>()));
  std::ostringstream configuration;
  Kokkos::print_configuration(configuration);
  std::cerr << configuration.str();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
