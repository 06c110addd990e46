// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FlowOf: a TableFlow of one kind of networks.
#pragma once

#include <vrfm/core/copy.hpp>
#include <vrfm/data/draw.hpp>
#include <vrfm/data/mixture.hpp>
#include <vrfm/integrators/runge_kutta.hpp>
#include <vrfm/sampling/encode.hpp>
#include <vrfm/sampling/likelihood.hpp>
#include <vrfm/training/weights.hpp>

#include <examples/table/flow.hpp>
#include <examples/table/networks.hpp>

namespace table {

template <class Kind>
class FlowOf : public TableFlow {
 public:
  using Flow = vrfm::Flow<float, Exec, typename Kind::Networks>;

  FlowOf(const Exec& exec, const TableSettings& settings, const RowShape& shape)
      : settings_(settings),
        flow_(exec, Kind::options(settings, shape), 0),
        source_(vrfm::standard_normal<float>(exec, flow_.dimension())) {
    if (settings.network == "unet") launch_.batch = std::max(1, together / shape.points());
  }

  int dimension() const override { return flow_.dimension(); }
  std::size_t parameters() const override { return flow_.parameters().count(); }
  void load(const std::filesystem::path& file) const override { vrfm::load_weights(file, flow_); }

  Rows noise(std::size_t count, std::uint32_t seed, vrfm::Purpose purpose) const override {
    return vrfm::draw_all<float>(flow_.exec(), source_, static_cast<std::int64_t>(count), seed,
                                 purpose);
  }

  void move(const Rows& x, const SolverOptions& o, const MoveOptions& m) const override {
    const auto field = vrfm::velocity_of(
        flow_, {.latents = m.latents, .condition = m.condition, .guidance = m.guidance});
    const auto run = [&](const auto& solver, const vrfm::TimeGrid& grid) {
      vrfm::integrate_all(flow_.exec(), field, x, solver,
                          {.grid = grid, .seed = m.seed, .launch = launch_})
          .expect_finished();
    };
    const std::string name = o.solver == "auto" ? settings_.solver() : o.solver;
    const auto grid = vrfm::TimeGrid::uniform(0, 1, o.steps);
    if (name == "dopri5") {
      run(vrfm::DormandPrince{.absolute = o.tolerance, .relative = o.tolerance},
          vrfm::TimeGrid{0, 1});
    } else if (name == "midpoint") {
      run(vrfm::Midpoint{}, grid);
    } else {
      run(vrfm::Euler{}, grid);
    }
  }

  Codes encode(const Rows& x1, const Conditions& condition, std::uint32_t seed) const override {
    return vrfm::encode(flow_, {}, vrfm::Table<const float, Exec>(x1),
                        {.condition = condition, .seed = seed, .launch = launch_});
  }

  Rows draw_latents(std::size_t count, const Conditions& condition,
                    std::uint32_t seed) const override {
    const auto& prior = flow_.networks().prior;
    const vrfm::ModelInputs seen = prior.inputs();
    vrfm::LatentOptions<float, Exec> options{.seed = seed, .launch = launch_};
    if (seen.classes > 0) options.condition.labels = condition.labels;
    if (seen.condition_columns > 0) options.condition.vector = condition.vector;
    if (seen.field_columns > 0) options.condition.field = condition.field;
    if (!prior.standard() && contains(prior.input(), vrfm::EncoderInput::x0)) {
      options.x0 = noise(count, seed, vrfm::purpose_of(vrfm::Use::sampling, vrfm::Purpose::source));
    }
    return vrfm::draw_latents(flow_, count, options);
  }

  std::vector<float> log_density(const Rows& rows, const DensityOptions& o) const override {
    const auto field = vrfm::velocity_of(flow_, {.latents = o.latents, .condition = o.condition});
    const auto found = vrfm::log_density(
        flow_.exec(), field, source_, rows,
        vrfm::DormandPrince{.absolute = o.tolerance, .relative = o.tolerance},
        {.divergence = o.probes > 0 ? vrfm::Divergence::rademacher : vrfm::Divergence::exact,
         .probes = std::max(1, o.probes),
         .seed = o.seed,
         .first_id = o.first_id,
         .launch = launch_});
    found.result.expect_finished();
    const auto host = vrfm::to_host(flow_.exec(), found.log_density);
    return {host.data(), host.data() + host.size()};
  }

 private:
  /// Points of all fields that a U-Net has in memory at once: some hundred megabytes of features.
  static constexpr int together = vrfm::is_host_space<Exec> ? 1 << 16 : 1 << 20;

  TableSettings settings_;
  Flow flow_;
  vrfm::GaussianMixture<float, Exec> source_;
  vrfm::Launch launch_;
};

}  // namespace table
