// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_image_metrics: Frechet and kernel distances, precision and recall, and inception scores of features and
// logits, which it makes of images (features.hpp), by a classifier that it trains (classifier.hpp), or another program
// has made, as one line of JSON.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/metrics/frechet_distance.hpp>
#include <vrfm/metrics/inception_score.hpp>
#include <vrfm/metrics/kernel_distance.hpp>
#include <vrfm/metrics/precision_recall.hpp>
#include <vrfm/metrics/statistics_file.hpp>

#include <examples/common/failed_writes.hpp>
#include <examples/image_metrics/classifier.hpp>
#include <examples/image_metrics/features.hpp>

namespace {

using Exec = Kokkos::DefaultHostExecutionSpace;
using Json = nlohmann::ordered_json;

struct Options {
  std::string first, second, output;
  int splits = 10;
  vrfm::KernelDistanceOptions kernel;
  vrfm::PrecisionRecallOptions neighbours;
};

/// The library's own messages begin with its name; the program's stands for it.
std::string without_name(const std::string& message) {
  return message.starts_with("vrfm: ") ? message.substr(6) : message;
}

/// The array of a file as rows; `array` keeps the numbers.
auto rows_of(const std::string& path, vrfm::NpyArray<double>& array) {
  array = vrfm::read_npy_reals(path);
  vrfm::expect(array.shape.size() == 2, path,
               ": expected an array of shape [rows, columns], found ",
               vrfm::detail::io::format_shape(array.shape));
  constexpr std::size_t most = 0x7fff'ffff;
  vrfm::expect(array.shape[0] <= most && array.shape[1] <= most, path,
               ": expected fewer than 2^31 rows and columns");
  using Rows = Kokkos::View<const double**, Kokkos::LayoutRight, Kokkos::HostSpace,
                            Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  return Rows(array.values.data(), array.shape[0], array.shape[1]);
}

/// score(rows) of the array of a file, whose path stands in errors.
template <class Score>
auto of_rows(const std::string& path, std::vector<std::size_t>& shape, const Score& score) {
  vrfm::NpyArray<double> array;
  const auto rows = rows_of(path, array);
  shape = array.shape;
  try {
    return score(rows);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(path + ": " + without_name(error.what()));
  }
}

/// score(rows, rows) of the arrays of two files.
template <class Score>
auto of_both(const Options& o, std::size_t& dimensions, const Score& score) {
  vrfm::NpyArray<double> first, second;
  const auto a = rows_of(o.first, first), b = rows_of(o.second, second);
  dimensions = a.extent(1);
  try {
    return score(a, b);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(o.first + " and " + o.second + ": " + without_name(error.what()));
  }
}

/// Of features (.npy), or as another run has stored them (.npz).
vrfm::FeatureStatistics statistics_of(const std::string& path) {
  const auto kind = std::filesystem::path(path).extension();
  vrfm::expect(kind == ".npy" || kind == ".npz", path,
               ": expected features in a file *.npy or statistics in a file *.npz");
  if (kind == ".npz") {
    const vrfm::NpzFile archive(path);
    vrfm::expect(
        archive.contains("mu") || !archive.contains("arr_0"), path,
        ": expected statistics mu [D] and sigma [D, D] in a file *.npz, or features [images, "
        "D] in a file *.npy, found the array arr_0; the command features makes them of images");
    return vrfm::load_statistics(path);
  }
  std::vector<std::size_t> shape;
  const auto statistics =
      of_rows(path, shape, [](const auto& rows) { return vrfm::feature_statistics(Exec(), rows); });
  image_metrics::warn_of_few(path, shape[0], shape[1]);
  return statistics;
}

Json frechet(const Options& o) {
  const auto a = statistics_of(o.first), b = statistics_of(o.second);
  return {{"metric", "frechet"},
          {"a", o.first},
          {"b", o.second},
          {"dimensions", a.mean.size()},
          {"distance", vrfm::frechet_distance(a, b)}};
}

Json kernel(const Options& o) {
  std::size_t dimensions = 0;
  const auto distance = of_both(o, dimensions, [&](const auto& a, const auto& b) {
    return vrfm::kernel_distance(Exec(), a, b, o.kernel);
  });
  return {{"metric", "kernel"},
          {"a", o.first},
          {"b", o.second},
          {"dimensions", dimensions},
          {"subsets", o.kernel.subsets},
          {"subset_size", o.kernel.subset_size},
          {"seed", o.kernel.seed},
          {"mean", distance.mean},
          {"deviation", distance.deviation}};
}

Json neighbours(const Options& o) {
  std::size_t dimensions = 0;
  const auto scores = of_both(o, dimensions, [&](const auto& real, const auto& generated) {
    return vrfm::precision_recall(Exec(), real, generated, o.neighbours);
  });
  return {{"metric", "neighbours"},
          {"real", o.first},
          {"generated", o.second},
          {"dimensions", dimensions},
          {"neighbours", o.neighbours.neighbours},
          {"density_neighbours", o.neighbours.density_neighbours},
          {"precision", scores.precision},
          {"recall", scores.recall},
          {"density", scores.density},
          {"coverage", scores.coverage}};
}

Json inception(const Options& o) {
  std::vector<std::size_t> shape;
  const auto score = of_rows(o.first, shape, [&](const auto& rows) {
    return vrfm::inception_score(Exec(), rows, o.splits);
  });
  return {{"metric", "inception"},       {"logits", o.first},  {"rows", shape[0]},
          {"classes", shape[1]},         {"splits", o.splits}, {"mean", score.mean},
          {"deviation", score.deviation}};
}

Json statistics(const Options& o) {
  vrfm::expect(o.output.ends_with(".npz"), "--output: expected a file *.npz, found ", o.output);
  const auto s = statistics_of(o.first);
  vrfm::save_statistics(o.output, s);
  return {{"features", o.first}, {"dimensions", s.mean.size()}, {"statistics", o.output}};
}

/// Prints the one line that says what was wrong; returns the exit status.
int refuse(const std::string& message) {
  std::fprintf(stderr, "vrfm_image_metrics: %s\n", without_name(message).c_str());
  return 1;
}

/// Prints the result; returns the exit status.
int print(const Json& result) {
  std::printf("%s\n", result.dump().c_str());
  return std::fflush(stdout) == 0 ? 0 : refuse("expected to print the result, could not write it");
}

}  // namespace

int main(int argc, char** argv) {
  common::report_failed_writes();
  Options o;
  CLI::App app(
      "Scores images by what a classifier makes of them, in arrays of float or double (.npy). "
      "Prints one line of JSON.");
  app.option_defaults()->always_capture_default();
  app.require_subcommand(1);
  const std::string features = "features [images, D] (.npy) or statistics mu, sigma (.npz)";

  auto* distance =
      app.add_subcommand("frechet", "Frechet (inception) distance of two sets of features");
  distance->add_option("a", o.first, features)->required()->default_str("");
  distance->add_option("b", o.second, features)->required()->default_str("");

  const std::string rows = "features [images, D] (.npy)";
  auto* kernel_distance = app.add_subcommand(
      "kernel",
      "Kernel (inception) distance of two sets of features: mean and deviation over subsets");
  kernel_distance->add_option("a", o.first, rows)->required()->default_str("");
  kernel_distance->add_option("b", o.second, rows)->required()->default_str("");
  kernel_distance->add_option("--subsets", o.kernel.subsets, "random subsets of both sets")
      ->check(CLI::Range(1, 1'000'000));
  kernel_distance
      ->add_option("--subset-size", o.kernel.subset_size, "images of each set in a subset")
      ->check(CLI::Range(2, 1'000'000));
  kernel_distance->add_option("--seed", o.kernel.seed, "of the subsets")
      ->check(CLI::Range(std::uint64_t(0), std::uint64_t(0xffff'ffff)));

  auto* balls = app.add_subcommand(
      "neighbours", "Precision, recall, density and coverage of generated images beside real ones");
  balls->add_option("real", o.first, rows)->required()->default_str("");
  balls->add_option("generated", o.second, rows)->required()->default_str("");
  balls->add_option("--neighbours", o.neighbours.neighbours, "k of precision and recall")
      ->check(CLI::Range(1, 1'000'000));
  balls
      ->add_option("--density-neighbours", o.neighbours.density_neighbours,
                   "k of density and coverage")
      ->check(CLI::Range(1, 1'000'000));

  auto* score = app.add_subcommand("inception", "Inception score: mean and deviation over splits");
  score->add_option("logits", o.first, "logits [images, classes] (.npy)")
      ->required()
      ->default_str("");
  score->add_option("--splits", o.splits, "parts, each of which is scored")
      ->check(CLI::Range(1, 1'000'000));

  auto* summary = app.add_subcommand("statistics", "Mean and covariance of features, for later");
  summary->add_option("features", o.first, "features [images, D] (.npy)")
      ->required()
      ->default_str("");
  summary->add_option("-o,--output", o.output, "file of mu and sigma (.npz)")
      ->required()
      ->default_str("");

  image_metrics::FeatureOptions f;
  const auto* features_of_images = image_metrics::add_features(app, f);
  image_metrics::ClassifierOptions c;
  const auto* training = image_metrics::add_train_classifier(app, c);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return refuse(error.what() + std::string("; --help lists what there is"));
  }

  std::string name = argv[0], quiet = "--kokkos-disable-warnings";
  char* for_kokkos[] = {name.data(), quiet.data(), nullptr};
  int kokkos_argc = 2;
  Kokkos::ScopeGuard kokkos(kokkos_argc, for_kokkos);
  try {
    if (*training) {
      const auto result = image_metrics::train_classifier(*training, c);
      return result ? print(*result) : 0;
    }
    return print(*distance             ? frechet(o)
                 : *kernel_distance    ? kernel(o)
                 : *balls              ? neighbours(o)
                 : *score              ? inception(o)
                 : *features_of_images ? image_metrics::make_features(f)
                                       : statistics(o));
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
}
