// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NumPy's archives of named arrays
// (https://numpy.org/doc/stable/reference/generated/numpy.savez.html): a zip file with one entry
// "<name>.npy" for each array. What numpy.savez and numpy.savez_compressed write can be read, also
// beside other entries; what is written is not compressed, like numpy.savez's. The container is
// vrfm's own over zlib, which libpng brings along: it can be written front to back into an
// AtomicFile, and a damaged one has a clear error.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/detail/zip_reader.hpp>
#include <vrfm/io/detail/zip_writer.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

namespace detail::io {

inline constexpr std::string_view npz_suffix = ".npy";

/// Throws std::invalid_argument for a name that is empty, above 65,531 bytes or not of printable ASCII.
inline void check_npz_name(const std::string& name) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~'; };
  if (name.empty() || name.size() + npz_suffix.size() > 65'535 ||
      !std::all_of(name.begin(), name.end(), plain))
    throw std::invalid_argument("npz: expected a name of printable ASCII characters, found " +
                                in_quotes(name));
}

}  // namespace detail::io

/// One array of an archive piece by piece, so that it may be larger than memory. Meanwhile nothing else may be read from
/// the archive, which must outlive it.
template <FileValue T, class Input>
class NpzPieces {
 public:
  NpzPieces(Input& input, const detail::io::ZipEntry& entry)
      : data_(input, entry), header_(detail::io::load_npy_header_of<T>(data_, left_)) {
    left_ /= detail::io::row(header_.dtype).bits / 8;
    if (header_.fortran_order && header_.shape.size() > 1)
      detail::io::fail(data_.name(), "expected the last index to be the fastest, found the first");
    if (left_ == 0) data_.finish();
  }
  NpzPieces(const NpzPieces&) = delete;
  NpzPieces& operator=(const NpzPieces&) = delete;

  const std::vector<std::size_t>& shape() const { return header_.shape; }
  /// Values that are still to be read.
  std::size_t left() const { return left_; }

  /// Fills `out` with the next values, row-major, at most left(). Throws std::runtime_error as NpzArchive does, with the
  /// last of them also if all of them are not what was archived.
  void read(std::span<T> out) {
    if (out.size() > left_)
      throw std::invalid_argument(data_.name() + ": expected to be asked for at most " +
                                  std::to_string(left_) + " values more, found " +
                                  std::to_string(out.size()));
    if (out.empty()) return;
    detail::io::read_npy_values(data_, header_, out);
    left_ -= out.size();
    if (left_ == 0) data_.finish();
  }

 private:
  detail::io::ZipEntryReader<Input> data_;
  std::size_t left_ = 0;
  detail::io::NpyHeader header_;
};

/// An archive whose arrays are read one by one, each when it is asked for. All members throw
/// std::runtime_error with the file, what was expected and what was found, and std::bad_alloc with
/// the file, the array and the bytes if these do not fit in memory.
template <class Input>
class NpzArchive {
 public:
  /// Reads the directory. NpzFile(path), NpzBytes(bytes, name).
  template <class... Source>
  explicit NpzArchive(Source&&... source) : input_(std::forward<Source>(source)...) {
    using namespace detail::io;
    refuse_placeholder(input_, "an NPZ archive");
    entries_ = ZipDirectoryReader<Input>(input_).read();
    std::set<std::string_view> names;
    for (const ZipEntry& entry : entries_)
      if (!names.insert(entry.name).second)
        fail(input_.name(),
             "expected entries of different names, found " + in_quotes(entry.name) + " twice");
  }

  /// The arrays' names, without ".npy", as the archive lists them. Other entries have no name here.
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : entries_)
      if (entry.name.ends_with(detail::io::npz_suffix))
        result.push_back(entry.name.substr(0, entry.name.size() - detail::io::npz_suffix.size()));
    return result;
  }

  bool contains(std::string_view array) const { return find(array) != nullptr; }

  /// The array of that name, whose values are of type T or become it (see read_npy).
  template <FileValue T>
  NpyArray<T> read(std::string_view array) {
    return with(array, [](auto& input) { return detail::io::load_npy<T>(input); });
  }

  /// The array of that name, of half, float or double, as double.
  NpyArray<double> read_reals(std::string_view array) {
    return with(array, [](auto& input) { return detail::io::load_npy_reals(input); });
  }

  /// The array of that name, of uint8, int32 or int64.
  NpyArray<std::int64_t> read_integers(std::string_view array) {
    return with(array, [](auto& input) { return detail::io::load_npy_integers(input); });
  }

  /// What comes before the values of the array of that name, whose type may be one that is not read.
  detail::io::NpyHeader header(std::string_view array) {
    detail::io::ZipEntryReader<Input> data(input_, entry_of(array));
    std::size_t left = 0;
    return detail::io::load_npy_header(data, left, detail::io::NpyTypes::any);
  }

  /// Where the array's NPY file lies in the archive; nothing if it is compressed.
  struct Place {
    std::size_t begin, size;  ///< in bytes
  };
  std::optional<Place> place(std::string_view array) {
    const detail::io::ZipEntryReader<Input> data(input_, entry_of(array));
    if (!data.is_stored()) return std::nullopt;
    return Place{data.position(), data.size()};
  }

  /// The array's NPY file.
  std::vector<std::byte> bytes(std::string_view array) {
    return with(array, [](auto& input) {
      auto result = detail::io::allocate_values<std::byte>(input.name(), input.size());
      input.read(result);
      return result;
    });
  }

  /// The same array as read gives, piece by piece.
  template <FileValue T>
  NpzPieces<T, Input> pieces(std::string_view array) {
    return NpzPieces<T, Input>(input_, entry_of(array));
  }

 private:
  const detail::io::ZipEntry* find(std::string_view array) const {
    const std::string name = std::string(array) + std::string(detail::io::npz_suffix);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry.name == name; });
    return found == entries_.end() ? nullptr : &*found;
  }

  const detail::io::ZipEntry& entry_of(std::string_view array) const {
    using namespace detail::io;
    if (const ZipEntry* entry = find(array)) return *entry;
    std::string listed;
    constexpr std::size_t shown = 8;
    for (std::size_t i = 0; i < entries_.size() && i < shown; ++i)
      listed += (i ? ", " : "") + in_quotes(entries_[i].name);
    if (entries_.size() > shown) listed += ", ...";
    fail(input_.name(), "expected an array " + in_quotes(array) + ", found " +
                            (listed.empty() ? "no array" : listed));
  }

  template <class Load>
  auto with(std::string_view array, const Load& load) {
    detail::io::ZipEntryReader<Input> data(input_, entry_of(array));
    auto result = load(data);
    data.finish();
    return result;
  }

  Input input_;
  std::vector<detail::io::ZipEntry> entries_;
};

/// An archive in a file, and one in memory that the caller keeps.
using NpzFile = NpzArchive<InputFile>;
using NpzBytes = NpzArchive<InputBytes>;

/// Hands the bytes of an archive to `write`, piece by piece. Throws std::invalid_argument before the
/// first piece for a name that is empty, repeated, above 65,531 bytes or not of printable ASCII,
/// and for data that do not fill their shape. NpzParts (npz_parts.hpp) writes what is larger than memory.
inline void encode_npz(std::span<const Tensor> arrays,
                       const std::function<void(std::span<const std::byte>)>& write) {
  using namespace detail::io;
  std::set<std::string_view> names;
  for (const Tensor& array : arrays) {
    check_filled(array);
    check_npz_name(array.name);
    if (!names.insert(array.name).second)
      throw std::invalid_argument("npz: expected arrays of different names, found " +
                                  in_quotes(array.name) + " twice");
  }
  ZipWriter zip(write);
  for (const Tensor& array : arrays)
    zip.add(array.name + std::string(npz_suffix),
            [&array](const ByteSink& sink) { encode_npy(array, sink); });
  zip.finish();
}

/// Writes one archive, atomically (see AtomicFile). Throws as encode_npz and AtomicFile do.
inline void write_npz(const std::filesystem::path& path, std::span<const Tensor> arrays) {
  write_file_atomically(path, [&](AtomicFile& file) {
    encode_npz(arrays, [&file](std::span<const std::byte> bytes) { file.write(bytes); });
  });
}

}  // namespace vrfm
