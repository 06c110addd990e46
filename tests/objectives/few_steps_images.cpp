// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Objectives of few steps of networks of images, which run over batches: where s = t they are those of a flow, also
// with dropout, and elsewhere their gradients are finite, reach the networks, and depend on the second time.
#include <algorithm>
#include <cmath>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/padded.hpp>
#include <tests/training/tiny_unet.hpp>

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/models/transformer/networks.hpp>
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/so_flow.hpp>

using namespace vrfm;
using namespace vrfm::test;
using Host = Kokkos::DefaultHostExecutionSpace;

namespace {

TransformerFlowOptions tiny_transformer() {
  return {.velocity = {.trunk = {.height = 4,
                                 .width = 4,
                                 .channels = 1,
                                 .patch = 2,
                                 .embedding = 8,
                                 .depth = 1,
                                 .heads = 2},
                       .latent = 2,
                       .second_time = true},
          .posterior_depth = 1};
}

UnetFlowOptions tiny_unet_map() {
  UnetFlowOptions options = tiny_unet(0.25);
  options.velocity.second_time = true;
  return options;
}

struct Found {
  std::vector<double> losses, gradient;
};

/// An objective's losses and gradient of three images, in parameters that are no layer's zeros.
template <class T, class Networks, class O>
Found evaluate(const typename Networks::Options& options, const O& objective) {
  using P = storage_of<Networks, T>;
  const Flow<T, Host, Networks> flow(Host(), options, 1);
  objective.check(flow.networks());
  const int rows = 3, cols = flow.dimension(), count = static_cast<int>(flow.parameters().count());
  Numbers numbers(4);
  for (int k = 0; k < count; ++k) {
    flow.values()(static_cast<std::size_t>(k)) += static_cast<T>(0.2 * numbers.next());
  }
  const auto n = static_cast<std::size_t>(rows * cols);
  const Padded<T, Host> x0(rows, cols, numbers.take(n)), x1(rows, cols, numbers.take(n));
  Padded<T, Host> losses(rows, term_count<O>), gradient(1, count);
  const auto parameters = stored_values<P>(Host(), flow.values());
  const LossProblem<Networks, T> problem{flow.networks(),
                                         parameters.data(),
                                         nullptr,
                                         {gradient.data(), false},
                                         x0.matrix(),
                                         x1.matrix(),
                                         {},
                                         {.seed = 9, .step = 3, .first_sample = 10},
                                         0.25,
                                         losses.matrix()};
  Arena<T> measure = Arena<T>::measure();
  objective(BatchContext<Host>::dry_run(Host()), problem, measure);
  const Array<T, Host> block("block", measure.peak());
  Arena<T> arena(block.data(), block.extent(0));
  objective(BatchContext<Host>(Host()), problem, arena);
  return {losses.read(), gradient.read()};
}

template <class Networks>
void check_maps(const typename Networks::Options& options) {
  const auto of = [&](const auto& objective) {
    return evaluate<double, Networks>(options, objective);
  };
  const Elbo elbo{.beta = 0.3};
  const auto flow = of(elbo);
  const double error = 1e5 * epsilon<double>;
  const auto same = [&](const auto& objective) {
    const auto found = of(variational(objective, 0.3));
    CHECK(difference(found.gradient, flow.gradient, error * (1 + largest(flow.gradient))) == "");
    CHECK(difference(found.losses, flow.losses, error * (1 + largest(flow.losses))) == "");
  };
  const TimePairs<> equal{.equal = 1}, apart{.equal = 0};
  const AdaptiveWeight none{.power = 0};
  same(PlainMeanFlow{.times = equal, .weight = none});
  same(SoFlow{.rho = 0.01, .times = equal, .weight = none});
  const auto reaches = [&](const auto& objective) {
    const auto found = of(variational(objective, 0.3));
    for (const double loss : found.losses) CHECK((std::isfinite(loss) && loss > 0));
    CHECK(std::all_of(found.gradient.begin(), found.gradient.end(),
                      [](double g) { return std::isfinite(g); }));
    CHECK(difference(found.gradient, flow.gradient, 1e-3 * largest(flow.gradient)) != "");
  };
  reaches(MeanFlow{.times = apart});
  reaches(PlainMeanFlow{.times = apart, .weight = none});
  reaches(SoFlow{.rho = 0.5, .times = apart, .weight = none});
  reaches(ConsistencyLoss{.boundary = 1, .delta = 0.1, .alpha = 0.5});
}

}  // namespace

TEST_CASE("a U-Net with dropout is trained as a flow map", "[objectives][few_steps][images]") {
  check_maps<UnetNetworks>(tiny_unet_map());
}

TEST_CASE("a transformer is trained as a flow map", "[objectives][few_steps][images]") {
  check_maps<TransformerNetworks>(tiny_transformer());
}

TEST_CASE("stored parameters are those of the flow map, rounded",
          "[objectives][few_steps][images]") {
  using Stored16 = Stored<BFloat16, TransformerNetworks>;
  const auto objective = variational(MeanFlow{.times = {.equal = 0}, .weight = {.power = 0}}, 0.3);
  const auto exact = evaluate<float, TransformerNetworks>(tiny_transformer(), objective);
  const auto found = evaluate<float, Stored16>(tiny_transformer(), objective);
  // Eight bits, in a few layers.
  CHECK(difference(found.losses, exact.losses, 0.1 * largest(exact.losses)) == "");
  CHECK(difference(found.gradient, exact.gradient, 0.2 * largest(exact.gradient)) == "");
  CHECK(found.losses != exact.losses);
}
