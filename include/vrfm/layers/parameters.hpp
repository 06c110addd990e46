// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parameters: the parameters of a model are one flat array; a layer holds only offsets into it. The
// list of slots says which part has which name (PyTorch's state-dict convention), shape and initial
// distribution. So the optimizer, clipping, averaging and files are single passes over flat arrays.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/launch.hpp>
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
  enum class Kind { constant, uniform, normal, positions };
  Kind kind = Kind::constant;
  double scale = 0;  ///< the constant, the bound of U(-scale, scale), or the standard deviation
  int columns = 0, across = 0;  ///< of positions

  static Initializer constant(double value) { return {Kind::constant, value}; }
  static Initializer uniform(double bound) { return {Kind::uniform, bound}; }
  static Initializer normal(double deviation) { return {Kind::normal, deviation}; }
  /// Row k: sines and cosines of the place (x, y) = (k % across, k / across) on a grid, in four quarters of
  /// the columns: sin(w x), cos(w x), sin(w y), cos(w y), w_i = 10000^(-i / (columns / 4)).
  static Initializer positions(int columns, int across) {
    return {Kind::positions, 0, columns, across};
  }
};

/// One named tensor inside the flat array.
struct ParameterSlot {
  std::string name;
  std::vector<std::size_t> shape;
  std::size_t offset = 0;
  std::size_t count = 0;
  Initializer initializer;
  bool fixed = false;  ///< no training changes it: its gradient is 0, and optimizers leave it out
};

/// The slots of a model, in order and without gaps.
class ParameterList {
 public:
  /// Appends a slot; returns its offset. Throws std::invalid_argument if `name` is taken or an
  /// extent is zero.
  std::size_t add(const std::string& name, const std::vector<std::size_t>& shape,
                  Initializer initializer, bool fixed = false) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) {
      expect(extent > 0, "parameter '", name,
             "' has an extent of 0; every extent must be positive");
      count *= extent;
    }
    for (const auto& slot : slots_) {
      expect(slot.name != name, "parameter name '", name, "' is used twice");
    }
    slots_.push_back({name, shape, count_, count, initializer, fixed});
    count_ += count;
    return slots_.back().offset;
  }

  /// Records a property of `owner` that the shapes of its parameters do not tell, such as the groups of a
  /// norm. Files carry these, so that weights of another network are refused (training/checkpoint.hpp).
  template <class Value>
  void note(const std::string& owner, const std::string& property, const Value& value) {
    notes_[owner + '.' + property] = text(value);
  }

  /// Says that files of other programs may hold a tensor of that name, which tells nothing of the network and is not
  /// read: a counter, for example.
  void disregard(const std::string& name) { disregarded_.insert(name); }
  bool disregards(const std::string& name) const { return disregarded_.contains(name); }

  /// Values by owner.property.
  const std::map<std::string, std::string>& notes() const { return notes_; }

  const std::vector<ParameterSlot>& entries() const { return slots_; }

  /// Elements of the flat array.
  std::size_t count() const { return count_; }

  /// The elements of [begin, end) that a training changes: where each part begins and ends, in order.
  std::vector<std::pair<std::size_t, std::size_t>> trained(std::size_t begin,
                                                           std::size_t end) const {
    std::vector<std::pair<std::size_t, std::size_t>> parts;
    for (const auto& slot : slots_) {
      const std::size_t first = math::maximum(begin, slot.offset);
      const std::size_t last = math::minimum(end, slot.offset + slot.count);
      if (slot.fixed || first >= last) continue;
      if (!parts.empty() && parts.back().second == first) {
        parts.back().second = last;
      } else {
        parts.emplace_back(first, last);
      }
    }
    return parts;
  }

 private:
  std::vector<ParameterSlot> slots_;
  std::map<std::string, std::string> notes_;
  std::set<std::string> disregarded_;
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
    } else if (initializer.kind == Initializer::Kind::positions) {
      value = position(index / initializer.columns, static_cast<int>(index % initializer.columns));
    }
    values[index] = value;
  }

  KOKKOS_FUNCTION T position(std::int64_t row, int column) const {
    const int quarter = initializer.columns / 4, i = column % quarter;
    const std::int64_t place =
        column < 2 * quarter ? row % initializer.across : row / initializer.across;
    const double w = math::exp(-9.210340371976184 * i / quarter);  // ln 10000
    const double angle = w * static_cast<double>(place);
    return static_cast<T>(column / quarter % 2 == 0 ? math::sin(angle) : math::cos(angle));
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
    launch_each(exec, "vrfm::initialize", static_cast<std::int64_t>(slot.count),
                detail::InitializeSlot<T>{values.data() + slot.offset, slot.initializer, stream,
                                          position++});
  }
}

}  // namespace vrfm
