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
#include <vrfm/models/inception/inception.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/image_metrics/image_files.hpp>

namespace image_metrics {
namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Network = vrfm::Inception<float, Exec>;

bool ends(const std::string& path, const char* kind) {
  return std::filesystem::path(path).extension() == kind;
}

void check(const FeatureOptions& o) {
  vrfm::expect(ends(o.output, ".npy") || ends(o.output, ".npz"),
               "--output: expected a file *.npy, of features, or *.npz, of their mean and "
               "covariance, found ",
               o.output);
  vrfm::expect(o.logits.empty() || ends(o.logits, ".npy"),
               "--logits: expected a file *.npy, found ", o.logits);
  vrfm::expect(!o.without_bias || !o.logits.empty(),
               "--without-bias has no effect without --logits");
  vrfm::expect(!ends(o.weights, ".pth") && !ends(o.weights, ".pt"),
               "--weights: expected a safetensors file, found ", o.weights,
               ", which is PyTorch's; in Python: "
               "safetensors.torch.save_file(torch.load('",
               o.weights, "'), 'inception.safetensors')");
}

/// Rows of a table on the device, behind those of `all`.
template <class Table>
void append(const Table& table, std::vector<float>& all) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), table);
  all.insert(all.end(), host.data(), host.data() + host.size());
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
  auto* command = app.add_subcommand(
      "features",
      "Features of images by the Inception network, for `frechet`, and logits, for `inception`");
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
      ->required()
      ->default_str("");
  command
      ->add_option("-o,--output", o.output,
                   "file of features [images, 2048] (.npy), or of their mu and sigma (.npz)")
      ->required()
      ->default_str("");
  command->add_option("--logits", o.logits, "file of logits [images, 1008] (.npy)")
      ->default_str("");
  command->add_flag(
      "--without-bias", o.without_bias,
      "logits without the last layer's bias, of which published inception scores are");
  command->add_option("--split", o.split, "of a data set's folder: train or test")
      ->check(CLI::IsMember({"train", "test"}));
  command->add_option("--batch", o.batch, "images at a time; about 30 MB each")
      ->check(CLI::Range(1, 4096));
  return command;
}

nlohmann::ordered_json make_features(const FeatureOptions& o) {
  check(o);
  ImageFiles files(o.images, o.split == "train" ? vrfm::Split::train : vrfm::Split::test);
  const Network network{Exec()};
  vrfm::load_weights(o.weights, network);
  using Scores = vrfm::InceptionOptions::Scores;
  const vrfm::InceptionOptions options{.scores = o.logits.empty() ? Scores::none
                                                 : o.without_bias ? Scores::logits_without_bias
                                                                  : Scores::logits,
                                       .batch = o.batch};
  std::vector<float> features, logits;
  const Kokkos::Timer timer;
  for (std::size_t done = 0; done < files.count();) {
    const auto images = files.next(static_cast<std::size_t>(o.batch));
    using Bytes = vrfm::Table<const std::uint8_t, Kokkos::DefaultHostExecutionSpace>;
    const auto pixels = Kokkos::create_mirror_view_and_copy(
        typename Exec::memory_space(),
        Bytes(images.pixels.data(), images.count, images.pixels.size() / images.count));
    const auto out = network(vrfm::Table<const std::uint8_t, Exec>(pixels),
                             vrfm::narrow<int>(images.height, "the height of images"),
                             vrfm::narrow<int>(images.width, "the width of images"), options);
    append(out.features, features);
    append(out.scores, logits);
    done += images.count;
    show_progress(done, files.count(), timer);
  }
  const std::size_t count = files.count(), each = features.size() / count;
  nlohmann::ordered_json result{{"images", o.images}, {"count", count}};
  if (ends(o.output, ".npy")) {
    vrfm::write_npy(o.output, {count, each}, features);
    result["features"] = o.output;
  } else {
    using Rows = Kokkos::View<const float**, Kokkos::LayoutRight, Kokkos::HostSpace,
                              Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    vrfm::save_statistics(o.output, vrfm::feature_statistics(Kokkos::DefaultHostExecutionSpace(),
                                                             Rows(features.data(), count, each)));
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
