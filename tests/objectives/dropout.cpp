// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Dropout is the objective's affair: it hands the draws to the velocity model in training and to
// nobody else. The model here is the tests' own, the MLP whose answer is doubled or zeroed.
#include <cmath>
#include <cstddef>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/spaces.hpp>

#include "problem.hpp"

#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>
#include <vrfm/objectives/sum.hpp>
#include <vrfm/objectives/velocity_loss.hpp>

namespace vrfm::test {

/// Row: v is doubled or becomes zero, with equal probability.
template <class T>
struct DropRow {
  DrawAddress draws;
  Matrix<T> v;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const bool drop = draws.stream(Purpose::dropout).index(draws.sample(i), draws.step, 0, 2) == 0;
    for (int j = 0; j < v.cols; ++j) v(i, j) *= drop ? T(0) : T(2);
  }
};

struct DropoutVelocity : MlpVelocity<> {
  template <class T>
  struct Saved : saved_of<MlpVelocity<>, T, T> {
    const DrawAddress* draws;
  };

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, const Query<T>& query,
                               ConstMatrix<T> prepared, const DrawAddress* draws, Matrix<T> v,
                               Saved<T>* saved, Arena<T>& arena) const {
    MlpVelocity<>::forward(ctx, p, query, prepared, draws, v, saved, arena);
    if (saved != nullptr) saved->draws = draws;
    if (draws != nullptr) ctx.each_row(v.rows, DropRow<T>{*draws, v});
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, const Query<T>& rates, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    MlpVelocity<>::tangent(ctx, p, rates, dv, saved, arena);
    if (saved.draws != nullptr) ctx.each_row(dv.rows, DropRow<T>{*saved.draws, dv});
  }
};

struct DropoutNetworks {
  using Options = FlowOptions;

  DropoutVelocity velocity;
  MlpPosterior<> posterior;
  GaussianPrior<MlpPosterior<>> prior;

  DropoutNetworks(ParameterList& list, const Options& options)
      : DropoutNetworks(MlpNetworks<>(list, options)) {}

 private:
  explicit DropoutNetworks(const MlpNetworks<>& networks)
      : velocity{networks.velocity}, posterior(networks.posterior), prior(networks.prior) {}
};

}  // namespace vrfm::test

using vrfm::Elbo;
using vrfm::Purpose;
using vrfm::Use;
using vrfm::VelocityLoss;
using vrfm::test::Problem;
using vrfm::test::tiny_flow;
using vrfm::test::Where;

namespace {

/// The loss of an answer of 0, |u|^2.
template <class P>
std::vector<double> losses_of_zero(const P& problem, int rows) {
  std::vector<double> result;
  const auto x0 = problem.x0(), x1 = problem.x1();
  for (int i = 0; i < rows; ++i) {
    double sum = 0;
    for (int j = 0; j < x0.cols; ++j) sum += (x1(i, j) - x0(i, j)) * (x1(i, j) - x0(i, j));
    result.push_back(sum);
  }
  return result;
}

}  // namespace

TEST_CASE("objectives drop out in training alone", "[objectives][dropout]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  constexpr int rows = 40;
  const auto check = [&](const auto& objective, const vrfm::FlowOptions& options,
                         std::size_t terms) {
    Problem<double, Host, vrfm::test::DropoutNetworks> dropping(options, rows);
    Problem<double, Host> plain(options, rows);
    const auto zero = losses_of_zero(plain, rows);
    for (const auto where : {Where::tile, Where::batch}) {
      for (const auto use : {Use::training, Use::held_out}) {
        dropping.draws.use = plain.draws.use = use;
        const auto with = dropping.evaluate(objective, where);
        const auto without = plain.evaluate(objective, where);
        if (use == Use::held_out) {
          CHECK(with.losses == without.losses);
          continue;
        }
        const auto losses = with.column(0, terms), others = without.column(0, terms);
        int dropped = 0;
        for (int i = 0; i < rows; ++i) {
          const auto row = static_cast<std::size_t>(i);
          const bool drop = dropping.draws.stream(Purpose::dropout)
                                .index(dropping.draws.sample(i), dropping.draws.step, 0, 2) == 0;
          CHECK(losses[row] != others[row]);
          if (drop) {
            CHECK(std::fabs(losses[row] - zero[row]) <=
                  16 * vrfm::test::epsilon<double> * zero[row]);
          }
          dropped += drop ? 1 : 0;
        }
        CHECK((dropped > 0 && dropped < rows));
      }
    }
  };
  check(VelocityLoss{}, tiny_flow(0), 1);
  check(Elbo{}, tiny_flow(2), 2);
  check(vrfm::sum_of(Elbo{}, Elbo{}), tiny_flow(2), 4);
  // All evaluations of a sample have one mask: if one is zero, all are, and rates too.
  auto map = tiny_flow(0);
  map.second_time = true;
  const vrfm::TimePairs<> pairs{.equal = 0.25};
  check(vrfm::MeanFlow{.times = pairs}, map, 2);
  check(vrfm::PlainMeanFlow{.times = pairs}, map, 1);
  check(vrfm::SoFlow{.rho = 0.01, .times = pairs}, map, 1);
}

TEST_CASE("the answers that are to agree have one dropout mask", "[objectives][dropout]") {
  constexpr int rows = 40;
  using Host = Kokkos::DefaultHostExecutionSpace;
  Problem<double, Host, vrfm::test::DropoutNetworks> problem(tiny_flow(0), rows);
  const vrfm::ConsistencyLoss objective{.boundary = 1, .segments = 1};
  const auto agreement = problem.evaluate(objective, Where::tile).column(1, 2);
  for (int i = 0; i < rows; ++i) {
    const bool drop = problem.draws.stream(Purpose::dropout)
                          .index(problem.draws.sample(i), problem.draws.step, 0, 2) == 0;
    CHECK((agreement[static_cast<std::size_t>(i)] == 0) == drop);
  }
}
