// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "launches.hpp"

#include <chrono>
#include <cstdint>
#include <iomanip>
#include <map>
#include <sstream>
#include <vector>

#include "flows.hpp"
#include "support.hpp"

namespace vrfm::bench {

namespace {

using Clock = std::chrono::steady_clock;

/// Kernels by label, in the order of their first launch, while the object lives. One at a time.
class Launches {
 public:
  struct Kernel {
    std::string label;
    int count;
    double seconds;
  };

  Launches() {
    kernels_.clear();
    using namespace Kokkos::Tools::Experimental;
    set_begin_parallel_for_callback(begin);
    set_begin_parallel_reduce_callback(begin);
    set_begin_parallel_scan_callback(begin);
    set_end_parallel_for_callback(end);
    set_end_parallel_reduce_callback(end);
    set_end_parallel_scan_callback(end);
  }
  Launches(const Launches&) = delete;
  Launches& operator=(const Launches&) = delete;
  ~Launches() {
    using namespace Kokkos::Tools::Experimental;
    set_begin_parallel_for_callback(nullptr);
    set_begin_parallel_reduce_callback(nullptr);
    set_begin_parallel_scan_callback(nullptr);
    set_end_parallel_for_callback(nullptr);
    set_end_parallel_reduce_callback(nullptr);
    set_end_parallel_scan_callback(nullptr);
  }

  const std::vector<Kernel>& kernels() const { return kernels_; }

 private:
  static void begin(const char* label, const std::uint32_t, std::uint64_t* kernel) {
    std::size_t k = 0;
    while (k < kernels_.size() && kernels_[k].label != label) ++k;
    if (k == kernels_.size()) kernels_.push_back({label, 0, 0});
    *kernel = k;
    start_ = Clock::now();
  }
  static void end(const std::uint64_t kernel) {
    kernels_[kernel].seconds += std::chrono::duration<double>(Clock::now() - start_).count();
    ++kernels_[kernel].count;
  }

  inline static std::vector<Kernel> kernels_;
  inline static Clock::time_point start_;
};

void add_table(std::ostringstream& out, int batch, Execution execution) {
  constexpr int steps = 100;
  const Flow<float, Exec> flow(Exec{}, {.dimension = 2, .latent = 8}, 1);
  with_trainer(flow, {.batch = batch, .launch = {.execution = execution}}, [&](auto&& trainer) {
    const auto run = [&] {
      const auto start = Clock::now();
      trainer.run(trainer.step() + steps, steps);
      return std::chrono::duration<double>(Clock::now() - start).count() / steps;
    };
    run();
    const double undisturbed = run();
    const Launches launches;
    const double whole = run();
    double others = whole;
    const auto row = [&](const std::string& label, double count, double seconds) {
      out << "| " << label << " | " << count << " | " << seconds * 1e6 << " | "
          << 100 * seconds / whole << " % |\n";
    };
    out << "\n2D V-RFM, batch " << batch << ", "
        << (execution == Execution::tiles ? "tiles" : "whole batches") << ": " << undisturbed * 1e6
        << " µs a step, and " << whole * 1e6 << " µs when each kernel is waited for\n\n"
        << "| kernel | launches a step | µs | share |\n|---|---|---|---|\n";
    for (const auto& kernel : launches.kernels()) {
      if (kernel.count < steps) continue;  // once a run, not once a step
      const double seconds = kernel.seconds / steps;
      row(kernel.label, double(kernel.count) / steps, seconds);
      others -= seconds;
    }
    row("between them: the host, a vendor's products", 0, others);
  });
}

}  // namespace

std::string launches_of_a_step() {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1);
  add_table(out, 1000, Execution::tiles);
  add_table(out, 1000, Execution::batch);
  if (!is_host_space<Exec>) add_table(out, 65'536, Execution::tiles);
  return out.str();
}

}  // namespace vrfm::bench
