// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Copies between contiguous views. They are copies of bytes, so one instantiation of
// Kokkos::deep_copy for each pair of memory spaces serves all element types, ranks and layouts;
// one for each pair of views made a tenth of the time that a program takes to compile.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>

namespace vrfm {

namespace detail {

/// What two views need to have in common for a copy.
struct CopyShape {
  std::array<std::size_t, 3> extents{};
  bool contiguous = false;
};

template <class View>
CopyShape copy_shape(const View& view) {
  static_assert(static_cast<std::size_t>(View::rank) <= 3,
                "vrfm::copy_elements takes ranks 0 to 3");
  return {{view.extent(0), view.extent(1), view.extent(2)}, view.span_is_contiguous()};
}

[[noreturn]] inline void refuse_copy(const std::string& to_label, const CopyShape& to,
                                     const std::string& from_label, const CopyShape& from) {
  for (std::size_t k = 0; k < to.extents.size(); ++k) {
    expect(to.extents[k] == from.extents[k], "copy_elements: view '", to_label, "' has ",
           to.extents[k], " elements along axis ", k, ", but view '", from_label, "' has ",
           from.extents[k]);
  }
  fail({text_part("copy_elements: view '"), text_part(to.contiguous ? from_label : to_label),
        text_part("' has gaps between its elements")});
}

/// The bytes of a contiguous view.
template <class Byte, class View>
auto bytes_of(const View& view) {
  using Bytes =
      Kokkos::View<Byte*, typename View::memory_space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return Bytes(reinterpret_cast<Byte*>(view.data()),
               view.size() * sizeof(typename View::value_type));
}

}  // namespace detail

/// Copies the elements of `from` to `to`, as work of `exec`; does not wait for it. Throws
/// std::invalid_argument unless both are contiguous and of one shape.
template <ExecutionSpace Exec, class To, class From>
void copy_elements(const Exec& exec, const To& to, const From& from) {
  using Value = typename To::non_const_value_type;
  constexpr auto rank = static_cast<std::size_t>(To::rank);
  static_assert(std::is_same_v<Value, typename From::non_const_value_type> &&
                    std::is_trivially_copyable_v<Value>,
                "vrfm::copy_elements takes views of one trivially copyable type");
  static_assert(
      rank == static_cast<std::size_t>(From::rank) &&
          (rank <= 1 || std::is_same_v<typename To::array_layout, typename From::array_layout>),
      "vrfm::copy_elements takes views of one rank and layout");
  const auto shape = detail::copy_shape(to), other = detail::copy_shape(from);
  if (shape.extents != other.extents || !shape.contiguous || !other.contiguous) {
    detail::refuse_copy(to.label(), shape, from.label(), other);
  }
  if (to.size() == 0 || to.data() == from.data()) return;
  Kokkos::deep_copy(exec, detail::bytes_of<unsigned char>(to),
                    detail::bytes_of<const unsigned char>(from));
}

/// The view itself where the host can read it, else a copy on the host. Waits for `exec`.
template <ExecutionSpace Exec, class View>
auto to_host(const Exec& exec, const View& view) {
  const auto host = Kokkos::create_mirror_view(view);
  copy_elements(exec, host, view);
  exec.fence();
  return host;
}

}  // namespace vrfm
