// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_sit: training steps of SiT on latents of 32 x 32 x 4 with a label (Ma et al. 2024: AdamW, moving
// average, labels dropped now and then), matrix products in bfloat16 where a device has them, else in float. The
// latents are noise. Prints rows of the table of bench/sit.sh: first the rate of a large product by the same
// engines, then for each batch the median step, images a second, and the rate of the networks' products, forward and
// both gradients, without what is computed anew. sit.py is PyTorch's side.
//   vrfm_bench_sit [--model sit-xl/2] [--batch 32,64] [--recompute] [--steps N] [--turns N] [--extent N]
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <vrfm/core/bfloat16.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/models/transformer/networks.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/trainer.hpp>

namespace vrfm::bench {

using Exec = Kokkos::DefaultExecutionSpace;
using Sit = Flow<float, Exec, Stored<BFloat16, TransformerNetworks>, Compute::bfloat16>;
inline constexpr int classes = 1000;

struct Options {
  std::string model = "sit-xl/2";
  std::vector<int> batches = {32};
  bool recompute = false;
  int steps = 10;
  int turns = 5;
  int extent = is_host_space<Exec> ? 1024 : 8192;

  /// "XL" and 2 of "sit-xl/2". Throws std::invalid_argument for another name.
  TransformerOptions trunk() const {
    const auto slash = model.find('/');
    const auto patch = slash == std::string::npos ? std::string() : model.substr(slash + 1);
    expect(model.starts_with("sit-") && (patch == "2" || patch == "4" || patch == "8"),
           "expected a model such as sit-xl/2, with s, b, l or xl and patches of 2, 4 or 8, got '",
           model, "'");
    std::string size = model.substr(4, slash - 4);
    for (char& letter : size) letter = static_cast<char>(std::toupper(letter));
    TransformerOptions trunk = sit_size(size, patch[0] - '0');
    trunk.recompute = recompute;
    return trunk;
  }
};

/// Noise, and with it a class.
struct LabelledNoise {
  int columns;
  KOKKOS_FUNCTION int dimension() const { return columns; }
  KOKKOS_FUNCTION ConditionShape condition() const { return {.classes = classes}; }
  KOKKOS_FUNCTION void draw(std::uint64_t sample, std::uint32_t step, const RandomStream& stream,
                            const Slot<float>& slot) const {
    stream.normal(sample, step, 0, columns, slot.x1);
    *slot.label = stream.index(sample, step, static_cast<std::uint32_t>(columns), classes);
  }
};

/// Element: a number in (-1, 1)
template <class T>
struct FillNumbers {
  Matrix<T> x;
  RandomStream stream;
  KOKKOS_FUNCTION void operator()(int i, int j) const {
    const float u = stream.uniform<float>(static_cast<std::uint64_t>(i), 0, std::uint32_t(j));
    x(i, j) = T(2 * u - 1);
  }
};

/// Operations of the products of a training step, an image.
inline double operations(const ParameterList& list, const TransformerOptions& trunk) {
  const double tokens = trunk.tokens();
  double weights = 0, of_images = 0;
  for (const auto& slot : list.entries()) {
    if (slot.fixed || slot.shape.size() < 2 || slot.name.starts_with("y_embedder")) continue;
    const bool of_image = slot.name.starts_with("x_embedder");
    const bool of_tokens =
        of_image || slot.name.starts_with("final_layer.linear") ||
        (slot.name.starts_with("blocks.") && slot.name.find("adaLN") == std::string::npos);
    const double count = static_cast<double>(slot.count) * (of_tokens ? tokens : 1);
    weights += count;
    if (of_image) of_images = count;
  }
  const double attention = 2.0 * trunk.depth * tokens * tokens * trunk.embedding;
  // Nothing asks for the gradient of images.
  return 6 * (weights + attention) - 2 * of_images;
}

/// Operations a second of a product of square matrices of T, the best of some.
template <class T>
double product_rate(int extent) {
  const auto n = static_cast<std::size_t>(extent);
  const Exec exec;
  const Table<T, Exec> a("a", n, n), b("b", n, n), c("c", n, n);
  const BatchContextOf<Exec, Sit> ctx(exec);
  const RandomStream stream(1, Purpose::user);
  ctx.map(extent, extent, FillNumbers<T>{matrix(a), stream});
  ctx.map(extent, extent, FillNumbers<T>{matrix(b), stream});
  double best = 0;
  for (int turn = 0; turn < 20; ++turn) {
    exec.fence();
    const Kokkos::Timer timer;
    ctx.template gemm<Op::none, Op::transpose>(matrix(a), matrix(b), matrix(c), Update::overwrite);
    exec.fence();
    best = std::max(best, 2.0 * extent * extent * extent / timer.seconds());
  }
  return best;
}

/// A row of the product; its rate.
template <class T>
double print_product(const char* operands, int extent) {
  const double rate = product_rate<T>(extent);
  std::printf("| vrfm, product of %s | %d³ | | | %.3f | | %.3g | |\n", operands, extent,
              2e3 * extent * extent * extent / rate, rate * 1e-12);
  std::fflush(stdout);
  return rate;
}

inline void print_steps(const Options& options, int batch, double peak) {
  const TransformerOptions trunk = options.trunk();
  const Sit flow(Exec(), {.velocity = {.trunk = trunk, .classes = classes, .learn_sigma = true}},
                 1);
  const auto noise = standard_normal<float>(Exec(), flow.dimension());
  Trainer trainer(flow, VelocityLoss{Reduction::mean},
                  AdamW{.learning_rate = 1e-4, .weight_decay = 0},
                  DroppedCondition(independent(noise, LabelledNoise{flow.dimension()}), 0.1),
                  TrainerOptions{.batch = batch, .ema_decay = 0.9999});
  std::vector<double> seconds;
  for (int turn = 0; turn <= options.turns; ++turn) {
    Exec().fence();
    const Kokkos::Timer timer;
    trainer.run(trainer.step() + options.steps, options.steps);
    Exec().fence();
    if (turn > 0) seconds.push_back(timer.seconds() / options.steps);
  }
  std::sort(seconds.begin(), seconds.end());
  const double step = seconds[seconds.size() / 2];
  const double rate = batch * operations(flow.parameters(), trunk) / step;
  std::printf("| vrfm, %s | %s | %d | %s | %.2f | %.2f | %.3g | %.3f |\n",
              is_host_space<Exec> ? "float" : "bfloat16 products", options.model.c_str(), batch,
              options.recompute ? "yes" : "no", 1e3 * step, batch / step, rate * 1e-12,
              rate / peak);
  std::fflush(stdout);
}

}  // namespace vrfm::bench

int main(int argc, char* argv[]) {
  using namespace vrfm;
  bench::Options options;
  CLI::App app("Training steps of SiT");
  app.add_option("--model", options.model, "sit-{s,b,l,xl}/{2,4,8}")->capture_default_str();
  app.add_option("--batch", options.batches, "images of a step; several, one after the other")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--recompute", options.recompute, "blocks are computed anew by the backward pass");
  app.add_option("--steps", options.steps, "of a turn")->check(CLI::PositiveNumber);
  app.add_option("--turns", options.turns, "whose median counts")->check(CLI::PositiveNumber);
  app.add_option("--extent", options.extent, "of the large product")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    (void)options.trunk();
    const Kokkos::ScopeGuard kokkos(argc, argv);
    double peak = bench::print_product<float>("float matrices", options.extent);
    if constexpr (!is_host_space<bench::Exec>) {
      peak = std::max(peak, bench::print_product<BFloat16>("bfloat16 matrices", options.extent));
    }
    for (const int batch : options.batches) bench::print_steps(options, batch, peak);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vrfm_bench_sit: %s\n", error.what());
    return 1;
  }
}
