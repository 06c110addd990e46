// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stored: networks whose parameters are read from, and whose wide activations are kept in, a type smaller than
// that of sums, such as BFloat16: half the memory, and on devices products at full rate. A flow's values stay of
// its own type: training updates them and its state as ever, and rounds a copy for each step; files hold them.
//
//   Flow<float, Exec, Stored<BFloat16, TransformerNetworks>>
//
// A model can be stored so if its member template Saved takes a second argument, the parameters' type P, and its
// functions take `const P* p`.
#pragma once

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/launch.hpp>

namespace vrfm {

namespace detail {

template <class Model, class T, class P>
struct SavedOf {
  using type = typename Model::template Saved<T, P>;
};
template <class Model, class T>
struct SavedOf<Model, T, T> {
  using type = typename Model::template Saved<T>;
};

template <class Model>
concept CanBeStored = requires { typename Model::template Saved<float, BFloat16>; };

template <class Networks, class T>
struct StorageOf {
  using type = T;
};
template <class Networks, class T>
  requires requires { typename Networks::storage; }
struct StorageOf<Networks, T> {
  using type = typename Networks::storage;
};

/// Element: out = in, rounded to its type.
template <class P, class T>
struct RoundTo {
  const T* in;
  P* out;
  KOKKOS_INLINE_FUNCTION void operator()(std::int64_t k) const { out[k] = in[k]; }
};

}  // namespace detail

/// What a model saves from forward to backward, in sums of T and with parameters of type P.
template <class Model, class T, class P>
using saved_of = typename detail::SavedOf<Model, T, P>::type;

/// The type of the parameters that a flow of T hands to its networks.
template <class Networks, class T>
using storage_of = typename detail::StorageOf<Networks, T>::type;

template <class P, class Networks>
struct Stored : Networks {
  static_assert(
      detail::CanBeStored<std::remove_cvref_t<decltype(Networks::velocity)>> &&
          detail::CanBeStored<std::remove_cvref_t<decltype(Networks::posterior)>>,
      "vrfm: networks that are Stored need models with Saved<T, P>; of the library's, those "
      "of TransformerNetworks have it");
  using storage = P;
  using Networks::Networks;
  Stored() = default;
  explicit Stored(const Networks& networks) : Networks(networks) {}
};

/// An array as networks read it: itself, or a copy rounded to P, which `store` makes.
template <class P, class T, ExecutionSpace Exec>
class StoredArray {
 public:
  /// `values` may be null: there is no array.
  StoredArray(const T* values, std::size_t count) : values_(values), count_(count) {
    if constexpr (!same) {
      if (values == nullptr) return;
      copy_ = Array<P, Exec>(Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::StoredArray"),
                             count);
    }
  }

  const T* values() const { return values_; }
  const P* stored() const {
    if constexpr (same) {
      return values_;
    } else {
      return copy_.data();
    }
  }
  /// Launches the copy.
  void store(const Exec& exec) const {
    if constexpr (!same) {
      if (values_ == nullptr) return;
      launch_each(exec, "vrfm::StoredArray::store", static_cast<std::int64_t>(count_),
                  detail::RoundTo<P, T>{values_, copy_.data()});
    }
  }

 private:
  static constexpr bool same = std::is_same_v<P, T>;

  const T* values_;
  std::size_t count_;
  Array<P, Exec> copy_;
};

/// A flow's values as its networks read them: themselves, or a rounded copy. Waits for it.
template <class P, ExecutionSpace Exec, class T>
Array<const P, Exec> stored_values(const Exec& exec, const Array<T, Exec>& values) {
  if constexpr (std::is_same_v<P, T>) {
    return values;
  } else {
    const Array<P, Exec> out(Kokkos::view_alloc(Kokkos::WithoutInitializing, "vrfm::stored_values"),
                             values.extent(0));
    launch_each(exec, "vrfm::stored_values", static_cast<std::int64_t>(values.extent(0)),
                detail::RoundTo<P, T>{values.data(), out.data()});
    exec.fence();
    return out;
  }
}

}  // namespace vrfm
