// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The networks and activations against PyTorch: tests/golden/make_layers.py stored weights, inputs
// and PyTorch's results in layers.safetensors. The last test writes a file of the same layout from
// other weights; with VRFM_GOLDEN_OUT set to a path it stays there, for `make_layers.py --check`.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/padded.hpp>

#include <vrfm/io/safetensors.hpp>
#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/models/flow.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Shape = std::vector<std::size_t>;

struct Values {
  Shape shape;
  std::vector<double> values;
};
using Named = std::map<std::string, Values>;

constexpr int rows = 5;

/// The extents of make_layers.py.
MlpNetworks<Gelu> networks(ParameterList& list) {
  const EncoderOptions encoder{.features = 8, .width = 8};
  const auto all = EncoderInput::x0 | EncoderInput::x1 | EncoderInput::x_t | EncoderInput::t;
  MlpNetworks<Gelu> networks;
  networks.velocity = MlpVelocity<Gelu>(
      list, "velocity",
      {.dimension = 2, .latent = 3, .encoder = encoder, .latent_width = 7, .decoder_width = 9});
  networks.posterior = MlpPosterior<Gelu>(
      list, "posterior",
      {.dimension = 2, .latent = 3, .input = all, .encoder = encoder, .head_width = 10});
  return networks;
}

const Named::mapped_type& at(const Named& named, const std::string& name) {
  const auto found = named.find(name);
  if (found == named.end()) throw std::runtime_error("no tensor " + name);
  return found->second;
}

Named read(const std::filesystem::path& path) {
  const auto file = SafetensorsFile::read(path);
  Named named;
  for (const auto& tensor : file.tensors()) {
    Values& entry = named[tensor.name];
    entry.shape = tensor.shape;
    if (tensor.dtype == DType::f32) {
      for (const float value : tensor.values<float>()) entry.values.push_back(double(value));
    } else {
      for (const double value : tensor.values<double>()) entry.values.push_back(value);
    }
  }
  return named;
}

Named read_golden() {
  return read(std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" /
              "layers.safetensors");
}

/// Everything that PyTorch computed, in T; `given` holds weights and inputs. One execution space is
/// enough: that all agree is the conformance test's concern.
template <class T>
Named results(const Named& given) {
  using Exec = Kokkos::DefaultExecutionSpace;
  ParameterList list;
  const auto flow = networks(list);
  std::vector<double> parameters;
  for (const auto& slot : list.entries()) {
    const auto& [shape, values] = at(given, slot.name);
    if (shape != slot.shape) throw std::runtime_error("wrong shape of " + slot.name);
    parameters.insert(parameters.end(), values.begin(), values.end());
  }
  const auto input = [&](const std::string& name, int cols) {
    return Padded<T, Exec>(rows, cols, at(given, name).values);
  };
  const int n = static_cast<int>(list.count());
  Padded<T, Exec> p(1, n, parameters), t = input("t", 1), x = input("x", 2), z = input("z", 3),
                                       x0 = input("x0", 2), x1 = input("x1", 2),
                                       dv = input("dv", 2), dmoments = input("dmoments", 6),
                                       tangent_x = input("tangent_x", 2);
  Padded<T, Exec> v(rows, 2), moments(rows, 6), dx(rows, 2), dz(rows, 3), tangent_v(rows, 2),
      g(1, n);

  const Exec exec;
  const BatchContext<Exec> ctx(exec);
  const int enough = 20000;
  Padded<T, Exec> memory(1, enough);
  Arena<T> arena(memory.data(), enough);
  typename MlpVelocity<Gelu>::template PreparedSaved<T> prepared_saved;
  typename MlpVelocity<Gelu>::template Saved<T> velocity;
  typename MlpPosterior<Gelu>::template Saved<T> posterior;
  const Gradient<T> gradient{g.data(), false};
  const int cols = flow.velocity.prepared_cols();
  const Matrix<T> prepared = arena.take(rows, cols), dprepared = arena.take(rows, cols);
  ctx.map(rows, cols, Fill<T>{dprepared, T(0)});
  Condition<T> condition{};
  condition.z = z.matrix();
  QueryGradient<T> dquery;
  dquery.x = dx.matrix();
  ConditionGradient<T> dcondition;
  dcondition.z = dz.matrix();
  flow.velocity.prepare(ctx, p.data(), condition, prepared, &prepared_saved, arena);
  flow.velocity.forward(ctx, p.data(), Query<T>{t.matrix(), x.matrix(), {}}, prepared, nullptr,
                        v.matrix(), &velocity, arena);
  flow.velocity.backward(ctx, p.data(), gradient, dv.matrix(), dquery, dprepared, velocity, arena);
  flow.velocity.prepare_backward(ctx, p.data(), gradient, dprepared, dcondition, prepared_saved,
                                 arena);
  flow.velocity.tangent(ctx, p.data(), Query<T>{{}, tangent_x.matrix(), {}}, tangent_v.matrix(),
                        velocity, arena);
  const LatentInputs<T> inputs{x0.matrix(), x1.matrix(), x.matrix(), t.matrix(), {}};
  flow.posterior.moments(ctx, p.data(), inputs, moments.matrix(), &posterior, arena);
  flow.posterior.backward(ctx, p.data(), gradient, dmoments.matrix(), ConditionGradient<T>{},
                          posterior, arena);

  const std::string prefix = sizeof(T) == 4 ? "float32." : "float64.";
  Named named{{prefix + "v", {{rows, 2}, v.read()}},
              {prefix + "moments", {{rows, 6}, moments.read()}},
              {prefix + "dx", {{rows, 2}, dx.read()}},
              {prefix + "dz", {{rows, 3}, dz.read()}},
              {prefix + "tangent_v", {{rows, 2}, tangent_v.read()}}};
  const auto gradients = g.read();
  for (const auto& slot : list.entries()) {
    const auto first = gradients.begin() + static_cast<std::ptrdiff_t>(slot.offset);
    named[prefix + "gradient." + slot.name] = {
        slot.shape, {first, first + static_cast<std::ptrdiff_t>(slot.count)}};
  }
  return named;
}

/// Value and slope of one activation as PyTorch has them. A sum of few terms of size 1 + |x|.
template <class Act>
void check_activation(const Named& golden) {
  const std::string prefix = text("activation.", Act::name);
  const auto& x = at(golden, "activation.x").values;
  std::vector<double> value, slope;
  for (const double argument : x) {
    value.push_back(Act::evaluate(argument).value);
    slope.push_back(Act::evaluate(argument).slope);
  }
  const auto tolerance = [&](std::size_t k) { return 8 * epsilon<double> * (1 + std::fabs(x[k])); };
  INFO(Act::name);
  CHECK(difference(value, at(golden, prefix + ".value").values, tolerance) == "");
  CHECK(difference(slope, at(golden, prefix + ".slope").values, tolerance) == "");
}

}  // namespace

TEST_CASE("activations agree with PyTorch", "[models][golden]") {
  const Named golden = read_golden();
  check_activation<Identity>(golden);
  check_activation<Relu>(golden);
  check_activation<Silu>(golden);
  check_activation<Gelu>(golden);
  check_activation<GeluTanh>(golden);
  check_activation<Selu>(golden);
  check_activation<Tanh>(golden);
}

TEMPLATE_TEST_CASE("the networks agree with PyTorch", "[models][golden]", float, double) {
  using T = TestType;
  const Named golden = read_golden();
  const Named actual = results<T>(golden);
  CHECK(actual.size() == 5 + 22 + 22);
  for (const auto& [name, result] : actual) {
    INFO(name);
    const auto& expected = at(golden, name);
    CHECK(result.shape == expected.shape);
    // Some 100 roundings from input to gradient.
    const double tolerance = 128 * epsilon<T> * (1 + largest(expected.values));
    CHECK(difference(result.values, expected.values, tolerance) == "");
  }
}

TEST_CASE("weights and results are written under PyTorch's names", "[models][golden]") {
  using Host = Kokkos::DefaultHostExecutionSpace;
  ParameterList list;
  networks(list);
  const Array<float, Host> weights("weights", list.count());
  initialize<Host, float>(Host(), list, weights, 77);
  Kokkos::fence();
  const Named golden = read_golden();
  Named all;
  for (const char* input : {"t", "x", "z", "x0", "x1", "dv", "dmoments", "tangent_x"}) {
    all[input] = at(golden, input);
    for (double& value : all[input].values) value *= -0.5;
  }
  for (const auto& slot : list.entries()) {
    const float* const first = weights.data() + slot.offset;
    all[slot.name] = {slot.shape, {first, first + slot.count}};
  }
  Named double_results = results<double>(all);
  all.merge(results<float>(all));
  all.merge(double_results);

  // Each number is written in the type it was computed in.
  std::vector<std::vector<float>> floats(all.size());
  auto next = floats.begin();
  std::vector<Tensor> tensors;
  for (const auto& [name, entry] : all) {
    if (name.starts_with("float64.")) {
      tensors.push_back(make_tensor(name, entry.shape, entry.values));
    } else {
      next->assign(entry.values.begin(), entry.values.end());
      tensors.push_back(make_tensor(name, entry.shape, *next++));
    }
  }
  const char* const wish = std::getenv("VRFM_GOLDEN_OUT");
  const std::filesystem::path path = wish != nullptr
                                         ? std::filesystem::path(wish)
                                         : std::filesystem::temp_directory_path() /
                                               text("vrfm-golden-", ::getpid(), ".safetensors");
  write_safetensors(path, tensors);
  const Named back = read(path);
  if (wish == nullptr) std::filesystem::remove(path);
  REQUIRE(back.size() == all.size());
  for (const auto& [name, entry] : all) {
    INFO(name);
    CHECK(at(back, name).shape == entry.shape);
    CHECK(at(back, name).values == entry.values);
    CHECK(golden.count(name) == 1);
  }
}
