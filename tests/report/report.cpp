// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The report of vrfm_synthetic: the keys of metrics.json, text that must not become markup, numbers
// gathered over seeds, the key sentence, and a run whose figures cannot be drawn.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <examples/synthetic/report.hpp>
#include <examples/synthetic/report/markdown.hpp>
#include <examples/synthetic/report/metrics_json.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

namespace {

using synthetic::Results;
using vrfm::test::contains;

/// Two seeds of both models at 2 and 20 Euler steps, with every kind of picture, tiny.
Results small_results() {
  Results results;
  results.experiment = "1d";
  results.dimension = 1;
  results.seeds = {3, 4};
  results.backend = "Serial";
  results.seconds = 125;
  results.command_line = "vrfm_synthetic --output 'a&b'";
  results.settings = {{"batch", "1000", true}, {"<b>name</b>", "\"x\" & 'y'"}};
  results.exact = {-0.125, -0.5, 0.01, 0.0001};
  results.source = {-0.5, 0.0, 0.5};
  results.target = {-1.0, 1.0, 1.1};
  for (const std::string model : {"rfm", "vrfm"}) {
    const synthetic::Variant variant{model, model == "vrfm" ? "x0+x1+x_t" : ""};
    const double worse = model == "rfm" ? 1.5 : 0.0;
    for (const std::uint64_t seed : results.seeds) {
      const double shift = seed == 3 ? 0.1 : -0.1;
      for (const int steps : {2, 20})
        results.runs.push_back({variant, seed, "euler", steps, steps, -0.25 - worse + shift,
                                -0.75 - worse + shift, 0.1 + worse, 0.002, worse,
                                1.01 + 0.2 * worse});
      results.train.push_back({variant, seed, 20000, 1.0 + shift, 0.5, 60, 250000});
      results.loss_curves.push_back(
          {variant,
           seed,
           {0, 100, 200},
           {3, 2, 1},
           model == "vrfm" ? std::vector<double>{0, 1, 2} : std::vector<double>{}});
    }
    results.trajectories.push_back({variant, {0, 1}, 2, {-0.5, 0.5, -1.0, 1.0}});
    results.ambiguity.maps.push_back({variant, {1, 2, 3, std::nan("")}, {{1, 2}}});
  }
  results.ambiguity.time_bins = results.ambiguity.position_bins = 2;
  results.ambiguity.position_lower = results.ambiguity.velocity_lower = -2;
  results.ambiguity.position_upper = results.ambiguity.velocity_upper = 2;
  results.ambiguity.probes = {{0, 0.75}};
  return results;
}

std::set<std::string> keys(const nlohmann::json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

/// A folder of this process that is gone afterwards.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("vrfm-report-" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
};

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

/// Where an SVG has the baselines of its rotated texts, the titles of second axes and of a colour box.
std::vector<double> rotated_texts(const std::string& svg) {
  std::vector<double> found;
  const std::string begin = "translate(";
  for (std::size_t at = svg.find(begin); at != std::string::npos; at = svg.find(begin, at + 1)) {
    const std::size_t end = svg.find(')', at);
    if (svg.compare(end, 9, ") rotate(") == 0)
      found.push_back(std::stod(svg.substr(at + begin.size())));
  }
  return found;
}

}  // namespace

TEST_CASE("metrics.json has the documented keys and keeps every bit", "[report]") {
  Results results = small_results();
  results.runs[0].true_ll = -1.0 / 3;
  results.runs[1].wasserstein1 = std::numeric_limits<double>::quiet_NaN();
  results.seeds[0] = std::numeric_limits<std::uint64_t>::max();
  results.backend = "not UTF-8: \xff";
  const auto json = nlohmann::json::parse(synthetic::metrics_json(results));

  CHECK(keys(json) == std::set<std::string>{"experiment", "iterations", "loaded", "seeds",
                                            "backend", "runs", "exact", "train"});
  CHECK(keys(json["exact"]) ==
        std::set<std::string>{"true_ll", "parzen_ll", "wasserstein1", "squared_mmd"});
  REQUIRE(json["runs"].size() == results.runs.size());
  for (const auto& run : json["runs"])
    CHECK(keys(run) == std::set<std::string>{"model", "encoder_input", "seed", "solver", "steps",
                                             "evaluations", "true_ll", "parzen_ll", "wasserstein1",
                                             "squared_mmd", "straightness", "path_ratio"});
  REQUIRE(json["train"].size() == results.train.size());
  for (const auto& training : json["train"])
    CHECK(keys(training) == std::set<std::string>{"model", "encoder_input", "seed", "iterations",
                                                  "final_velocity_loss", "final_kl", "seconds",
                                                  "samples_per_second"});
  CHECK(json["runs"][0]["true_ll"].get<double>() == -1.0 / 3);
  CHECK(json["runs"][1]["wasserstein1"].is_null());
  CHECK(json["seeds"][0].get<std::uint64_t>() == results.seeds[0]);
}

TEST_CASE("Of loaded weights only what they tell is known", "[report]") {
  Results results = small_results();
  CHECK(nlohmann::json::parse(synthetic::metrics_json(results))["iterations"] == 20000);
  CHECK(contains(synthetic::report_html(results, {}),
                 "were trained for 20,000 iterations with 2 seeds on"));
  results.loaded = "earlier";
  results.train[0].iterations = 200;
  auto json = nlohmann::json::parse(synthetic::metrics_json(results));
  CHECK((json["iterations"].is_null() && json["train"][0]["iterations"] == 200));
  CHECK(json["loaded"] == "earlier");
  auto html = synthetic::report_html(results, {});
  CHECK(contains(html, "were trained for 200 to 20,000 iterations"));
  CHECK(contains(html, "the weights were loaded from earlier, and sampling"));

  results.train[1] = {.variant = results.train[1].variant, .seed = 4};
  json = nlohmann::json::parse(synthetic::metrics_json(results));
  for (const char* key : {"iterations", "final_velocity_loss", "final_kl", "seconds"}) {
    CHECK(json["train"][1][key].is_null());
  }
  html = synthetic::report_html(results, {});
  CHECK(contains(html, "were trained for an unknown number of iterations"));
  CHECK(contains(html, "<td>n/a</td>"));
}

TEST_CASE("metrics.json replaces the earlier file", "[report]") {
  const Folder folder;
  const auto path = folder.path / "metrics.json";
  vrfm::write_file_atomically(path, "old");
  synthetic::write_metrics_json(path, small_results());
  CHECK(contents(path) == synthetic::metrics_json(small_results()));
}

TEST_CASE("Results of other runs come beside one's own in the order of the methods", "[report]") {
  const Folder folder;
  const auto path = folder.path / "metrics.json";
  const Results whole = small_results();
  Results mine = whole, others = whole;
  const auto baseline = [](const auto& row) { return row.variant.model == "rfm"; };
  std::erase_if(mine.runs, baseline);
  std::erase_if(mine.train, baseline);
  std::erase_if(others.runs, [&](const auto& row) { return !baseline(row); });
  std::erase_if(others.train, [&](const auto& row) { return !baseline(row); });
  mine.seeds = {4};
  synthetic::write_metrics_json(path, others);

  Results read;
  read.experiment = mine.experiment;
  read.exact = mine.exact;
  read.exact.true_ll *= 1 + 1e-7;  // as another processor rounds it
  synthetic::add_metrics_json(path, read);
  synthetic::add_results(read, mine);
  CHECK(synthetic::metrics_json(mine) == synthetic::metrics_json(whole));

  const auto error = [&](const Results& results) {
    return vrfm::test::thrown<std::exception>([&] {
      Results copy = results;
      synthetic::add_metrics_json(path, copy);
    });
  };
  CHECK(contains(error(read), "rfm of seed 3 at 2 steps is among the results already"));
  Results other = read;
  other.experiment = "2d";
  CHECK(contains(error(other), "expected results of 2d, found those of 1d"));
  other = read;
  other.exact.wasserstein1 += 0.01;
  CHECK(contains(error(other), "expected the exact samples of this run"));
  vrfm::write_file_atomically(path, "{\"experiment\": \"1d\"}");
  CHECK(contains(error(read), "expected the metrics.json of a run, found "));
}

TEST_CASE("Runs are gathered over seeds", "[report]") {
  const auto all = synthetic::groups(small_results());
  REQUIRE(all.size() == 4);
  CHECK(all.front().steps == 2);
  CHECK(all.back().steps == 20);
  const synthetic::Spread spread = synthetic::spread({1, 2, 6});
  CHECK(spread.mean == 3);
  CHECK(spread.deviation == std::sqrt(7.0));
  CHECK(spread.lower == 1);
  CHECK(spread.upper == 6);
  CHECK(std::isnan(synthetic::spread({1, std::nan("")}).mean));
  CHECK(synthetic::spread({5}).deviation == 0);
}

TEST_CASE("The key sentence follows from the numbers", "[report]") {
  Results results = small_results();
  auto sentences = synthetic::findings(results);
  REQUIRE(sentences.size() == 2);
  CHECK(sentences[0] ==
        "With 2 Euler steps V-RFM's Parzen log-likelihood is <strong>1.50 nats above RFM's</strong>"
        ": −0.75 against −2.25. Exact target samples reach −0.50.");
  CHECK(sentences[1] ==
        "With 20 Euler steps V-RFM's median path is <strong>1.0&nbsp;% longer</strong> than a "
        "straight line, RFM's <strong>31&nbsp;%</strong>.");

  for (synthetic::Run& run : results.runs)
    if (run.variant.model == "vrfm") run.parzen_ll -= 2;
  CHECK(synthetic::findings(results)[0].find("0.50 nats below RFM's") != std::string::npos);

  results = small_results();
  std::erase_if(results.runs,
                [](const synthetic::Run& run) { return run.variant.model == "vrfm"; });
  CHECK(synthetic::findings(results)[0] ==
        "With 2 Euler steps RFM's Parzen log-likelihood is −2.25, <strong>1.75 nats below</strong> "
        "that of exact target samples (−0.50).");
}

TEST_CASE("Of many methods the nearest to the target is told, and all are named", "[report]") {
  Results results = small_results();
  for (std::size_t k = 0; k < 4; ++k) {
    synthetic::Run run = results.runs[k];
    run.variant = {"soflow", ""};
    run.solver = "flow-map";
    run.parzen_ll = -0.51;
    results.runs.push_back(run);
  }
  const auto sentences = synthetic::findings(results);
  REQUIRE(sentences.size() == 3);
  CHECK(sentences[1] ==
        "By Parzen log-likelihood nearest to exact target samples with 2 evaluations comes "
        "<strong>SoFlow</strong>: Parzen "
        "log-likelihood −0.51, Wasserstein-1 1.600 (exact −0.50, 0.010).");
  const std::string html = synthetic::report_html(results, {});
  CHECK(contains(html, "<p>RFM, V-RFM and SoFlow were trained"));
  CHECK(contains(html, "<li>SoFlow learns such a map"));
  const std::string table = synthetic::markdown_tables(results);
  CHECK(contains(table, "2 evaluations\n"));
  CHECK(contains(table,
                 "| SoFlow | −1.750 ± 0.141 | −0.510 ± 0.000 | 1.600 ± 0.000 | 2.00 ± 0.00 "
                 "| 1.500 ± 0.000 |"));
  CHECK(contains(table, "| exact samples | −0.125 | −0.500 | 0.010 | 0.10 | |"));
  for (const auto& plan : synthetic::figure_plans(results)) {
    if (plan.name == "metrics")
      CHECK(contains(plan.caption, " Sampled with 2 and 20 Euler or map steps."));
  }
}

TEST_CASE("One seed is said to be one, and figures say what they were drawn with", "[report]") {
  Results results = small_results();
  for (const auto& plan : synthetic::figure_plans(results)) {
    INFO(plan.name);
    CHECK_FALSE(contains(plan.caption, "One seed"));
    if (plan.name == "metrics" || plan.name == "straightness")
      CHECK(contains(plan.caption, " Sampled with 2 and 20 Euler steps."));
    if (plan.name == "trajectories")
      CHECK(
          contains(plan.caption, "Models are those of the seed 3, their paths take 1 Euler step."));
    if (plan.name == "ambiguity") CHECK(contains(plan.caption, "take 2 Euler steps."));
  }
  results.seeds = {3};
  CHECK(synthetic::findings(results)[0] == "One seed: another may come out otherwise.");
  for (const auto& plan : synthetic::figure_plans(results))
    if (plan.name == "metrics" || plan.name == "straightness")
      CHECK(contains(plan.caption, "One seed: how much seeds differ is not known."));
  const std::string html = synthetic::report_html(results, {});
  CHECK(contains(html, "with one seed on"));
  CHECK(contains(html, "One seed: how much seeds differ is not known; the best"));
}

TEST_CASE("Text never becomes markup", "[report]") {
  using synthetic::Markup;
  CHECK(synthetic::escape("<a href='x'>\"&\"</a>", Markup::html) ==
        "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
  CHECK(synthetic::encoder_label("x0+<i>", Markup::html) == "x<sub>0</sub>, &lt;i&gt;");
  CHECK(synthetic::encoder_label("x_t+a_b\n", Markup::gnuplot) == "x_t, a\\_b");
  CHECK(synthetic::literal("it's\n`date`") == "'it''s`date`'");

  Results results = small_results();
  results.backend = "<script>";
  const std::string html = synthetic::report_html(results, {});
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("<b>name") == std::string::npos);
  CHECK(contains(html, "1000 <span class=\"spread\">(default)</span>"));
  CHECK(html.find("&lt;b&gt;name&lt;/b&gt;") != std::string::npos);
  CHECK(html.find("--output &#39;a&amp;b&#39;") != std::string::npos);
}

TEST_CASE("A missing gnuplot costs only the figures", "[report]") {
  const Folder folder;
  const synthetic::Figures figures =
      synthetic::draw_figures(small_results(), folder.path / "figures", "no-such-gnuplot");
  CHECK(figures.drawn.empty());
  REQUIRE(figures.notices.size() == 1);
  CHECK(figures.notices[0].find("no-such-gnuplot") != std::string::npos);
  const auto page = folder.path / "report.html";
  synthetic::write_report(page, small_results(), figures);
  const std::string html = contents(page);
  CHECK(html.find("Figures are missing: could not start &#39;no-such-gnuplot&#39;") !=
        std::string::npos);
  CHECK(html.find("1.50 nats above") != std::string::npos);
}

TEST_CASE("A gnuplot that fails leaves one notice a figure", "[report]") {
  const Folder folder;
  const synthetic::Figures figures =
      synthetic::draw_figures(small_results(), folder.path / "figures", "false");
  CHECK(figures.drawn.empty());
  CHECK(figures.notices.size() == synthetic::figure_plans(small_results()).size());
}

TEST_CASE("Every figure that the results allow is planned, and no other", "[report]") {
  Results results = small_results();
  CHECK(synthetic::figure_plans(results).size() == 5);
  results.ambiguity = {};
  results.trajectories.clear();
  CHECK(synthetic::figure_plans(results).size() == 3);
  results.loss_curves.clear();
  for (synthetic::Run& run : results.runs) run.steps = 0;
  CHECK(synthetic::figure_plans(results).empty());
  results = small_results();
  results.trajectories[0].positions.pop_back();
  CHECK_THROWS_AS(synthetic::figure_plans(results), std::invalid_argument);
}

TEST_CASE("An SVG can stand beside others in one page", "[report]") {
  const std::string svg = synthetic::inline_svg(
      "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 1 1\"><title>t</title><path id='p'/>"
      "<use xlink:href='#p'/><g id=\"q\" clip-path=\"url(#c)\"/></svg>\n",
      "fig", "a \"b\"");
  CHECK(svg ==
        "<svg role=\"img\" aria-label=\"a &quot;b&quot;\" viewBox=\"0 0 1 1\"><path id='fig-p'/>"
        "<use xlink:href='#fig-p'/><g id=\"fig-q\" clip-path=\"url(#fig-c)\"/></svg>");
  CHECK(synthetic::inline_svg("<svg>", "fig", "").empty());
}

TEST_CASE("gnuplot draws every figure of ordinary and of broken numbers", "[report]") {
  Results ordinary = small_results(), broken = small_results(), plane = small_results();
  for (synthetic::Run& run : broken.runs) {
    run.true_ll = -std::numeric_limits<double>::infinity();
    run.parzen_ll = run.path_ratio = std::nan("");
  }
  broken.trajectories[0].positions[2] = std::nan("");
  for (synthetic::AmbiguityMap& map : broken.ambiguity.maps) {
    map.deviation.assign(4, std::nan(""));
    map.histograms.assign(1, {});
  }
  plane.dimension = 2;
  plane.ambiguity = {};
  plane.source = plane.target = {-1.25, 0.5, 1.25, -0.5};
  for (synthetic::Trajectories& paths : plane.trajectories)
    paths.positions = {0, 0, 1, 1, 0.5, 0, 1, 0.5};

  // Numbers of a second axis as wide as any.
  Results wide = plane;
  for (synthetic::Run& run : wide.runs)
    run.wasserstein1 = run.straightness = 0.1 * run.wasserstein1;

  const Folder folder;
  for (const Results& results : {ordinary, broken, plane, wide}) {
    const synthetic::Figures figures = synthetic::draw_figures(results, folder.path);
    for (const std::string& notice : figures.notices) FAIL_CHECK(notice);
    CHECK(figures.drawn.size() == synthetic::figure_plans(results).size());
    for (const synthetic::Figure& figure : figures.drawn) {
      CHECK(contents(folder.path / (figure.name + ".png")).substr(1, 3) == "PNG");
      // A letter of 14 units rises about 11 above the baseline.
      for (const double x : rotated_texts(figure.svg)) CHECK((x >= 11 && x <= 996));
      CHECK(occurrences(figure.svg, "gpPt0'") == occurrences(figure.svg, figure.name + "-gpPt0'"));
    }
    const std::string html = synthetic::report_html(results, figures);
    CHECK(occurrences(html, "<svg") == figures.drawn.size());
    CHECK(occurrences(html, "http") == 2 * figures.drawn.size());  // the two XML name spaces
  }
}
