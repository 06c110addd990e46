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
  for (const char* name :
       {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "data_batch_1.bin"}) {
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
      "(coloured shapes), to try the image programs without the real files. preview.png in each "
      "folder shows some of them.");
  app.option_defaults()->always_capture_default();
  app.add_option("set", set, "mnist, cifar10 or both")
      ->check(CLI::IsMember({"mnist", "cifar10", "both"}));
  app.add_option("-o,--output", output, "folder of the folders mnist and cifar10");
  app.add_option("--train", train, "training images of a set: a multiple of 5")
      ->check(CLI::Range(5, 1'000'000));
  app.add_option("--test", test, "test images of a set")->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", seed, "equal seeds, equal files")->check(common::seed_option());
  auto* compress = app.add_flag("--gzip", gzip, "MNIST's files compressed, as .gz");
  try {
    app.parse(argc, argv);
    if (train % 5 != 0)
      return refuse("--train: must be a multiple of 5, for five files of equal size, got " +
                    std::to_string(train));
    if (compress->count() > 0 && set == "cifar10")
      return refuse(
          "option --gzip has no effect with cifar10, whose files have no compressed form");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return refuse(error.what() + std::string("; --help lists what there is"));
  }

  try {
    const std::filesystem::path folder = output;
    for (const char* name : {"mnist", "cifar10"}) keep_real_set(folder / name);
    if (set != "cifar10") standins::write_digits(folder / "mnist", train, test, seed, gzip);
    if (set != "mnist") standins::write_shapes(folder / "cifar10", train, test, seed);
    for (const char* name : {"mnist", "cifar10"})
      if (set == "both" || set == name)
        std::printf("%s\n", std::filesystem::absolute(folder / name).c_str());
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
  return 0;
}
