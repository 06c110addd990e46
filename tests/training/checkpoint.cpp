// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Checkpoints and weights: a run that is stopped and continued ends with the bits of one that was
// not, and a file that does not fit is one clear error that changes nothing.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include "support.hpp"

#include <vrfm/models/unet/networks.hpp>
#include <vrfm/training/checkpoint.hpp>

using namespace vrfm::test;
using vrfm::Settings;
using vrfm::Tensor;
using TinyFlow = vrfm::Flow<float>;
using TinyTrainer = decltype(tiny_trainer(std::declval<TinyFlow>()));

namespace {

/// Keeps the last gradient, under a name with which those of parameters begin.
struct NamedAsNetwork {
  static constexpr std::array<const char*, 1> state{"velocity"};

  template <class T>
  struct Step {
    KOKKOS_FUNCTION T operator()(T parameter, T gradient,
                                 vrfm::OptimizerState<T, 1>& memory) const {
      memory.value[0] = gradient;
      return parameter - T(0.01) * gradient;
    }
  };

  void check() const {}
  template <class T>
  KOKKOS_FUNCTION Step<T> at(std::int64_t) const {
    return {};
  }
};

const Settings settings{{"beta", "0.1"}, {"learning_rate", "0.01"}};

TinyFlow flow_from(std::uint32_t seed) {
  return {Kokkos::DefaultExecutionSpace(), tiny_flow(), seed};
}

/// A trainer of its own flow with nonzero moments and average.
TinyTrainer busy_trainer(const vrfm::TrainerOptions& options = tiny_options()) {
  auto trainer = tiny_trainer(flow_from(77), options);
  trainer.run(2);
  return trainer;
}

/// What a file holds, to be changed and written again.
struct Contents {
  std::vector<Tensor> tensors;
  vrfm::Metadata metadata;

  Tensor& at(const std::string& name) {
    const auto found = std::find_if(tensors.begin(), tensors.end(),
                                    [&](const Tensor& tensor) { return tensor.name == name; });
    REQUIRE(found != tensors.end());
    return *found;
  }
  void erase(const std::string& name) {
    tensors.erase(tensors.begin() + (&at(name) - &tensors[0]));
  }
};

/// Writes `from` to `to` after `change`.
void rewrite(const std::filesystem::path& from, const std::filesystem::path& to,
             const std::function<void(Contents&)>& change) {
  const auto file = vrfm::SafetensorsFile::read(from);
  Contents contents{{file.tensors().begin(), file.tensors().end()}, file.metadata()};
  change(contents);
  vrfm::write_safetensors(to, contents.tensors, contents.metadata);
}

constexpr const char* bias = "velocity.decoder.1.bias";  // two numbers
constexpr const char* weight = "velocity.decoder.1.weight";

}  // namespace

TEST_CASE("a run that was stopped ends as one that was not", "[training][checkpoint]") {
  const TemporaryFolder folder;
  for (const auto execution : {vrfm::Execution::tiles, vrfm::Execution::batch}) {
    const auto options = in_launch(tiny_options(), {.execution = execution});
    auto whole = tiny_trainer(flow_from(1), options);
    whole.run(20);
    vrfm::save_checkpoint(folder / "whole", whole, settings);

    // Before the first step, in the warm-up, twice, and at the last step.
    for (const auto& stops :
         std::vector<std::vector<std::int64_t>>{{0}, {1}, {7, 13}, {19}, {20}}) {
      INFO("stopped first after " << stops[0] << " steps");
      auto first = tiny_trainer(flow_from(1), options);
      first.run(stops[0]);
      vrfm::save_checkpoint(folder / "part", first, settings);
      for (std::size_t k = 0; k < stops.size(); ++k) {
        // Another seed: nothing of the new flow may survive.
        auto next = tiny_trainer(flow_from(99), options);
        vrfm::load_checkpoint(folder / "part", next, settings);
        CHECK(next.step() == stops[k]);
        next.run(k + 1 < stops.size() ? stops[k + 1] : 20, 3);
        vrfm::save_checkpoint(folder / "part", next, settings);
        if (k + 1 == stops.size()) CHECK((state_of(next) == state_of(whole)));
      }
      CHECK((slurp(folder / "part") == slurp(folder / "whole")));
    }
  }
}

TEST_CASE("a checkpoint without moving average has none", "[training][checkpoint]") {
  const TemporaryFolder folder;
  const vrfm::TrainerOptions options{.batch = 10};
  auto trainer = busy_trainer(options);
  vrfm::save_checkpoint(folder / "c", trainer, {});
  const auto file = vrfm::SafetensorsFile::read(folder / "c");
  CHECK(file.tensors().size() == 3 * trainer.parameters().entries().size());
  for (const auto& tensor : file.tensors()) CHECK_FALSE(tensor.name.starts_with("ema."));
  auto other = tiny_trainer(flow_from(3), options);
  vrfm::load_checkpoint(folder / "c", other, {});
  CHECK((state_of(other) == state_of(trainer)));
}

TEST_CASE("weights of networks that differ beyond their shapes are refused",
          "[training][checkpoint]") {
  const TemporaryFolder folder;
  const auto path = folder / "weights";
  const Kokkos::DefaultExecutionSpace exec;
  const vrfm::FlowOptions options{.dimension = 2, .latent = 3};
  const vrfm::Flow<float> flow(exec, options, 1);
  vrfm::save_weights(path, flow, {{"beta", "1"}});

  auto other = options;
  other.encoder.scale = 2;
  const vrfm::Flow<float> scaled(exec, other, 2);
  const auto error = thrown<std::runtime_error>([&] { vrfm::load_weights(path, scaled); });
  INFO(error);
  CHECK(contains(error, "scale' is 1 in the file's network, but 2 in this one"));

  // Files of others do not say: their shapes must do.
  rewrite(path, folder / "others", [](Contents& contents) { contents.metadata = {}; });
  CHECK(vrfm::load_weights(folder / "others", scaled).empty());
  // What a caller gave is what comes back.
  CHECK(vrfm::load_weights(path, flow) == vrfm::Metadata{{"beta", "1"}});
}

TEST_CASE("tensors of the data are kept beside weights and are no parameters",
          "[training][checkpoint]") {
  const TemporaryFolder folder;
  const vrfm::Flow<float> flow({}, {.dimension = 2, .latent = 3}, 1),
      other({}, {.dimension = 2, .latent = 3}, 2);
  const std::vector<double> numbers{1, 2};
  const std::vector<vrfm::Tensor> data{vrfm::make_tensor("data.x1", {2, 1}, numbers)};
  vrfm::save_weights(folder / "w", flow, {{"data.x1", "kinds"}}, data);
  CHECK(vrfm::load_weights(folder / "w", other) == vrfm::Metadata{{"data.x1", "kinds"}});
  CHECK(host_numbers(other.values()) == host_numbers(flow.values()));
  const auto file = vrfm::SafetensorsFile::read(folder / "w");
  CHECK(file.values<double>("data.x1", std::vector<std::size_t>{2, 1})[1] == 2);
  const std::vector<vrfm::Tensor> stray{vrfm::make_tensor("x1", {2}, numbers)};
  CHECK(thrown<std::invalid_argument>([&] { vrfm::save_weights(folder / "v", flow, {}, stray); }) ==
        "vrfm: save_weights: the name of a tensor of the data begins with data., got 'x1'");
}

TEST_CASE("weights of norms in other groups are refused", "[training][checkpoint]") {
  const TemporaryFolder folder;
  const auto path = folder / "weights";
  const auto make = [](int groups) {
    return vrfm::Flow<float, Kokkos::DefaultExecutionSpace, vrfm::UnetNetworks>(
        {},
        {.velocity = {.path = {.grid = {4, 4},
                               .channels = 1,
                               .base = 32,
                               .multipliers = {1},
                               .blocks = 1,
                               .attention_extents = {},
                               .groups = groups}}},
        1);
  };
  vrfm::save_weights(path, make(8));
  const auto error = thrown<std::runtime_error>([&] { vrfm::load_weights(path, make(32)); });
  INFO(error);
  CHECK(contains(error, "groups' is 8 in the file's network, but 32 in this one"));
}

TEST_CASE("a checkpoint that does not fit changes nothing", "[training][checkpoint]") {
  const TemporaryFolder folder;
  const auto good = folder / "good", bad = folder / "bad";
  auto source = tiny_trainer(flow_from(1), tiny_options());
  source.run(5);
  vrfm::save_checkpoint(good, source, settings);
  auto trainer = busy_trainer();
  const State before = state_of(trainer);
  CHECK_FALSE((before == state_of(source)));

  const auto refused = [&](const std::filesystem::path& path, const Settings& wanted,
                           const std::vector<std::string>& words) {
    const auto error =
        thrown<std::runtime_error>([&] { vrfm::load_checkpoint(path, trainer, wanted); });
    INFO(error);
    CHECK(has_all(error, words));
    CHECK(contains(error, path.filename().string()));
    CHECK(error.find('\n') == std::string::npos);
    CHECK((state_of(trainer) == before));
  };
  const auto refused_after = [&](const std::vector<std::string>& words,
                                 const std::function<void(Contents&)>& change) {
    rewrite(good, bad, change);
    refused(bad, settings, words);
  };

  SECTION("settings") {
    refused(good, {{"beta", "0.2"}, {"learning_rate", "0.01"}},
            {"setting 'beta' is '0.2' but the checkpoint was made with '0.1'"});
    refused(good, {{"beta", "0.1"}, {"learning_rate", "0.01"}, {"width", "64"}},
            {"setting 'width' is '64' but the checkpoint was made with no value"});
    refused(good, {{"beta", "0.1"}},
            {"made with the setting 'learning_rate', which this run does not have"});
  }
  SECTION("tensors that are missing") {
    for (const std::string prefix :
         {"", "adam.first_moment.", "adam.second_moment.", "ema.", "ema_compensation."})
      refused_after({"tensor '" + prefix + bias + "'", "none"},
                    [&](Contents& c) { c.erase(prefix + bias); });
  }
  SECTION("tensors that the model does not have") {
    for (const std::string& name :
         {std::string("velocity.decoder.7.bias"), std::string("ema.other"),
          std::string("adam.first_moment.ema.") + bias, std::string("ema.")})
      refused_after({"tensor '" + name + "'", "the model has no such parameter"},
                    [&](Contents& c) { c.at(bias).name = name; });
  }
  SECTION("tensors of another shape or type") {
    for (const std::string prefix : {"", "adam.first_moment.", "adam.second_moment.", "ema."}) {
      refused_after({prefix + weight, "expected F32 [2, 8]", "found F32 [8, 2]"}, [&](Contents& c) {
        c.at(prefix + weight).shape = {8, 2};
      });
      refused_after({prefix + bias, "expected F32 [2]", "found F64 [1]"}, [&](Contents& c) {
        c.at(prefix + bias).dtype = vrfm::DType::f64;
        c.at(prefix + bias).shape = {1};
      });
    }
  }
  SECTION("the number of steps") {
    for (const std::string step : {"-3", "3x", "", " 3", "4294967296", "99999999999999999999"})
      refused_after({"number of steps", "'" + step + "'"},
                    [&](Contents& c) { c.metadata["step"] = step; });
    refused_after({"number of steps", "is this a checkpoint?"},
                  [&](Contents& c) { c.metadata.erase("step"); });
    vrfm::save_weights(bad, flow_from(1), settings);
    refused(bad, settings, {"is this a checkpoint?"});
  }
  SECTION("numbers that are none") {
    std::vector<float> numbers;
    for (const std::string prefix : {"", "adam.second_moment."}) {
      refused_after({"tensor '" + prefix + bias + "'", "element 1 is nan"}, [&](Contents& c) {
        Tensor& tensor = c.at(prefix + bias);
        const auto values = tensor.values<float>();
        numbers.assign(values.begin(), values.end());
        numbers[1] = std::numeric_limits<float>::quiet_NaN();
        tensor.data = std::as_bytes(std::span(numbers));
      });
    }
  }
  SECTION("the file") {
    refused(folder / "nowhere", settings, {"cannot read"});
    const std::string bytes = slurp(good);
    for (const std::size_t size :
         {std::size_t(0), std::size_t(7), bytes.size() / 3, bytes.size() / 2, bytes.size() - 1}) {
      spill(bad, bytes.substr(0, size));
      refused(bad, settings, {});
    }
    spill(bad, bytes + "x");
    refused(bad, settings, {});
  }
  SECTION("a moving average that this run does not keep") {
    auto options = tiny_options();
    options.ema_decay = 0;
    auto plain = busy_trainer(options);
    const State plain_before = state_of(plain);
    const auto error =
        thrown<std::runtime_error>([&] { vrfm::load_checkpoint(good, plain, settings); });
    CHECK(has_all(error, {"good", "the checkpoint has 'ema'", "this run's state is: adam."}));
    CHECK((state_of(plain) == plain_before));
    vrfm::save_checkpoint(bad, plain, settings);
    refused(bad, settings, {"tensor 'ema.", "none"});
  }

  // The trainer is still good for the checkpoint that fits.
  vrfm::load_checkpoint(good, trainer, settings);
  CHECK((state_of(trainer) == state_of(source)));
}

TEST_CASE("an optimizer's state may be called as a part of the networks is",
          "[training][checkpoint]") {
  const TemporaryFolder folder;
  const auto exec = Kokkos::DefaultExecutionSpace();
  const auto noise = vrfm::standard_normal<float>(exec, 2);
  const auto make = [&](std::uint32_t seed) {
    return vrfm::Trainer(flow_from(seed), vrfm::Elbo{}, NamedAsNetwork{},
                         vrfm::independent(noise, noise), {.batch = 8});
  };
  auto first = make(1), second = make(2);
  first.run(2);
  vrfm::save_checkpoint(folder / "c", first, {});
  vrfm::load_checkpoint(folder / "c", second, {});
  CHECK((state_of(second) == state_of(first)));
}

TEST_CASE("a checkpoint that cannot be written leaves the earlier one", "[training][checkpoint]") {
  const TemporaryFolder folder;
  auto trainer = busy_trainer();
  vrfm::save_checkpoint(folder / "c", trainer, settings);
  const auto bytes = slurp(folder / "c");
  CHECK(contains(thrown<std::runtime_error>(
                     [&] { vrfm::save_checkpoint(folder / "c" / "d", trainer, settings); }),
                 "cannot write"));
  CHECK(thrown<std::invalid_argument>([&] {
          vrfm::save_checkpoint(folder / "c", trainer, {{"name", "\xff"}});
        }) != "(nothing thrown)");
  CHECK((slurp(folder / "c") == bytes));
  CHECK(folder.names() == std::vector<std::string>{"c"});
}

TEST_CASE("weights return to the last bit", "[training][weights]") {
  const TemporaryFolder folder;
  const auto from = flow_from(1), to = flow_from(2);
  CHECK(host_numbers(from.values()) != host_numbers(to.values()));
  vrfm::save_weights(folder / "w", from, settings);
  CHECK((vrfm::load_weights(folder / "w", to) == settings));
  CHECK(host_numbers(from.values()) == host_numbers(to.values()));

  // One tensor a parameter, under its own name and in its own shape.
  const auto file = vrfm::SafetensorsFile::read(folder / "w");
  const auto& slots = from.parameters().entries();
  REQUIRE(file.tensors().size() == slots.size());
  for (const auto& slot : slots) CHECK(file.at(slot.name).shape == slot.shape);
}

TEST_CASE("weights of a wrapped network load", "[training][weights]") {
  const TemporaryFolder folder;
  const auto from = flow_from(1), to = flow_from(2);
  vrfm::save_weights(folder / "w", from);
  for (const std::string prefix : {"module.", "_orig_mod.", "module._orig_mod."}) {
    const auto other = flow_from(3);
    rewrite(folder / "w", folder / "wrapped", [&](Contents& c) {
      for (Tensor& tensor : c.tensors) tensor.name = prefix + tensor.name;
    });
    vrfm::load_weights(folder / "wrapped", other);
    CHECK(host_numbers(from.values()) == host_numbers(other.values()));
  }
  rewrite(folder / "w", folder / "one", [](Contents& c) { c.at(bias).name.insert(0, "module."); });
  CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::load_weights(folder / "one", to); }),
                {"module.", "no such parameter"}));
}

TEST_CASE("weights come out of a checkpoint too", "[training][weights]") {
  const TemporaryFolder folder;
  auto trainer = busy_trainer();
  vrfm::save_checkpoint(folder / "c", trainer, settings);
  const auto to = flow_from(2);
  CHECK(vrfm::load_weights(folder / "c", to).at("step") == "2");
  CHECK(host_numbers(to.values()) == host_numbers(trainer.values()));
  CHECK(vrfm::load_average(folder / "c", to).at("step") == "2");
  CHECK(host_numbers(to.values()) == host_numbers(trainer.average()));
  CHECK(host_numbers(trainer.average()) != host_numbers(trainer.values()));
  CHECK((vrfm::checkpoint_settings(vrfm::SafetensorsFile::read(folder / "c")) == settings));

  vrfm::save_weights(folder / "w", to, settings);
  CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::load_average(folder / "w", to); }),
                {"w", "ema."}));
  CHECK(vrfm::checkpoint_settings(vrfm::SafetensorsFile::read(folder / "w")).empty());
}

TEST_CASE("settings of weights have names of their own", "[training][weights]") {
  const TemporaryFolder folder;
  for (const std::string name : {"step", "state", "network.groups"}) {
    CHECK(thrown<std::invalid_argument>([&] {
            vrfm::save_weights(folder / "w", flow_from(1), {{name, "1"}});
          }) == "vrfm: save_weights: a setting may not be called '" + name +
                    "', which means something else in weights and checkpoints");
  }
  CHECK(folder.names().empty());
}

TEST_CASE("weights that do not fit change nothing", "[training][weights]") {
  const TemporaryFolder folder;
  const auto good = folder / "good", bad = folder / "bad";
  vrfm::save_weights(good, flow_from(1));
  const auto flow = flow_from(2);
  const auto before = host_numbers(flow.values());
  const auto refused_after = [&](const std::vector<std::string>& words,
                                 const std::function<void(Contents&)>& change) {
    rewrite(good, bad, change);
    const auto error = thrown<std::runtime_error>([&] { vrfm::load_weights(bad, flow); });
    INFO(error);
    CHECK(has_all(error, words));
    CHECK(host_numbers(flow.values()) == before);
  };
  refused_after({bias, "none"}, [](Contents& c) { c.erase(bias); });
  refused_after({"'more'", "no such parameter"}, [](Contents& c) { c.at(bias).name = "more"; });
  refused_after({weight, "[2, 8]", "[16]"}, [](Contents& c) { c.at(weight).shape = {16}; });
  const vrfm::Flow<double> wide(Kokkos::DefaultExecutionSpace(), tiny_flow(), 2);
  CHECK(has_all(thrown<std::runtime_error>([&] { vrfm::load_weights(good, wide); }),
                {"expected F64", "found F32"}));
}

TEST_CASE("weights of 16 bits are read as the values that they are", "[training][weights]") {
  const TemporaryFolder folder;
  const auto good = folder / "good", brain = folder / "brain", ieee = folder / "half";
  const auto flow = flow_from(1);
  vrfm::save_weights(good, flow);
  // BF16 is the first half of each float; F16 of one tensor holds 1.5 and -0.25.
  std::vector<std::vector<std::byte>> kept;
  rewrite(good, brain, [&](Contents& c) {
    for (Tensor& tensor : c.tensors) {
      auto& bytes = kept.emplace_back();
      for (std::size_t i = 0; i < tensor.data.size(); i += 4)
        bytes.insert(bytes.end(), {tensor.data[i + 2], tensor.data[i + 3]});
      tensor.dtype = vrfm::DType::bf16;
    }
    for (std::size_t k = 0; k < kept.size(); ++k) c.tensors[k].data = kept[k];
  });
  const std::vector<std::uint16_t> two{0x3e00, 0xb400};
  rewrite(good, ieee, [&](Contents& c) {
    c.at(bias).dtype = vrfm::DType::f16;
    c.at(bias).data = std::as_bytes(std::span(two));
  });

  const auto read = flow_from(2);
  vrfm::load_weights(brain, read);
  auto expected = host_numbers(flow.values());
  for (auto& value : expected)
    value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(float(value)) & 0xffff'0000u);
  CHECK(host_numbers(read.values()) == expected);
  const vrfm::Flow<double> wide(Kokkos::DefaultExecutionSpace(), tiny_flow(), 2);
  vrfm::load_weights(brain, wide);
  const auto doubles = host_numbers(wide.values());
  CHECK(std::equal(doubles.begin(), doubles.end(), expected.begin(), expected.end()));

  vrfm::load_weights(ieee, read);
  for (const auto& slot : read.parameters().entries())
    if (slot.name == bias) {
      CHECK(host_numbers(read.values()).at(slot.offset) == 1.5f);
      CHECK(host_numbers(read.values()).at(slot.offset + 1) == -0.25f);
    }
}
