// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How much z should tell: V-RFM by constant betas and by rates (models/learned_beta.hpp) on ten shapes of data, with z
// from its prior and from the posteriors of the data (sampling/aggregated_posterior.hpp). Prints, for each, the KL in
// nats, and 1000 times the unbiased energy distance of 2,000 samples to held-out rows after 2 and 20 Euler steps, with z
// of the prior and z of the data. Some minutes a shape on one core.
// Usage: vrfm_bench_rate [STEPS [SEED [LATENT]]]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/models/learned_beta.hpp>
#include <vrfm/sampling/aggregated_posterior.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Rows = vrfm::Table<float, Exec>;
constexpr std::size_t rows_of_shape = 5000, samples = 2000;

/// Rows of two columns, each of mean 0 and deviation 1.
std::vector<float> shape(const std::string& name, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  const auto e = [&] { return normal(generator); };
  const auto u = [&] { return uniform(generator); };
  constexpr double turn = 6.28318;
  std::vector<double> x;
  for (std::size_t i = 0; i < rows_of_shape; ++i) {
    double a = 0, b = 0;
    if (name == "spiral") {
      const double r = 1 + 9 * std::sqrt(u());
      a = r * std::cos(r) + 0.3 * e();
      b = r * std::sin(r) + 0.3 * e();
    } else if (name == "moons") {
      const double t = turn / 2 * u();
      const bool upper = u() < 0.5;
      a = (upper ? std::cos(t) : 1 - std::cos(t)) + 0.08 * e();
      b = (upper ? std::sin(t) : 0.5 - std::sin(t)) + 0.08 * e();
    } else if (name == "checker") {
      do {
        a = 4 * u() - 2;
        b = 4 * u() - 2;
      } while (std::fmod(std::floor(a) + std::floor(b), 2) != 0);
    } else if (name == "rings") {
      const double t = turn * u(), r = u() < 0.33 ? 1 : 2.5;
      a = r * std::cos(t) + 0.1 * e();
      b = r * std::sin(t) + 0.1 * e();
    } else if (name == "eight") {
      const double t = std::floor(8 * u()) * turn / 8;
      a = 4 * std::cos(t) + 0.3 * e();
      b = 4 * std::sin(t) + 0.3 * e();
    } else if (name == "pinwheel") {
      const double arm = std::floor(5 * u()), r = 0.3 * e() + 1, s = 0.1 * e();
      const double t = arm * turn / 5 + 0.25 * std::exp(r);
      a = r * std::cos(t) - s * std::sin(t);
      b = r * std::sin(t) + s * std::cos(t);
    } else if (name == "sine") {
      a = 4 * u() - 2;
      b = std::sin(3 * a) + 0.1 * e();
    } else if (name == "banana") {
      a = e();
      b = a * a + 0.3 * e();
    } else if (name == "gauss") {
      a = e();
      b = 0.8 * a + 0.6 * e();
    } else {  // grid
      a = std::floor(5 * u()) + 0.1 * e();
      b = std::floor(5 * u()) + 0.1 * e();
    }
    x.insert(x.end(), {a, b});
  }
  std::vector<float> result(x.size());
  for (std::size_t c = 0; c < 2; ++c) {
    constexpr auto n = static_cast<double>(rows_of_shape);
    double mean = 0, square = 0;
    for (std::size_t i = c; i < x.size(); i += 2) mean += x[i] / n;
    for (std::size_t i = c; i < x.size(); i += 2) square += (x[i] - mean) * (x[i] - mean) / n;
    for (std::size_t i = c; i < x.size(); i += 2) {
      result[i] = static_cast<float>((x[i] - mean) / std::sqrt(square));
    }
  }
  return result;
}

Rows to_rows(const Exec& exec, const std::vector<float>& numbers, std::size_t count) {
  const Rows rows("rows", count, 2);
  using Host = Kokkos::View<const float**, Kokkos::LayoutRight, Kokkos::HostSpace>;
  vrfm::copy_elements(exec, rows, Host(numbers.data(), count, 2));
  exec.fence();
  return rows;
}

class Shape {
 public:
  Shape(const Exec& exec, const std::string& name, int steps, unsigned seed, int latent)
      : exec_(exec),
        data_(to_rows(exec, shape(name, 11), rows_of_shape)),
        held_out_(to_rows(exec, shape(name, 12), samples)),
        noise_(vrfm::standard_normal<float>(exec, 2)),
        steps_(steps),
        seed_(seed),
        options_{.dimension = 2,
                 .latent = latent,
                 .encoder_input = vrfm::EncoderInput::x1,
                 .encoder = {.features = 32, .width = 32},
                 .latent_width = 64,
                 .latent_depth = 2} {}

  void run() const {
    auto plain = options_;
    plain.latent = 0;
    train("rfm", vrfm::Flow<float, Exec>(exec_, plain, seed_), vrfm::VelocityLoss{});
    for (const double beta : {0.03, 0.1, 0.3, 1.0}) {
      train("beta " + std::to_string(beta).substr(0, 4),
            vrfm::Flow<float, Exec>(exec_, options_, seed_), vrfm::Elbo{.beta = beta});
    }
    using Networks = vrfm::LearnedBeta<vrfm::MlpNetworks<>>;
    for (const double rate : {0.5, 1.0, 2.0, 3.0}) {
      train("rate " + std::to_string(rate).substr(0, 3),
            vrfm::Flow<float, Exec, Networks>(exec_, {.networks = options_, .beta = 0.3}, seed_),
            vrfm::Elbo{.rate = rate});
    }
  }

 private:
  template <class Flow, class Objective>
  void train(const std::string& name, const Flow& flow, const Objective& objective) const {
    constexpr bool variational = requires { objective.beta; };
    constexpr int batch = 256;
    const auto rows = vrfm::row_draws(exec_, data_, {.dimension = 2}, batch);
    vrfm::Trainer trainer(flow, objective,
                          vrfm::AdamW{.learning_rate = vrfm::StepFunction::cosine(3e-3, 0, steps_)},
                          vrfm::independent(noise_, rows), {.batch = batch, .seed = seed_});
    double kl = 0;
    trainer.run(steps_, 100, [&](const vrfm::TrainingReport& report) {
      if constexpr (variational) kl = report.means[1];
    });
    std::printf("| %s | %.2f |", name.c_str(), kl);
    const auto show = [&](const auto& field) {
      for (const int steps : {2, 20}) {
        const auto x = vrfm::sample(
            exec_, field, noise_, vrfm::Euler{},
            {.count = samples, .grid = vrfm::TimeGrid::uniform(0, 1, steps), .seed = 5});
        std::printf(" %.2f |", 1000 * vrfm::energy_distance(exec_, x, held_out_,
                                                            vrfm::EnergyEstimate::unbiased));
      }
    };
    show(vrfm::velocity_of(flow));
    if constexpr (variational) {
      const auto codes = vrfm::encode(flow, {}, vrfm::Table<const float, Exec>(data_));
      show(vrfm::velocity_of(flow, {.latents = vrfm::draw_latents(exec_, codes, samples, 5)}));
    } else {
      std::printf(" | |");
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  Exec exec_;
  Rows data_, held_out_;
  decltype(vrfm::standard_normal<float>(Exec{}, 1)) noise_;
  int steps_;
  unsigned seed_;
  vrfm::FlowOptions options_;
};

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const Exec exec;
  const auto argument = [&](int k, int usual) { return argc > k ? std::atoi(argv[k]) : usual; };
  for (const char* name : {"spiral", "moons", "checker", "rings", "eight", "pinwheel", "sine",
                           "banana", "gauss", "grid"}) {
    std::printf("\n%s\n\n| | KL | prior, 2 | 20 | data, 2 | 20 |\n|---|---|---|---|---|---|\n",
                name);
    Shape(exec, name, argument(1, 2000), static_cast<unsigned>(argument(2, 1)), argument(3, 2))
        .run();
  }
}
