// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// RowSplit: which rows are for training and which for validation. Philox of a row's id and a seed decides
// (core/random.hpp): a row stays on its side whatever rows are added, removed or read first. Rows of one id stay
// together, such as the events of a run or the images of a patient.
#pragma once

#include <bit>
#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/random.hpp>
#include <vrfm/data/row_layout.hpp>

namespace vrfm {

/// Which rows of a split are meant.
enum class SplitPart { all, training, validation };

struct RowSplit {
  double validation = 0.1;  ///< probability of a row to be held out of the training
  std::uint32_t seed = 0;
  RowColumns ids =
      {};  ///< one column whose numbers are the ids; without a reader they are the rows' numbers

  /// Throws std::invalid_argument unless the probability is in [0, 1] and ids are one column.
  void check() const {
    expect(validation >= 0 && validation <= 1,
           "rows are held out with a probability in [0, 1], got ", validation);
    if (ids.reader == nullptr) return;
    const std::size_t count = detail::resolved_columns("the ids of a split", ids).size();
    expect(count == 1, "the ids of a split: expected one column, got ", count, " of ",
           ids.reader->name());
  }

  /// Whether rows of this id are held out.
  bool held_out(double id) const {
    // 0 and -0 are one id.
    const auto bits = std::bit_cast<std::uint64_t>(id == 0 ? 0.0 : id);
    return RandomStream(seed, Purpose::split).uniform<double>(bits, 0, 0) < validation;
  }
};

}  // namespace vrfm
