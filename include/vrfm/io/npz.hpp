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
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/zip_reader.hpp>
#include <vrfm/io/detail/zip_writer.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

namespace detail::io {
inline constexpr std::string_view npz_suffix = ".npy";
}

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

 private:
  const detail::io::ZipEntry* find(std::string_view array) const {
    const std::string name = std::string(array) + std::string(detail::io::npz_suffix);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const auto& entry) { return entry.name == name; });
    return found == entries_.end() ? nullptr : &*found;
  }

  template <class Load>
  auto with(std::string_view array, const Load& load) {
    using namespace detail::io;
    const ZipEntry* entry = find(array);
    if (!entry) {
      std::string listed;
      constexpr std::size_t shown = 8;
      for (std::size_t i = 0; i < entries_.size() && i < shown; ++i)
        listed += (i ? ", " : "") + in_quotes(entries_[i].name);
      if (entries_.size() > shown) listed += ", ...";
      fail(input_.name(), "expected an array " + in_quotes(array) + ", found " +
                              (listed.empty() ? "no array" : listed));
    }
    ZipEntryReader<Input> data(input_, *entry);
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
/// and for data that do not fill their shape.
inline void encode_npz(std::span<const Tensor> arrays,
                       const std::function<void(std::span<const std::byte>)>& write) {
  using namespace detail::io;
  std::set<std::string_view> names;
  for (const Tensor& array : arrays) {
    check_filled(array);
    const auto plain = [](char c) { return c >= ' ' && c <= '~'; };
    if (array.name.empty() || array.name.size() + npz_suffix.size() > 65'535 ||
        !std::all_of(array.name.begin(), array.name.end(), plain))
      throw std::invalid_argument("npz: expected a name of printable ASCII characters, found " +
                                  in_quotes(array.name));
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
