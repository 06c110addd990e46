// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What fields are compared by: the power spectra of their channels, and a few numbers of each field, its mean and the
// logarithms of its power in bands of waves, which a classifier can tell apart where it is lost among the points.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/metrics/power_spectrum.hpp>

#include <examples/table/evaluation.hpp>
#include <examples/table/model.hpp>

namespace table {

/// Shells first ... last - 1 of a spectrum; the bands are octaves.
struct WaveBand {
  std::size_t first, last;

  std::string name() const {
    return last == first + 1 ? std::to_string(first)
                             : std::to_string(first) + " to " + std::to_string(last - 1);
  }
};

inline std::vector<WaveBand> wave_bands(std::size_t shells) {
  std::vector<WaveBand> bands;
  for (std::size_t first = 1; first < shells; first *= 2) {
    bands.push_back({first, std::min(2 * first, shells)});
  }
  return bands;
}

inline vrfm::FieldGrid grid_of(const FieldShape& shape, int channel) {
  return {shape.grid, shape.channels, channel};
}

/// Rows of points x channels as rows of channels. Shares their memory.
inline Rows points_of(const Rows& fields, const FieldShape& shape) {
  const auto channels = static_cast<std::size_t>(shape.channels);
  return Rows(fields.data(), fields.size() / channels, channels);
}

/// The spectra of drawn and held-out fields, with the ratios of their power in bands.
inline Spectrum compare_spectra(const Exec& exec, const FieldShape& shape, int channel,
                                const Rows& drawn, const Rows& held_out) {
  const auto a = vrfm::power_spectrum(exec, drawn, grid_of(shape, channel)),
             b = vrfm::power_spectrum(exec, held_out, grid_of(shape, channel));
  Spectrum spectrum;
  spectrum.channel = channel;
  for (std::size_t s = 1; s < b.power.size(); ++s) {
    const auto per_mode = [&](const vrfm::PowerSpectrum& p) {
      return vrfm::Estimate{p.power[s] / p.modes[s], p.standard_error[s] / p.modes[s]};
    };
    spectrum.drawn.push_back(per_mode(a));
    spectrum.held_out.push_back(per_mode(b));
  }
  for (const WaveBand& band : wave_bands(b.power.size())) {
    // Shells are taken for independent.
    vrfm::Estimate sums[2];
    for (const int k : {0, 1}) {
      const auto& p = k == 0 ? a : b;
      for (std::size_t s = band.first; s < band.last; ++s) {
        sums[k].value += p.power[s];
        sums[k].standard_error = std::hypot(sums[k].standard_error, p.standard_error[s]);
      }
    }
    const double ratio = sums[0].value / sums[1].value;
    spectrum.bands.push_back({band.name(),
                              {ratio, ratio * std::hypot(sums[0].standard_error / sums[0].value,
                                                         sums[1].standard_error / sums[1].value)}});
  }
  return spectrum;
}

/// Of each field and channel: the mean, and ln of the power in each band.
inline Rows features_of(const Exec& exec, const FieldShape& shape, const Rows& fields) {
  const auto host = vrfm::to_host(exec, fields);
  const auto channels = static_cast<std::size_t>(shape.channels);
  std::vector<float> features;
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    const auto field = Kokkos::subview(fields, std::make_pair(i, i + 1), Kokkos::ALL);
    for (std::size_t c = 0; c < channels; ++c) {
      double mean = 0;
      for (std::size_t j = c; j < host.extent(1); j += channels) {
        mean += static_cast<double>(host(i, j)) / shape.points();
      }
      features.push_back(static_cast<float>(mean));
      const auto power =
          vrfm::power_spectrum(exec, field, grid_of(shape, static_cast<int>(c))).power;
      for (const WaveBand& band : wave_bands(power.size())) {
        double sum = 1e-12;  // of a constant field
        for (std::size_t s = band.first; s < band.last; ++s) sum += power[s];
        features.push_back(static_cast<float>(std::log(sum)));
      }
    }
  }
  return to_rows(exec, features, features.size() / host.extent(0));
}

/// Of each field and channel: the mean, and the numbers at up to 16 points, evenly apart.
inline Rows probes_of(const Exec& exec, const FieldShape& shape, const Rows& fields) {
  const auto host = vrfm::to_host(exec, fields);
  const auto channels = static_cast<std::size_t>(shape.channels),
             points = static_cast<std::size_t>(shape.points());
  const std::size_t most = 16, apart = std::max<std::size_t>(1, points / most);
  std::vector<float> probes;
  for (std::size_t i = 0; i < host.extent(0); ++i) {
    for (std::size_t c = 0; c < channels; ++c) {
      double mean = 0;
      for (std::size_t p = 0; p < points; ++p) {
        mean += static_cast<double>(host(i, p * channels + c)) / static_cast<double>(points);
      }
      probes.push_back(static_cast<float>(mean));
      for (std::size_t k = 0; k < std::min(most, points); ++k) {
        probes.push_back(host(i, (k * apart + apart / 2) * channels + c));
      }
    }
  }
  return to_rows(exec, probes, probes.size() / host.extent(0));
}

}  // namespace table
