// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// draw_all: a table of samples from anything that draws one sample at a time by its address, such
// as data/mixture.hpp.
#pragma once

#include <cstdint>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/distribution.hpp>
#include <vrfm/core/launch.hpp>

namespace vrfm {

namespace detail {

template <class Source, class Rows>
struct DrawRow {
  Source source;
  RandomStream stream;
  std::uint64_t first;
  std::uint32_t step;
  Rows out;

  KOKKOS_FUNCTION void operator()(int row) const {
    source.draw(first + static_cast<std::uint64_t>(row), step, stream, &out(row, 0));
  }
};

}  // namespace detail

/// Samples first ... first + count - 1 of `source` at `step`, as [count][dimension]. A row depends
/// on its sample's address alone: two calls that split the range draw what one call draws. Does not
/// fence. Throws std::invalid_argument if `count` is negative or above 2^31 - 1, or the seed has
/// more than 32 bits.
template <Real T, ExecutionSpace Exec, class Source>
Table<T, Exec> draw_all(const Exec& exec, const Source& source, std::int64_t count,
                        std::uint64_t seed, Purpose purpose, std::uint64_t first = 0,
                        std::uint32_t step = 0) {
  using Rows = Table<T, Exec>;
  const RandomStream stream(narrow<std::uint32_t>(seed, "draw_all: the seed"), purpose);
  expect(count >= 0, "draw_all: the number of samples must not be negative, but is ", count);
  const int rows = narrow<int>(count, "draw_all: the number of samples");
  Rows out;
  if constexpr (RequireSource<Source, T>::ok) {
    out = Rows(Kokkos::view_alloc("vrfm::draw_all", exec, Kokkos::WithoutInitializing),
               static_cast<std::size_t>(rows), static_cast<std::size_t>(source.dimension()));
    launch_each(exec, "vrfm::draw_all", rows,
                detail::DrawRow<Source, Rows>{source, stream, first, step, out});
  }
  return out;
}

/// The same in the source's own type, if it names one.
template <ExecutionSpace Exec, class Source>
auto draw_all(const Exec& exec, const Source& source, std::int64_t count, std::uint64_t seed,
              Purpose purpose, std::uint64_t first = 0, std::uint32_t step = 0) {
  constexpr bool has_type = requires { typename Source::value_type; };
  static_assert(
      has_type,
      "vrfm: this source names no value_type; expected draw_all<float> or draw_all<double>");
  if constexpr (has_type)
    return draw_all<typename Source::value_type>(exec, source, count, seed, purpose, first, step);
}

}  // namespace vrfm
