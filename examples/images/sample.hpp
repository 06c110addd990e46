// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `sample`: images from weights, as a grid to look at and as an array for metrics, and
// pictures of what z means. All ranks draw; the root writes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/io/npz_parts.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/report.hpp>

namespace images {

/// `manifold_given`, `shared_given`: so that having no effect is an error.
template <class Set>
void sample_command(const SampleOptions& options, const std::optional<GivenNetworks<Set>>& networks,
                    bool manifold_given, bool shared_given, const vrfm::StopSignal& stop) {
  const auto loaded = LoadedFlow<Set>::read(options.load, networks);
  vrfm::expect(!networks || loaded.kind == LoadedFlow<Set>::Kind::as_given, options.load,
               ": carries its settings, option --recipe has no effect");
  const int latent = loaded.settings.latent;
  vrfm::expect(!manifold_given || latent == 2, "option --manifold needs a latent variable of two ",
               "dimensions; ", options.load, " has ", latent);
  vrfm::expect(!shared_given || latent > 0, "option --shared needs a latent variable; ",
               options.load, " has none");
  const OutputFolder output(options.output);
  if (!options.overwrite) {
    output.refuse_results({"samples.npz"}, "--overwrite replaces them, or choose another folder");
  }
  const auto write = [&](const std::string& name, const Picture& picture, std::size_t most,
                         std::size_t columns) {
    if (!common::is_root()) return;
    const vrfm::GridImage image = picture.grid(most, columns);
    vrfm::write_png(output / name, image.width, image.height, image.channels, image.pixels);
    std::printf("%s\n", (output / name).c_str());
  };

  Developer developer;
  if constexpr (Set::has_classes) {
    check_guidance(loaded.settings, options.sampling, options.load);
    developer = Set::developer_of(options, loaded.shape, loaded.latent_scale);
  } else {
    developer = Set::developer(loaded.shape);
  }
  const Painter<FlowOf<Set>> painter(loaded.flow, developer, options.sampling);
  painter.check();
  const Kokkos::Timer timer;
  // samples.npz may be larger than memory: of its images those that samples.png shows are kept.
  Picture samples = painter.empty();
  const auto all = static_cast<std::size_t>(options.count), shown = std::min<std::size_t>(all, 100);
  auto shape = samples.shape;
  shape[0] = all;
  samples.shape[0] = shown;
  const std::size_t each = shape[1] * shape[2] * shape[3];
  std::optional<vrfm::NpzParts<std::uint8_t>> file;
  if (common::is_root()) {
    std::vector<std::size_t> sizes;
    const int ranks = common::communicator().size();
    for (int rank = 0; rank < ranks; ++rank) {
      sizes.push_back(vrfm::share_of(all, rank, ranks).count * each);
    }
    file.emplace(output / "samples.npz", "arr_0", shape, sizes);
    samples.pixels.resize(shown * each);
  }
  std::size_t done = 0, tenth = 0;
  painter.pieces(options.count, options.seed, [&](int rank, std::size_t first, auto pixels) {
    if (common::communicator().size() == 1) {
      common::end_if_stopped(stop, "stopped while it drew images; nothing was written");
    }
    file->write(static_cast<std::size_t>(rank), pixels);
    const std::size_t count = pixels.size() / each;
    if (first < shown) {
      const auto kept = pixels.first(std::min(count, shown - first) * each);
      std::copy(kept.begin(), kept.end(), &samples.pixels[first * each]);
    }
    done += count;
    if (done < all && 10 * done / all == tenth) return;
    tenth = 10 * done / all;
    const double left =
        timer.seconds() * static_cast<double>(all - done) / static_cast<double>(done);
    std::fprintf(stderr, "%zu/%zu images, %.0f s left\n", done, all, left);
  });
  if (file) {
    file->commit();
    for (const auto& earlier : output.files("", {".png"})) {  // of other weights
      const std::string name = earlier.filename().string();
      const bool own = name.starts_with("shared-z-") || name.starts_with("manifold-");
      if (own) std::filesystem::remove(earlier);
    }
    std::printf("%s\n", (output / "samples.npz").c_str());
  }
  std::size_t columns = 0;  // one for each class, if that is no long row
  if constexpr (Set::has_classes) {
    const auto classes = options.sampling.classes.empty()
                             ? static_cast<std::size_t>(loaded.settings.classes)
                             : options.sampling.classes.size();
    if (classes > 1 && classes <= 20) columns = classes;
  }
  write("samples.png", samples, 100, columns);
  for (int k = 0; latent == 2 && options.manifold > 0 && k < 2; ++k) {
    const auto side = static_cast<std::size_t>(options.manifold);
    write("manifold-" + std::to_string(k + 1) + ".png",
          painter.manifold(options.manifold, options.seed, k), side * side, side);
  }
  for (int k = 0; latent > 0 && k < options.shared; ++k) {
    common::end_together_if_stopped(stop, "stopped; samples.npz and samples.png are whole");
    common::say("images of one z, %d of %d", k + 1, options.shared);
    write("shared-z-" + std::to_string(k + 1) + ".png",
          painter.shared(std::min(options.count, 64), options.seed, k), 64, 8);
  }
}

}  // namespace images
