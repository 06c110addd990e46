// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm's side of compare.py: carries out one order a line from standard input and answers each with
// one line, the seconds it took. So both sides stay started, and take turns on the same cores.
//
//   weights FILE                       the 2D variational flow's weights, trained for 2,000 steps
//   train DIMENSION LATENT BATCH N     N training steps; the first order of its kind also prepares
//   map OBJECTIVE LATENT BATCH N       N training steps of the 2D flow by mean-flow or so-flow; by flow, of that
//                                      network without its second time
//   rows LATENT BATCH N                N training steps of a residual MLP of 4 blocks of width 256, on rows of 64 columns
//   euler LATENT COUNT STEPS           samples of the 2D flow
//   dopri5 LATENT COUNT TOLERANCE      the same by Dormand-Prince, error control per sample
//   gemm EXTENT N                      N products of square bfloat16 matrices
//   images NETWORK BATCH N             N training steps of the rectified flow of CIFAR-10 (unet), MNIST
//                                      (residual; -mean-flow or -so-flow behind it: a flow map, by that
//                                      objective), or of latents by SiT-S/2 or XL/2 (sit-s, sit-xl; -stored
//                                      behind it: stored in bfloat16)
//   draw NETWORK COUNT STEPS           images of that flow by Euler steps
//   decode COUNT 0                     images of latents, one at a time
#include <array>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>

#include <vrfm/models/autoencoder/autoencoder.hpp>
#include <vrfm/models/residual/networks.hpp>
#include <vrfm/models/residual_mlp/networks.hpp>
#include <vrfm/models/transformer/networks.hpp>
#include <vrfm/models/unet/networks.hpp>
#include <vrfm/training/checkpoint.hpp>

#include "../flows.hpp"

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Flow = vrfm::Flow<float, Exec>;

// Without the adaptive weight of a sample, as compare.py.
const vrfm::MeanFlow mean_flow{.weight = {.power = 0}};
const vrfm::SoFlow so_flow{.rho = vrfm::SoFlow::falling(20'000)};

/// A function that trains by n steps.
template <class Trainer>
std::function<void(int)> steps_of(const Trainer& trainer) {
  const auto kept = std::make_shared<Trainer>(trainer);
  return [kept](int steps) { kept->run(kept->step() + steps, steps); };
}

/// The same, of a flow of its own.
std::function<void(int)> training(int dimension, int latent, int batch) {
  const Flow flow(Exec{}, {.dimension = dimension, .latent = latent}, 1);
  std::function<void(int)> run;
  vrfm::bench::with_trainer(flow, {.batch = batch},
                            [&](const auto& trainer) { run = steps_of(trainer); });
  return run;
}

/// The same, of a flow whose posterior sees what a map's may.
std::function<void(int)> map_training(const std::string& name, int latent, int batch) {
  using vrfm::EncoderInput;
  const Flow flow(Exec{},
                  {.dimension = 2,
                   .latent = latent,
                   .encoder_input = EncoderInput::x0 | EncoderInput::x1,
                   .second_time = name != "flow"},
                  1);
  const vrfm::TrainerOptions options{.batch = batch};
  if (name == "flow") {
    std::function<void(int)> run;
    vrfm::bench::with_trainer(flow, options, [&](const auto& trainer) { run = steps_of(trainer); });
    return run;
  }
  const auto by = [&](const auto& objective) {
    const auto pairs =
        independent(vrfm::bench::source<float, Exec>(2), vrfm::bench::target<float, Exec>(2));
    if (latent == 0) return steps_of(vrfm::Trainer(flow, objective, vrfm::AdamW{}, pairs, options));
    return steps_of(vrfm::Trainer(flow, vrfm::variational(objective, vrfm::bench::beta(2)),
                                  vrfm::AdamW{}, pairs, options));
  };
  if (name == "mean-flow") return by(mean_flow);
  vrfm::expect(name == "so-flow", "unknown objective '", name, "'");
  return by(so_flow);
}

/// The same, of rows, from noise to noise.
std::function<void(int)> row_training(int latent, int batch) {
  const vrfm::Flow<float, Exec, vrfm::ResidualMlpNetworks<>> flow(
      Exec{}, {.dimension = 64, .latent = latent, .trunk = {.width = 256, .blocks = 4}}, 1);
  const auto noise = vrfm::standard_normal<float>(Exec{}, flow.dimension());
  const auto pairs = vrfm::independent(noise, noise);
  const vrfm::TrainerOptions options{.batch = batch};
  if (latent == 0) {
    return steps_of(vrfm::Trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, pairs, options));
  }
  return steps_of(vrfm::Trainer(flow, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{}, pairs, options));
}

/// A flow of images as the papers set it up, and its training on noise.
template <class Networks, class Objective = vrfm::VelocityLoss>
class Images {
 public:
  Images(const typename Networks::Options& options, int batch, Objective objective = {})
      : flow_(Exec{}, options, 1),
        noise_(vrfm::standard_normal<float>(Exec{}, flow_.dimension())),
        objective_(objective),
        batch_(batch) {
    objective_.velocity = vrfm::Reduction::mean;
  }

  void train(int steps) {
    // Not before it is asked for: who only draws needs no moments.
    if (!trainer_) {
      trainer_.emplace(
          flow_, objective_, vrfm::Adam{.learning_rate = 2e-4}, vrfm::independent(noise_, noise_),
          vrfm::TrainerOptions{.batch = batch_, .clip_norm = 1, .launch = {.batch = micro_batch}});
    }
    trainer_->run(trainer_->step() + steps, steps);
  }

  void draw(int count, int steps) const {
    vrfm::sample(
        flow_, noise_, vrfm::Euler{},
        {.count = static_cast<std::size_t>(count), .grid = vrfm::TimeGrid::uniform(0, 1, steps)});
  }

 private:
  /// As vrfm_imagenet's recipes have it; 0 for other networks: all at a time.
  static constexpr int micro_batch =
      requires(typename Networks::Options o) { o.velocity.learn_sigma; } ? 8 : 0;

  using Noise = decltype(vrfm::standard_normal<float>(Exec{}, 1));
  using Pairing = decltype(vrfm::independent(std::declval<Noise>(), std::declval<Noise>()));

  vrfm::Flow<float, Exec, Networks> flow_;
  Noise noise_;
  Objective objective_;
  int batch_;
  std::optional<vrfm::Trainer<vrfm::Flow<float, Exec, Networks>, Objective, vrfm::Adam, Pairing>>
      trainer_;
};

auto source() { return vrfm::bench::source<float, Exec>(2); }

class Peer {
 public:
  /// Carries out `order`; returns seconds. Throws std::invalid_argument for one it does not know.
  double carry_out(const std::string& order) {
    std::istringstream words(order);
    std::string what;
    words >> what;
    if (what == "weights") {
      std::string file;
      words >> file;
      return timed([&] { train_and_save(file); });
    }
    if (what == "images" || what == "draw") {
      std::string network;
      int count = 0, steps = 0;
      words >> network >> count >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      const bool train = what == "images";
      if (network == "unet") {
        return images(unet_, {.velocity = {.path = {.conditioning = vrfm::Conditioning::additive}}},
                      train, count, steps);
      }
      if (network.starts_with("sit-")) {
        const std::string size = network.starts_with("sit-s") ? "S" : "XL";
        const vrfm::TransformerFlowOptions sit{
            .velocity = {.trunk = vrfm::sit_size(size, 2), .learn_sigma = true}};
        if (network.ends_with("-stored")) {
          return images(stored_[network], sit, train, count, steps);
        }
        return images(sit_[network], sit, train, count, steps);
      }
      const vrfm::ResidualFlowOptions map{.second_time = true};
      if (network == "residual-mean-flow") {
        return images(residual_mean_flow_, map, train, count, steps, mean_flow);
      }
      if (network == "residual-so-flow") {
        return images(residual_so_flow_, map, train, count, steps, so_flow);
      }
      vrfm::expect(network == "residual", "unknown network '", network, "'");
      return images(residual_, {}, train, count, steps);
    }
    if (what == "map") {
      std::string objective;
      int latent = 0, batch = 0, steps = 0;
      words >> objective >> latent >> batch >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      auto& step = map_trainings_[{objective, latent, batch}];
      if (!step) step = map_training(objective, latent, batch);
      return timed([&] { step(steps); });
    }
    int first = 0, second = 0;
    words >> first >> second;
    if (what == "train") {
      int batch = 0, steps = 0;
      words >> batch >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      auto& step = trainings_[{first, second, batch}];
      if (!step) step = training(first, second, batch);
      return timed([&] { step(steps); });
    }
    if (what == "rows") {
      int steps = 0;
      words >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      auto& step = row_trainings_[{first, second}];
      if (!step) step = row_training(first, second);
      return timed([&] { step(steps); });
    }
    if (what == "gemm") {
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      return products(first, second);
    }
    if (what == "decode") {
      if (!autoencoder_) autoencoder_.emplace(Exec{}, vrfm::AutoencoderOptions{}, 1);
      const vrfm::Table<float, Exec> latents("latents", static_cast<std::size_t>(first), 4096);
      return timed([&] { autoencoder_->decode(latents); });
    }
    const auto count = static_cast<std::size_t>(second);
    const Flow& flow = first == 0 ? baseline_ : variational_;
    if (what == "euler") {
      int steps = 0;
      words >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      return timed([&] {
        vrfm::sample(flow, source(), vrfm::Euler{},
                     {.count = count, .grid = vrfm::TimeGrid::uniform(0, 1, steps)});
      });
    }
    vrfm::expect(what == "dopri5", "unknown order '", order, "'");
    double tolerance = 0;
    words >> tolerance;
    vrfm::expect(!words.fail(), "incomplete order '", order, "'");
    return timed([&] {
      vrfm::sample(flow, source(),
                   vrfm::DormandPrince{.absolute = tolerance, .relative = tolerance},
                   {.count = count});
    });
  }

 private:
  template <class F>
  static double timed(const F& f) {
    const Kokkos::Timer timer;
    f();
    Exec{}.fence();
    return timer.seconds();
  }

  template <class Networks, class Objective = vrfm::VelocityLoss>
  static double images(std::unique_ptr<Images<Networks, Objective>>& kept,
                       const typename Networks::Options& options, bool train, int count, int steps,
                       const Objective& objective = {}) {
    if (!kept) kept = std::make_unique<Images<Networks, Objective>>(options, count, objective);
    return timed([&] {
      if (train) {
        kept->train(steps);
      } else {
        kept->draw(count, steps);
      }
    });
  }

  static double products(int extent, int count) {
    using vrfm::BFloat16, vrfm::Op;
    const auto size = static_cast<std::size_t>(extent);
    const vrfm::Table<BFloat16, Exec> a("a", size, size), b("b", size, size), c("c", size, size);
    const vrfm::BatchContext<Exec> ctx{Exec{}};
    return timed([&] {
      for (int i = 0; i < count; ++i) {
        ctx.gemm<Op::none, Op::transpose>(vrfm::matrix(a), vrfm::matrix(b), vrfm::matrix(c),
                                          vrfm::Update::overwrite);
      }
    });
  }

  void train_and_save(const std::string& file) {
    vrfm::bench::with_trainer(variational_, {}, [](auto&& trainer) { trainer.run(2'000); });
    vrfm::save_weights(file, variational_);
  }

  const Flow baseline_{Exec{}, {.dimension = 2, .latent = 0}, 1};
  const Flow variational_{Exec{}, {.dimension = 2, .latent = 8}, 1};
  std::map<std::array<int, 3>, std::function<void(int)>> trainings_;
  std::map<std::array<int, 2>, std::function<void(int)>> row_trainings_;
  std::map<std::tuple<std::string, int, int>, std::function<void(int)>> map_trainings_;
  std::unique_ptr<Images<vrfm::UnetNetworks>> unet_;
  std::unique_ptr<Images<vrfm::ResidualNetworks>> residual_;
  std::unique_ptr<Images<vrfm::ResidualNetworks, vrfm::MeanFlow>> residual_mean_flow_;
  std::unique_ptr<Images<vrfm::ResidualNetworks, vrfm::SoFlow>> residual_so_flow_;
  using Stored = vrfm::Stored<vrfm::BFloat16, vrfm::TransformerNetworks>;
  std::map<std::string, std::unique_ptr<Images<vrfm::TransformerNetworks>>> sit_;
  std::map<std::string, std::unique_ptr<Images<Stored>>> stored_;
  std::optional<vrfm::Autoencoder<float, Exec>> autoencoder_;
};

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  try {
    Peer peer;
    for (std::string order; std::getline(std::cin, order);) {
      std::cout << peer.carry_out(order) << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "vrfm_peer: " << error.what() << '\n';
    return 1;
  }
}
