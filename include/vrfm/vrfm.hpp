// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The whole library but the files (vrfm/io, vrfm/training/weights.hpp, checkpoint.hpp and checkpoint_folder.hpp,
// vrfm/metrics/statistics_file.hpp, vrfm/data/standardization_file.hpp), which need nlohmann-json, libpng, zlib and, for
// vrfm/io/jpeg.hpp, libjpeg, for vrfm/io/hdf5.hpp and hdf5_writer.hpp, libhdf5,
// vrfm/metrics/frechet_distance.hpp, which needs Eigen, and the networks of rows of many columns
// (vrfm/models/residual_mlp/networks.hpp) and of images (vrfm/models/residual/networks.hpp,
// vrfm/models/unet/networks.hpp, vrfm/models/transformer/networks.hpp,
// vrfm/models/autoencoder/autoencoder.hpp, vrfm/models/inception/inception.hpp and
// vrfm/models/classifier/classifier.hpp).
#pragma once

#include <vrfm/couplings/coupling.hpp>
#include <vrfm/couplings/given_pairs.hpp>
#include <vrfm/couplings/independent.hpp>
#include <vrfm/couplings/optimal_transport.hpp>
#include <vrfm/couplings/sinkhorn_transport.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/image_draws.hpp>
#include <vrfm/data/image_set.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/data/mixture_path.hpp>
#include <vrfm/data/pixels.hpp>
#include <vrfm/data/row_draws.hpp>
#include <vrfm/data/row_layout.hpp>
#include <vrfm/data/row_source.hpp>
#include <vrfm/data/row_split.hpp>
#include <vrfm/data/row_stream.hpp>
#include <vrfm/data/row_windows.hpp>
#include <vrfm/data/standardization.hpp>
#include <vrfm/data/standardization_fit.hpp>
#include <vrfm/data/standardized.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/integrators/saver.hpp>
#include <vrfm/integrators/step_control.hpp>
#include <vrfm/integrators/stochastic.hpp>
#include <vrfm/integrators/stochastic_velocity.hpp>
#include <vrfm/metrics/calibration.hpp>
#include <vrfm/metrics/classifier_two_sample.hpp>
#include <vrfm/metrics/correlation.hpp>
#include <vrfm/metrics/energy_distance.hpp>
#include <vrfm/metrics/ensemble_score.hpp>
#include <vrfm/metrics/estimate.hpp>
#include <vrfm/metrics/exact_wasserstein.hpp>
#include <vrfm/metrics/feature_statistics.hpp>
#include <vrfm/metrics/histogram_separation.hpp>
#include <vrfm/metrics/inception_score.hpp>
#include <vrfm/metrics/kernel_distance.hpp>
#include <vrfm/metrics/latent_diagnostics.hpp>
#include <vrfm/metrics/log_likelihood.hpp>
#include <vrfm/metrics/mmd.hpp>
#include <vrfm/metrics/nearest_neighbours.hpp>
#include <vrfm/metrics/pair_estimate.hpp>
#include <vrfm/metrics/path_statistics.hpp>
#include <vrfm/metrics/power_spectrum.hpp>
#include <vrfm/metrics/precision_recall.hpp>
#include <vrfm/metrics/velocity_ambiguity.hpp>
#include <vrfm/metrics/velocity_points.hpp>
#include <vrfm/metrics/wasserstein.hpp>
#include <vrfm/models/flow.hpp>
#include <vrfm/models/mlp/source_posterior.hpp>
#include <vrfm/models/predicting.hpp>
#include <vrfm/objectives/consistency_loss.hpp>
#include <vrfm/objectives/cross_entropy.hpp>
#include <vrfm/objectives/elbo.hpp>
#include <vrfm/objectives/mean_flow.hpp>
#include <vrfm/objectives/prediction_weight.hpp>
#include <vrfm/objectives/so_flow.hpp>
#include <vrfm/objectives/sum.hpp>
#include <vrfm/objectives/variational.hpp>
#include <vrfm/objectives/variational_coupling.hpp>
#include <vrfm/objectives/velocity_loss.hpp>
#include <vrfm/parallel/communicator.hpp>
#include <vrfm/paths/affine_path.hpp>
#include <vrfm/paths/stochastic_path.hpp>
#include <vrfm/sampling/draw_pairs.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/flow_map.hpp>
#include <vrfm/sampling/importance_likelihood.hpp>
#include <vrfm/sampling/likelihood.hpp>
#include <vrfm/sampling/model_velocity.hpp>
#include <vrfm/sampling/sample.hpp>
#include <vrfm/sampling/velocity_spread.hpp>
#include <vrfm/training/adam.hpp>
#include <vrfm/training/average.hpp>
#include <vrfm/training/held_out_loss.hpp>
#include <vrfm/training/lion.hpp>
#include <vrfm/training/long_run.hpp>
#include <vrfm/training/progress.hpp>
#include <vrfm/training/sgd.hpp>
#include <vrfm/training/trainer.hpp>
#include <vrfm/transport/assignment.hpp>
#include <vrfm/transport/sinkhorn.hpp>
#include <vrfm/transport/squared_distances.hpp>
#include <vrfm/version.hpp>
