// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Catch2 for tests, whichever major version is installed: 2 has one header, 3 has several.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
