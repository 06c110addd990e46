// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts the calls of the host's operator new in this program.
#pragma once

namespace vrfm::test {

/// Calls by any thread so far.
int host_allocations();

}  // namespace vrfm::test
