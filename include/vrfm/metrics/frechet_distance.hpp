// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Frechet distance between two sets of feature vectors, each taken for normally distributed (Heusel
// et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017):
//   d^2 = |mu1 - mu2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2).
// With C = F F^T, F = V Lambda^(1/2) from C's eigenvectors and eigenvalues, the last trace is the
// sum of the singular values of M = F1^T F2: their squares are the eigenvalues of C1 C2. They are the
// positive eigenvalues of [0 M; M^T 0] (Jordan and Wielandt), whose negative ones mirror them. So
// nothing is complex, no root is taken of a product's rounding error, covariances may lack full
// rank, and one decomposition serves all.
// Needs Eigen: the component vrfm::eigen.
#pragma once

#include <algorithm>
#include <limits>
#include <string_view>

#include <vrfm/core/check.hpp>
#include <vrfm/metrics/detail/eigen.hpp>
#include <vrfm/metrics/feature_statistics.hpp>

namespace vrfm {

namespace detail::metrics {

/// The last bits of Eigen's products depend on its number of threads: it is one while this object
/// lives.
class OneEigenThread {
 public:
  OneEigenThread() { Eigen::setNbThreads(1); }
  OneEigenThread(const OneEigenThread&) = delete;
  OneEigenThread& operator=(const OneEigenThread&) = delete;
  ~OneEigenThread() { Eigen::setNbThreads(before_); }

 private:
  int before_ = Eigen::nbThreads();
};

/// By value, because X11 makes a macro of its name, Success.
inline constexpr auto eigen_success = Eigen::ComputationInfo(0);

using EigenMatrix = Eigen::Map<const Eigen::MatrixXd>;
using EigenVector = Eigen::Map<const Eigen::VectorXd>;

inline EigenVector mean(const FeatureStatistics& s) {
  return {s.mean.data(), static_cast<Eigen::Index>(s.mean.size())};
}

inline EigenMatrix covariance(const FeatureStatistics& s) {
  const auto dimension = static_cast<Eigen::Index>(s.mean.size());
  return {s.covariance.data(), dimension, dimension};
}

/// F [D][rank] with C = F F^T. Eigenvalues that rounding alone could make do not count for the
/// rank.
inline Eigen::MatrixXd covariance_factor(std::string_view name, const FeatureStatistics& s) {
  expect(!s.mean.empty() && s.covariance.size() == s.mean.size() * s.mean.size(),
         "frechet_distance: ", name,
         ": expected means of D >= 1 dimensions and D x D covariances, ", "but got ", s.mean.size(),
         " and ", s.covariance.size());
  const EigenMatrix c = covariance(s);
  expect(mean(s).allFinite() && c.allFinite(), "frechet_distance: ", name,
         " holds a number that is not finite");
  // The statistics of other programs may have been stored as float.
  constexpr double stored = std::numeric_limits<float>::epsilon();
  const double allowed = static_cast<double>(c.rows()) * stored * c.cwiseAbs().maxCoeff();
  expect((c - c.transpose()).cwiseAbs().maxCoeff() <= allowed, "frechet_distance: ", name,
         ": expected a symmetric covariance");
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(c);
  expect(solver.info() == eigen_success, "frechet_distance: ", name,
         ": Eigen found no eigenvalues of the covariance");
  const auto& values = solver.eigenvalues();
  expect(values.minCoeff() >= -allowed, "frechet_distance: ", name,
         ": expected a covariance without negative eigenvalues, but one is ", values.minCoeff());
  const double least =
      static_cast<double>(c.rows()) * std::numeric_limits<double>::epsilon() * values.maxCoeff();
  const auto rank = (values.array() > (std::max)(least, 0.0)).count();
  return solver.eigenvectors().rightCols(rank) * values.tail(rank).cwiseSqrt().asDiagonal();
}

inline double sum_of_singular_values(const Eigen::MatrixXd& m) {
  Eigen::MatrixXd mirrored = Eigen::MatrixXd::Zero(m.rows() + m.cols(), m.rows() + m.cols());
  mirrored.topRightCorner(m.rows(), m.cols()) = m;
  mirrored.bottomLeftCorner(m.cols(), m.rows()) = m.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(mirrored, Eigen::EigenvaluesOnly);
  expect(solver.info() == eigen_success, "frechet_distance: Eigen found no singular values");
  return solver.eigenvalues().cwiseAbs().sum() / 2;
}

}  // namespace detail::metrics

/// d^2 between the normal distributions `a` and `b`, in the square of the features' unit; never
/// negative. O(D^3) on one thread, about half a minute for D = 2048. Throws std::invalid_argument
/// for different dimensions, elements that are not finite, and matrices that are no covariances.
inline double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  expect_same("a", a.mean.size(), "b", b.mean.size(), "dimensions");
  const detail::metrics::OneEigenThread serial;
  const Eigen::MatrixXd f = detail::metrics::covariance_factor("a", a);
  const Eigen::MatrixXd g = detail::metrics::covariance_factor("b", b);
  double root = 0;
  if (f.cols() > 0 && g.cols() > 0) {
    root = detail::metrics::sum_of_singular_values(f.transpose() * g);
  }
  const double traces =
      detail::metrics::covariance(a).trace() + detail::metrics::covariance(b).trace();
  const double means = (detail::metrics::mean(a) - detail::metrics::mean(b)).squaredNorm();
  return (std::max)(0.0, means + (traces - 2 * root));
}

/// The same between the rows of `a` [N][D] and of `b` [M][D]. Throws as that function and
/// feature_statistics do.
template <ExecutionSpace Exec, class A, class B>
double frechet_distance(const Exec& exec, const A& a, const B& b) {
  expect_same("a", a.extent(1), "b", b.extent(1), "columns");
  return frechet_distance(feature_statistics(exec, a), feature_statistics(exec, b));
}

}  // namespace vrfm
