// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `sample`: images from weights, as a grid to look at and as an array for metrics, and
// pictures of what z means. All ranks draw; the root writes.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include <vrfm/io/npz.hpp>

#include <examples/common/output_folder.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/report.hpp>

namespace images {

/// `manifold_given`, `shared_given`: so that having no effect is an error.
template <class Set>
void sample_command(const SampleOptions& options, const std::optional<GivenNetworks<Set>>& networks,
                    bool manifold_given, bool shared_given) {
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
  const auto samples = painter.draw(options.count, options.seed, [&, tenth = 0](int done) mutable {
    if (!common::is_root() || (done < options.count && 10 * done / options.count == tenth)) return;
    tenth = 10 * done / options.count;
    const double left = timer.seconds() * (options.count - done) / done;
    std::fprintf(stderr, "%d/%d images, %.0f s left\n", done, options.count, left);
  });
  if (common::is_root()) {
    vrfm::write_npz(output / "samples.npz",
                    std::vector{vrfm::make_tensor("arr_0", samples.shape, samples.pixels)});
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
    write("shared-z-" + std::to_string(k + 1) + ".png", painter.shared(64, options.seed, k), 64, 8);
  }
}

}  // namespace images
