// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Objectives of few steps in plain loops, with what counts as a constant frozen: the total loss, whose differences are
// the gradient. Networks are asked for answers alone, and derivatives along a path are differences.
#pragma once

#include <cmath>
#include <functional>
#include <vector>

#include <tests/support/compare.hpp>

#include "problem.hpp"

#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>

namespace vrfm::test {

using HostProblem = Problem<double, Kokkos::DefaultHostExecutionSpace>;
using Column = std::vector<double>;

/// rows x cols elements, by row.
struct Rows {
  int rows, cols;
  Column values;
  Rows(int r, int c)
      : rows(r), cols(c), values(static_cast<std::size_t>(r) * static_cast<std::size_t>(c)) {}
  double& operator()(int i, int j) { return values[static_cast<std::size_t>(i * cols + j)]; }
  double operator()(int i, int j) const { return values[static_cast<std::size_t>(i * cols + j)]; }
};

/// The networks of a problem, one question at a time.
class Asked {
 public:
  explicit Asked(HostProblem& problem)
      : problem_(problem),
        rows_(problem.x0().rows),
        block_("vrfm::test::Asked", std::size_t(1) << 18) {}

  int rows() const { return rows_; }
  int latent() const { return problem_.flow().latent(); }
  double draw(Purpose purpose, int i) const {
    return problem_.draws.stream(purpose).uniform<double>(problem_.draws.sample(i),
                                                          problem_.draws.step, 0);
  }

  /// u(x, t, s | z).
  Rows u(const Column& t, const Rows& x, const Column& s, const Rows& z) const {
    using Exec = Kokkos::DefaultHostExecutionSpace;
    const BatchContext<Exec> ctx{Exec()};
    const auto& networks = problem_.flow().networks();
    const double* p = problem_.flow().values().data();
    Arena<double> arena(block_.data(), block_.extent(0));
    Condition<double> condition = problem_.condition();
    const Padded<double, Exec> zs(rows_, z.cols, z.values), xs(rows_, x.cols, x.values);
    const Padded<double, Exec> ts(rows_, 1, t), ss(rows_, 1, s);
    Padded<double, Exec> out(rows_, x.cols);
    if (z.cols > 0) condition.z = zs.matrix();
    using Model = std::decay_t<decltype(networks.velocity)>;
    const Matrix<double> prepared = networks.velocity.prepared_cols() > 0
                                        ? arena.take(rows_, networks.velocity.prepared_cols())
                                        : Matrix<double>();
    networks.velocity.prepare(ctx, p, condition, prepared,
                              static_cast<Model::PreparedSaved<double>*>(nullptr), arena);
    networks.velocity.forward(ctx, p, Query<double>{ts.matrix(), xs.matrix(), ss.matrix()},
                              ConstMatrix<double>(prepared),
                              static_cast<const DrawAddress*>(nullptr), out.matrix(),
                              static_cast<Model::Saved<double>*>(nullptr), arena);
    Rows result(rows_, x.cols);
    result.values = out.read();
    return result;
  }

  /// z of the posterior, and its divergence from N(0, I), summed over dimensions.
  Rows z(Column* kl = nullptr) const {
    using Exec = Kokkos::DefaultHostExecutionSpace;
    Rows result(rows_, latent());
    if (kl != nullptr) kl->assign(static_cast<std::size_t>(rows_), 0);
    if (latent() == 0) return result;
    const BatchContext<Exec> ctx{Exec()};
    const auto& posterior = problem_.flow().networks().posterior;
    Arena<double> arena(block_.data(), block_.extent(0));
    Padded<double, Exec> moments(rows_, 2 * latent());
    LatentInputs<double> inputs{};
    inputs.x0 = problem_.x0();
    inputs.x1 = problem_.x1();
    inputs.condition = problem_.condition();
    using Model = std::decay_t<decltype(posterior)>;
    posterior.moments(ctx, problem_.flow().values().data(), inputs, moments.matrix(),
                      static_cast<Model::template Saved<double>*>(nullptr), arena);
    Rows m(rows_, 2 * latent());
    m.values = moments.read();
    Column noise(static_cast<std::size_t>(latent()));
    for (int i = 0; i < rows_; ++i) {
      problem_.draws.stream(Purpose::posterior)
          .normal(problem_.draws.sample(i), problem_.draws.step, 0, latent(), noise.data());
      for (int j = 0; j < latent(); ++j) {
        const double mu = m(i, j), s = m(i, latent() + j);
        result(i, j) = mu + std::exp(s / 2) * noise[static_cast<std::size_t>(j)];
        if (kl != nullptr) {
          (*kl)[static_cast<std::size_t>(i)] += (mu * mu + std::exp(s) - 1 - s) / 2;
        }
      }
    }
    return result;
  }

  /// The path's point and velocity at each row's time.
  Rows point(const Column& t) const {
    const auto x0 = problem_.x0(), x1 = problem_.x1();
    Rows x(rows_, x0.cols);
    for (int i = 0; i < rows_; ++i) {
      const double now = t[static_cast<std::size_t>(i)];
      for (int j = 0; j < x.cols; ++j) x(i, j) = (1 - now) * x0(i, j) + now * x1(i, j);
    }
    return x;
  }
  Rows velocity() const {
    const auto x0 = problem_.x0(), x1 = problem_.x1();
    Rows u(rows_, x0.cols);
    for (int i = 0; i < rows_; ++i) {
      for (int j = 0; j < u.cols; ++j) u(i, j) = x1(i, j) - x0(i, j);
    }
    return u;
  }

  /// t <= s of each row.
  void times(double equal, Column& t, Column& s) const {
    for (int i = 0; i < rows_; ++i) {
      const double one = draw(Purpose::time, i), other = draw(Purpose::second_time, i);
      const bool same = draw(Purpose::equal_times, i) < equal;
      t.push_back(same ? one : std::fmin(one, other));
      s.push_back(same ? one : std::fmax(one, other));
    }
  }

 private:
  HostProblem& problem_;
  int rows_;
  Array<double, Kokkos::DefaultHostExecutionSpace> block_;
};

/// sum_j (a_j - b_j)^2 of each row.
inline Column squares(const Rows& a, const Rows& b) {
  Column sums;
  for (int i = 0; i < a.rows; ++i) {
    double sum = 0;
    for (int j = 0; j < a.cols; ++j) sum += (a(i, j) - b(i, j)) * (a(i, j) - b(i, j));
    sums.push_back(sum);
  }
  return sums;
}

inline Column weights(const AdaptiveWeight& weight, const Column& sums, int cols) {
  Column w;
  for (const double sum : sums) {
    const double d = weight.over == Reduction::mean ? sum / cols : sum;
    w.push_back(std::pow(d + weight.offset, -weight.power));
  }
  return w;
}

/// What an objective's loss is made of at some parameters: terms of each row, and the total of all with the weights
/// that were frozen.
struct Frozen {
  std::vector<double> losses;
  std::function<double()> total;
};

/// Rows of `terms` columns.
inline std::vector<double> side_by_side(const std::vector<Column>& terms) {
  std::vector<double> all;
  for (std::size_t i = 0; i < terms[0].size(); ++i) {
    for (const Column& term : terms) all.push_back(term[i]);
  }
  return all;
}

/// The mean over dimensions, or their sum; and beta KL.
inline Frozen freeze(HostProblem& problem, const Asked& asked, double factor, double beta,
                     const std::function<std::vector<Column>(const Rows& z)>& terms,
                     const std::vector<Column>& weight) {
  const auto all = [=, &asked](Column* kl) {
    auto result = terms(asked.z(kl));
    for (Column& term : result) {
      for (double& d : term) d *= factor;
    }
    return result;
  };
  Column kl;
  auto now = all(&kl);
  if (asked.latent() > 0) now.push_back(kl);
  return {side_by_side(now), [=, &problem] {
            Column divergence;
            const auto parts = all(&divergence);
            double sum = 0;
            for (std::size_t k = 0; k < parts.size(); ++k) {
              for (std::size_t i = 0; i < parts[k].size(); ++i) sum += weight[k][i] * parts[k][i];
            }
            for (const double d : divergence) sum += beta * d;
            return problem.weight * sum;
          }};
}

template <bool improved>
Frozen frozen(HostProblem& problem, const Asked& asked, const BasicMeanFlow<improved>& objective,
              double beta) {
  Column t, s;
  asked.times(objective.times.equal, t, s);
  const Rows x = asked.point(t), path = asked.velocity(), z = asked.z();
  const Rows direction = improved ? asked.u(t, x, t, z) : path;
  const double h = std::cbrt(epsilon<double>);
  const auto moved = [&](double by) {
    Column later = t;
    Rows there = x;
    for (double& time : later) time += by;
    for (std::size_t k = 0; k < there.values.size(); ++k)
      there.values[k] += by * direction.values[k];
    return asked.u(later, there, s, z);
  };
  const Rows high = moved(h), low = moved(-h);
  Rows target = path;
  for (int i = 0; i < x.rows; ++i) {
    const auto row = static_cast<std::size_t>(i);
    for (int j = 0; j < x.cols; ++j)
      target(i, j) += (s[row] - t[row]) * (high(i, j) - low(i, j)) / (2 * h);
  }
  const auto terms = [=, &asked](const Rows& latent) {
    std::vector<Column> result{squares(asked.u(t, x, s, latent), target)};
    if (improved) result.push_back(squares(asked.u(t, x, t, latent), path));
    return result;
  };
  std::vector<Column> weight;
  for (const Column& term : terms(z)) weight.push_back(weights(objective.weight, term, x.cols));
  return freeze(problem, asked, reduction_factor(objective.velocity, x.cols), beta, terms, weight);
}

inline Frozen frozen(HostProblem& problem, const Asked& asked, const SoFlow& objective,
                     double beta) {
  Column t, s, l;
  asked.times(objective.times.equal, t, s);
  const double rho = objective.rho.at(std::uint32_t(problem.draws.step));
  const Rows x = asked.point(t), path = asked.velocity(), z = asked.z();
  Rows x_l = x;
  for (int i = 0; i < x.rows; ++i) {
    const auto row = static_cast<std::size_t>(i);
    l.push_back(t[row] + (s[row] - t[row]) * rho);
    for (int j = 0; j < x.cols; ++j) x_l(i, j) += (l[row] - t[row]) * path(i, j);
  }
  const Rows u_l = asked.u(l, x_l, s, z), u_t = asked.u(t, x, s, z);
  // d as a difference of places, and what u is compared with for this d.
  Rows target = path;
  for (int i = 0; i < x.rows; ++i) {
    const auto row = static_cast<std::size_t>(i);
    if (s[row] == t[row]) continue;
    for (int j = 0; j < x.cols; ++j) {
      const double from_t = x(i, j) + (s[row] - t[row]) * u_t(i, j),
                   from_l = x_l(i, j) + (s[row] - l[row]) * u_l(i, j);
      target(i, j) = u_t(i, j) - (from_t - from_l) / (l[row] - t[row]);
    }
  }
  const auto terms = [=, &asked](const Rows& latent) {
    return std::vector<Column>{squares(asked.u(t, x, s, latent), target)};
  };
  const std::vector<Column> weight{weights(objective.weight, terms(z)[0], x.cols)};
  return freeze(problem, asked, reduction_factor(objective.velocity, x.cols), beta, terms, weight);
}

inline Frozen frozen(HostProblem& problem, const Asked& asked, const ConsistencyLoss& objective,
                     double beta) {
  Column t, r, e;
  for (int i = 0; i < asked.rows(); ++i) {
    const double time = 1e-3 + (1 - 1e-3) * asked.draw(Purpose::time, i);
    t.push_back(time);
    r.push_back(std::fmin(time + objective.delta, 1));
    e.push_back(std::ceil(time * objective.segments) / objective.segments);
  }
  const Rows x = asked.point(t), x_r = asked.point(r), x_e = asked.point(e);
  const Rows v_r = asked.u(r, x_r, r, asked.z());
  Rows y = x_e;
  for (int i = 0; i < x.rows; ++i) {
    const auto row = static_cast<std::size_t>(i);
    for (int j = 0; j < x.cols && r[row] < objective.boundary.value(); ++j)
      y(i, j) = x_r(i, j) + (e[row] - r[row]) * v_r(i, j);
  }
  const auto terms = [=, &asked](const Rows& latent) {
    const Rows v = asked.u(t, x, t, latent);
    Rows end = x, other = v;
    for (int i = 0; i < x.rows; ++i) {
      const auto row = static_cast<std::size_t>(i);
      const bool agrees =
          t[row] < objective.boundary.value() && e[row] - t[row] > 1.01 * objective.delta;
      for (int j = 0; j < x.cols; ++j) {
        end(i, j) += (e[row] - t[row]) * v(i, j);
        if (agrees) other(i, j) = v_r(i, j);
      }
    }
    std::vector<Column> result{squares(end, y), squares(v, other)};
    for (Column& term : result) {
      for (double& d : term) d /= 2;
    }
    return result;
  };
  const auto n = static_cast<std::size_t>(asked.rows());
  const std::vector<Column> weight{Column(n, 1), Column(n, objective.alpha)};
  return freeze(problem, asked, reduction_factor(objective.velocity, x.cols), beta, terms, weight);
}

template <class O>
Frozen frozen(HostProblem& problem, const Asked& asked, const Variational<O>& objective, double) {
  return frozen(problem, asked, objective.objective,
                objective.beta.at(std::uint32_t(problem.draws.step)));
}

}  // namespace vrfm::test
