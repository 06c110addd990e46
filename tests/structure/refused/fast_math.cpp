// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Under -ffast-math NaN would pass as finished.
#include <vrfm/core/compat.hpp>
