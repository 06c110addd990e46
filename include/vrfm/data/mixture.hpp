// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GaussianMixture: p(x) = sum_k w_k N(x; m_k, s_k^2 I), the source and target distributions of the
// synthetic experiments. A light value that kernels copy: one table holds everything.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <vrfm/core/check.hpp>
#include <vrfm/core/compat.hpp>
#include <vrfm/core/concepts.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/core/random.hpp>

namespace vrfm {

/// K isotropic Gaussian components in D dimensions.
template <Real T, ExecutionSpace Exec>
class GaussianMixture {
 public:
  using value_type = T;

  /// means: K x D, row-major. deviations: standard deviations, one for all or one for each
  /// component. weights: one for each component, scaled here to sum to one; none means equal
  /// weights. Throws std::invalid_argument unless all are finite, the shapes agree, and deviations
  /// and weights are positive. Fences `exec`.
  GaussianMixture(const Exec& exec, int dimension, const std::vector<double>& means,
                  const std::vector<double>& deviations, const std::vector<double>& weights = {})
      : dimension_(dimension) {
    expect(dimension > 0, "GaussianMixture: dimension must be positive, but is ", dimension);
    expect(!means.empty() && means.size() % static_cast<std::size_t>(dimension) == 0,
           "GaussianMixture: means must hold ", dimension, " numbers per component, but hold ",
           means.size());
    const std::size_t count = means.size() / static_cast<std::size_t>(dimension);
    expect(deviations.size() == 1 || deviations.size() == count, "GaussianMixture: expected 1 or ",
           count, " deviations, but got ", deviations.size());
    expect(weights.empty() || weights.size() == count, "GaussianMixture: expected none or ", count,
           " weights, but got ", weights.size());
    narrow<int>(count, "GaussianMixture: the number of components");
    double total = 0;
    for (const double mean : means)
      expect(std::isfinite(mean), "GaussianMixture: means must be finite, but one is ", mean);
    for (const double deviation : deviations)
      expect(deviation > 0 && std::isfinite(deviation),
             "GaussianMixture: deviations must be positive and finite, but one is ", deviation);
    for (const double weight : weights) {
      expect(weight > 0 && std::isfinite(weight),
             "GaussianMixture: weights must be positive and finite, but one is ", weight);
      total += weight;
    }

    components_ = Table<T, Exec>(Kokkos::view_alloc("vrfm::GaussianMixture", exec), count,
                                 static_cast<std::size_t>(dimension + extra));
    const auto host = Kokkos::create_mirror_view(components_);
    constexpr double half_log_two_pi = 0.91893853320467274178;
    double cumulative = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const double weight = weights.empty() ? 1.0 / static_cast<double>(count) : weights[k] / total;
      const double deviation = deviations.size() == 1 ? deviations[0] : deviations[k];
      const std::size_t first = k * static_cast<std::size_t>(dimension);
      cumulative += weight;
      for (int d = 0; d < dimension; ++d)
        host(k, d) = static_cast<T>(means[first + static_cast<std::size_t>(d)]);
      host(k, dimension + deviation_column) = static_cast<T>(deviation);
      host(k, dimension + cumulative_column) = static_cast<T>(cumulative);
      host(k, dimension + log_weight_column) = static_cast<T>(std::log(weight));
      host(k, dimension + log_peak_column) =
          static_cast<T>(std::log(weight) - dimension * (std::log(deviation) + half_log_two_pi));
    }
    copy_elements(exec, components_, host);
    exec.fence();
    standard_ = count == 1 && deviations[0] == 1;
    for (const double mean : means) standard_ = standard_ && mean == 0;
  }

  /// Whether this is N(0, I).
  bool is_standard_normal() const { return standard_; }

  KOKKOS_FUNCTION int dimension() const { return dimension_; }
  KOKKOS_FUNCTION int components() const { return static_cast<int>(components_.extent(0)); }

  /// Mean [D], standard deviation and logarithm of the weight of component k.
  KOKKOS_FUNCTION const T* mean(int k) const { return &components_(k, 0); }
  KOKKOS_FUNCTION T deviation(int k) const { return column(k, deviation_column); }
  KOKKOS_FUNCTION T log_weight(int k) const { return column(k, log_weight_column); }

  /// Writes the sample at (sample, step) of `stream` to x [D]. Uses the stream's elements
  /// 0 ... D - 1 for the normals and one in the next block of four for the component.
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            T* x) const {
    const int k = draw_component(sample, step, stream);
    stream.template normal<T>(sample, step, 0, dimension_, x);
    for (int d = 0; d < dimension_; ++d) x[d] = mean(k)[d] + deviation(k) * x[d];
  }

  /// Which component the sample at (sample, step) of `stream` comes from.
  KOKKOS_FUNCTION int draw_component(std::uint64_t sample, std::uint32_t step,
                                     const RandomStream& stream) const {
    const auto element = static_cast<std::uint32_t>((dimension_ + 3) / 4 * 4);
    const T u = stream.template uniform<T>(sample, step, element);
    int k = 0;
    while (k + 1 < components() && u >= column(k, cumulative_column)) ++k;
    return k;
  }

  /// log p(x) of x [D], in nats, by a running log-sum-exp: exact far in the tails. -infinity where
  /// the squared distance overflows T, NaN if x holds a NaN.
  KOKKOS_FUNCTION T log_density(const T* x) const {
    constexpr T lowest = -static_cast<T>(INFINITY);
    T largest = lowest, sum = 0;
    for (int k = 0; k < components(); ++k) {
      T squares = 0;
      for (int d = 0; d < dimension_; ++d) {
        const T z = (x[d] - mean(k)[d]) / deviation(k);
        squares += z * z;
      }
      const T term = column(k, log_peak_column) - squares / 2;
      if (term > largest) {
        sum = sum * math::exp(largest - term) + T(1);
        largest = term;
      } else if (term != lowest) {
        sum += math::exp(term - largest);
      }
    }
    return largest + math::log(sum);
  }

 private:
  // Columns after the D means. log_peak: log of w_k / (s_k sqrt(2 pi))^D.
  static constexpr int deviation_column = 0, cumulative_column = 1, log_weight_column = 2,
                       log_peak_column = 3, extra = 4;

  KOKKOS_FUNCTION T column(int k, int which) const { return components_(k, dimension_ + which); }

  Table<T, Exec> components_;
  int dimension_;
  bool standard_ = false;
};

/// N(0, I) in `dimension` dimensions.
template <Real T, ExecutionSpace Exec>
GaussianMixture<T, Exec> standard_normal(const Exec& exec, int dimension) {
  expect(dimension > 0, "standard_normal: dimension must be positive, but is ", dimension);
  return {exec, dimension, std::vector<double>(static_cast<std::size_t>(dimension), 0.0), {1.0}};
}

/// Equal components in one dimension.
template <Real T, ExecutionSpace Exec>
GaussianMixture<T, Exec> mixture_1d(const Exec& exec, const std::vector<double>& centres,
                                    double deviation) {
  return {exec, 1, centres, {deviation}};
}

/// `count` equal components in two dimensions at the angles 2 pi k / count, k = 0 ... count - 1.
template <Real T, ExecutionSpace Exec>
GaussianMixture<T, Exec> mixture_on_circle(const Exec& exec, int count, double radius,
                                           double deviation) {
  expect(count > 0, "mixture_on_circle: count must be positive, but is ", count);
  std::vector<double> means;
  for (int k = 0; k < count; ++k) {
    const double angle = 6.283185307179586476925 * k / count;
    means.push_back(radius * std::cos(angle));
    means.push_back(radius * std::sin(angle));
  }
  return {exec, 2, means, {deviation}};
}

}  // namespace vrfm
