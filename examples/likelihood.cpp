// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Densities under a flow: trains the baseline and a variational flow on two modes in one dimension,
// and compares the log density of points under each with the truth. The variational flow's is a mean
// over draws of z; how many of them count is printed beside it.
#include <cstdio>
#include <exception>

#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;

/// A flow of `latent` dimensions (0: the baseline), trained for a minute or less.
vrfm::Flow<float> train(const Exec& exec, int latent,
                        const vrfm::GaussianMixture<float, Exec>& source,
                        const vrfm::GaussianMixture<float, Exec>& target) {
  const vrfm::Flow<float> flow(exec, {.dimension = 1, .latent = latent}, /*seed=*/1);
  const auto coupling = vrfm::independent(source, target);
  const char* name = latent == 0 ? "RFM" : "V-RFM";
  if (latent == 0) {
    vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, coupling);
    trainer.run(3'000, /*report_every=*/50, vrfm::ProgressBar(name));
  } else {
    vrfm::Trainer trainer(flow, vrfm::Elbo{.beta = 1}, vrfm::AdamW{}, coupling);
    trainer.run(3'000, /*report_every=*/50, vrfm::ProgressBar(name));
  }
  return flow;
}

template <class View>
auto on_host(const View& view) {
  return Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
}

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    const Exec exec;
    const auto source = vrfm::standard_normal<float>(exec, 1);
    const auto target = vrfm::mixture_1d<float>(exec, {-1, 1}, 0.1414);
    const auto baseline = train(exec, 0, source, target);
    const auto variational = train(exec, 4, source, target);

    // Points of the target: each is integrated back to the source, with the exact divergence.
    const auto points = vrfm::draw_all(exec, target, 8, /*seed=*/3, vrfm::Purpose::target);
    const vrfm::DormandPrince solver{.absolute = 1e-4, .relative = 1e-4};
    const auto under_baseline =
        vrfm::log_density(exec, vrfm::velocity_of(baseline), source, points, solver);
    const auto under_variational = vrfm::log_density(exec, vrfm::velocity_of(variational), source,
                                                     points, solver, {.draws = 200, .seed = 5});
    under_baseline.result.expect_finished();
    under_variational.result.expect_finished();

    using Host = Kokkos::DefaultHostExecutionSpace;
    const auto truth = vrfm::mixture_1d<float>(Host(), {-1, 1}, 0.1414);
    const auto x = on_host(points);
    const auto rfm = on_host(under_baseline.log_density);
    const auto v_rfm = on_host(under_variational.log_density);
    const auto draws = on_host(under_variational.effective_draws);
    std::printf("%8s %8s %8s %8s   %s\n", "x", "truth", "RFM", "V-RFM", "effective draws of 200");
    for (std::size_t i = 0; i < x.extent(0); ++i) {
      std::printf("%8.3f %8.3f %8.3f %8.3f   %.1f\n", static_cast<double>(x(i, 0)),
                  static_cast<double>(truth.log_density(&x(i, 0))), static_cast<double>(rfm(i)),
                  static_cast<double>(v_rfm(i)), static_cast<double>(draws(i)));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "likelihood: %s\n", error.what());
    return 1;
  }
}
