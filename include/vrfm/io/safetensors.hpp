// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The safetensors format: 8 bytes with the header's size N (little-endian), N bytes of JSON, then
// the tensors' bytes without gap or overlap (https://huggingface.co/docs/safetensors). A file is
// untrusted until all of it has been checked: sizes, names, types, shapes and offsets come before
// the first allocation for data. A tensor may have any type of the format; only one that is asked
// for needs a type that becomes what is asked for.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <vrfm/io/detail/convert.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/mapping.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/detail/safetensors_header.hpp>
#include <vrfm/io/detail/safetensors_layout.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// The largest header in bytes, the reference implementation's limit.
inline constexpr std::size_t safetensors_header_limit = 100'000'000;

/// The free-form texts of a file.
using Metadata = std::map<std::string, std::string>;

/// The tensors of one file, in memory or mapped. Tensors and spans stay valid until the object is destroyed,
/// also when it is moved.
class SafetensorsFile {
 public:
  /// Reads a whole file. Throws std::runtime_error with the file, the tensor, what was expected and
  /// what was found; std::bad_alloc with the file and the bytes if these do not fit in memory.
  static SafetensorsFile read(const std::filesystem::path& path) {
    InputFile input(path);
    return SafetensorsFile(input);
  }

  /// The same from bytes in memory, which are copied; `name` stands in errors where the path would.
  static SafetensorsFile parse(std::span<const std::byte> bytes, std::string name) {
    InputBytes input(bytes, std::move(name));
    return SafetensorsFile(input);
  }

  /// Checks the header alone; tensors are bytes of the mapped file, which come from disk as they are looked at,
  /// and which must stay as it is meanwhile. Throws as read does, and for tensors that are not aligned, unless these
  /// are wanted: then Tensor::values refuses them, and copy_values takes them.
  static SafetensorsFile map(const std::filesystem::path& path, bool unaligned = false) {
    detail::io::Mapping mapping(path);
    InputBytes input(mapping.bytes(), path.string());
    return SafetensorsFile(input, std::move(mapping), unaligned);
  }

  const std::string& name() const { return name_; }
  const Metadata& metadata() const { return metadata_; }

  /// All tensors as the header lists them; their data are aligned for their type.
  std::span<const Tensor> tensors() const { return tensors_; }

  /// The tensor of that name, or null.
  const Tensor* find(std::string_view tensor) const {
    const auto position = index_.find(tensor);
    return position == index_.end() ? nullptr : &tensors_[position->second];
  }

  /// The tensor of that name. Throws std::runtime_error if there is none.
  const Tensor& at(std::string_view tensor) const {
    if (const Tensor* found = find(tensor)) return *found;
    detail::io::fail(name_, "expected a tensor " + detail::io::in_quotes(tensor) +
                                ", found none of that name among " +
                                std::to_string(tensors_.size()));
  }

  /// The elements of the tensor of that name. Throws std::runtime_error if there is none or if it
  /// has another type or shape.
  template <FileValue T>
  std::span<const T> values(std::string_view tensor, std::span<const std::size_t> shape) const {
    const Tensor& found = at(tensor);
    expect_tensor<T>(found, found.dtype == dtype_of<T>(), shape);
    return found.values<T>();
  }

  /// Copies the elements of the tensor of that name to `out`, whose size is the shape's product.
  /// F16 and BF16 become float or double, and BOOL the bytes 0 and 1. Throws std::runtime_error if
  /// there is no such tensor or if it has another type or shape.
  template <FileValue T>
  void copy_values(std::string_view tensor, std::span<const std::size_t> shape,
                   std::span<T> out) const {
    using namespace detail::io;
    const Tensor& found = at(tensor);
    expect_tensor<T>(found, reads_as<T>(found.dtype), shape);
    if (byte_count(shape, sizeof(T)) != out.size_bytes())
      throw std::invalid_argument("tensor " + in_quotes(tensor) + ": expected a place for " +
                                  describe(dtype_of<T>(), shape) + ", found one for " +
                                  std::to_string(out.size()) + " elements");
    convert(found.dtype, found.data, out.data());
  }

 private:
  template <FileValue T>
  void expect_tensor(const Tensor& found, bool right_type,
                     std::span<const std::size_t> shape) const {
    using namespace detail::io;
    if (!right_type ||
        !std::equal(shape.begin(), shape.end(), found.shape.begin(), found.shape.end()))
      fail(name_, "tensor " + in_quotes(found.name) + ": expected " +
                      describe(dtype_of<T>(), shape) + ", found " +
                      describe(found.dtype, found.shape));
  }

  /// What comes before the data.
  struct Head {
    detail::io::SafetensorsHeader header;
    std::vector<std::size_t> order;  ///< of the entries' data
    std::size_t size;                ///< where the data begin
  };

  template <class Input>
  static Head read_head(Input& input) {
    using namespace detail::io;
    const std::string& name = input.name();
    refuse_placeholder(input, "a safetensors file");
    std::array<std::byte, 8> prefix;
    if (input.size() < prefix.size())
      fail(name, "expected at least 8 bytes for the header's size, found " +
                     std::to_string(input.size()));
    input.read(prefix);
    const auto header_size = std::bit_cast<std::uint64_t>(prefix);
    const std::size_t rest = input.size() - prefix.size();
    if (header_size > safetensors_header_limit)
      fail(name, "expected a safetensors file, whose header has at most " +
                     std::to_string(safetensors_header_limit) + " bytes, found " +
                     std::to_string(header_size) + " at the beginning of " + kind_of(prefix));
    if (header_size > rest)
      fail(name, "expected a header of " + std::to_string(header_size) + " bytes, found only " +
                     std::to_string(rest) + " left in the file" + std::string(truncated));

    SafetensorsHeader header = with_memory(name, header_size, [&] {
      std::string json(header_size, '\0');
      input.read(std::as_writable_bytes(std::span(json)));
      return parse_safetensors_header(json, name);
    });
    std::vector<std::size_t> order = check_coverage(header, rest - header_size, name);
    return {std::move(header), std::move(order), prefix.size() + header_size};
  }

  /// Entry i, its data, and once all have these the rest of the header.
  void set_tensor(Head& head, std::size_t i, std::span<const std::byte> data) {
    detail::io::SafetensorsEntry& entry = head.header.entries[i];
    tensors_[i] = {std::move(entry.name), entry.dtype, std::move(entry.shape), data};
  }
  void set_rest(Head& head) {
    index_ = std::move(head.header.index);
    metadata_ = std::move(head.header.metadata);
  }

  template <class Input>
  explicit SafetensorsFile(Input& input) : name_(input.name()) {
    using namespace detail::io;
    Head head = read_head(input);
    // Other writers pack types of different sizes in any order; here each tensor starts at a
    // multiple of 8.
    const auto padded = [](std::size_t size) { return (size + 7) / 8 * 8; };
    std::size_t total = 0;
    for (const SafetensorsEntry& entry : head.header.entries)
      total += padded(entry.offsets[1] - entry.offsets[0]);
    bytes_ = with_memory(name_, total,
                         [total] { return std::make_unique_for_overwrite<std::byte[]>(total); });

    tensors_.resize(head.order.size());
    std::byte* place = bytes_.get();
    for (const std::size_t i : head.order) {
      const auto& offsets = head.header.entries[i].offsets;
      const std::span<std::byte> data(place, offsets[1] - offsets[0]);
      input.read(data);
      place += padded(data.size());
      set_tensor(head, i, data);
    }
    set_rest(head);
  }

  SafetensorsFile(InputBytes& input, detail::io::Mapping mapping, bool unaligned)
      : name_(input.name()), mapping_(std::move(mapping)) {
    using namespace detail::io;
    Head head = read_head(input);
    tensors_.resize(head.order.size());
    for (const std::size_t i : head.order) {
      const SafetensorsEntry& entry = head.header.entries[i];
      const std::size_t begin = head.size + entry.offsets[0], unit = row(entry.dtype).bits / 8;
      if (!unaligned && unit > 1 && begin % unit != 0)
        fail(name_, "tensor " + in_quotes(entry.name) + ": expected its data at a multiple of " +
                        std::to_string(unit) + " bytes, found them at byte " +
                        std::to_string(begin));
      set_tensor(head, i, mapping_.bytes().subspan(begin, entry.offsets[1] - entry.offsets[0]));
    }
    set_rest(head);
  }

  std::string name_;
  std::unique_ptr<std::byte[]> bytes_;  // of a file that was read,
  detail::io::Mapping mapping_;         // or of one that is mapped
  std::vector<Tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  Metadata metadata_;
};

/// Where everything of a file lies: what is before the data, and each tensor's data, in bytes from the file's
/// beginning.
struct SafetensorsLayout {
  std::string head;                 ///< the header's size, and the header
  std::vector<std::size_t> begins;  ///< of each tensor, as given
  std::vector<std::size_t> order;   ///< indices of the tensors as their data follow each other
};

/// The layout of a file of `tensors`, each with a name, dtype and shape. The header lists them as given and is
/// padded with spaces to a multiple of 8 bytes; the data follow by falling element size, so that all are
/// aligned. Throws std::invalid_argument for a name that is repeated, reserved or no UTF-8, for a shape whose
/// bytes cannot be counted, and for a header above the limit.
template <class Described>
SafetensorsLayout safetensors_layout(std::span<const Described> tensors, const Metadata& metadata) {
  using namespace detail::io;
  SafetensorsLayout layout;
  std::set<std::string_view> names{metadata_key};
  std::vector<std::size_t> sizes;
  for (const Described& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      throw std::invalid_argument("tensor " + in_quotes(tensor.name) +
                                  ": expected a name of its own, found it taken");
    const auto bytes = byte_count(tensor.shape, tensor.dtype);
    if (!bytes)
      throw std::invalid_argument("tensor " + in_quotes(tensor.name) +
                                  ": expected fewer than 2^64 whole bytes for " +
                                  describe(tensor.dtype, tensor.shape));
    sizes.push_back(*bytes);
    layout.order.push_back(layout.order.size());
  }
  std::stable_sort(layout.order.begin(), layout.order.end(), [&](std::size_t a, std::size_t b) {
    return row(tensors[a].dtype).bits > row(tensors[b].dtype).bits;
  });
  layout.begins.resize(tensors.size());
  std::size_t offset = 0;
  for (const std::size_t i : layout.order) offset = (layout.begins[i] = offset) + sizes[i];

  std::string header = "{";
  try {
    if (!metadata.empty())
      header += "\"" + std::string(metadata_key) + "\":" + nlohmann::json(metadata).dump() + ",";
    for (std::size_t i = 0; i < tensors.size(); ++i)
      header += nlohmann::json(tensors[i].name).dump() + ":{\"dtype\":\"" +
                std::string(row(tensors[i].dtype).safetensors) +
                "\",\"shape\":" + nlohmann::json(tensors[i].shape).dump() + ",\"data_offsets\":[" +
                std::to_string(layout.begins[i]) + "," +
                std::to_string(layout.begins[i] + sizes[i]) + "]},";
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("safetensors: expected names and metadata in UTF-8: ") +
                                error.what());
  }
  if (header.back() == ',') header.pop_back();
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > safetensors_header_limit)
    throw std::invalid_argument("safetensors: expected a header of at most " +
                                std::to_string(safetensors_header_limit) + " bytes, found " +
                                std::to_string(header.size()));

  const std::uint64_t header_size = header.size();
  layout.head.assign(reinterpret_cast<const char*>(&header_size), sizeof header_size);
  layout.head += header;
  for (std::size_t& begin : layout.begins) begin += layout.head.size();
  return layout;
}

/// Hands the bytes of a safetensors file to `write`, piece by piece. Throws std::invalid_argument before the
/// first piece, as safetensors_layout and for data that do not fill their shape.
inline void encode_safetensors(std::span<const Tensor> tensors, const Metadata& metadata,
                               const std::function<void(std::span<const std::byte>)>& write) {
  for (const Tensor& tensor : tensors) detail::io::check_filled(tensor);
  const SafetensorsLayout layout = safetensors_layout(tensors, metadata);
  write(std::as_bytes(std::span(layout.head)));
  for (const std::size_t i : layout.order) write(tensors[i].data);
}

/// Writes one file, atomically (see AtomicFile). Throws as encode_safetensors and AtomicFile do.
inline void write_safetensors(const std::filesystem::path& path, std::span<const Tensor> tensors,
                              const Metadata& metadata = {}) {
  write_file_atomically(path, [&](AtomicFile& file) {
    encode_safetensors(tensors, metadata,
                       [&file](std::span<const std::byte> bytes) { file.write(bytes); });
  });
}

}  // namespace vrfm
