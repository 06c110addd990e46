// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// vrfm_bench_rows: training steps on rows of a file that memory does not hold (RowStream), beside the same steps on
// rows in memory (RowDraws), in turns: rectified flow of rows of 64 columns, residual MLP of 4 blocks of width 256,
// batch 4,096, float. Without --file the rows are a sparse one of zeros, which costs no disk: what is measured is
// how rows come, not what they are. Prints the time of the first pass, medians, their ratio and what is most resident,
// with the pages of the file that are mapped and without.
//   vrfm_bench_rows [--gigabytes 20] [--turns 12] [--steps 50] [--file ROWS.npy]
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <vrfm/io/open_rows.hpp>
#include <vrfm/models/residual_mlp/networks.hpp>
#include <vrfm/vrfm.hpp>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
constexpr int columns = 64, batch = 4096;

struct Options {
  double gigabytes = 20;
  int turns = 12, steps = 50;
  std::string file;
};

/// A file of zeros that takes a page or two of the disk, removed at the end.
class SparseRows {
 public:
  explicit SparseRows(double bytes)
      : path_(std::filesystem::temp_directory_path() / "vrfm_bench_rows.npy") {
    const auto rows = static_cast<std::size_t>(bytes / (columns * sizeof(float)));
    const std::string start =
        vrfm::detail::io::npy_start(vrfm::DType::f32, std::vector<std::size_t>{rows, columns});
    std::ofstream(path_, std::ios::binary) << start;
    std::filesystem::resize_file(path_, start.size() + rows * columns * sizeof(float));
  }
  SparseRows(const SparseRows&) = delete;
  SparseRows& operator=(const SparseRows&) = delete;
  ~SparseRows() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A line of Linux's /proc/self/status, in GB; 0 elsewhere.
double resident(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ':')) return std::stod(line.substr(name.size() + 1)) * 1024e-9;
  }
  return 0;
}

/// Seconds of one step, as a mean over `steps` more.
template <class Target>
std::function<double(int)> training(const Target& target) {
  const vrfm::Flow<float, Exec, vrfm::ResidualMlpNetworks<>> flow(
      Exec{}, {.dimension = columns, .trunk = {.width = 256, .blocks = 4}}, 1);
  const auto pairs = vrfm::independent(vrfm::standard_normal<float>(Exec{}, columns), target);
  vrfm::Trainer trainer(flow, vrfm::VelocityLoss{}, vrfm::AdamW{}, pairs, {.batch = batch});
  const auto kept = std::make_shared<decltype(trainer)>(std::move(trainer));
  return [kept](int steps) {
    const Kokkos::Timer timer;
    kept->run(kept->step() + steps, steps);
    Exec{}.fence();
    return timer.seconds() / steps;
  };
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void measure(const Options& o) {
  std::unique_ptr<SparseRows> sparse;
  if (o.file.empty()) sparse = std::make_unique<SparseRows>(o.gigabytes * 1e9);
  const auto file =
      vrfm::open_rows(o.file.empty() ? sparse->path() : std::filesystem::path(o.file));
  vrfm::expect(file->columns() == columns, file->name(), ": expected ", columns, " columns, found ",
               file->columns());
  vrfm::RowRoles roles;
  roles.x1 = {{file.get()}};
  const vrfm::RowSource source(roles);
  const Kokkos::Timer timer;
  vrfm::RowWindows<float> windows(source);
  const double bytes = static_cast<double>(windows.count()) * columns * sizeof(float);
  std::printf("%u rows, %.1f GB, in %u windows; first pass %.1f s\n", windows.count(), bytes * 1e-9,
              windows.windows(), timer.seconds());
  const auto streamed = training(vrfm::row_stream(Exec{}, windows, batch));
  // Until the second window is there, so that both are in what is resident.
  const int window = static_cast<int>(windows.count() / windows.windows() / batch);
  streamed(window + 2);
  std::printf("streaming, most resident: %.2f GB, now %.2f GB of its own\n", resident("VmHWM"),
              resident("RssAnon"));

  const vrfm::Table<float, Exec> rows("rows", std::min<std::size_t>(windows.count(), 1'000'000),
                                      columns);
  const auto in_memory = training(vrfm::row_draws(Exec{}, rows, {.dimension = columns}, batch));
  in_memory(2);
  std::vector<double> of_stream, of_memory, ratios;
  for (int turn = 0; turn < o.turns; ++turn) {
    of_stream.push_back(streamed(o.steps));
    of_memory.push_back(in_memory(o.steps));
    ratios.push_back(of_memory.back() / of_stream.back());
  }
  std::printf("\n| rows | a step, median | least |\n|---|---|---|\n");
  for (const auto& [name, times] : {std::pair{"streamed", &of_stream}, {"in memory", &of_memory}}) {
    std::printf("| %s | %.1f ms | %.1f ms |\n", name, 1e3 * median(*times),
                1e3 * *std::min_element(times->begin(), times->end()));
  }
  std::printf(
      "\nspeed of the streamed over that in memory: %.3f (median of %d turns of %d steps, %.1f "
      "windows)\n",
      median(ratios), o.turns, o.steps, 1.0 * o.turns * o.steps / window);
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  Options o;
  CLI::App app("Training on rows of a file beside rows in memory.");
  app.add_option("--gigabytes", o.gigabytes, "of the sparse file")->capture_default_str();
  app.add_option("--turns", o.turns, "of each")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--steps", o.steps, "of a turn")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--file", o.file, "rows of 64 columns, in any format that open_rows reads");
  CLI11_PARSE(app, argc, argv);
  try {
    measure(o);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vrfm_bench_rows: %s\n", error.what());
    return 1;
  }
}
