// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluation: everything that `evaluate` found out, as plain host values; its report is a function of this alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vrfm/metrics/estimate.hpp>

#include <examples/common/setting.hpp>
#include <examples/table/fields.hpp>

namespace table {

/// Of one column, in the data's units but for the distance.
struct Marginal {
  std::string name;
  double mean_held_out = 0, mean_drawn = 0, deviation_held_out = 0, deviation_drawn = 0;
  double distance = 0;  ///< Wasserstein-1 over the held-out deviation, of standardised columns
  double chance = 0;    ///< the same of as many training rows; NaN where they cannot be read
};

/// Of a channel of standardised fields.
struct Spectrum {
  struct Band {
    std::string name;
    vrfm::Estimate ratio;  ///< of drawn power over held-out power
  };
  int channel = 0;
  std::vector<vrfm::Estimate> drawn, held_out;  ///< power per mode at 1, 2, ... waves
  std::vector<Band> bands;
};

/// Of ensembles, one for each of some held-out rows' conditions; columns are standardised.
struct Calibration {
  std::size_t cases = 0, members = 0;
  vrfm::Estimate crps, energy_score, ratio;  ///< ratio: spread over error
  vrfm::Estimate inside_50, inside_90;
  std::vector<std::int64_t> ranks;
  double rank_p_value = 0;
};

/// What z tells of held-out rows.
struct LatentUse {
  std::vector<double> kl;  ///< of each dimension, nats, against N(0, 1)
  int active = 0;
  std::string words;  ///< what to make of it
};

struct Evaluation {
  std::string model, run, data;
  std::size_t held_out = 0, drawn = 0;
  std::vector<Marginal> marginals;  ///< of columns, or of channels
  FieldShape field;                 ///< of rows that are fields
  std::vector<Spectrum> spectra;    ///< of each channel
  double energy_distance =
      0;                     ///< squared, unbiased, of standardised columns, or features of fields
  double energy_chance = 0;  ///< the same of training rows
  double classifier_accuracy = 0, classifier_error = 0, classifier_p_value = 0;
  vrfm::Estimate correlation;  ///< the largest difference; of one column: nothing
  std::string correlated;      ///< the two columns
  std::optional<Calibration> calibration;
  std::optional<LatentUse> latent;

  std::vector<double> held_out_rows, drawn_rows;  ///< [rows][columns], some of them
  std::vector<common::Setting> settings;
  std::string command_line;
};

}  // namespace table
