// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The benchmark program; its options are Google Benchmark's (--benchmark_filter=training), and
//   --append FILE   adds a dated table of what was measured to the end of a Markdown file
//   --launches      measures nothing but the launches of a training step, each with its share
#include <ctime>
#include <fstream>
#include <iostream>
#include <sstream>

#include <vrfm/io/file.hpp>

#include "launches.hpp"
#include "support.hpp"

namespace {

using vrfm::bench::Exec;

/// What the benchmarks run on.
std::string device() {
  std::string name = std::string(Exec::name()) + ", " +
                     std::to_string(static_cast<int>(Exec{}.concurrency())) + " threads";
#if defined(KOKKOS_ENABLE_CUDA)
  if constexpr (std::is_same_v<Exec, Kokkos::Cuda>) name = Exec{}.cuda_device_prop().name;
#endif
  return name;
}

/// Shows every row, and keeps it as one of a Markdown table.
class MarkdownReporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.iterations == 0) continue;  // it ended with an error
      const auto counter = [&](const char* name, double scale) {
        const auto found = run.counters.find(name);
        std::ostringstream text;
        text.precision(3);
        if (found != run.counters.end()) text << scale * found->second.value;
        return text.str();
      };
      table_.precision(4);
      table_ << "| " << run.benchmark_name() << " | " << run.GetAdjustedRealTime() << ' '
             << benchmark::GetTimeUnitString(run.time_unit) << " | " << counter("flop/s", 1e-9)
             << " | " << counter("of_gemm", 1) << " |\n";
    }
  }

  std::string table() const {
    return "\n| benchmark | time | GF/s | of the 1024³ product |\n|---|---|---|---|\n" +
           table_.str();
  }

 private:
  std::ostringstream table_;
};

/// Adds `tables` under a dated heading to the end of `file`, which need not exist.
void append(const std::string& file, const std::string& tables) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  text.clear();  // an empty file is no error
  const std::time_t now = std::time(nullptr);
  char date[sizeof("2026-11-24")];
  std::strftime(date, sizeof(date), "%Y-%m-%d", std::gmtime(&now));
  text << "\n## " << date << " · " << device() << ", Kokkos " << KOKKOS_VERSION << ", compiler "
       << __VERSION__ << '\n'
       << tables;
  vrfm::write_file_atomically(file, text.str());
}

/// This program's own options, which are taken out of the arguments.
struct Options {
  std::string append_to;  ///< empty: nowhere
  bool launches = false;

  Options(int& argc, char** argv) {
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      if (argument == "--append" && i + 1 < argc) {
        append_to = argv[++i];
      } else if (argument == "--launches") {
        launches = true;
      } else {
        argv[kept++] = argv[i];
      }
    }
    argc = kept;
  }
};

/// Runs them and returns their table.
std::string run_benchmarks() {
  benchmark::AddCustomContext("execution space", Exec::name());
  benchmark::AddCustomContext("device", device());
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("Kokkos", std::to_string(KOKKOS_VERSION));
  const auto rate = [](double peak) { return std::to_string(peak * 1e-9) + " GF/s"; };
  benchmark::AddCustomContext("gemm, float", rate(vrfm::bench::peak<float>()));
  benchmark::AddCustomContext("gemm, double", rate(vrfm::bench::peak<double>()));
  std::ostringstream configuration;
  Kokkos::print_configuration(configuration);
  std::cerr << configuration.str();
  MarkdownReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  return reporter.table();
}

}  // namespace

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  const Options options(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  std::string tables;
  if (options.launches) {
    tables = vrfm::bench::launches_of_a_step();
    std::cout << tables;
  } else {
    tables = run_benchmarks();
  }
  benchmark::Shutdown();
  try {
    if (!options.append_to.empty()) append(options.append_to, tables);
  } catch (const std::exception& error) {
    std::cerr << "vrfm_bench: " << error.what() << '\n';
    return 1;
  }
}
