// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An open data set of an HDF5 file, of numbers, whose hyperslabs are read.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <hdf5.h>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/hdf5_handle.hpp>
#include <vrfm/io/detail/hdf5_type.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/row_reader.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

class Hdf5Set {
 public:
  /// The data set info.name of an open file called `file_name`. Throws std::runtime_error with file, path, type and
  /// shape for one that holds other things than numbers, or whose filters are not there.
  Hdf5Set(hid_t file, const std::string& file_name, ArrayInfo info)
      : info_(std::move(info)),
        name_(file_name + ": " + in_quotes(info_.name) + " " + info_.type + " " +
              format_shape(info_.shape)) {
    const Hdf5Lock lock;
    if (!is_hdf5_number(info_.type)) fail(name_, "expected numbers, found " + info_.type);
    const std::string what = "expected a data set that can be opened";
    set_ = hold(H5Dopen2(file, info_.name.c_str(), H5P_DEFAULT), H5Dclose, name_, what);
    const auto type = hold(H5Dget_type(set_.get()), H5Tclose, name_, what);
    is_bits_ = H5Tget_class(type.get()) == H5T_BITFIELD;
    const auto properties = hold(H5Dget_create_plist(set_.get()), H5Pclose, name_, what);
    expect_filters(properties.get());
    if (H5Pget_layout(properties.get()) != H5D_CHUNKED) return;
    const auto access = hold(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose, name_, what);
    set_cache(properties.get(), access.get(), H5Tget_size(type.get()));
    set_.close();  // a set that is open keeps the cache that it has
    set_ = hold(H5Dopen2(file, info_.name.c_str(), access.get()), H5Dclose, name_, what);
  }

  /// File, path, type and shape, for errors.
  const std::string& name() const { return name_; }
  const ArrayInfo& info() const { return info_; }

  /// Elements begin[k] to begin[k] + count[k] of each index k, row-major. The caller has checked that they are there
  /// and fill `out`. Throws std::runtime_error if they cannot be read, and for integers that a T does not hold.
  template <FileValue T>
  void read(std::span<const std::size_t> begin, std::span<const std::size_t> count,
            std::span<T> out) const {
    expect_holds<T>();
    if (out.empty()) return;
    const Hdf5Lock lock;
    const std::string what = "expected elements that can be read";
    const auto space = hold(H5Dget_space(set_.get()), H5Sclose, name_, what);
    const std::vector<hsize_t> from(begin.begin(), begin.end()), size(count.begin(), count.end());
    if (!from.empty() && H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, from.data(), nullptr,
                                             size.data(), nullptr) < 0)
      fail_hdf5(name_, what);
    const hsize_t total = out.size();
    const auto memory = hold(H5Screate_simple(1, &total, nullptr), H5Sclose, name_, what);
    const auto take = [&](hid_t type, void* data) {
      if (H5Dread(set_.get(), type, memory.get(), space.get(), H5P_DEFAULT, data) < 0)
        fail_hdf5(name_, what);
    };
    if (!is_bits_) return take(hdf5_native<T>(), out.data());
    auto bytes = allocate_values<std::uint8_t>(name_, out.size());  // HDF5 makes no numbers of bits
    take(H5T_NATIVE_B8, bytes.data());
    std::transform(bytes.begin(), bytes.end(), out.begin(),
                   [](std::uint8_t byte) { return static_cast<T>(byte != 0); });
  }

 private:
  /// HDF5 would put the nearest integer in place of one that does not fit.
  template <FileValue T>
  void expect_holds() const {
    if constexpr (std::integral<T>) {
      const std::string& type = info_.type;
      const bool is_unsigned = type.starts_with("uint"), is_signed = type.starts_with("int");
      const std::size_t bits =
          is_unsigned || is_signed ? std::stoul(type.substr(is_unsigned ? 4 : 3)) : 0;
      constexpr std::size_t room = 8 * sizeof(T);
      const bool holds = type == "bool" ||
                         (is_unsigned && std::signed_integral<T> && bits < room) ||
                         (is_unsigned && !std::signed_integral<T> && bits <= room) ||
                         (is_signed && std::signed_integral<T> && bits <= room);
      if (!holds)
        fail(name_, "expected integers that fit in " +
                        std::string(std::signed_integral<T> ? "int" : "uint") +
                        std::to_string(room) + ", found " + type);
    }
  }

  void expect_filters(hid_t properties) const {
    const int count = H5Pget_nfilters(properties);
    for (int i = 0; i < count; ++i) {
      std::array<char, 64> text{};
      unsigned flags = 0, config = 0;
      std::size_t values = 0;
      const H5Z_filter_t filter =
          H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr,
                         text.size() - 1, text.data(), &config);
      if (filter < 0) fail_hdf5(name_, "expected filters that can be told");
      if (H5Zfilter_avail(filter) > 0) continue;
      fail(name_, "expected filters that this HDF5 library has, found filter " +
                      std::to_string(filter) +
                      (text[0] == '\0' ? "" : " " + in_quotes(text.data())) +
                      ", which is a plugin that HDF5_PLUGIN_PATH must lead to");
    }
  }

  /// Room for the chunks that a row goes through, so that none is decompressed once for each range of rows.
  void set_cache(hid_t properties, hid_t access, std::size_t element) const {
    std::vector<hsize_t> chunk(info_.shape.size());
    if (H5Pget_chunk(properties, static_cast<int>(chunk.size()), chunk.data()) !=
            static_cast<int>(chunk.size()) ||
        std::find(chunk.begin(), chunk.end(), hsize_t{0}) != chunk.end())
      return;  // of a damaged file, which reading will tell
    std::size_t chunks = 1, chunk_bytes = element;
    constexpr std::size_t least = 1 << 20, most = 1 << 28;
    for (std::size_t k = 0; k < chunk.size(); ++k) {
      chunk_bytes *= chunk[k];
      if (k > 0 && chunks < most) chunks *= (info_.shape[k] + chunk[k] - 1) / chunk[k];
    }
    const std::size_t bytes =
        chunks > most / (std::max)(chunk_bytes, std::size_t{1}) ? most : chunks * chunk_bytes;
    const std::size_t places = std::clamp<std::size_t>(10 * chunks + 1, 521, 1'000'003);
    H5Pset_chunk_cache(access, places, (std::max)(bytes, least), H5D_CHUNK_CACHE_W0_DEFAULT);
  }

  ArrayInfo info_;
  std::string name_;
  Hdf5Handle set_;
  bool is_bits_ = false;
};

}  // namespace vrfm::detail::io
