// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Classifier: the networks of networks.hpp with their parameters: what a Trainer fits by CrossEntropy
// (objectives/cross_entropy.hpp), and features and logits of images, some at a time. Its features compare images of a
// data set where there are no weights of the Inception network, or where these know nothing of such images.
#pragma once

#include <vrfm/linalg/batch_context.hpp>
#include <vrfm/linalg/parts.hpp>
#include <vrfm/models/classifier/networks.hpp>
#include <vrfm/models/model.hpp>

namespace vrfm {

/// Of images: rows x features, and rows x classes.
template <Real T, ExecutionSpace Exec>
struct ClassifierOutput {
  Table<T, Exec> features, logits;
};

template <Real T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          Compute precision = Compute::float32, class List = DefaultEngines>
class Classifier {
 public:
  static constexpr Compute compute = precision;
  using products = Products<precision, List>;
  using value_type = T;
  using execution_space = Exec;
  using Options = ClassifierOptions;

  /// Draws the parameters from `seed`. Throws std::invalid_argument naming the first impossible option, or a seed of
  /// more than 32 bits.
  Classifier(const Exec& exec, const Options& options, std::uint64_t seed)
      : exec_(exec), networks_(list_, options) {
    values_ = Array<T, Exec>("vrfm::Classifier::parameters", list_.count());
    initialize<Exec, T>(exec_, list_, values_, narrow<std::uint32_t>(seed, "the seed"));
  }

  const Exec& exec() const { return exec_; }
  /// Columns of an image.
  int dimension() const { return networks_.classifier.inputs(); }
  const ClassifierNetworks& networks() const { return networks_; }
  const ParameterList& parameters() const { return list_; }
  const Array<T, Exec>& values() const { return values_; }

  /// The same networks on other values, such as a trainer's moving average; these are shared, not copied. Throws
  /// std::invalid_argument for another number of values.
  Classifier with_values(const Array<T, Exec>& values) const {
    expect_same("the values", values.extent(0), "the classifier", list_.count(), "numbers");
    Classifier other = *this;
    other.values_ = values;
    return other;
  }

  /// images: rows x dimension(), pixels row by row, channels last, in [-1, 1] as images are trained on; `batch` at a
  /// time. Throws std::invalid_argument for another number of columns.
  ClassifierOutput<T, Exec> operator()(const Table<const T, Exec>& images, int batch = 64) const {
    const auto& network = networks_.classifier;
    expect_same("the images", images.extent(1), "the classifier",
                static_cast<std::size_t>(dimension()), "columns");
    expect(batch >= 1, "images at a time must be >= 1, got ", batch);
    const auto table = [&](const std::string& name, int columns) {
      return Table<T, Exec>(Kokkos::view_alloc(Kokkos::WithoutInitializing, name), images.extent(0),
                            static_cast<std::size_t>(columns));
    };
    const ClassifierOutput<T, Exec> out{table("vrfm::Classifier::features", network.features()),
                                        table("vrfm::Classifier::logits", network.outputs())};
    const auto x = matrix(images);
    const Matrix<T> features = matrix(out.features), logits = matrix(out.logits);
    const auto part = [&](const Batch& ctx, int first, int rows, Arena<T>& arena) {
      network.forward(ctx, values_.data(), x.row_range(first, rows),
                      features.row_range(first, rows), logits.row_range(first, rows),
                      static_cast<ConvClassifier::Saved<T>*>(nullptr), arena);
    };
    run_in_parts<Batch, T>(exec_, "vrfm::Classifier::memory", x.rows, batch, part);
    return out;
  }

 private:
  using Batch = BatchContextOf<Exec, Classifier>;

  Exec exec_;
  ParameterList list_;
  ClassifierNetworks networks_;
  Array<T, Exec> values_;
};

}  // namespace vrfm
