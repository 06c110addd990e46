// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_standins: writes stand-in sets in the formats of MNIST and CIFAR-10.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <examples/common/failed_writes.hpp>
#include <examples/common/number_options.hpp>
#include <examples/standins/standins.hpp>

namespace {

int refuse(const std::string& message) {
  std::fprintf(stderr, "vrfm_standins: %s\n", message.c_str());
  return 1;
}

/// Throws std::runtime_error if the folder holds a set without the picture that this program writes beside
/// one: it may be the real one.
void keep_real_set(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "preview.png")) return;
  for (const char* name : {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz",
                           "data_batch_1.bin", "train.npz", "train"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    throw std::runtime_error("--output: expected no set or stand-ins in " + folder.string() +
                             ", found " + name + " of another origin; choose another folder");
  }
}

}  // namespace

int main(int argc, char** argv) {
  common::report_failed_writes();
  std::string set = "both", output = "standins";
  std::size_t train = 5'000, test = 1'000;
  std::uint32_t seed = 1;
  bool gzip = false;

  CLI::App app(
      "Writes small sets of images in the file formats of MNIST (written digits) and CIFAR-10 "
      "(coloured shapes), and the shapes with their classes as latents and as images (.npz), to "
      "try the image programs without the real files. preview.png in each folder shows some of "
      "them.");
  app.option_defaults()->always_capture_default();
  app.add_option("set", set, "mnist, cifar10, both of these, latents or images")
      ->check(CLI::IsMember({"mnist", "cifar10", "both", "latents", "images"}));
  app.add_option("-o,--output", output, "folder of the folders mnist, cifar10, latents and images");
  app.add_option("--train", train, "training images of a set; of cifar10 a multiple of 5")
      ->check(CLI::Range(5, 1'000'000));
  app.add_option("--test", test, "test images of a set")->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", seed, "equal seeds, equal files")->check(common::seed_option());
  auto* compress = app.add_flag("--gzip", gzip, "MNIST's files compressed, as .gz");
  try {
    app.parse(argc, argv);
    if (train % 5 != 0 && (set == "cifar10" || set == "both"))
      return refuse("--train: must be a multiple of 5, for five files of equal size, got " +
                    std::to_string(train));
    if (compress->count() > 0 && set != "mnist" && set != "both")
      return refuse("option --gzip has no effect with " + set +
                    ", whose files have no compressed form");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return refuse(error.what() + std::string("; --help lists what there is"));
  }

  std::string own_name = argv[0], quiet = "--kokkos-disable-warnings";
  char* for_kokkos[] = {own_name.data(), quiet.data(), nullptr};
  int kokkos_argc = 2;
  Kokkos::ScopeGuard kokkos(kokkos_argc, for_kokkos);
  try {
    const std::filesystem::path folder = output;
    const std::vector<std::string> sets =
        set == "both" ? std::vector<std::string>{"mnist", "cifar10"} : std::vector{set};
    for (const auto& name : sets) keep_real_set(folder / name);
    for (const auto& name : sets) {
      const auto to = folder / name;
      if (name == "mnist") standins::write_digits(to, train, test, seed, gzip);
      if (name == "cifar10") standins::write_shapes(to, train, test, seed);
      if (name == "latents") standins::write_latents(to, train, test, seed);
      if (name == "images") standins::write_labelled(to, train, test, seed);
    }
    for (const auto& name : sets) {
      std::printf("%s\n", std::filesystem::absolute(folder / name).c_str());
    }
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
  return 0;
}
