// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm's side of compare.py: carries out one order a line from standard input and answers each with
// one line, the seconds it took. So both sides stay started, and take turns on the same cores.
//
//   weights FILE                       the 2D variational flow's weights, trained for 2,000 steps
//   train DIMENSION LATENT BATCH N     N training steps; the first order of its kind also prepares
//   euler LATENT COUNT STEPS           samples of the 2D flow
//   dopri5 LATENT COUNT TOLERANCE      the same by Dormand-Prince, error control per sample
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include <vrfm/training/checkpoint.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Flow = vrfm::Flow<float, Exec>;

auto source(int dimension) {
  return dimension == 1 ? vrfm::standard_normal<float>(Exec{}, 1)
                        : vrfm::mixture_on_circle<float>(Exec{}, 6, 1.0 / 3, 0.1 / 3);
}

auto target(int dimension) {
  return dimension == 1 ? vrfm::mixture_1d<float>(Exec{}, {-1, 1}, 0.1414)
                        : vrfm::mixture_on_circle<float>(Exec{}, 6, 1.0, 0.1);
}

/// A function that trains a flow of its own by n steps.
std::function<void(int)> training(int dimension, int latent, int batch) {
  const Flow flow(Exec{}, {.dimension = dimension, .latent = latent}, 1);
  const auto coupling = vrfm::independent(source(dimension), target(dimension));
  const auto run = [](auto trainer) -> std::function<void(int)> {
    return [trainer](int steps) { trainer->run(trainer->step() + steps, steps); };
  };
  const vrfm::TrainerOptions options{.batch = batch};
  if (latent == 0) {
    using Trainer =
        vrfm::Trainer<Flow, vrfm::VelocityLoss, vrfm::AdamW, std::decay_t<decltype(coupling)>>;
    return run(std::make_shared<Trainer>(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, coupling,
                                         options));
  }
  using Trainer = vrfm::Trainer<Flow, vrfm::Elbo, vrfm::AdamW, std::decay_t<decltype(coupling)>>;
  const vrfm::Elbo elbo{.beta = dimension == 1 ? 1.0 : 0.1};
  return run(std::make_shared<Trainer>(flow, elbo, vrfm::AdamW{}, coupling, options));
}

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
    const auto count = static_cast<std::size_t>(second);
    const Flow& flow = first == 0 ? baseline_ : variational_;
    if (what == "euler") {
      int steps = 0;
      words >> steps;
      vrfm::expect(!words.fail(), "incomplete order '", order, "'");
      return timed([&] {
        vrfm::sample(flow, source(2), vrfm::Euler{},
                     {.count = count, .grid = vrfm::TimeGrid::uniform(0, 1, steps)});
      });
    }
    vrfm::expect(what == "dopri5", "unknown order '", order, "'");
    double tolerance = 0;
    words >> tolerance;
    vrfm::expect(!words.fail(), "incomplete order '", order, "'");
    return timed([&] {
      vrfm::sample(flow, source(2),
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

  void train_and_save(const std::string& file) {
    vrfm::Trainer trainer(variational_, vrfm::Elbo{.beta = 0.1}, vrfm::AdamW{},
                          vrfm::independent(source(2), target(2)));
    trainer.run(2'000);
    vrfm::save_weights(file, variational_);
  }

  const Flow baseline_{Exec{}, {.dimension = 2, .latent = 0}, 1};
  const Flow variational_{Exec{}, {.dimension = 2, .latent = 8}, 1};
  std::map<std::array<int, 3>, std::function<void(int)>> trainings_;
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
