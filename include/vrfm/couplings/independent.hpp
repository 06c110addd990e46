// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IndependentCoupling: x0 and x1 drawn independently, p(x0, x1) = p0(x0) p1(x1); the target may
// write a condition of x1. DroppedCondition: any coupling whose condition is dropped now and then,
// as training for classifier-free guidance needs it (Ho and Salimans 2022).
#pragma once

#include <vrfm/couplings/coupling.hpp>

namespace vrfm {

template <class Source, class Target>
class IndependentCoupling {
  static_assert(detail::HasDimension<Source>, "vrfm: a source needs dimension() -> int");
  static_assert(detail::HasDimension<Target>, "vrfm: a target needs dimension() -> int");

 public:
  static constexpr bool prepares_on_host =
      vrfm::prepares_on_host<Source> || vrfm::prepares_on_host<Target>;

  /// Throws std::invalid_argument if the dimensions differ.
  IndependentCoupling(const Source& source, const Target& target)
      : source_(source), target_(target) {
    if constexpr (detail::HasDimension<Source> && detail::HasDimension<Target>)
      expect_same("the source", static_cast<std::size_t>(source.dimension()), "the target",
                  static_cast<std::size_t>(target.dimension()), "dimensions");
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return source_.dimension(); }
  KOKKOS_INLINE_FUNCTION ConditionShape condition() const { return condition_of(target_); }

  /// Throws std::invalid_argument if source or target were made for another global batch.
  void check(int batch) const {
    check_batch(source_, batch);
    check_batch(target_, batch);
  }

  template <ExecutionSpace Exec>
  void prepare(const Exec& exec, const DrawAddress& address, int batch) const {
    prepare_draws(exec, source_, address, Purpose::source, batch);
    prepare_draws(exec, target_, address, Purpose::target, batch);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    if constexpr (RequireSource<Source, T>::ok && RequireTarget<Target, T>::ok) {
      source_.draw(address.sample, address.step, address.stream(Purpose::source), slot.x0);
      if constexpr (ConditionalDistribution<Target, T>) {
        target_.draw(address.sample, address.step, address.stream(Purpose::target), slot);
      } else {
        target_.draw(address.sample, address.step, address.stream(Purpose::target), slot.x1);
      }
    }
  }

 private:
  Source source_;
  Target target_;
};

/// The independent coupling of two distributions.
template <class Source, class Target>
IndependentCoupling<Source, Target> independent(const Source& source, const Target& target) {
  return IndependentCoupling<Source, Target>(source, target);
}

template <class Inner>
class DroppedCondition {
 public:
  static constexpr bool prepares_on_host = vrfm::prepares_on_host<Inner>;

  /// Drops each sample's condition with `probability`. Throws std::invalid_argument unless the
  /// probability is in [0, 1] and there is a condition.
  DroppedCondition(const Inner& inner, double probability)
      : inner_(inner), probability_(probability) {
    expect(probability >= 0 && probability <= 1,
           "a condition is dropped with a probability in [0, 1], got ", probability);
    expect(probability == 0 || condition_of(inner).conditional(),
           "there is no condition that could be dropped");
  }

  KOKKOS_INLINE_FUNCTION int dimension() const { return inner_.dimension(); }
  KOKKOS_INLINE_FUNCTION ConditionShape condition() const {
    ConditionShape shape = condition_of(inner_);
    shape.dropped = shape.dropped || probability_ > 0;
    return shape;
  }
  void check(int batch) const { check_batch(inner_, batch); }

  template <ExecutionSpace Exec>
  void prepare(const Exec& exec, const DrawAddress& address, int batch) const {
    prepare_coupling(exec, inner_, address, batch);
  }

  template <class T>
  KOKKOS_INLINE_FUNCTION void draw(const SampleAddress& address, const Slot<T>& slot) const {
    inner_.draw(address, slot);
    const double u = address.stream(Purpose::condition)
                         .template uniform<double>(address.sample, address.step, 0);
    if (u < probability_) *slot.dropped = 1;
  }

 private:
  Inner inner_;
  double probability_;
};

}  // namespace vrfm
