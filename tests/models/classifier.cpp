// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The convolutional classifier: its derivatives as a layer, PyTorch's features and logits
// (tests/golden/make_classifier.py), images some at a time, and what is refused.
#include <string>
#include <vector>

#include <tests/support/catch.hpp>
#include <tests/support/compare.hpp>
#include <tests/support/conformance.hpp>
#include <tests/support/golden_numbers.hpp>
#include <tests/support/numbers.hpp>
#include <tests/support/spaces.hpp>
#include <tests/support/table.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/core/copy.hpp>
#include <vrfm/models/classifier/classifier.hpp>

using namespace vrfm;
using namespace vrfm::test;

namespace {

/// The extents of make_classifier.py.
const ClassifierOptions golden_options{
    .height = 13, .width = 8, .channels = 3, .classes = 5, .base = 6, .features = 7};

template <class T, class Exec>
void fill(const Classifier<T, Exec>& classifier) {
  const auto host = Kokkos::create_mirror_view(classifier.values());
  for (const auto& slot : classifier.parameters().entries()) {
    const auto numbers = golden_numbers(slot.name, slot.count);
    const double scale = golden_scale(slot.shape);
    for (std::size_t k = 0; k < slot.count; ++k) {
      host(slot.offset + k) = static_cast<T>(numbers[k] * scale);
    }
  }
  Kokkos::deep_copy(classifier.values(), host);
}

std::vector<double> golden(const char* name) {
  const auto file = golden_file("classifier.safetensors");
  const auto values = file.at(name).values<double>();
  return {values.begin(), values.end()};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("the classifier conforms", "[models][classifier]", Spaces) {
  ParameterList list;
  const ConvClassifier classifier(
      list, "classifier",
      {.height = 8, .width = 9, .channels = 2, .classes = 3, .base = 4, .features = 5});
  const Columns all{0, classifier.inputs()};
  conform<TestType>(classifier, list.count(),
                    {.differentiable = all, .tangent = all, .roughness = 1 << 14, .weights = 0.5});
}

TEMPLATE_LIST_TEST_CASE("features and logits are PyTorch's", "[models][classifier]",
                        SpacesAndReals) {
  using T = typename TestType::Real;
  using Exec = typename TestType::Exec;
  const Classifier<T, Exec> classifier(Exec(), golden_options, 1);
  fill(classifier);
  const auto images = table<T, Exec>(
      2, static_cast<std::size_t>(classifier.dimension()),
      golden_numbers("images", 2 * static_cast<std::size_t>(classifier.dimension())));
  const auto out = classifier(images);
  // Sums of up to 9 x 12 products in each of five layers.
  const auto features = golden("features"), logits = golden("answers");
  CHECK(difference(numbers_of(out.features), features, 5 * 108 * epsilon<T> * largest(features)) ==
        "");
  CHECK(difference(numbers_of(out.logits), logits, 5 * 108 * epsilon<T> * largest(logits)) == "");
}

TEST_CASE("images are classified some at a time, or none", "[models][classifier]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const Classifier<float, Exec> classifier(Exec(), golden_options, 3);
  const auto columns = static_cast<std::size_t>(classifier.dimension());
  Numbers numbers(4);
  const auto images = table<float, Exec>(7, columns, numbers.take(7 * columns));
  const auto all = classifier(images, 7), some = classifier(images, 3), whole = classifier(images);
  CHECK(numbers_of(all.features) == numbers_of(some.features));
  CHECK(numbers_of(all.logits) == numbers_of(some.logits));
  CHECK(numbers_of(all.logits) == numbers_of(whole.logits));
  CHECK(some.features.extent(1) == 7);
  CHECK(some.logits.extent(1) == 5);
  CHECK(classifier(Table<float, Exec>("none", 0, columns)).features.extent(0) == 0);
  // Other values, the same networks.
  const Array<float, Exec> zeros("zeros", classifier.parameters().count());
  for (const double logit : numbers_of(classifier.with_values(zeros)(images).logits))
    CHECK(logit == 0);
  CHECK(numbers_of(classifier(images).logits) == numbers_of(all.logits));

  using Invalid = std::invalid_argument;
  CHECK(thrown<Invalid>([&] { classifier(Table<float, Exec>("images", 2, columns + 1)); }) ==
        "vrfm: the images has 313 columns but the classifier has 312 columns");
  CHECK(thrown<Invalid>([&] { classifier(images, 0); }) ==
        "vrfm: images at a time must be >= 1, got 0");
  CHECK(thrown<Invalid>([&] { classifier.with_values(Array<float, Exec>("few", 3)); }) ==
        text("vrfm: the values has 3 numbers but the classifier has ",
             classifier.parameters().count(), " numbers"));
}

TEST_CASE("the classifiers of MNIST's and CIFAR-10's extents are small", "[models][classifier]") {
  using Exec = Kokkos::DefaultExecutionSpace;
  const auto parameters = [](const ClassifierOptions& o) {
    return Classifier<float, Exec>(Exec(), o, 1).parameters().count();
  };
  CHECK(parameters({}) == 131'210);
  CHECK(parameters({.height = 32, .width = 32, .channels = 3}) == 189'130);
  const auto refused = [&](const ClassifierOptions& o) {
    return thrown<std::invalid_argument>([&] { parameters(o); });
  };
  CHECK(refused({.height = 7}) ==
        "vrfm: a classifier needs images of at least 8 x 8 pixels and a channel, got 7 x 28 x 1");
  CHECK(refused({.classes = 1}) == "vrfm: a classifier needs at least 2 classes, got 1");
  CHECK(refused({.base = 0}) ==
        "vrfm: a classifier needs base >= 1 and features >= 1, got 0 and 128");
}
