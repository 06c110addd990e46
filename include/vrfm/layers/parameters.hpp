// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parameters: the parameters of a model are one flat array; a layer holds only offsets into it. The
// list of slots says which part has which name (PyTorch's state-dict convention), shape and initial
// distribution. So the optimizer, clipping, averaging and files are single passes over flat arrays.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

/// Is told on the host which part of a gradient is done: elements [offset, offset + count).
class GradientWatch {
 public:
  virtual void done(std::size_t offset, std::size_t count) = 0;

 protected:
  ~GradientWatch() = default;
};

/// Where gradients go: added to `values`, in place of `values`, or nowhere (`values == nullptr`).
template <class T>
struct Gradient {
  T* values = nullptr;
  bool accumulate = false;
  GradientWatch* watch = nullptr;  ///< may be null; of the host

  KOKKOS_INLINE_FUNCTION bool ignored() const { return values == nullptr; }

  /// A layer says so once it has launched what writes these elements, each time that it does. Without
  /// it ranks that share a batch wait for these elements until the backward pass has ended.
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_INLINE_FUNCTION void done(std::size_t offset, std::size_t count) const {
#if defined(__CUDA_ARCH__) || defined(__HIP_DEVICE_COMPILE__)
    static_cast<void>(offset);
    static_cast<void>(count);
#else
    if (watch != nullptr) watch->done(offset, count);
#endif
  }
};

/// The distribution a slot starts from.
struct Initializer {
  enum class Kind { constant, uniform, normal };
  Kind kind = Kind::constant;
  double scale = 0;  ///< the constant, the bound of U(-scale, scale), or the standard deviation

  static Initializer constant(double value) { return {Kind::constant, value}; }
  static Initializer uniform(double bound) { return {Kind::uniform, bound}; }
  static Initializer normal(double deviation) { return {Kind::normal, deviation}; }
};

/// One named tensor inside the flat array.
struct ParameterSlot {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t offset = 0;
  std::size_t count = 0;
  Initializer initializer;
};

/// The slots of a model, in order and without gaps.
class ParameterList {
 public:
  /// Appends a slot; returns its offset. Throws std::invalid_argument if `name` is taken or an
  /// extent is zero.
  std::size_t add(const std::string& name, const std::vector<std::size_t>& shape,
                  Initializer initializer) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) {
      expect(extent > 0, "parameter '", name,
             "' has an extent of 0; every extent must be positive");
      count *= extent;
    }
    for (const auto& slot : slots_) {
      expect(slot.name != name, "parameter name '", name, "' is used twice");
    }
    slots_.push_back({name, shape, count_, count, initializer});
    count_ += count;
    return slots_.back().offset;
  }

  /// Records a property of `owner` that the shapes of its parameters do not tell, such as the groups of a
  /// norm. Files carry these, so that weights of another network are refused (training/checkpoint.hpp).
  template <class Value>
  void note(const std::string& owner, const std::string& property, const Value& value) {
    notes_[owner + '.' + property] = text(value);
  }

  /// Values by owner.property.
  const std::map<std::string, std::string>& notes() const { return notes_; }

  const std::vector<ParameterSlot>& entries() const { return slots_; }

  /// Elements of the flat array.
  std::size_t count() const { return count_; }

 private:
  std::vector<ParameterSlot> slots_;
  std::map<std::string, std::string> notes_;
  std::size_t count_ = 0;
};

namespace detail {

/// Draws element `index` of a slot. The slot's position is the sample of the draw's address.
template <class T>
struct InitializeSlot {
  T* values;
  Initializer initializer;
  RandomStream stream;
  std::uint64_t slot;

  KOKKOS_FUNCTION void operator()(std::int64_t index) const {
    const auto step = static_cast<std::uint32_t>(index >> 32);
    const auto element = static_cast<std::uint32_t>(index);
    const T scale = static_cast<T>(initializer.scale);
    T value = scale;
    if (initializer.kind == Initializer::Kind::uniform) {
      value = scale * (T(2) * stream.uniform<T>(slot, step, element) - T(1));
    } else if (initializer.kind == Initializer::Kind::normal) {
      T pair[2];
      stream.normal(slot, step, element & ~1u, 2, pair);
      value = scale * pair[element & 1u];
    }
    values[index] = value;
  }
};

}  // namespace detail

/// Fills `values` (list.count() elements) with the initial draws of `seed`. Asynchronous on `exec`.
template <ExecutionSpace Exec, Real T>
void initialize(const Exec& exec, const ParameterList& list, const Array<T, Exec>& values,
                std::uint32_t seed) {
  expect_same("the parameter array", values.extent(0), "the parameter list", list.count(),
              "numbers");
  const RandomStream stream(seed, Purpose::initialise);
  std::uint64_t position = 0;
  for (const auto& slot : list.entries()) {
    Kokkos::parallel_for("vrfm::initialize",
                         Kokkos::RangePolicy<Exec, Kokkos::IndexType<std::int64_t>>(
                             exec, 0, static_cast<std::int64_t>(slot.count)),
                         detail::InitializeSlot<T>{values.data() + slot.offset, slot.initializer,
                                                   stream, position++});
  }
}

}  // namespace vrfm
