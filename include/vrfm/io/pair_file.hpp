// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PairFile: a safetensors file of pairs that a flow made (reflow: Liu, Gong and Liu 2023, arXiv 2209.03003), which is
// mapped and may be larger than memory. It has n rows of
//   x0, x1   [n, dimension]       F32 or F64, all of one type
//   z        [n, latent]          the latent variable that led from x0 to x1     and where there is any
//   vector   [n, columns], field [n, field_columns], labels [n] I32              the condition that it was made under
// PairWriter writes it block by block.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vrfm/io/file.hpp>
#include <vrfm/io/safetensors.hpp>

namespace vrfm {

/// What a row of pairs consists of; 0: it has none.
struct PairShape {
  std::size_t count = 0;      ///< of pairs
  std::size_t dimension = 1;  ///< columns of x0 and of x1
  std::size_t latent = 0;
  std::size_t columns = 0;  ///< of the vector
  std::size_t field_columns = 0;
  bool labels = false;
};

/// Consecutive rows, row-major; what there is not is empty.
template <FileValue T>
struct PairRows {
  std::span<const T> x0, x1, z, vector, field;
  std::span<const std::int32_t> labels;
};

/// Writes the rows one block behind the other. The file appears, complete, at commit(), or not at all. Throws
/// std::invalid_argument for rows that do not fit the shape, std::runtime_error as AtomicFile does.
template <FileValue T>
class PairWriter {
  static_assert(std::is_floating_point_v<T>, "vrfm: pairs are of float or double");

 public:
  PairWriter(const std::filesystem::path& path, const PairShape& shape,
             const Metadata& metadata = {})
      : file_(path), count_(shape.count) {
    if (count_ == 0 || shape.dimension == 0)
      throw std::invalid_argument(path.string() + ": expected at least one pair of one column");
    const auto add = [&](const char* name, DType dtype, std::size_t columns) {
      if (columns == 0) return;
      std::vector<std::size_t> extents{count_};
      if (dtype != DType::i32) extents.push_back(columns);
      columns_.push_back(columns);
      places_.push_back({name, dtype, std::move(extents)});
    };
    constexpr DType real = dtype_of<T>();
    add("x0", real, shape.dimension);
    add("x1", real, shape.dimension);
    add("z", real, shape.latent);
    add("vector", real, shape.columns);
    add("field", real, shape.field_columns);
    add("labels", DType::i32, shape.labels ? 1 : 0);
    layout_ = safetensors_layout(std::span<const Place>(places_), metadata);
    file_.write_at(0, std::as_bytes(std::span(layout_.head)));
  }

  /// The next rows.
  void write(const PairRows<T>& rows) {
    const std::size_t more = rows.x0.size() / columns_[0];
    if (more > count_ - done_)
      throw std::invalid_argument("pairs: expected at most " + std::to_string(count_ - done_) +
                                  " rows more, found " + std::to_string(more));
    for (const bool writes : {false, true}) {
      std::size_t k = 0;
      const auto part = [&](const char* name, auto values) {
        const bool wanted = k < places_.size() && places_[k].name == name;
        const std::size_t expected = wanted ? more * columns_[k] : 0;
        if (values.size() != expected)
          throw std::invalid_argument(std::string("pairs: expected ") + std::to_string(expected) +
                                      " numbers of " + name + ", found " +
                                      std::to_string(values.size()));
        if (!wanted) return;
        const std::size_t row_bytes = columns_[k] * sizeof(values[0]);
        if (writes) file_.write_at(layout_.begins[k] + done_ * row_bytes, std::as_bytes(values));
        ++k;
      };
      part("x0", rows.x0);
      part("x1", rows.x1);
      part("z", rows.z);
      part("vector", rows.vector);
      part("field", rows.field);
      part("labels", rows.labels);
    }
    done_ += more;
  }

  /// To be called once, when all rows are written.
  void commit() {
    if (done_ != count_)
      throw std::invalid_argument("pairs: expected " + std::to_string(count_) +
                                  " rows to be written, found " + std::to_string(done_));
    file_.commit();
  }

 private:
  struct Place {
    std::string name;
    DType dtype;
    std::vector<std::size_t> shape;
  };

  AtomicFile file_;
  std::size_t count_, done_ = 0;
  std::vector<Place> places_;
  std::vector<std::size_t> columns_;  // of each place
  SafetensorsLayout layout_;
};

class PairFile {
 public:
  /// Maps a file, whose header is checked, and its labels. Throws std::runtime_error that names the file, what was
  /// expected and what was found.
  static PairFile open(const std::filesystem::path& path) {
    return PairFile(SafetensorsFile::map(path));
  }

  const std::string& name() const { return file_.name(); }
  const Metadata& metadata() const { return file_.metadata(); }
  const PairShape& shape() const { return shape_; }
  /// The largest label; -1: there are none.
  int largest_label() const { return largest_label_; }

  /// All rows, in the mapped file; they stay valid until the object is destroyed, also when it is moved. Throws
  /// std::runtime_error if they are of another type.
  template <FileValue T>
  PairRows<T> rows() const {
    const auto of = [&](const char* tensor, std::size_t columns) -> std::span<const T> {
      if (columns == 0) return {};
      return file_.values<T>(tensor, std::vector{shape_.count, columns});
    };
    return {of("x0", shape_.dimension),   of("x1", shape_.dimension),        of("z", shape_.latent),
            of("vector", shape_.columns), of("field", shape_.field_columns), labels()};
  }

 private:
  explicit PairFile(SafetensorsFile file) : file_(std::move(file)) {
    using detail::io::describe;
    using detail::io::fail;
    const Tensor& x0 = file_.at("x0");
    if ((x0.dtype != DType::f32 && x0.dtype != DType::f64) || x0.shape.size() != 2 ||
        x0.data.empty())
      fail(name(), "tensor 'x0': expected F32 or F64 [n, dimension], found " +
                       describe(x0.dtype, x0.shape));
    shape_.count = x0.shape[0];
    const auto columns_of = [&](const char* tensor) -> std::size_t {
      const Tensor* found = file_.find(tensor);
      if (found == nullptr) return 0;
      if (found->dtype != x0.dtype || found->shape.size() != 2 || found->data.empty() ||
          found->shape[0] != shape_.count)
        fail(name(), std::string("tensor '") + tensor + "': expected " +
                         std::string(detail::io::row(x0.dtype).safetensors) + " of " +
                         std::to_string(shape_.count) + " rows as x0, found " +
                         describe(found->dtype, found->shape));
      return found->shape[1];
    };
    shape_.dimension = x0.shape[1];
    if (columns_of("x1") != shape_.dimension)
      fail(name(),
           "expected a tensor 'x1' of the shape of x0 " + detail::io::format_shape(x0.shape));
    shape_.latent = columns_of("z");
    shape_.columns = columns_of("vector");
    shape_.field_columns = columns_of("field");
    shape_.labels = file_.find("labels") != nullptr;
    constexpr std::size_t most_rows = 0x7fff'ffff;
    if (shape_.count > most_rows) fail(name(), "expected fewer than 2^31 pairs");
    for (const std::int32_t label : labels()) {
      if (label < 0)
        fail(name(), "tensor 'labels': expected 0 or more, found " + std::to_string(label));
      largest_label_ = (std::max)(largest_label_, label);
    }
  }

  std::span<const std::int32_t> labels() const {
    if (!shape_.labels) return {};
    return file_.values<std::int32_t>("labels", std::vector{shape_.count});
  }

  SafetensorsFile file_;
  PairShape shape_;
  int largest_label_ = -1;
};

}  // namespace vrfm
