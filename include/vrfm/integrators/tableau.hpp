// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Butcher tableaux of explicit Runge-Kutta methods (Hairer, Norsett, Wanner, "Solving Ordinary
// Differential Equations I", 2nd ed., tables II.1.1, II.1.2, II.5.2):
//   k_s = v(x + h sum_l a[s][l] k_l, t + c[s] h),   x_new = x + h sum_s b[s] k_s.
// Each tableau is checked when it is compiled, against the order conditions up to order 4.
#pragma once

namespace vrfm {

struct EulerTableau {
  static constexpr int order = 1, stages = 1;
  static constexpr bool first_same_as_last = false;
  static constexpr double a[stages][stages] = {{0}};
  static constexpr double b[stages] = {1};
  static constexpr double c[stages] = {0};
};

struct MidpointTableau {
  static constexpr int order = 2, stages = 2;
  static constexpr bool first_same_as_last = false;
  static constexpr double a[stages][stages] = {{0, 0}, {0.5, 0}};
  static constexpr double b[stages] = {0, 1};
  static constexpr double c[stages] = {0, 0.5};
};

struct HeunTableau {
  static constexpr int order = 2, stages = 2;
  static constexpr bool first_same_as_last = false;
  static constexpr double a[stages][stages] = {{0, 0}, {1, 0}};
  static constexpr double b[stages] = {0.5, 0.5};
  static constexpr double c[stages] = {0, 1};
};

struct RungeKutta4Tableau {
  static constexpr int order = 4, stages = 4;
  static constexpr bool first_same_as_last = false;
  static constexpr double a[stages][stages] = {
      {0, 0, 0, 0}, {0.5, 0, 0, 0}, {0, 0.5, 0, 0}, {0, 0, 1, 0}};
  static constexpr double b[stages] = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6};
  static constexpr double c[stages] = {0, 0.5, 0.5, 1};
};

/// Order 5 with an error estimate of order 4; k_7 is the next step's k_1.
struct DormandPrinceTableau {
  static constexpr int order = 5, stages = 7;
  static constexpr bool first_same_as_last = true;
  static constexpr double a[stages][stages] = {
      {0, 0, 0, 0, 0, 0, 0},
      {1.0 / 5, 0, 0, 0, 0, 0, 0},
      {3.0 / 40, 9.0 / 40, 0, 0, 0, 0, 0},
      {44.0 / 45, -56.0 / 15, 32.0 / 9, 0, 0, 0, 0},
      {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729, 0, 0, 0},
      {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656, 0, 0},
      {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84, 0}};
  static constexpr double b[stages] = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784,
                                       11.0 / 84,  0};
  static constexpr double c[stages] = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};

  /// b minus the weights of the order-4 result: the error estimate is h sum_s error[s] k_s.
  static constexpr double error[stages] = {
      71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

  /// The part of the order-4 interpolant beyond cubic Hermite (section II.6, program DOPRI5):
  /// x(t + theta h) = Hermite(theta) + theta^2 (1 - theta)^2 h sum_s dense[s] k_s.
  static constexpr double dense[stages] = {
      -12715105075.0 / 11282082432,  0,
      87487479700.0 / 32700410799,   -10690763975.0 / 1880347072,
      701980252875.0 / 199316789632, -1453857185.0 / 822651844,
      69997945.0 / 29380423};
};

namespace detail {

constexpr bool nearly_equal(double x, double y) { return x - y < 1e-13 && y - x < 1e-13; }

/// Whether the weights `b` meet the order conditions up to min(order, 4) for the result at
/// t + theta h.
template <class Tableau>
constexpr bool meets_order_conditions(const double (&b)[Tableau::stages], int order,
                                      double theta = 1) {
  double bs = 0, bc = 0, bcc = 0, bac = 0, bccc = 0, bcac = 0, bacc = 0, baac = 0;
  double ac[Tableau::stages] = {};
  for (int s = 0; s < Tableau::stages; ++s) {
    double acc = 0, aac = 0;
    for (int l = 0; l < s; ++l) {
      ac[s] += Tableau::a[s][l] * Tableau::c[l];
      acc += Tableau::a[s][l] * Tableau::c[l] * Tableau::c[l];
      aac += Tableau::a[s][l] * ac[l];
    }
    const double c = Tableau::c[s];
    bs += b[s];
    bc += b[s] * c;
    bcc += b[s] * c * c;
    bac += b[s] * ac[s];
    bccc += b[s] * c * c * c;
    bcac += b[s] * c * ac[s];
    bacc += b[s] * acc;
    baac += b[s] * aac;
  }
  const double t2 = theta * theta, t3 = t2 * theta, t4 = t3 * theta;
  return nearly_equal(bs, theta) && (order < 2 || nearly_equal(bc, t2 / 2)) &&
         (order < 3 || (nearly_equal(bcc, t3 / 3) && nearly_equal(bac, t3 / 6))) &&
         (order < 4 || (nearly_equal(bccc, t4 / 4) && nearly_equal(bcac, t4 / 8) &&
                        nearly_equal(bacc, t4 / 12) && nearly_equal(baac, t4 / 24)));
}

template <class Tableau>
constexpr bool is_consistent() {
  for (int s = 0; s < Tableau::stages; ++s) {
    double row = 0;
    for (int l = 0; l < Tableau::stages; ++l) {
      if (l >= s && Tableau::a[s][l] != 0) return false;
      row += Tableau::a[s][l];
    }
    if (!nearly_equal(row, Tableau::c[s])) return false;
  }
  if (Tableau::first_same_as_last) {
    for (int l = 0; l < Tableau::stages; ++l) {
      if (Tableau::a[Tableau::stages - 1][l] != Tableau::b[l]) return false;
    }
  }
  return meets_order_conditions<Tableau>(Tableau::b, Tableau::order);
}

/// Whether the embedded result has order `order` - 1 and so has the interpolant, at `theta`.
template <class Tableau>
constexpr bool has_consistent_extras(double theta) {
  constexpr int last = Tableau::stages - 1;
  double embedded[Tableau::stages] = {}, between[Tableau::stages] = {};
  const double rest = 1 - theta;
  for (int s = 0; s <= last; ++s) {
    embedded[s] = Tableau::b[s] - Tableau::error[s];
    const double slopes = theta * rest * ((s == 0 ? rest : 0) - (s == last ? theta : 0));
    between[s] = theta * theta * (3 - 2 * theta) * Tableau::b[s] + slopes +
                 theta * theta * rest * rest * Tableau::dense[s];
  }
  return meets_order_conditions<Tableau>(embedded, Tableau::order - 1) &&
         meets_order_conditions<Tableau>(between, Tableau::order - 1, theta);
}

static_assert(is_consistent<EulerTableau>());
static_assert(is_consistent<MidpointTableau>());
static_assert(is_consistent<HeunTableau>());
static_assert(is_consistent<RungeKutta4Tableau>());
static_assert(is_consistent<DormandPrinceTableau>());
static_assert(has_consistent_extras<DormandPrinceTableau>(0.25));
static_assert(has_consistent_extras<DormandPrinceTableau>(0.5));
static_assert(has_consistent_extras<DormandPrinceTableau>(0.8));

}  // namespace detail

}  // namespace vrfm
