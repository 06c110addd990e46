// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Hdf5Writer: an HDF5 file of data sets that grow by rows (component `hdf5`), which appears complete or not at all. A
// writer writes its own file, from one process: HDF5's parallel files (MPI) are not used.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hdf5.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/hdf5_handle.hpp>
#include <vrfm/io/detail/hdf5_type.hpp>
#include <vrfm/io/file.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// What a data set may be written of.
template <class T>
concept Hdf5Value =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int32_t>;

struct Hdf5SetOptions {
  std::size_t chunk_rows =
      0;            ///< rows that are stored, and compressed, together; 0: about 256 KiB of them
  int deflate = 0;  ///< level of compression, 1 to 9, after a shuffle of bytes; 0: none
};

/// All members throw std::runtime_error with the file, the data set and what HDF5 says if they fail, and
/// std::invalid_argument for what the caller should not have asked for.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path) : name_(path.string()), target_(path) {
    using namespace detail::io;
    const Hdf5Lock lock;
    const std::string temporary = (path.parent_path() / target_.temporary()).string();
    const std::string what = "cannot write: expected to create an HDF5 file";
    const auto access = hold(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, name_, what);
    if (H5Pset_fapl_sec2(access.get()) < 0) fail_hdf5(name_, what);
    file_ = hold(H5Fcreate(temporary.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose,
                 name_, what);
  }

  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  ~Hdf5Writer() {
    if (file_) abandon();
  }

  /// A data set at `path`, whose groups are made, of no rows so far, each [row_shape].
  template <Hdf5Value T>
  void add(const std::string& path, const std::vector<std::size_t>& row_shape = {},
           Hdf5SetOptions options = {}) {
    using namespace detail::io;
    const std::string name = name_ + ": " + in_quotes(path),
                      what = "cannot write: expected to add it";
    const auto row_bytes = byte_count(row_shape, sizeof(T));
    if (path.empty() || sets_.contains(path) || !row_bytes || *row_bytes == 0)
      throw std::invalid_argument(
          name + ": expected a new data set of at least one number a row, found " +
          (sets_.contains(path) ? "an old one of " : "") + format_shape(row_shape));
    if (options.deflate < 0 || options.deflate > 9)
      throw std::invalid_argument(name + ": expected deflate from 0 to 9, found " +
                                  std::to_string(options.deflate));
    constexpr std::size_t chunk_bytes = 1 << 18;
    std::vector<hsize_t> shape(1), largest{H5S_UNLIMITED},
        chunk{options.chunk_rows != 0 ? options.chunk_rows
                                      : (std::max)(chunk_bytes / *row_bytes, std::size_t{1})};
    for (std::vector<hsize_t>* extents : {&shape, &largest, &chunk})
      extents->insert(extents->end(), row_shape.begin(), row_shape.end());

    const Hdf5Lock lock;
    const auto space =
        hold(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), largest.data()),
             H5Sclose, name, what);
    const auto create = hold(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, name, what);
    const auto links = hold(H5Pcreate(H5P_LINK_CREATE), H5Pclose, name, what);
    const hid_t properties = create.get();
    // Without times the same calls write the same bytes.
    if (H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()) < 0 ||
        H5Pset_obj_track_times(properties, false) < 0 ||
        (options.deflate > 0 && H5Pset_shuffle(properties) < 0) ||
        (options.deflate > 0 &&
         H5Pset_deflate(properties, static_cast<unsigned>(options.deflate)) < 0) ||
        H5Pset_create_intermediate_group(links.get(), 1) < 0 ||
        H5Pset_char_encoding(links.get(), H5T_CSET_UTF8) < 0)
      fail_hdf5(name, what);
    Set set{hold(H5Dcreate2(file_.get(), path.c_str(), stored_type<T>(), space.get(), links.get(),
                            properties, H5P_DEFAULT),
                 H5Dclose, name, what),
            dtype_of<T>(), std::move(shape)};
    sets_.emplace(path, std::move(set));
  }

  /// The next rows of a data set that was added.
  template <std::ranges::contiguous_range Range>
    requires Hdf5Value<std::ranges::range_value_t<Range>>
  void append(const std::string& path, const Range& values) {
    using namespace detail::io;
    using T = std::ranges::range_value_t<Range>;
    const std::string name = name_ + ": " + in_quotes(path),
                      what = "cannot write: expected to add rows";
    const auto found = sets_.find(path);
    if (found == sets_.end())
      throw std::invalid_argument(name +
                                  ": expected a data set that was added, found none of that path");
    Set& set = found->second;
    if (set.dtype != dtype_of<T>())
      throw std::invalid_argument(name + ": expected values of type " +
                                  std::string(row(set.dtype).safetensors) + ", found " +
                                  std::string(row(dtype_of<T>()).safetensors));
    std::vector<hsize_t> begin(set.shape.size()), count = set.shape;
    std::size_t row_size = 1;
    for (std::size_t k = 1; k < count.size(); ++k) row_size *= count[k];
    const std::size_t size = std::ranges::size(values);
    if (size % row_size != 0)
      throw std::invalid_argument(name + ": expected whole rows of " + std::to_string(row_size) +
                                  " numbers, found " + std::to_string(size));
    if (size == 0) return;
    begin[0] = set.shape[0];
    count[0] = size / row_size;

    const Hdf5Lock lock;
    std::vector<hsize_t> shape = set.shape;
    shape[0] += count[0];
    if (H5Dset_extent(set.id.get(), shape.data()) < 0) fail_hdf5(name, what);
    set.shape = shape;
    const auto space = hold(H5Dget_space(set.id.get()), H5Sclose, name, what);
    const auto memory =
        hold(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose,
             name, what);
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(),
                            nullptr) < 0 ||
        H5Dwrite(set.id.get(), hdf5_native<T>(), memory.get(), space.get(), H5P_DEFAULT,
                 std::ranges::data(values)) < 0)
      fail_hdf5(name, what);
  }

  /// An attribute of the data set or group at `path`, / for the file: a text of variable length in UTF-8,
  void attribute(const std::string& path, const std::string& attribute, std::string_view text) {
    using namespace detail::io;
    const Hdf5Lock lock;
    const auto type = hold(H5Tcopy(H5T_C_S1), H5Tclose, name_, attribute_error(attribute));
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    const std::string copy(text);
    const char* const data = copy.c_str();
    const Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    write_attribute(path, attribute, type.get(), type.get(), space.get(), &data);
  }
  /// the same of a number,
  void attribute(const std::string& path, const std::string& attribute, double number) {
    const detail::io::Hdf5Lock lock;
    const detail::io::Hdf5Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    write_attribute(path, attribute, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, space.get(), &number);
  }
  /// and of several, [size of numbers].
  void attribute(const std::string& path, const std::string& attribute,
                 std::span<const double> numbers) {
    const detail::io::Hdf5Lock lock;
    const hsize_t size = numbers.size();
    const detail::io::Hdf5Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const double none = 0;  // HDF5 takes no null pointer
    write_attribute(path, attribute, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, space.get(),
                    numbers.empty() ? &none : numbers.data());
  }

  /// Gives the file its name. To be called once, as the last.
  void commit() {
    using namespace detail::io;
    const Hdf5Lock lock;
    const std::string what = "cannot write: expected to end the file";
    if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0) fail_hdf5(name_, what);
    for (auto& [path, set] : sets_)
      if (!set.id.close()) fail_hdf5(name_ + ": " + in_quotes(path), what);
    sets_.clear();
    if (!file_.close()) fail_hdf5(name_, what);
    target_.commit();
  }

 private:
  struct Set {
    detail::io::Hdf5Handle id;
    DType dtype;
    std::vector<hsize_t> shape;  ///< so far
  };

  /// Closes a file that nobody wants. HDF5 still writes what it has in memory, and where that fails, as on a full disk,
  /// the program crashes at its end (HDF5 1.10.8): it goes to a file in memory instead.
  void abandon() {
    const detail::io::Hdf5Lock lock;
    void* place = nullptr;
#if defined(__linux__)
    const detail::io::Descriptor nowhere(::memfd_create("vrfm", MFD_CLOEXEC));
    if (nowhere.get() >= 0 && H5Fget_vfd_handle(file_.get(), H5P_DEFAULT, &place) >= 0)
      ::dup2(nowhere.get(), *static_cast<const int*>(place));
#endif
    sets_.clear();
    file_.close();
  }

  template <Hdf5Value T>
  static hid_t stored_type() {
    if constexpr (std::same_as<T, float>)
      return H5T_IEEE_F32LE;
    else if constexpr (std::same_as<T, double>)
      return H5T_IEEE_F64LE;
    else
      return H5T_STD_I32LE;
  }

  static std::string attribute_error(const std::string& attribute) {
    return "cannot write: expected to add attribute " + detail::io::in_quotes(attribute);
  }

  void write_attribute(const std::string& path, const std::string& attribute, hid_t type,
                       hid_t memory, hid_t space, const void* data) {
    using namespace detail::io;
    const std::string name = name_ + ": " + in_quotes(path), what = attribute_error(attribute);
    const auto object = hold(H5Oopen(file_.get(), path.c_str(), H5P_DEFAULT), H5Oclose, name, what);
    const auto id =
        hold(H5Acreate2(object.get(), attribute.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
             H5Aclose, name, what);
    if (H5Awrite(id.get(), memory, data) < 0) fail_hdf5(name, what);
  }

  std::string name_;
  AtomicFile target_;
  detail::io::Hdf5Handle file_;
  std::map<std::string, Set, std::less<>> sets_;
};

}  // namespace vrfm
