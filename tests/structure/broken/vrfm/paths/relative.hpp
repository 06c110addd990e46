// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Includes a header by less than its full path; read by the structure test, never compiled.
#pragma once

#include "affine.hpp"
