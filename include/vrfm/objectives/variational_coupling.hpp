// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// VariationalCoupling: an objective whose x0 is drawn from a learned q(x0 | x1) = N(mu, diag(sigma^2)) in place of the
// source, x0 = mu(x1) + sigma(x1) e, + lambda KL(q(x0 | x1) || N(0, I)) (arXiv 2502.18197). Paths that begin where
// their x1 is likely to come from cross less. The gradient reaches q through x_t and through the path's velocity.
// Samples begin at N(0, I) as ever, which lambda keeps q near to: the smaller it is, the straighter the paths, and the
// further the training's x0 are from where samples begin.
// e is the coupling's x0, so the coupling must draw it from N(0, I), independently of x1; with mu = 0 and sigma = 1
// this is the objective itself. sigma is exp(s / 2) with s within the limits of models/log_variance.hpp, as of every
// Gaussian here (the paper's is a softplus).
//
// The objective it is about has, besides the contract's members,
//   gives_source_gradient     static constexpr bool, true if it writes problem.dx0 unless that is empty
// and the networks a LatentModel `source_posterior` that sees x1 and tells `dimension` columns.
#pragma once

#include <vrfm/objectives/gaussian.hpp>
#include <vrfm/objectives/objective.hpp>

namespace vrfm {

template <class O>
inline constexpr bool gives_source_gradient = requires { requires O::gives_source_gradient; };

namespace detail {

template <class Networks>
concept HasSourcePosterior = requires(const Networks& networks) { networks.source_posterior; } &&
                             LatentModel<std::remove_cvref_t<decltype(Networks::source_posterior)>>;

}  // namespace detail

template <class O>
struct VariationalCoupling {
  static_assert(gives_source_gradient<O>,
                "vrfm: VariationalCoupling needs an objective that writes the gradient of x0 and "
                "says `static constexpr bool gives_source_gradient = true`, such as VelocityLoss");
  static constexpr auto terms = detail::terms_and<O>("source_kl");
  static constexpr bool trains_source = true;
  static constexpr bool uses_teacher = vrfm::uses_teacher<O>;

  O objective = {};
  StepFunction lambda = 1.0;
  Reduction kl = Reduction::sum;

  /// Throws std::invalid_argument naming what does not fit.
  template <class Networks>
  void check(const Networks& networks) const {
    static_assert(detail::HasSourcePosterior<Networks>,
                  "vrfm: VariationalCoupling needs networks with a source_posterior, such as "
                  "MlpCouplingNetworks");
    objective.check(networks);
    lambda.check("VariationalCoupling's lambda");
    if constexpr (detail::HasSourcePosterior<Networks>) {
      expect_same("the velocity network", static_cast<std::size_t>(networks.velocity.dimension()),
                  "the source posterior",
                  static_cast<std::size_t>(networks.source_posterior.latent()), "dimensions");
      expect(networks.source_posterior.input() == EncoderInput::x1,
             "a source posterior sees x1 alone, got ", name_of(networks.source_posterior.input()));
    }
    if (networks.velocity.inputs().latent == 0) return;
    // Posteriors and priors have no gradient of what they see.
    const EncoderInput seen = networks.posterior.input();
    expect(networks.posterior.latent() > 0,
           "VariationalCoupling draws x0 anew, but this flow's z is ", "that of given pairs");
    expect(!contains(seen, EncoderInput::x0 | EncoderInput::x_t),
           "VariationalCoupling needs a posterior that sees neither x0 nor x_t, whose gradient it ",
           "would need, got ", name_of(seen));
    expect(networks.prior.standard() || networks.prior.input() == EncoderInput::none,
           "VariationalCoupling needs a prior that does not see x0, whose gradient it would need");
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class Networks, class T>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const LossProblem<Networks, T>& problem,
                                  Arena<T>& arena) const {
    if constexpr (detail::HasSourcePosterior<Networks>) {
      using Source = std::remove_cvref_t<decltype(Networks::source_posterior)>;
      const auto mark = arena.used();
      const Source& source = problem.networks.source_posterior;
      const int rows = problem.rows(), cols = problem.x0.cols;
      LatentInputs<T> seen{};
      seen.x1 = problem.x1;
      GaussianDraw<T> draw{};
      draw.moments = arena.take(rows, 2 * cols);
      draw.z = arena.take(rows, cols);
      draw.noise = problem.x0;
      saved_of<Source, T, storage_of<Networks, T>> saved;
      source.moments(ctx, problem.parameters, seen, draw.moments, &saved, arena);
      const KlTerm<T> term{lambda, reduction_factor(kl, cols), T(0), problem.row_weight};
      ctx.each_row(rows,
                   ReparameterizeGiven<T>{draw, term, problem.losses.col_range(term_count<O>, 1)});

      LossProblem<Networks, T> inner = problem;
      inner.x0 = draw.z;
      inner.losses = problem.losses.col_range(0, term_count<O>);
      inner.dx0 = arena.take(rows, cols);
      objective(ctx, inner, arena);
      if (!problem.gradient.ignored()) {
        const Matrix<T> dmoments = arena.take(rows, 2 * cols);
        ctx.each_row(rows, ReparameterizeBackward<T>{draw, term, inner.dx0, dmoments, Matrix<T>(),
                                                     problem.draws.step});
        source.backward(ctx, problem.parameters, problem.gradient, ConstMatrix<T>(dmoments),
                        ConditionGradient<T>{}, saved, arena);
      }
      arena.rewind(mark);
    }
  }
};

/// `objective` of a learned coupling, + lambda KL(q(x0 | x1) || N(0, I)).
template <class O>
VariationalCoupling<O> variational_coupling(const O& objective, const StepFunction& lambda) {
  return {objective, lambda};
}

}  // namespace vrfm
