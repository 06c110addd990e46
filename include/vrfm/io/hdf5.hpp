// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// HDF5 files (component `hdf5`; https://docs.hdfgroup.org), read through HDF5's C library, version 1.8.13 or newer.
// Extents are those that HDF5 stores, the slowest first, as h5py shows them. Programs whose first index is the fastest
// write them the other way round: what is x of 2 x 3 to MATLAB (files of save -v7.3) or to Julia (HDF5.jl) is a data
// set [3, 2] here, so that a sample there is a column, [numbers, samples], and here a row.
//
// All calls hold one lock of the process (see detail/hdf5_handle.hpp), because the library is not safe for threads:
// several threads may read, one at a time. Files are read by each process for itself; HDF5's parallel files (MPI) are
// not used. hdf5_writer.hpp writes files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <hdf5.h>

#include <vrfm/io/detail/choose_array.hpp>
#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/hdf5_attributes.hpp>
#include <vrfm/io/detail/hdf5_handle.hpp>
#include <vrfm/io/detail/hdf5_set.hpp>
#include <vrfm/io/detail/hdf5_type.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/row_reader.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm {

/// A file that is read. All members throw std::runtime_error that names the file, the path in it and the shape, with
/// what HDF5 says, and std::bad_alloc with these and the bytes if values do not fit in memory. Paths are group/name,
/// with or without a slash before.
class Hdf5File {
 public:
  explicit Hdf5File(const std::filesystem::path& path) : name_(path.string()) {
    using namespace detail::io;
    InputFile input(path);
    refuse_placeholder(input, "an HDF5 file");
    const std::string start = first_bytes(input);
    if (!is_hdf5(input))
      fail(name_, "expected an HDF5 file, found " + kind_of(std::as_bytes(std::span(start))));
    const Hdf5Lock lock;
    file_ = hold(H5Fopen(name_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, name_,
                 "expected a whole HDF5 file");
  }

  const std::string& name() const { return name_; }

  /// The data sets of all groups in the order of their paths, without those of other files and those that are links
  /// to another. A type is "float64", "int8", "bool" and so on, or what HDF5 calls its class, such as "string" or
  /// "compound"; "unreadable" is what HDF5 cannot open, such as what a newer version wrote.
  std::vector<ArrayInfo> arrays() const {
    using namespace detail::io;
    const Hdf5Lock lock;
    std::vector<std::string> paths;
    const auto visit = [](hid_t, const char* path, const H5L_info_t* link, void* found) -> herr_t {
      if (link->type != H5L_TYPE_HARD) return 0;
      try {
        static_cast<std::vector<std::string>*>(found)->emplace_back(path);
      } catch (...) {  // no memory; HDF5's functions are between here and the caller
        return -1;
      }
      return 0;
    };
    if (H5Lvisit(file_.get(), H5_INDEX_NAME, H5_ITER_INC, visit, &paths) < 0)
      fail_hdf5(name_, "expected groups that can be listed");
    std::vector<ArrayInfo> infos;
    for (const std::string& path : paths) {
      const Hdf5Handle object(H5Oopen(file_.get(), path.c_str(), H5P_DEFAULT), H5Oclose);
      if (!object)
        infos.push_back({path, "unreadable", {}, {}});
      else if (H5Iget_type(object.get()) == H5I_DATASET)
        infos.push_back(info_of(object.get(), path));
    }
    return infos;
  }

  /// The data set at `path`. For a path that is not there, or that of a group, the error lists the data sets.
  ArrayInfo info(const std::string& path) const {
    using namespace detail::io;
    const Hdf5Lock lock;
    const std::string plain = without_slash(path);
    if (!plain.empty()) {
      const Hdf5Handle object(H5Oopen(file_.get(), plain.c_str(), H5P_DEFAULT), H5Oclose);
      if (object && H5Iget_type(object.get()) == H5I_DATASET) return info_of(object.get(), plain);
    }
    const ArrayInfo found = choose(arrays(), plain, name_);
    const auto object =
        hold(H5Oopen(file_.get(), found.name.c_str(), H5P_DEFAULT), H5Oclose,
             name_ + ": " + in_quotes(found.name), "expected a data set that can be opened");
    return info_of(object.get(), found.name);
  }

  /// Of the data set or group at `path`; / is the file's own. Attributes of other types have neither text nor numbers.
  std::vector<Hdf5Attribute> attributes(const std::string& path = "/") const {
    using namespace detail::io;
    const Hdf5Lock lock;
    const Hdf5Handle object(H5Oopen(file_.get(), path.c_str(), H5P_DEFAULT), H5Oclose);
    if (!object)
      fail(name_,
           "expected a data set or a group " + in_quotes(path) + ", found " + listed(arrays()));
    return read_attributes(object.get(), name_ + ": " + in_quotes(path));
  }

  /// Elements begin[k] to begin[k] + count[k] of each index k of the data set at `path`, row-major: reals become the
  /// nearest T, integers and truth values any T that holds all of their type. Throws std::invalid_argument for elements
  /// that are not there, or that do not fill `out`.
  template <FileValue T>
  void read(const std::string& path, std::span<const std::size_t> begin,
            std::span<const std::size_t> count, std::span<T> out) const {
    using namespace detail::io;
    const Hdf5Set set = open(path);
    const auto& shape = set.info().shape;
    bool inside = begin.size() == shape.size() && count.size() == shape.size();
    std::size_t product = 1;
    for (std::size_t k = 0; inside && k < shape.size(); ++k) {
      inside = count[k] <= shape[k] && begin[k] <= shape[k] - count[k];
      product *= count[k];
    }
    if (!inside || product != out.size())
      throw std::invalid_argument(set.name() + ": expected elements that are there, found " +
                                  format_shape(count) + " from " + format_shape(begin) +
                                  " on for a place of " + std::to_string(out.size()));
    set.read(begin, count, out);
  }

  /// All elements of a data set.
  template <FileValue T>
  std::vector<T> read(const std::string& path) const {
    using namespace detail::io;
    const Hdf5Set set = open(path);
    const auto& shape = set.info().shape;
    const auto bytes = byte_count(shape, sizeof(T));
    if (!bytes) fail(set.name(), "expected fewer than 2^64 bytes");
    auto values = allocate_values<T>(set.name(), *bytes / sizeof(T));
    set.read(std::vector<std::size_t>(shape.size()), shape, std::span(values));
    return values;
  }

  /// What reads the data set at `path`; it stays open without this object.
  detail::io::Hdf5Set open(const std::string& path) const {
    return {file_.get(), name_, info(path)};
  }

 private:
  static std::string without_slash(const std::string& path) {
    return path.substr((std::min)(path.find_first_not_of('/'), path.size()));
  }

  ArrayInfo info_of(hid_t set, const std::string& path) const {
    using namespace detail::io;
    const std::string name = name_ + ": " + in_quotes(path), what = "expected a data set";
    const auto type = hold(H5Dget_type(set), H5Tclose, name, what);
    const auto space = hold(H5Dget_space(set), H5Sclose, name, what);
    return {path, hdf5_type_name(type.get()), hdf5_shape(space.get()), {}};
  }

  std::string name_;
  detail::io::Hdf5Handle file_;
};

/// The rows of a data set, read by hyperslabs.
class Hdf5RowReader final : public RowReader {
 public:
  /// `array` is a path in the file; it may be empty in a file of one data set. Throws as Hdf5File does, also for a data
  /// set of a single number, and one whose rows are empty.
  explicit Hdf5RowReader(const std::filesystem::path& path, const std::string& array = "")
      : Hdf5RowReader(Hdf5File(path).open(array)) {}

  void read(std::size_t first, std::span<float> out) const override { read_rows(first, out); }
  void read(std::size_t first, std::span<double> out) const override { read_rows(first, out); }

 private:
  explicit Hdf5RowReader(detail::io::Hdf5Set set)
      : RowReader(set.name(), with_rows(set)), set_(std::move(set)) {}

  static const ArrayInfo& with_rows(const detail::io::Hdf5Set& set) {
    const auto& shape = set.info().shape;
    if (shape.empty() || detail::io::byte_count(std::span(shape).subspan(1), 1) == 0)
      detail::io::fail(set.name(), "expected rows of numbers, found " +
                                       std::string(shape.empty() ? "a single one" : "empty ones"));
    return set.info();
  }

  template <class T>
  void read_rows(std::size_t first, std::span<T> out) const {
    std::vector<std::size_t> begin(info().shape.size()), count = info().shape;
    begin[0] = first;
    count[0] = checked_rows(first, out.size());
    set_.read(begin, count, out);
  }

  detail::io::Hdf5Set set_;
};

}  // namespace vrfm
