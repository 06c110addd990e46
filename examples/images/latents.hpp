// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `latents`: images to files of latents, by an autoencoder. Files that are there already are kept, so a
// start that was ended goes on where it was.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/images/autoencoder_file.hpp>
#include <examples/images/image_source.hpp>
#include <examples/images/options.hpp>

namespace images {

struct LatentsOptions {
  std::string images, autoencoder, output, split = "train", kind = "mean";
  bool flip = false, overwrite = false;
  int batch = 4;
  int per_file = 1'000;
  std::uint32_t seed = 1;
};

inline CLI::App* add_latents(CLI::App& app, LatentsOptions& o) {
  CLI::App* command =
      add_command(app, "latents",
                  "Make latents of images by an autoencoder; goes on where an earlier "
                  "start was ended");
  add_folder(command, "--images", o.images,
             "file .npz of the images arr_0 (uint8 [n, height, width, channels]) and, if their "
             "classes are known, labels [n]; or a folder of folders of PNG or JPEG files, one for "
             "each class in the order of their names");
  add_folder(command, "--autoencoder", o.autoencoder,
             "weights of the autoencoder (safetensors, diffusers' names)");
  add_folder(command, "-o,--output", o.output, "folder of the folders train and test");
  add_overwrite(command, o.overwrite);
  command->add_option("--split", o.split, "train or test")->check(CLI::IsMember({"train", "test"}));
  command
      ->add_option("--kind", o.kind,
                   "mean; sample; or moments: mean and deviation, of which training draws anew in "
                   "each step")
      ->check(CLI::IsMember({"mean", "sample", "moments"}));
  command->add_flag("--flip", o.flip, "also of each image with left and right exchanged");
  command->add_option("--per-file", o.per_file, "images of a file")->check(count_option());
  command->add_option("--batch", o.batch, "images at a time")->check(count_option());
  command->add_option("--seed", o.seed, "seed of samples")->check(seed_option());
  return command;
}

/// Latents of part of the images as tensors [n, channels, height, width].
class LatentEncoder {
 public:
  LatentEncoder(const Autoencoder& autoencoder, const LatentsOptions& options)
      : autoencoder_(autoencoder), options_(options) {}

  /// Of `pixels` [n, height, width, channels], the images number first, first + 1, ...; mirrored if `flip`.
  void encode(std::span<const std::uint8_t> pixels, std::size_t first, bool flip,
              std::vector<float>& latents, std::vector<float>& deviations) const {
    const auto each = static_cast<std::size_t>(autoencoder_.dimension());
    const auto& o = autoencoder_.options();
    const auto width = static_cast<std::size_t>(o.width),
               channels = static_cast<std::size_t>(o.channels);
    const std::size_t count = pixels.size() / each;
    const Numbers x("images::x", count, each);
    const auto host = Kokkos::create_mirror_view(x);
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t d = 0; d < each; ++d) {
        const std::size_t pixel = d / channels, column = pixel % width;
        const std::size_t from =
            flip ? (pixel - column + width - 1 - column) * channels + d % channels : d;
        host(i, d) = vrfm::from_pixel<float>(pixels[i * each + from]);
      }
    }
    Kokkos::deep_copy(x, host);
    const auto moments = autoencoder_.moments(x, options_.batch);
    const auto mean = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), moments.mean);
    const auto deviation =
        Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), moments.deviation);
    const vrfm::RandomStream stream(options_.seed, vrfm::Purpose::posterior);
    const std::size_t numbers = mean.extent(1),
                      z_channels = static_cast<std::size_t>(o.latent_channels),
                      z_pixels = numbers / z_channels;
    std::vector<float> noise(numbers);
    for (std::size_t i = 0; i < count; ++i) {
      if (options_.kind == "sample") {
        stream.normal(first + i, flip ? 1 : 0, 0, static_cast<int>(numbers), noise.data());
      }
      for (std::size_t c = 0; c < z_channels; ++c) {
        for (std::size_t p = 0; p < z_pixels; ++p) {
          const std::size_t d = p * z_channels + c;
          latents.push_back(mean(i, d) +
                            (options_.kind == "sample" ? noise[d] * deviation(i, d) : 0.0f));
          if (options_.kind == "moments") deviations.push_back(deviation(i, d));
        }
      }
    }
  }

 private:
  const Autoencoder& autoencoder_;
  const LatentsOptions& options_;
};

/// A hash of a file's bytes.
inline std::string hash_of_file(const std::string& path) {
  const vrfm::detail::io::Mapping file(path);
  Fingerprint print;
  print.add(file.bytes().data(), file.bytes().size());
  return print.digits();
}

/// Makes what is not there yet. Throws Stopped if a signal comes.
inline void latents_command(const LatentsOptions& options, const vrfm::StopSignal& stop) {
  vrfm::expect(common::communicator().size() == 1, "the command latents runs on one rank");
  const ImageSource images(options.images);
  const auto& labels = images.labels();
  const auto autoencoder = read_autoencoder(
      options.autoencoder, vrfm::narrow<int>(images.height(), "the height of images"),
      vrfm::narrow<int>(images.width(), "the width of images"), false);
  const auto& o = autoencoder->options();
  vrfm::expect(images.channels() == static_cast<std::size_t>(o.channels), options.images,
               ": expected images of ", o.channels, " channels as ", options.autoencoder,
               " takes, found ", images.channels());

  OutputFolder output(options.output);
  output.add(options.split);
  const std::size_t files = (images.count() + static_cast<std::size_t>(options.per_file) - 1) /
                            static_cast<std::size_t>(options.per_file);
  for (const auto& file : output.files(options.split, {".safetensors"})) {
    const bool own = file.filename().string().starts_with("latents-");
    if (own && options.overwrite) {
      std::filesystem::remove(file);
      continue;
    }
    bool expected = false;
    for (std::size_t k = 0; k < files && !expected; ++k)
      expected = file.filename() == vrfm::LatentFiles::name_of(k);
    vrfm::expect(expected, file.string(), ": expected no file of latents beside the ", files,
                 " of these images; --overwrite removes those of another start, or choose another "
                 "folder");
  }
  vrfm::Metadata settings{{vrfm::LatentFiles::scale_key, to_text(o.scale)},
                          {"kind", options.kind},
                          {vrfm::LatentFiles::files_key, std::to_string(files)},
                          {"autoencoder", hash_of_file(options.autoencoder)}};
  if (options.kind == "sample") settings["seed"] = std::to_string(options.seed);
  if (options.flip) settings["flip"] = "true";

  const LatentEncoder encoder(*autoencoder, options);
  const std::size_t each = images.height() * images.width() * images.channels(),
                    per_file = static_cast<std::size_t>(options.per_file), total = images.count();
  const Kokkos::Timer timer;
  std::size_t made = 0;
  for (std::size_t first = 0, file = 0; first < total; first += per_file, ++file) {
    const std::size_t count = std::min(per_file, total - first);
    const auto path = output / options.split / vrfm::LatentFiles::name_of(file);
    const auto read = images.pixels(first, count);
    const std::span pixels(read);
    Fingerprint print;
    print.add(pixels.data(), pixels.size());
    if (!labels.empty()) print.add(&labels[first], count * sizeof(std::int64_t));
    settings["images"] = print.text(count);
    if (std::filesystem::exists(path)) {
      const auto found = vrfm::SafetensorsFile::map(path).metadata();
      vrfm::expect(found == settings, path.string(),
                   ": expected latents of these images, autoencoder and options, found others; "
                   "--overwrite replaces them, or choose another folder");
      continue;
    }
    std::vector<float> latents, flipped, deviations, flipped_deviations;
    const auto step = static_cast<std::size_t>(options.batch);
    for (std::size_t done = 0; done < count; done += step) {
      common::end_if_stopped(stop,
                             "stopped; the same command" +
                                 std::string(options.overwrite ? " without --overwrite" : "") +
                                 " goes on behind " + std::to_string(file) + " files");
      const auto these = pixels.subspan(done * each, std::min(step, count - done) * each);
      encoder.encode(these, first + done, false, latents, deviations);
      if (options.flip) encoder.encode(these, first + done, true, flipped, flipped_deviations);
      made += these.size() / each;
      const std::size_t at = first + done + these.size() / each;
      if (isatty(STDERR_FILENO) != 0 || at == first + count) {
        std::fprintf(stderr, "%s%zu/%zu images, %.0f s left%s",
                     isatty(STDERR_FILENO) != 0 ? "\r" : "", at, total,
                     timer.seconds() * static_cast<double>(total - at) / static_cast<double>(made),
                     at < total && isatty(STDERR_FILENO) != 0 ? " " : "\n");
      }
    }
    const std::vector<std::size_t> shape{count, static_cast<std::size_t>(o.latent_channels),
                                         static_cast<std::size_t>(o.latent_height()),
                                         static_cast<std::size_t>(o.latent_width())};
    std::vector<vrfm::Tensor> tensors{vrfm::make_tensor("latents", shape, latents)};
    const auto add = [&](const char* name, const std::vector<float>& values) {
      if (!values.empty()) tensors.push_back(vrfm::make_tensor(name, shape, values));
    };
    add("latents_flip", flipped);
    add("deviations", deviations);
    add("deviations_flip", flipped_deviations);
    if (!labels.empty()) {
      tensors.push_back(
          vrfm::make_tensor("labels", {count}, std::span(labels).subspan(first, count)));
    }
    vrfm::write_safetensors(path, tensors, settings);
  }
  std::printf("%s\n", (output / options.split).c_str());
}

}  // namespace images
