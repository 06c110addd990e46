// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arena: where slices begin, what rewinding gives back, and that a dry run measures real use.
#include <cstdint>

#include <tests/support/catch.hpp>

#include <vrfm/core/arena.hpp>

namespace {

/// A step that takes, rewinds and takes again: its peak is in the middle.
template <class T>
void nested_step(vrfm::Arena<T>& arena) {
  arena.take(3, 5);
  const auto mark = arena.used();
  arena.take(10, 7);
  arena.take(1, 1);
  arena.rewind(mark);
  arena.take(4, 2);
}

}  // namespace

TEMPLATE_TEST_CASE("slices are disjoint, in order and begin on 64-byte borders", "[core][arena]",
                   float, double) {
  using T = TestType;
  alignas(64) static T block[256];
  vrfm::Arena<T> arena(block, 256);
  const std::size_t line = 64 / sizeof(T);
  std::size_t expected = 0;
  for (int cols = 1; cols <= 7; ++cols) {
    const auto slice = arena.take(3, cols);
    CHECK(slice.data == block + expected);
    CHECK(reinterpret_cast<std::uintptr_t>(slice.data) % 64 == 0);
    CHECK((slice.rows == 3 && slice.cols == cols && slice.stride == cols));
    const auto count = static_cast<std::size_t>(3 * cols);
    expected += (count + line - 1) / line * line;
    CHECK(arena.used() == expected);
  }
  CHECK(arena.peak() == expected);
}

TEST_CASE("an empty slice takes nothing and has an address", "[core][arena]") {
  alignas(64) float block[16];
  vrfm::Arena<float> arena(block, 16);
  const auto slice = arena.take(0, 7);
  CHECK(arena.used() == 0);
  CHECK(arena.left() == 16);
  CHECK_FALSE(slice.empty());
  CHECK((slice.rows == 0 && slice.cols == 7));
}

TEST_CASE("padded rounds up to whole lines", "[core][arena]") {
  CHECK(vrfm::Arena<float>::padded(0) == 0);
  CHECK(vrfm::Arena<float>::padded(1) == 16);
  CHECK(vrfm::Arena<float>::padded(16) == 16);
  CHECK(vrfm::Arena<float>::padded(17) == 32);
  CHECK(vrfm::Arena<double>::padded(1) == 8);
  CHECK(vrfm::Arena<double>::padded(9) == 16);
}

TEST_CASE("rewind gives memory back and keeps the peak", "[core][arena]") {
  alignas(64) double block[64];
  vrfm::Arena<double> arena(block, 64);
  const auto first = arena.take(1, 8);
  const auto mark = arena.used();
  const auto second = arena.take(2, 8);
  CHECK(arena.used() == 24);
  arena.rewind(mark);
  CHECK(arena.used() == 8);
  CHECK(arena.peak() == 24);
  CHECK(arena.take(1, 3).data == second.data);
  CHECK(first.data == block);
  CHECK(arena.peak() == 24);
}

TEMPLATE_TEST_CASE("a measuring arena counts what a real one uses", "[core][arena]", float,
                   double) {
  using T = TestType;
  auto measure = vrfm::Arena<T>::measure();
  nested_step(measure);
  alignas(64) static T block[512];
  vrfm::Arena<T> real(block, measure.peak());  // ends the program if one number too small
  nested_step(real);
  CHECK(real.peak() == measure.peak());
  CHECK(real.used() == measure.used());
  CHECK(measure.peak() > measure.used());
}

TEST_CASE("slices of a measuring arena are wanted", "[core][arena]") {
  auto measure = vrfm::Arena<double>::measure();
  const auto slice = measure.take(1 << 20, 1 << 10);
  CHECK_FALSE(slice.empty());
  CHECK_FALSE(slice.col_range(3, 4).empty());
  CHECK_FALSE(slice.row_range(3, 4).empty());
  CHECK(measure.peak() == std::size_t(1) << 30);
}
