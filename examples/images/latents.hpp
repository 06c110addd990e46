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
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <unistd.h>

#include <CLI/CLI.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/common/run.hpp>
#include <examples/images/autoencoder_file.hpp>
#include <examples/images/feature_files.hpp>
#include <examples/images/image_source.hpp>
#include <examples/images/latent_encoder.hpp>
#include <examples/images/options.hpp>

namespace images {

inline CLI::App* add_latents(CLI::App& app, LatentsOptions& o) {
  CLI::App* command =
      add_command(app, "latents",
                  "Make latents of images by an autoencoder; goes on where an earlier "
                  "start was ended");
  const auto add_source = [&](const char* name, std::string& value, const char* words) {
    command->add_option(name, value, words)->default_str("");
  };
  add_source("--images", o.images,
             "file .npz of the images arr_0 (uint8 [n, height, width, channels]) and, if their "
             "classes are known, labels [n]; it may be larger than memory; or a folder of folders "
             "of PNG or JPEG files, one for "
             "each class in the order of their names");
  add_source("--autoencoder", o.autoencoder,
             "weights of the autoencoder (safetensors, diffusers' names)");
  add_source("--features", o.features,
             "in place of images: folder of the folders *_features and *_labels, in which each "
             "latent is a file 0.npy, 1.npy, ..., as fast-DiT writes them for DiT and SiT");
  command
      ->add_option("--features-scale", o.features_scale,
                   "what the autoencoder's latents were multiplied by for --features")
      ->check(positive_option());
  add_folder(command, "-o,--output", o.output, "folder of the folders train and test");
  add_overwrite(command, o.overwrite);
  command->add_option("--split", o.split, "train or test")->check(CLI::IsMember({"train", "test"}));
  command
      ->add_option("--kind", o.kind,
                   "mean; sample; or moments: mean and deviation, of which training draws anew in "
                   "each step")
      ->check(CLI::IsMember({"mean", "sample", "moments"}));
  command->add_flag("--flip", o.flip, "also of each image with left and right exchanged");
  command
      ->add_option(
          "--size", o.size,
          "scale and crop pictures of any size to so many pixels a side, as ADM, DiT and SiT "
          "do; 0: all are of one size and stay as they are")
      ->check(count_or_none_option());
  command->add_option("--per-file", o.per_file, "images of a file")->check(count_option());
  command->add_option("--batch", o.batch, "images at a time")->check(count_option());
  command->add_option("--seed", o.seed, "seed of samples")->check(seed_option());
  return command;
}

/// Throws std::invalid_argument for options that have no effect.
inline void check_latents(const CLI::App& command, const LatentsOptions& o) {
  const auto given = [&](const char* name) { return command.get_option(name)->count() > 0; };
  const bool features = given("--features");
  vrfm::expect(features || (given("--images") && given("--autoencoder")),
               "expected options --images and --autoencoder, or --features, got ",
               given("--images")        ? "--images"
               : given("--autoencoder") ? "--autoencoder"
                                        : "none");
  vrfm::expect(!features || !o.features.empty(), "option --features: expected a folder, got ''");
  for (const char* name : {"--images", "--autoencoder", "--kind", "--flip", "--size", "--seed"}) {
    refuse_unused(command, name, !features, "with --features, which are latents already");
  }
  refuse_unused(command, "--features-scale", features, "without --features");
  refuse_unused(command, "--seed", o.kind == "sample", "without --kind sample");
}

/// A hash of a file's bytes.
inline std::string hash_of_file(const std::string& path) {
  const vrfm::detail::io::Mapping file(path);
  Fingerprint print;
  print.add(file.bytes().data(), file.bytes().size());
  return print.digits();
}

/// The metadata that names the classes of labels 0, 1, ...
inline constexpr const char* class_names_key = "class_names";

/// Images and the autoencoder that makes latents of them.
class EncodedImages {
 public:
  explicit EncodedImages(const LatentsOptions& options)
      : options_(options), images_(options.images, options.size) {
    autoencoder_ = read_autoencoder(
        options.autoencoder, vrfm::narrow<int>(images_.height(), "the height of images"),
        vrfm::narrow<int>(images_.width(), "the width of images"), false);
    const auto& o = autoencoder_->options();
    vrfm::expect(images_.channels() == static_cast<std::size_t>(o.channels), options.images,
                 ": expected images of ", o.channels, " channels as ", options.autoencoder,
                 " takes, found ", images_.channels());
  }

  std::size_t count() const { return images_.count(); }
  const std::vector<std::int64_t>& labels() const { return images_.labels(); }
  /// Of a latent.
  std::vector<std::size_t> shape() const {
    const auto& o = autoencoder_->options();
    return {static_cast<std::size_t>(o.latent_channels),
            static_cast<std::size_t>(o.latent_height()),
            static_cast<std::size_t>(o.latent_width())};
  }
  vrfm::Metadata metadata() const {
    vrfm::Metadata values{{vrfm::LatentFiles::scale_key, to_text(autoencoder_->options().scale)},
                          {"kind", options_.kind},
                          {"autoencoder", hash_of_file(options_.autoencoder)}};
    if (options_.kind == "sample") values["seed"] = std::to_string(options_.seed);
    if (options_.flip) values["flip"] = "true";
    if (!images_.class_names().empty()) values[class_names_key] = images_.class_names();
    return values;
  }

  /// The next images, number first, first + 1, ...: their bytes to `print`, and their latents behind `rows`, if these
  /// are wanted.
  void next(std::size_t first, std::size_t count, Fingerprint& print, LatentRows* rows) {
    const auto pixels = images_.next(count);
    print.add(pixels.data(), pixels.size());
    if (rows == nullptr) return;
    const LatentEncoder encoder(*autoencoder_, options_);
    encoder.encode(pixels, first, false, rows->latents, rows->deviations);
    if (options_.flip) {
      encoder.encode(pixels, first, true, rows->flipped, rows->flipped_deviations);
    }
  }

 private:
  const LatentsOptions& options_;
  ImageSource images_;
  std::shared_ptr<const Autoencoder> autoencoder_;
};

/// Makes the files that are not there yet of what a source has next, a batch at a time. Throws Stopped if a signal
/// comes.
template <class Source>
void write_latents(const LatentsOptions& options, Source& source, const vrfm::StopSignal& stop) {
  OutputFolder output(options.output);
  output.add(options.split);
  const auto per_file = static_cast<std::size_t>(options.per_file),
             batch = static_cast<std::size_t>(options.batch);
  const std::size_t total = source.count(), files = (total + per_file - 1) / per_file;
  std::vector<std::filesystem::path> replaced;  // when the first new one is there
  for (const auto& file : output.files(options.split, {".safetensors"})) {
    const bool own = file.filename().string().starts_with("latents-");
    if (own && options.overwrite) {
      replaced.push_back(file);
      continue;
    }
    bool expected = false;
    for (std::size_t k = 0; k < files && !expected; ++k)
      expected = file.filename() == vrfm::LatentFiles::name_of(k);
    vrfm::expect(expected, file.string(), ": expected no file of latents beside the ", files,
                 " of these images; --overwrite removes those of another start, or choose another "
                 "folder");
  }
  auto metadata = source.metadata();
  metadata[vrfm::LatentFiles::files_key] = std::to_string(files);
  for (const std::string split : {"train", "test"}) {
    const auto other = output / split / vrfm::LatentFiles::name_of(0);
    if (split == options.split || !std::filesystem::exists(other)) continue;
    const auto found = vrfm::SafetensorsFile::map(other).metadata();
    const auto names = found.find(class_names_key);
    const auto own = metadata.find(class_names_key);
    if (names == found.end() || own == metadata.end()) continue;
    vrfm::expect(names->second == own->second, "expected the classes of ", other.string(),
                 ", because a label is a class's place in the order of names: ", names->second,
                 "; found ", own->second);
  }
  const auto& labels = source.labels();
  const Kokkos::Timer timer;
  std::size_t made = 0;
  for (std::size_t first = 0, file = 0; first < total; first += per_file, ++file) {
    const std::size_t count = std::min(per_file, total - first);
    const auto path = output / options.split / vrfm::LatentFiles::name_of(file);
    const bool there = replaced.empty() && std::filesystem::exists(path);
    LatentRows rows;
    Fingerprint print;
    for (std::size_t done = 0; done < count;) {
      common::end_if_stopped(stop,
                             "stopped; the same command" +
                                 std::string(options.overwrite ? " without --overwrite" : "") +
                                 " goes on behind " + std::to_string(file) + " files");
      const std::size_t these = std::min(batch, count - done), at = first + done + these;
      source.next(first + done, these, print, there ? nullptr : &rows);
      done += these;
      if (there) continue;
      made += these;
      if (isatty(STDERR_FILENO) != 0 || at == first + count) {
        std::fprintf(stderr, "%s%zu/%zu images, %.0f s left%s",
                     isatty(STDERR_FILENO) != 0 ? "\r" : "", at, total,
                     timer.seconds() * static_cast<double>(total - at) / static_cast<double>(made),
                     at < total && isatty(STDERR_FILENO) != 0 ? " " : "\n");
      }
    }
    if (!labels.empty()) print.add(&labels[first], count * sizeof(std::int64_t));
    metadata["images"] = print.text(count);
    if (there) {
      const auto found = vrfm::SafetensorsFile::map(path).metadata();
      vrfm::expect(found == metadata, path.string(),
                   ": expected latents of these images, autoencoder and options, found others; "
                   "--overwrite replaces them, or choose another folder");
      continue;
    }
    auto shape = source.shape();
    shape.insert(shape.begin(), count);
    std::vector<vrfm::Tensor> tensors{vrfm::make_tensor("latents", shape, rows.latents)};
    const auto add = [&](const char* name, const std::vector<float>& values) {
      if (!values.empty()) tensors.push_back(vrfm::make_tensor(name, shape, values));
    };
    add("latents_flip", rows.flipped);
    add("deviations", rows.deviations);
    add("deviations_flip", rows.flipped_deviations);
    if (!labels.empty()) {
      tensors.push_back(
          vrfm::make_tensor("labels", {count}, std::span(labels).subspan(first, count)));
    }
    for (const auto& earlier : replaced) std::filesystem::remove(earlier);
    replaced.clear();
    vrfm::write_safetensors(path, tensors, metadata);
  }
  if (made == 0) common::say("all %zu images were there already", total);
  std::printf("%s\n", (output / options.split).c_str());
}

inline void latents_command(const LatentsOptions& options, const vrfm::StopSignal& stop) {
  vrfm::expect(common::communicator().size() == 1, "the command latents runs on one rank");
  if (options.features.empty()) {
    EncodedImages images(options);
    write_latents(options, images, stop);
  } else {
    FeatureFiles features(options);
    write_latents(options, features, stop);
  }
}

}  // namespace images
