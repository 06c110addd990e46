// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A user's program whose compiler is told to stop at any warning (add_subdirectory/CMakeLists.txt): it
// trains, samples, asks for likelihoods and metrics, and writes files.
#include <cstdio>

#include <vrfm/io/npy.hpp>
#include <vrfm/metrics/frechet_distance.hpp>
#include <vrfm/metrics/statistics_file.hpp>
#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/training/checkpoint.hpp>
#include <vrfm/vrfm.hpp>

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::DefaultExecutionSpace exec;
  const auto source = vrfm::standard_normal<float>(exec, 2);
  const auto target = vrfm::mixture_on_circle<float>(exec, 6, 1.0, 0.1);
  const vrfm::Flow<float> flow(exec, {.dimension = 2, .latent = 8}, 1);
  vrfm::Trainer trainer(flow, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{},
                        vrfm::independent(source, target), {.batch = 100});
  trainer.run(10, 5, vrfm::ProgressBar());
  const auto x =
      vrfm::sample(flow, source, vrfm::DormandPrince{}, {.count = 1'000, .grid = {0, 1}});
  const auto exact = vrfm::draw_all(exec, target, 1'000, 8, vrfm::Purpose::target);
  const auto density = vrfm::log_density(exec, vrfm::velocity_of(flow), source, x, vrfm::Heun{4});
  vrfm::save_weights("flow.safetensors", flow);
  std::printf("%g %g %g %g\n", vrfm::frechet_distance(exec, x, exact),
              vrfm::energy_distance(exec, x, exact), vrfm::sliced_wasserstein1(exec, x, exact),
              vrfm::parzen_log_likelihood(exec, x, exact, 0.1));
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), x);
  vrfm::write_npy("points.npy", {1'000, 2}, std::span(host.data(), host.size()));
  return density.log_density.size() == 1'000 ? 0 : 1;
}
