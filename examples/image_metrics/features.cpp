// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <examples/image_metrics/features.hpp>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vrfm/io/npy.hpp>
#include <vrfm/metrics/statistics_file.hpp>

#include <examples/common/features/network.hpp>
#include <examples/image_metrics/image_files.hpp>

namespace image_metrics {
namespace {

bool ends(const std::string& path, const char* kind) {
  return std::filesystem::path(path).extension() == kind;
}

void check(const FeatureOptions& o) {
  vrfm::expect(
      o.weights.empty() != o.classifier.empty(),
      "expected --weights, of the Inception network, or --classifier, of train-classifier, found ",
      o.weights.empty() ? "neither" : "both");
  vrfm::expect(ends(o.output, ".npy") || ends(o.output, ".npz"),
               "--output: expected a file *.npy, of features, or *.npz, of their mean and "
               "covariance, found ",
               o.output);
  vrfm::expect(o.logits.empty() || ends(o.logits, ".npy"),
               "--logits: expected a file *.npy, found ", o.logits);
  vrfm::expect(!o.without_bias || !o.logits.empty(),
               "--without-bias has no effect without --logits");
  vrfm::expect(!o.without_bias || o.classifier.empty(),
               "--without-bias has no effect with --classifier");
  vrfm::expect(!ends(o.weights, ".pth") && !ends(o.weights, ".pt"),
               "--weights: expected a safetensors file, found ", o.weights,
               ", which is PyTorch's; in Python: "
               "safetensors.torch.save_file(torch.load('",
               o.weights, "'), 'inception.safetensors')");
}

common::FeatureNetwork network_of(const FeatureOptions& o) {
  using common::FeatureNetwork, common::ImageLogits;
  const ImageLogits logits = o.logits.empty() ? ImageLogits::none
                             : o.without_bias ? ImageLogits::without_bias
                                              : ImageLogits::with_bias;
  return o.classifier.empty() ? FeatureNetwork::inception(o.weights, o.batch, logits)
                              : FeatureNetwork::classifier(o.classifier, o.batch, logits);
}

void show_progress(std::size_t done, std::size_t count, const Kokkos::Timer& timer) {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  if (!terminal && done < count) return;
  std::fprintf(stderr, "%s%zu/%zu images, %.0f s left%s", terminal ? "\r" : "", done, count,
               timer.seconds() * static_cast<double>(count - done) / static_cast<double>(done),
               terminal && done < count ? " " : "\n");
}

}  // namespace

CLI::App* add_features(CLI::App& app, FeatureOptions& o) {
  auto* command = app.add_subcommand("features",
                                     "Features of images, for `frechet`, and logits, for "
                                     "`inception`, by the Inception network (--weights) "
                                     "or a classifier (--classifier): one of them is needed");
  command
      ->add_option(
          "images", o.images,
          "file .npz of the array arr_0 (uint8 [n, height, width, 1 or 3]), as samples.npz; folder "
          "of PNG or "
          "JPEG files, also in folders of it; folder of the files of MNIST or CIFAR-10; IDX "
          "file of images; or file .bin of CIFAR-10")
      ->required()
      ->default_str("");
  command
      ->add_option(
          "-w,--weights", o.weights,
          "weights of pytorch-fid's network (safetensors); in Python: safetensors.torch.save_file("
          "torch.load('pt_inception-2015-12-05-6726825d.pth'), 'inception.safetensors')")
      ->default_str("");
  command
      ->add_option("-c,--classifier", o.classifier,
                   "in place of them, weights that train-classifier wrote, of images of this size")
      ->default_str("");
  command
      ->add_option(
          "-o,--output", o.output,
          "file of features [images, 2048 or the classifier's] (.npy), or of their mu and sigma "
          "(.npz)")
      ->required()
      ->default_str("");
  command
      ->add_option("--logits", o.logits, "file of logits [images, 1008 or the classifier's] (.npy)")
      ->default_str("");
  command->add_flag(
      "--without-bias", o.without_bias,
      "logits without the last layer's bias, of which published inception scores are");
  command->add_option("--split", o.split, "of a data set's folder: train or test")
      ->check(CLI::IsMember({"train", "test"}));
  command
      ->add_option("--batch", o.batch,
                   "images at a time; about 30 MB each for the Inception network")
      ->check(CLI::Range(1, 4096));
  return command;
}

nlohmann::ordered_json make_features(const FeatureOptions& o) {
  check(o);
  ImageFiles files(o.images, o.split == "train" ? vrfm::Split::train : vrfm::Split::test);
  const common::FeatureNetwork network = network_of(o);
  common::ImageAnswers all;
  const Kokkos::Timer timer;
  for (std::size_t done = 0; done < files.count();) {
    const auto images = files.next(static_cast<std::size_t>(o.batch));
    network(images, o.images, all);
    done += images.count;
    show_progress(done, files.count(), timer);
  }
  const auto& [features, logits] = all;
  const std::size_t count = files.count(), each = features.size() / count;
  nlohmann::ordered_json result{{"images", o.images}, {"count", count}};
  if (ends(o.output, ".npy")) {
    vrfm::write_npy(o.output, {count, each}, features);
    result["features"] = o.output;
  } else {
    vrfm::save_statistics(o.output, common::statistics_of(all, count));
    warn_of_few(o.images, count, each);
    result["statistics"] = o.output;
  }
  if (!o.logits.empty()) {
    vrfm::write_npy(o.logits, {count, logits.size() / count}, logits);
    result["logits"] = o.logits;
  }
  return result;
}

void warn_of_few(const std::string& path, std::size_t images, std::size_t features) {
  if (images > features) return;
  std::fprintf(
      stderr,
      "vrfm_image_metrics: warning: %s has %zu images of %zu features; a distance of no more "
      "images than features is biased upwards, so compare it only with those of as many images "
      "(FID is usually of 50,000)\n",
      path.c_str(), images, features);
}

}  // namespace image_metrics
