// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The text of an expected exception, to be compared as a whole or searched.
#pragma once

#include <string>

namespace vrfm::test {

/// what() of the E that `call` throws; "(nothing thrown)" otherwise.
template <class E, class Call>
std::string thrown(const Call& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "(nothing thrown)";
}

/// Whether `whole` contains `part`.
inline bool contains(const std::string& whole, const std::string& part) {
  return whole.find(part) != std::string::npos;
}

}  // namespace vrfm::test
