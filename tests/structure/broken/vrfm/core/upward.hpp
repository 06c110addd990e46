// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Breaks the order of the folders; read by the structure test, never compiled.
#pragma once

#include <vrfm/layers/dense.hpp>
