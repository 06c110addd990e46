// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every test reads and none is the subject of: precompiled once for all test programs.
#pragma once

#include <Kokkos_Core.hpp>

#include <tests/support/catch.hpp>
