// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws of z from the aggregated posterior of a data set, q(z) = 1/n sum_k q(z | x1_k): what z's are in training, all
// data together. Where the posterior sees x1 alone, z of q(z) and x0 are drawn as in training, so samples do not depend
// on how near q(z) is to the prior (Tomczak and Welling 2018, "VAE with a VampPrior", with the data for pseudo-inputs):
//
//   const auto codes = encode(flow, {}, data);                   // once; its moments are all that is needed of the data
//   const auto field = velocity_of(flow, {.latents = draw_latents(exec, codes, count)});
//
// If z tells nearly which x1 it is, samples repeat the data; the rate of an Elbo limits what it tells.
#pragma once

#include <vrfm/core/launch.hpp>
#include <vrfm/sampling/encode.hpp>

namespace vrfm {

namespace detail {

/// Row: z of one of the posteriors, which is drawn, too, by an element behind those of z.
template <class T>
struct DrawAggregated {
  SampleBlock block;
  ConstMatrix<T> mean, log_variance;
  Matrix<T> z;
  KOKKOS_INLINE_FUNCTION void operator()(int i) const {
    const auto stream = block.stream(Purpose::prior);
    constexpr std::uint32_t per_block = 4;
    const auto behind =
        (static_cast<std::uint32_t>(z.cols) + per_block - 1) / per_block * per_block;
    const int k = stream.index(block.id(i), block.draw, behind, mean.rows);
    stream.normal(block.id(i), block.draw, 0, z.cols, z.row(i));
    for (int j = 0; j < z.cols; ++j) {
      z(i, j) = mean(k, j) + math::exp(log_variance(k, j) / T(2)) * z(i, j);
    }
  }
};

}  // namespace detail

/// `count` draws of z, count x latent, from the posteriors of `codes`, each with equal probability. A row depends on its
/// sample's id alone. Waits for the end. Throws std::invalid_argument if there are no codes.
template <Real T, ExecutionSpace Exec>
Table<T, Exec> draw_latents(const Exec& exec, const Encoding<T, Exec>& codes, std::size_t count,
                            std::uint32_t seed = 0, std::uint64_t first_id = 0) {
  expect(codes.mean.extent(0) > 0, "an aggregated posterior needs at least one code, got none");
  expect_same("the codes' log variances", codes.log_variance.extent(0), "their means",
              codes.mean.extent(0), "rows");
  expect_same("the codes' log variances", codes.log_variance.extent(1), "their means",
              codes.mean.extent(1), "columns");
  const SampleBlock all = detail::all_samples(count, seed, first_id, Use::sampling);
  const Table<T, Exec> z("vrfm::draw_latents", count, codes.mean.extent(1));
  launch_each(
      exec, "vrfm::draw_latents", all.count,
      detail::DrawAggregated<T>{all, matrix(codes.mean), matrix(codes.log_variance), matrix(z)});
  exec.fence();
  return z;
}

}  // namespace vrfm
