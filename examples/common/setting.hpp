// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A setting of a run as text: what a report's table shows and what a checkpoint compares.
#pragma once

#include <sstream>
#include <string>

namespace common {

/// A setting as the report's table shows it.
struct Setting {
  std::string name;
  std::string value;
  bool usual = false;  ///< what it is if nothing is said
};

/// A number as short as it can be without losing digits.
inline std::string exact_text(double value) {
  std::ostringstream stream;
  for (int digits = 6; digits <= 17; ++digits) {
    stream.str("");
    stream.precision(digits);
    stream << value;
    if (std::stod(stream.str()) == value) break;
  }
  return stream.str();
}

}  // namespace common
