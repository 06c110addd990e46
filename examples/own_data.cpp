// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A table of one's own, in any format that open_rows reads, to new rows: standardised, trained with a z that tells 2
// nats of a row, drawn in two steps with z's of the data, and written as a table. What vrfm_table does, in C++.
// Usage: vrfm_own_data ROWS.csv NEW.csv [STEPS]
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <vrfm/io/csv.hpp>
#include <vrfm/io/open_rows.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/models/residual_mlp/networks.hpp>
#include <vrfm/sampling/aggregated_posterior.hpp>
#include <vrfm/vrfm.hpp>

int main(int argc, char** argv) try {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const Kokkos::DefaultExecutionSpace exec;
  using Networks = vrfm::LearnedBeta<vrfm::ResidualMlpNetworks<>>;
  vrfm::expect(argc >= 3, "expected ROWS.csv NEW.csv [STEPS], got ", argc - 1, " arguments");

  const auto file = vrfm::open_rows(argv[1]);
  vrfm::RowRoles roles;
  roles.x1 = {{file.get()}};  // all columns
  const vrfm::RowSource source(roles);
  const auto data = vrfm::pack<float>(exec, source);
  const auto scales = vrfm::fit_scales<float>(source);
  const auto rows =
      vrfm::standardized(exec, vrfm::row_draws(exec, data.rows, data.layout, 256), scales);
  const auto noise = vrfm::standard_normal<float>(exec, rows.dimension());

  const vrfm::Flow<float, Kokkos::DefaultExecutionSpace, Networks> flow(
      exec, {.networks = {.dimension = rows.dimension(), .latent = 2, .features = 16}}, /*seed=*/1);
  vrfm::Trainer trainer(flow, vrfm::Elbo{.rate = 2}, vrfm::AdamW{}, vrfm::independent(noise, rows),
                        {.batch = 256});
  trainer.run(argc > 3 ? std::atoi(argv[3]) : 3'000, /*report_every=*/50, vrfm::ProgressBar());

  scales.x1.standardize(exec, data.rows);  // in place
  const auto codes = vrfm::encode(flow, {}, data.rows);
  const auto field = vrfm::velocity_of(flow, {.latents = vrfm::draw_latents(exec, codes, 1'000)});
  const auto drawn = vrfm::sample(exec, field, noise, vrfm::Euler{},
                                  {.count = 1'000, .grid = vrfm::TimeGrid::uniform(0, 1, 2)});
  scales.x1.restore(exec, drawn);

  const auto host = vrfm::to_host(exec, drawn);
  const std::vector<double> numbers(host.data(), host.data() + host.size());
  vrfm::write_csv(argv[2], file->info().columns, numbers);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
