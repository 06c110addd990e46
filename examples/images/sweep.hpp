// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The command `sweep`: the Frechet distance of samples to the training images over the evaluations of the network, for
// several weights, numbers of steps and solvers. Each distance is written when it is there (sweep.json), and those that
// are there are not computed again. All ranks draw; the root computes features and writes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <vrfm/metrics/frechet_distance.hpp>

#include <examples/common/features/network.hpp>
#include <examples/common/output_folder.hpp>
#include <examples/images/evaluate.hpp>
#include <examples/images/flows.hpp>
#include <examples/images/report.hpp>

namespace images {

/// One way of sampling; steps: 0 where the solver chooses them.
struct SweepCase {
  std::string solver;
  int steps;
};

/// One distance.
struct SweepResult {
  std::string label, model, solver;
  int steps = 0;
  double evaluations = 0, distance = 0;
};

/// The sampled ways: every fixed solver with every number of steps, dopri5 once.
inline std::vector<SweepCase> cases_of(const SweepOptions& options) {
  std::vector<SweepCase> cases;
  for (const std::string& solver : options.solvers) {
    if (solver == "dopri5") {
      cases.push_back({solver, 0});
      continue;
    }
    for (const int steps : options.steps) cases.push_back({solver, steps});
  }
  return cases;
}

/// The distances that are known, each under a key that names all that it depends on.
class SweepFile {
 public:
  using Json = nlohmann::ordered_json;

  explicit SweepFile(std::filesystem::path path) : path_(std::move(path)) {
    if (!std::filesystem::exists(path_)) return;
    std::ifstream file(path_);
    const Json all = Json::parse(file, nullptr, false);
    if (!all.is_object()) {
      throw std::runtime_error(path_.string() +
                               ": expected an earlier sweep's results, found no "
                               "JSON object; --overwrite begins anew");
    }
    known_ = all;
  }

  /// Throws std::runtime_error if what is there is no distance.
  std::optional<Json> find(const std::string& key) const {
    const auto found = known_.find(key);
    if (found == known_.end()) return std::nullopt;
    const auto number = [&](const char* name) {
      return found->is_object() && found->contains(name) && found->at(name).is_number();
    };
    if (!number("evaluations") || !number("distance")) {
      throw std::runtime_error(path_.string() +
                               ": expected the numbers evaluations and distance of '" + key +
                               "', found " + found->dump() + "; --overwrite begins anew");
    }
    return *found;
  }

  void add(const std::string& key, const Json& value) {
    known_[key] = value;
    vrfm::write_file_atomically(path_, known_.dump(2) + "\n");
  }

 private:
  std::filesystem::path path_;
  Json known_ = Json::object();
};

/// The network of the options.
inline FeatureNetwork network_of(const SweepOptions& o) {
  constexpr int batch = 32;
  return o.classifier.empty() ? FeatureNetwork::inception(o.inception, batch)
                              : FeatureNetwork::classifier(o.classifier, batch);
}

/// Mean and covariance of the features of images that come piece by piece.
class FeatureCollector {
 public:
  FeatureCollector(const FeatureNetwork& network, const std::vector<int>& shape)
      : network_(network), shape_(shape) {}

  void add(std::span<const std::uint8_t> pixels, const std::string& name) {
    vrfm::Images images;
    images.height = static_cast<std::size_t>(shape_[0]);
    images.width = static_cast<std::size_t>(shape_[1]);
    images.channels = static_cast<std::size_t>(shape_[2]);
    images.count = pixels.size() / (images.height * images.width * images.channels);
    images.pixels.assign(pixels.begin(), pixels.end());
    network_(images, name, answers_);
    count_ += images.count;
  }

  vrfm::FeatureStatistics statistics() const { return statistics_of(answers_, count_); }

 private:
  const FeatureNetwork& network_;
  std::vector<int> shape_;
  ImageAnswers answers_;
  std::size_t count_ = 0;
};

/// A column of the table: the steps, with the solver where a model was sampled by several that take steps.
inline std::string way_of(const std::vector<SweepResult>& results, const SweepResult& r) {
  if (r.steps == 0) return r.solver;
  const bool several = std::any_of(results.begin(), results.end(), [&](const SweepResult& other) {
    return other.label == r.label && other.steps > 0 && other.solver != r.solver;
  });
  return several ? r.solver + " " + std::to_string(r.steps) : std::to_string(r.steps);
}

/// The distances as a table of models by ways of sampling, for a page or a document.
inline std::string sweep_table(const std::vector<SweepResult>& results, Markup markup) {
  std::vector<std::string> rows, columns;
  std::map<std::pair<std::string, std::string>, double> values;
  for (const SweepResult& r : results) {
    const std::string column =
        r.steps == 0 ? "dopri5 (" + decimal(r.evaluations, 0) + ")" : std::to_string(r.steps);
    if (std::find(rows.begin(), rows.end(), r.label) == rows.end()) rows.push_back(r.label);
    const std::string name = way_of(results, r);
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
    values[{r.label, name}] = r.distance;
  }
  const bool html = markup == Markup::html;
  std::string text = html ? "<div class=\"table\"><table><thead><tr><th class=\"text\">Weights</th>"
                          : "| weights |";
  for (const auto& column : columns) {
    text += html ? "<th>" + escape(column, markup) + "</th>" : " " + column + " |";
  }
  text += html ? "</tr></thead><tbody>\n" : "\n|---|";
  for (std::size_t k = 0; !html && k < columns.size(); ++k) text += "---|";
  if (!html) text += "\n";
  for (const auto& row : rows) {
    text += html ? "<tr><td class=\"text\">" + escape(row, markup) + "</td>" : "| " + row + " |";
    for (const auto& column : columns) {
      const auto found = values.find({row, column});
      const std::string value = found == values.end() ? "" : decimal(found->second, 3);
      text += html ? "<td>" + value + "</td>" : " " + value + " |";
    }
    text += html ? "</tr>\n" : "\n";
  }
  return text + (html ? "</tbody></table></div>\n" : "");
}

/// The colour of a model in this and in vrfm_synthetic's figures.
inline std::string model_colour(const std::string& model, std::size_t index) {
  for (const Method& method : methods) {
    if (model == method.label) return method.colour;
  }
  return colour(index);
}

/// Distances over evaluations, both axes logarithmic: the mean over the files of a model, which may be seeds, and the
/// range of them.
inline FigurePlan sweep_figure(const std::vector<SweepResult>& results) {
  FigurePlan plan;
  plan.name = "sweep";
  plan.title = "Fréchet distance over evaluations";
  plan.caption =
      "Lower is better. Several files of one model, such as its seeds, are one line through their "
      "mean, with a "
      "band from the lowest to the highest. Rings are Dormand-Prince's, which chooses its steps.";
  std::vector<std::string> models;
  std::set<double> counts;
  double lowest = HUGE_VAL, highest = 0, last = 1;
  for (const SweepResult& r : results) {
    if (std::find(models.begin(), models.end(), r.model) == models.end()) models.push_back(r.model);
    if (r.steps > 0) counts.insert(r.evaluations);
    last = std::max(last, r.evaluations);
    lowest = std::min(lowest, r.distance);
    highest = std::max(highest, r.distance);
  }
  plan.width = 760;
  plan.height = 470 + legend_excess(models.size());
  Script script(plan.width, plan.height);
  script.panel({84, 40, plan.width - 116.0, 330}, "Distance of samples to the images of the set");
  script.axes("evaluations of the network", "Fréchet distance");
  script.line("set logscale xy");
  std::string tics;
  for (const double count : counts) {
    tics += (tics.empty() ? "" : ",") + literal(number(count)) + " " + number(count);
  }
  if (!tics.empty()) script.line("set xtics (", tics, ")");
  script.x_range((counts.empty() ? 1.0 : *counts.begin()) / 1.15, last * 1.15);
  if (lowest > 0 && highest > 0) script.y_range(lowest / 1.25, highest * 1.25);
  std::vector<std::string> bands, lines, entries;
  for (std::size_t k = 0; k < models.size(); ++k) {
    const std::string shade = model_colour(models[k], k);
    for (const bool adaptive : {false, true}) {
      // By evaluations; a solver that chooses its steps has one point.
      std::map<std::pair<double, std::string>, std::vector<const SweepResult*>> points;
      for (const SweepResult& r : results) {
        if (r.model == models[k] && (r.steps == 0) == adaptive) {
          points[{adaptive ? 0 : r.evaluations, r.solver}].push_back(&r);
        }
      }
      if (points.empty()) continue;
      const std::string block = (adaptive ? "d" : "s") + std::to_string(k);
      bool spread = false;
      script.begin_data(block);
      for (const auto& [way, of_steps] : points) {
        double evaluations = 0, sum = 0, least = HUGE_VAL, most = 0;
        for (const SweepResult* r : of_steps) {
          evaluations += r->evaluations / static_cast<double>(of_steps.size());
          sum += r->distance / static_cast<double>(of_steps.size());
          least = std::min(least, r->distance);
          most = std::max(most, r->distance);
        }
        spread = spread || most > least;
        script.row(evaluations, sum, least, most);
      }
      script.end_data();
      if (spread && !adaptive) {
        bands.push_back("$" + block + " using 1:3:4 with filledcurves fs solid noborder lc rgb " +
                        translucent(shade, 0.15));
      }
      const std::string style =
          adaptive ? "with points pt 6 ps 1 lw 2" : "with linespoints pt 7 ps 0.6 lw 2";
      lines.push_back("$" + block + " using 1:2 " + style + " lc rgb " + literal(shade));
    }
    entries.push_back("with linespoints pt 7 ps 0.6 lw 2 lc rgb " + literal(shade) + " title " +
                      literal(escape(models[k], Markup::gnuplot)));
  }
  bands.insert(bands.end(), lines.begin(), lines.end());
  script.plot(bands);
  script.legend(entries);
  plan.script = script.finish();
  return plan;
}

template <class Set>
class Sweep {
 public:
  Sweep(const SweepOptions& options, const std::string& command_line, const vrfm::StopSignal& stop)
      : options_(options),
        command_line_(command_line),
        stop_(stop),
        output_(options.output),
        network_(network_of(options)),
        data_(Set::read(options.data,
                        options.split == "test" ? vrfm::Split::test : vrfm::Split::train)) {
    if (options.overwrite) output_.remove({"sweep.json", "report.html", "table.md"});
    output_.add("figures");
    for (const std::string& path : options.load) {
      flows_.push_back(LoadedFlow<Set>::read(path));
      vrfm::expect(flows_.back().shape == Set::shape_of(data_), "expected images of ",
                   to_text(flows_.back().shape), " (height, width, channels) as in ", path,
                   ", found ", to_text(Set::shape_of(data_)));
    }
    labels_ = labels_of(flows_, {options.load.begin(), options.load.end()});
    common_key_ = "images " + Set::fingerprint(data_) + ", features " +
                  file_print(options.inception.empty() ? options.classifier : options.inception) +
                  ", count " + std::to_string(options.count) + ", seed " +
                  std::to_string(options.seed);
  }

  /// Throws Stopped if a signal comes; what was computed is kept.
  void run() {
    SweepFile known(output_ / "sweep.json");
    const auto cases = cases_of(options_);
    const std::size_t all = flows_.size() * cases.size();
    std::size_t done = 0, computed = 0;
    const Kokkos::Timer timer;
    std::optional<vrfm::FeatureStatistics> real;
    for (std::size_t k = 0; k < flows_.size(); ++k) {
      const std::string print = file_print(options_.load[k]);
      for (const SweepCase& way : cases) {
        ++done;
        SamplingOptions sampling = options_.sampling;
        sampling.solver = way.solver;
        sampling.steps = way.steps;
        const Painter<FlowOf<Set>> painter(flows_[k].flow, Set::developer(flows_[k].shape),
                                           sampling);
        const SamplingOptions& how = painter.options();
        std::string key = common_key_ + ", weights " + print + ", solver " + how.solver;
        key += way.steps > 0 ? ", steps " + std::to_string(way.steps)
                             : ", tolerance " + exact_text(how.tolerance);
        auto found = known.find(key);
        if (!found) {
          if (!real && common::is_root()) real = statistics_of_data();
          found = measure(painter, key, real, known);
          ++computed;
          const double left =
              timer.seconds() * static_cast<double>(all - done) / static_cast<double>(computed);
          common::say("%zu/%zu  %s, %s %s: %.3f; about %.0f s left at most", done, all,
                      labels_[k].c_str(), how.solver.c_str(),
                      way.steps > 0 ? std::to_string(way.steps).c_str() : "",
                      found->at("distance").template get<double>(), left);
        }
        results_.push_back({labels_[k], model_name(flows_[k].settings), how.solver, way.steps,
                            found->at("evaluations").template get<double>(),
                            found->at("distance").template get<double>()});
      }
    }
    if (common::is_root()) write();
  }

 private:
  vrfm::FeatureStatistics statistics_of_data() const {
    common::say("features of %zu images of %s", Set::count(data_), options_.data.c_str());
    FeatureCollector collector(network_, Set::shape_of(data_));
    const std::size_t each = data_.pixels.size() / data_.count;
    for (std::size_t first = 0; first < data_.count; first += 1000) {
      const std::size_t count = std::min<std::size_t>(1000, data_.count - first);
      collector.add(std::span(data_.pixels).subspan(first * each, count * each), options_.data);
      common::end_if_stopped(stop_, "stopped; what was computed is kept");
    }
    return collector.statistics();
  }

  typename SweepFile::Json measure(const Painter<FlowOf<Set>>& painter, const std::string& key,
                                   const std::optional<vrfm::FeatureStatistics>& real,
                                   SweepFile& known) const {
    FeatureCollector collector(network_, Set::shape_of(data_));
    const bool alone = common::communicator().size() == 1;
    const double evaluations =
        painter.pieces(options_.count, options_.seed, [&](int, std::size_t, auto pixels) {
          if (alone) common::end_if_stopped(stop_, "stopped; what was computed is kept");
          collector.add(pixels, "samples");
        });
    common::end_together_if_stopped(stop_, "stopped; what was computed is kept");
    if (!common::is_root()) return {{"evaluations", evaluations}, {"distance", 0.0}};
    const typename SweepFile::Json result{
        {"evaluations", evaluations},
        {"distance", vrfm::frechet_distance(*real, collector.statistics())}};
    known.add(key, result);
    return result;
  }

  void write() const {
    const auto figures = draw_plans({sweep_figure(results_)}, output_ / "figures");
    vrfm::write_file_atomically(output_ / "table.md", sweep_table(results_, Markup::gnuplot));
    const std::string intro =
        "<p>Fréchet distance of " + plural(static_cast<std::size_t>(options_.count), "sample") +
        " to " + plural(Set::count(data_), "image") + " (" + options_.split + ") of " +
        escape(options_.data, Markup::html) + " in the features of " + network_.title() +
        ", by steps. A distance of few samples is biased upwards: compare those of equally "
        "many.</p>\n";
    vrfm::write_file_atomically(
        output_ / "report.html",
        report_page(std::string("Few and many evaluations on ") + Set::title,
                    intro + sweep_table(results_, Markup::html) + figure_section(figures) +
                        command_section(command_line_)));
    std::fputs(sweep_table(results_, Markup::gnuplot).c_str(), stdout);
    std::printf("Report: %s\n", std::filesystem::absolute(output_ / "report.html").c_str());
  }

  SweepOptions options_;
  std::string command_line_;
  const vrfm::StopSignal& stop_;
  OutputFolder output_;
  FeatureNetwork network_;
  typename Set::Data data_;
  std::vector<LoadedFlow<Set>> flows_;
  std::vector<std::string> labels_;
  std::string common_key_;
  std::vector<SweepResult> results_;
};

template <class Set>
void sweep_command(const SweepOptions& options, const std::string& command_line,
                   const vrfm::StopSignal& stop) {
  Sweep<Set>(options, command_line, stop).run();
}

}  // namespace images
