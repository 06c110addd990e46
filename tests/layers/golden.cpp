// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The layers of images against PyTorch in double: tests/golden/make_layers.py stored inputs,
// weights, outputs and gradients of each in image_layers.safetensors. One execution space is enough:
// that all agree, and float with double, is the conformance test's concern.
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/padded.hpp>

#include <vrfm/io/safetensors.hpp>
#include <vrfm/layers/attention.hpp>
#include <vrfm/layers/conv.hpp>
#include <vrfm/layers/group_norm.hpp>
#include <vrfm/layers/resample.hpp>
#include <vrfm/linalg/batch_context.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

using Space = Kokkos::DefaultExecutionSpace;
using Ctx = BatchContext<Space>;
using Rows = Padded<double, Space>;

/// The tensors of one layer.
class Golden {
 public:
  explicit Golden(const std::string& layer) : layer_(layer) {
    const auto file =
        SafetensorsFile::read(std::filesystem::path(__FILE__).parent_path().parent_path() /
                              "golden" / "image_layers.safetensors");
    for (const auto& tensor : file.tensors()) {
      if (!tensor.name.starts_with(layer + ".")) continue;
      auto& values = values_[tensor.name.substr(layer.size() + 1)];
      for (const double value : tensor.values<double>()) values.push_back(value);
    }
  }

  const std::vector<double>& operator()(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error("no tensor " + layer_ + "." + name);
    return found->second;
  }

  Rows rows(const std::string& name, int cols) const {
    const auto& values = (*this)(name);
    return Rows(static_cast<int>(values.size()) / cols, cols, values);
  }

  /// Values or gradients (`prefix`) of all parameters, as the flat array has them.
  std::vector<double> parameters(const ParameterList& list, const std::string& prefix = "") const {
    std::vector<double> all;
    for (const auto& slot : list.entries()) {
      const auto& values = (*this)(prefix + slot.name.substr(slot.name.find('.') + 1));
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  /// Compares with PyTorch's numbers: some 100 roundings.
  void check(const std::string& name, Rows& actual) const {
    compare(name, actual.read(), (*this)(name));
  }
  void check_gradients(const ParameterList& list, Rows& actual) const {
    compare("gradients", actual.read(), parameters(list, "gradient."));
  }

 private:
  void compare(const std::string& name, const std::vector<double>& actual,
               const std::vector<double>& expected) const {
    INFO(layer_ << "." << name);
    const double tolerance = 128 * epsilon<double> * (1 + largest(expected));
    CHECK(difference(actual, expected, tolerance) == "");
  }

  std::string layer_;
  std::map<std::string, std::vector<double>> values_;
};

/// Working memory of `numbers` numbers.
struct Memory {
  explicit Memory(int numbers) : block(1, numbers), arena(block.data(), std::size_t(numbers)) {}
  Rows block;
  Arena<double> arena;
};

/// Output and gradients of a layer of one input.
template <class L>
void check(const std::string& name, const L& layer, const ParameterList& list) {
  const Golden golden(name);
  const int n = static_cast<int>(list.count());
  Rows p(1, n, golden.parameters(list)), x = golden.rows("x", layer.inputs()),
                                         dy = golden.rows("dy", layer.outputs());
  Rows y(dy.matrix().rows, layer.outputs()), dx(x.matrix().rows, layer.inputs()), g(1, n);
  const Ctx ctx{Space()};
  Memory memory(20000);
  typename L::template Saved<double> saved{};
  layer.forward(ctx, p.data(), x.matrix(), y.matrix(), &saved, memory.arena);
  layer.backward(ctx, p.data(), Gradient<double>{g.data(), false}, x.matrix(), dy.matrix(),
                 dx.matrix(), saved, memory.arena);
  golden.check("y", y);
  golden.check("dx", dx);
  golden.check_gradients(list, g);
}

}  // namespace

TEST_CASE("group norm agrees with PyTorch", "[layers][golden]") {
  ParameterList list;
  check("group_norm", GroupNorm<>(list, "norm", 35, 6, 2), list);
}

TEST_CASE("adaptive group norm agrees with PyTorch", "[layers][golden]") {
  ParameterList list;
  const GroupNorm<Silu> norm(list, "norm", 9, 4, 2);
  const Golden golden("adaptive_norm");
  Rows p(1, 8, golden.parameters(list)), x = golden.rows("x", 4), dy = golden.rows("dy", 4),
                                         modulation = golden.rows("modulation", 8);
  Rows y(18, 4), dx(18, 4), dmodulation(2, 8), g(1, 8);
  const Ctx ctx{Space()};
  Memory memory(20000);
  GroupNorm<Silu>::Saved<double> saved{};
  norm.forward(ctx, p.data(), x.matrix(), modulation.matrix(), y.matrix(), &saved, memory.arena);
  norm.backward(ctx, p.data(), Gradient<double>{g.data(), false}, x.matrix(), dy.matrix(),
                dx.matrix(), dmodulation.matrix(), saved, memory.arena);
  golden.check("y", y);
  golden.check("dx", dx);
  golden.check("dmodulation", dmodulation);
  golden.check_gradients(list, g);
}

TEST_CASE("pooling and upsampling agree with PyTorch", "[layers][golden]") {
  const ParameterList none;
  check("average_pool", AveragePool({5, 4}, 3, 2), none);
  check("nearest_upsample", NearestUpsample({2, 3}, 3, 2), none);
  check("average_pool1d", AveragePool(5, 3, 2), none);
  check("average_pool3d", AveragePool({4, 3, 5}, 3, 2), none);
  check("nearest_upsample1d", NearestUpsample(4, 3, 2), none);
  check("nearest_upsample3d", NearestUpsample({1, 2, 3}, 2, 2), none);
}

TEST_CASE("convolutions of signals and volumes agree with PyTorch", "[layers][golden]") {
  const auto conv = [](const char* name, const PixelGrid& grid, int stride, int inputs, int outputs,
                       const std::vector<std::size_t>& shape) {
    ParameterList list;
    const Conv layer(list, "conv", Window::over(grid, 3, stride, 1), inputs, outputs);
    CHECK(list.entries().front().shape == shape);
    check(name, layer, list);
  };
  conv("conv1d", 7, 1, 3, 4, {4, 3, 3});
  conv("conv1d_halves", 7, 2, 3, 4, {4, 3, 3});
  conv("conv3d", {3, 4, 5}, 1, 2, 3, {3, 2, 3, 3, 3});
  conv("conv3d_halves", {3, 4, 5}, 2, 2, 3, {3, 2, 3, 3, 3});
}

TEST_CASE("attention agrees with PyTorch", "[layers][golden]") {
  check("attention", MultiHeadAttention(6, 8, 2), ParameterList());
}
