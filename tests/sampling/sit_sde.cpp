// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// SiT's stochastic sampler step by step under given noise, beside tests/golden/make_sde.py: three diffusions, both
// solvers, the last step of the drift alone, z, and guidance of 3 of 4 channels.
#include <cmath>
#include <string>
#include <vector>

#include <tests/sampling/flows.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/table.hpp>

#include <nlohmann/json.hpp>

#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/models/transformer/networks.hpp>
#include <vrfm/sampling/sample.hpp>

namespace vrfm::test::sit_sde {

using Exec = Kokkos::DefaultExecutionSpace;

constexpr std::size_t samples = 2, dimension = 256;
constexpr int steps = 10, latent = 3;
constexpr double last_step = 0.04;
constexpr std::uint32_t seed = 2026;
constexpr std::uint64_t first_id = 7;

/// w = 1 / 2: rate = w / (1 - t)
struct ConstantDiffusion {
  template <class T>
  KOKKOS_FUNCTION T operator()(T t) const {
    return T(0.5) / (T(1) - t);
  }
};

/// w = sin^2(pi t)
struct SineDiffusion {
  template <class T>
  KOKKOS_FUNCTION T operator()(T t) const {
    const T sine = math::sin(T(3.14159265358979323846) * t);
    return sine * sine / (T(1) - t);
  }
};

/// The flow of make_sde.py; its posterior and its positions are as they come.
template <class T>
Flow<T, Exec, TransformerNetworks> golden_flow() {
  const TransformerOptions trunk{.height = 8, .width = 8, .embedding = 144, .depth = 2, .heads = 2};
  const Flow<T, Exec, TransformerNetworks> flow(
      Exec(),
      {.velocity = {.trunk = trunk, .latent = latent, .classes = 10, .learn_sigma = true},
       .posterior_depth = 1},
      1);
  const auto host = Kokkos::create_mirror_view(flow.values());
  Kokkos::deep_copy(host, flow.values());
  for (const auto& slot : flow.parameters().entries()) {
    if (slot.fixed || slot.name.starts_with("posterior.")) continue;
    const bool strong = slot.name.starts_with("y_embedder") || slot.name.starts_with("t_embedder");
    const double gain = slot.shape.size() == 1 ? 1 : strong ? 16 : 2;
    const auto numbers = golden_numbers(slot.name, slot.count);
    for (std::size_t k = 0; k < slot.count; ++k) {
      host(slot.offset + k) = static_cast<T>(gain * golden_scale(slot.shape) * numbers[k]);
    }
  }
  Kokkos::deep_copy(flow.values(), host);
  return flow;
}

/// The noise that the solvers draw, [step][sample][column].
template <class T>
std::vector<double> drawn_noise() {
  const RandomStream stream(seed, purpose_of(Use::sampling, Purpose::diffusion));
  std::vector<double> all;
  for (std::uint32_t step = 0; step < steps; ++step) {
    for (std::uint64_t sample = first_id; sample < first_id + samples; ++sample) {
      std::vector<T> row(dimension);
      stream.normal(sample, step, 0, static_cast<int>(dimension), row.data());
      all.insert(all.end(), row.begin(), row.end());
    }
  }
  return all;
}

template <class T, class Rate, class Solver>
std::vector<double> ends(const Flow<T, Exec, TransformerNetworks>& flow, const Rate& rate,
                         const Solver& solver, double guidance) {
  const auto x = table<T, Exec>(samples, dimension, golden_numbers("x0", samples * dimension));
  VelocityOptions<T, Exec> options{.guidance = guidance};
  options.latents = table<T, Exec>(samples, latent, golden_numbers("z", samples * latent));
  options.condition.labels = labels_of<Exec>({3, 9});
  options.reach = {.channels = 3, .of = 4};
  const StochasticVelocity field(velocity_of(flow, options),
                                 ScoreDiffusion<LinearSchedule, Rate>{{}, rate});
  CHECK(integrate_all(Exec(), field, x, solver, {.seed = seed, .first_id = first_id}).finished());
  return numbers_of(x);
}

TEMPLATE_TEST_CASE("SiT's stochastic sampler under given noise", "[sampling][stochastic]", float,
                   double) {
  using T = TestType;
  const std::string kind = sizeof(T) == 4 ? "float" : "double";
  const auto golden = golden_file("sde.safetensors");
  const auto bounds = nlohmann::json::parse(golden.metadata().at("bounds"));

  // The draws are those of the file: 3.5 epsilon of the radius of Box and Muller (tests/core/normal_bits.cpp), and
  // half a one where the file holds floats. A radius is at most 5.8 in float, 8.6 in double.
  const double noise_error = 4 * (sizeof(T) == 4 ? 5.8 : 8.6) * epsilon<T>;
  const auto noise = golden.template values<T>("noise." + kind,
                                               std::vector<std::size_t>{steps, samples, dimension});
  CHECK(difference(drawn_noise<T>(), {noise.begin(), noise.end()}, noise_error) == "");

  const auto flow = golden_flow<T>();
  const auto check = [&](const std::string& name, const auto& rate, const auto& solver,
                         double guidance) {
    INFO(name);
    const auto& bound = bounds.at(name + '.' + kind);
    const auto of = [&](const char* key) { return bound.at(key).template get<double>(); };
    // A velocity's error as in tests/models/transformer.cpp, of which guidance takes g times one and g - 1 times the
    // other, with a weight that the file tells; a state's rounding in each step, of four operations by T, and its noise,
    // of which a step takes sqrt(2 w h) <= sqrt(2 h).
    const double of_velocity = 32 * std::sqrt(4.0 * 144) * epsilon<T> * (2 * guidance - 1);
    const double a_step = 4 * epsilon<T> * of("state") + std::sqrt(2.0 / steps) * noise_error;
    const double tolerance =
        of("growth") * (of("weight") * of_velocity * of("velocity") + (steps + 1) * a_step);
    const auto expected = golden.template values<double>(
        name + '.' + kind, std::vector<std::size_t>{samples, dimension});
    CHECK(difference(ends(flow, rate, solver, guidance), {expected.begin(), expected.end()},
                     tolerance) == "");
  };
  const EulerMaruyama euler{steps, last_step};
  const StochasticHeun heun{steps, last_step};
  check("sigma", Constant{1}, euler, 1);
  check("constant", ConstantDiffusion{}, euler, 1);
  check("sine", SineDiffusion{}, euler, 1);
  check("sigma_heun", Constant{1}, heun, 1);
  check("guided", Constant{1}, euler, 4);
  check("guided_sine_heun", SineDiffusion{}, heun, 1.5);
}

}  // namespace vrfm::test::sit_sde
