// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors name both operands and their extents.
#include <stdexcept>

#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/check.hpp>

using vrfm::test::thrown;
using Invalid = std::invalid_argument;

TEST_CASE("expect throws the joined parts unless the condition holds", "[core][check]") {
  CHECK_NOTHROW(vrfm::expect(true, "never seen"));
  CHECK(thrown<Invalid>([] { vrfm::expect(false, "batch must be at least ", 1, ", got ", -2); }) ==
        "vrfm: batch must be at least 1, got -2");
}

TEST_CASE("expect_same names both operands and their extents", "[core][check]") {
  CHECK_NOTHROW(vrfm::expect_same("x0", 3, "x1", 3, "columns"));
  CHECK(thrown<Invalid>([] { vrfm::expect_same("x0", 3, "x1", 2, "columns"); }) ==
        "vrfm: x0 has 3 columns but x1 has 2 columns");
}
