// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `inspect`: what a file holds, and what its columns look like.
#pragma once

#include <string>

namespace table {

/// Prints it. Throws what reading the file throws.
void inspect(const std::string& array);

}  // namespace table
