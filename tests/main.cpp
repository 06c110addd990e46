// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runner of every test program: Kokkos lives around the whole Catch2 session, so tests may
// create views freely. Catch2 2 and 3 name their header differently.
#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <exception>
#include <iostream>
#include <optional>

#include <Kokkos_Core.hpp>

int main(int argc, char* argv[]) {
  std::optional<Kokkos::ScopeGuard> kokkos;
  try {
    // Kokkos takes its own options out of the arguments, Catch2 gets the rest.
    kokkos.emplace(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "Kokkos does not start: " << error.what() << '\n';  // a CUDA build without a GPU
    return 1;
  }
  return Catch::Session().run(argc, argv);
}
