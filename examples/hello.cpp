// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fewest lines from data to samples: train a variational flow from six small Gaussians to six
// large ones, draw new points with two Euler steps, compare them with the truth, save the weights.
#include <cstdio>
#include <exception>

#include <vrfm/training/weights.hpp>
#include <vrfm/vrfm.hpp>

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::DefaultExecutionSpace exec;
  try {
    const auto source = vrfm::mixture_on_circle<float>(exec, 6, 1.0 / 3, 0.1 / 3);
    const auto target = vrfm::mixture_on_circle<float>(exec, 6, 1.0, 0.1);

    // What the networks look like; latent = 0 would be plain rectified flow.
    const vrfm::Flow<float> flow(exec, {.dimension = 2, .latent = 8}, /*seed=*/1);

    // How they are trained.
    vrfm::Trainer trainer(flow, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{},
                          vrfm::independent(source, target), {.batch = 1000, .seed = 1});
    trainer.run(2'000, /*report_every=*/50, vrfm::ProgressBar("hello"));

    // New points, one a row, by two Euler steps: from 0 to 1/2 to 1.
    const auto points = vrfm::sample(flow, source, vrfm::Euler{},
                                     {.count = 10'000, .grid = {0, 0.5, 1}, .seed = 7});

    const auto exact = vrfm::draw_all(exec, target, 10'000, /*seed=*/8, vrfm::Purpose::target);
    std::printf("sliced Wasserstein distance to exact samples: %.4f\n",
                vrfm::sliced_wasserstein1(exec, points, exact));
    std::printf("mean log-likelihood under the target: %.3f (exact samples: %.3f)\n",
                vrfm::true_log_likelihood(exec, target, points),
                vrfm::true_log_likelihood(exec, target, exact));

    vrfm::save_weights("hello.safetensors", flow);
    std::puts("weights: hello.safetensors");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hello: %s\n", error.what());
    return 1;
  }
}
