// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The library's version. The build system reads it from here: this is its only place.
#pragma once

#define VRFM_VERSION_MAJOR 0
#define VRFM_VERSION_MINOR 1
#define VRFM_VERSION_PATCH 0
