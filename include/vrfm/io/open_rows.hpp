// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// open_rows: a RowReader of an array in a file of a user's own. What the file begins with decides, not its name:
//   .npy          mapped, and never read as a whole, in either order of bytes and of indices
//   .npz          mapped, without a look at checksums; an array that is compressed is inflated into memory
//   .safetensors  mapped
//   CSV           numbers are kept in memory (see csv.hpp)
//   HDF5          read by ranges of rows (see hdf5.hpp), by programs with the component `hdf5`; all sources of a
//                 program have it, or none
// Truth values and numbers of any size become float or double. A file that is mapped must stay as it is meanwhile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vrfm/io/csv.hpp>
#include <vrfm/io/detail/choose_array.hpp>
#include <vrfm/io/detail/csv_reader.hpp>
#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/mapping.hpp>
#include <vrfm/io/detail/npy_header.hpp>
#include <vrfm/io/detail/stored_rows.hpp>
#include <vrfm/io/input.hpp>
#include <vrfm/io/npy.hpp>
#include <vrfm/io/npz.hpp>
#include <vrfm/io/row_reader.hpp>
#include <vrfm/io/safetensors.hpp>
#include <vrfm/io/tensor.hpp>
#if defined(VRFM_HAS_HDF5)
#include <vrfm/io/hdf5.hpp>
#endif

namespace vrfm {

namespace detail::io {

enum class RowFile { npy, npz, safetensors, csv, hdf5 };

/// Throws std::runtime_error that names the file for one of another kind.
inline RowFile row_file(const std::filesystem::path& path) {
  using namespace std::string_view_literals;
  InputFile input(path);
  constexpr std::string_view wanted = "a file of arrays (NPY, NPZ, safetensors, CSV or HDF5)";
  refuse_placeholder(input, wanted);
  if (is_hdf5(input)) return RowFile::hdf5;
  const std::string start = first_bytes(input);
  if (start.starts_with(npy_magic)) return RowFile::npy;
  if (start.starts_with("PK\3\4"sv) || start.starts_with("PK\5\6"sv)) return RowFile::npz;
  if (start.size() > 8 && start[8] == '{' && start.substr(4, 4) == "\0\0\0\0"sv)
    return RowFile::safetensors;
  constexpr std::string_view others[] = {"\x1f\x8b", "\x89", "\xff\xd8", "\x80"};
  const bool other = std::any_of(std::begin(others), std::end(others),
                                 [&](std::string_view bytes) { return start.starts_with(bytes); });
  if (!other && (start.find('\0') == start.npos || start.starts_with("\xff\xfe")))
    return RowFile::csv;
  fail(input.name(),
       "expected " + std::string(wanted) + ", found " + kind_of(std::as_bytes(std::span(start))));
}

/// A type that is no DType is "string", "object", "structured" or what the header calls it, in quotes.
inline ArrayInfo npy_info(std::string name, const NpyHeader& header) {
  std::string type = header.other.empty() ? type_name(header.dtype) : in_quotes(header.other);
  const std::size_t at = header.other.find_first_of("USO");
  if (header.other == "structured") type = header.other;
  if (at <= 1) type = header.other[at] == 'O' ? "object" : "string";
  return {std::move(name), std::move(type), header.shape, {}};
}

/// Rows of the elements of `array` in a file.
inline std::unique_ptr<RowReader> stored_rows(const std::string& file, const ArrayInfo& info,
                                              StoredArray array) {
  std::string name = info.name.empty() ? file : file + ": " + in_quotes(info.name);
  if (type_name(array.dtype) != info.type || !is_number(array.dtype) || info.shape.empty() ||
      byte_count(std::span(info.shape).subspan(1), 1) == 0 ||
      byte_count(info.shape, array.dtype) != array.data.size())
    fail(name, "expected rows of numbers, found " + info.type + " " + format_shape(info.shape));
  return std::make_unique<StoredRows>(std::move(name), info, std::move(array));
}

/// Rows of an NPY file's bytes, which `keeper` owns; `mapped`: they are a Mapping's.
inline std::unique_ptr<RowReader> npy_rows(const std::string& file, std::string array,
                                           std::span<const std::byte> bytes,
                                           std::shared_ptr<const void> keeper, bool mapped) {
  InputBytes input(bytes, array.empty() ? file : file + ": " + in_quotes(array));
  std::size_t left = 0;
  const NpyHeader header = load_npy_header(input, left, NpyTypes::any);
  return stored_rows(file, npy_info(std::move(array), header),
                     {header.dtype, header.big_endian, header.fortran_order, bytes.last(left),
                      std::move(keeper), mapped});
}

/// The table of a CSV file, and each of its columns.
inline std::vector<ArrayInfo> csv_infos(const CsvReader& reader) {
  std::vector<ArrayInfo> infos(1);
  for (const CsvColumn& column : reader.columns()) {
    if (column.text.empty()) infos[0].columns.push_back(column.name);
    infos.push_back({column.name, column.text.empty() ? "float64" : "string", {reader.rows()}, {}});
  }
  infos[0].type = "float64";
  infos[0].shape = {reader.rows(), infos[0].columns.size()};
  if (infos[0].columns.empty()) infos.erase(infos.begin());
  return infos;
}

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// Rows of all columns of numbers, or of those that `array` names.
inline std::unique_ptr<RowReader> csv_rows(const std::filesystem::path& path,
                                           const std::string& array) {
  const Mapping mapping(path);
  const CsvReader reader(mapping.bytes(), path.string());
  std::vector<std::string> columns;
  if (!array.empty()) columns = reader.contains(array) ? std::vector{array} : split(array, ',');
  auto table = std::make_shared<CsvTable>(csv_table(reader, std::move(columns)));
  ArrayInfo info{array, "float64", {table->rows, table->columns.size()}, table->columns};
  const auto data = std::as_bytes(std::span(table->values));
  return stored_rows(path.string(), info,
                     {DType::f64, false, false, data, std::move(table), false});
}

inline std::vector<ArrayInfo> safetensors_infos(const SafetensorsFile& file) {
  std::vector<ArrayInfo> infos;
  for (const Tensor& tensor : file.tensors())
    infos.push_back({tensor.name, type_name(tensor.dtype), tensor.shape, {}});
  return infos;
}

inline std::vector<ArrayInfo> npz_infos(NpzBytes& archive) {
  std::vector<ArrayInfo> infos;
  for (const std::string& name : archive.names())
    infos.push_back(npy_info(name, archive.header(name)));
  return infos;
}

inline std::unique_ptr<RowReader> npz_rows(const std::filesystem::path& path,
                                           const std::string& array) {
  const auto mapping = std::make_shared<Mapping>(path);
  NpzBytes archive(mapping->bytes(), path.string());
  const std::string name = choose(npz_infos(archive), array, path.string()).name;
  if (const auto place = archive.place(name))
    return npy_rows(path.string(), name, mapping->bytes().subspan(place->begin, place->size),
                    mapping, true);
  const auto bytes = std::make_shared<std::vector<std::byte>>(archive.bytes(name));
  return npy_rows(path.string(), name, *bytes, bytes, false);
}

/// Of a program without the component `hdf5`.
[[noreturn]] inline void refuse_hdf5(const std::filesystem::path& path) {
  fail(path.string(),
       "expected an NPY, NPZ, safetensors or CSV file, found an HDF5 file, which this program "
       "cannot "
       "read: it was built without vrfm::hdf5, which needs libhdf5 (Debian: libhdf5-dev)");
}

}  // namespace detail::io

/// All arrays of a file, as open_rows names them, in the file's order. Of a CSV file these are the table of all columns
/// of numbers, which has no name, and each column. Throws std::runtime_error that names the file for what is none, or
/// damaged.
inline std::vector<ArrayInfo> list_arrays(const std::filesystem::path& path) {
  using namespace detail::io;
  const RowFile kind = row_file(path);
#if defined(VRFM_HAS_HDF5)
  if (kind == RowFile::hdf5) return Hdf5File(path).arrays();
#else
  if (kind == RowFile::hdf5) refuse_hdf5(path);
#endif
  if (kind == RowFile::safetensors) return safetensors_infos(SafetensorsFile::map(path, true));
  const Mapping mapping(path);
  if (kind == RowFile::csv) return csv_infos(CsvReader(mapping.bytes(), path.string()));
  if (kind == RowFile::npz) {
    NpzBytes archive(mapping.bytes(), path.string());
    return npz_infos(archive);
  }
  InputBytes input(mapping.bytes(), path.string());
  std::size_t left = 0;
  return {npy_info("", load_npy_header(input, left, NpyTypes::any))};
}

/// The rows of an array of numbers. `array` is its name, as list_arrays gives it; it may be empty for a file of one
/// array, and for the whole table of a CSV file, of which it may also be names of columns with commas between. Throws
/// std::runtime_error that names the file, and that lists its arrays with types and shapes if it has several and none
/// is named, or none of that name; also for an array of texts or other things than numbers, or of a single one.
inline std::unique_ptr<RowReader> open_rows(const std::filesystem::path& path,
                                            const std::string& array = "") {
  using namespace detail::io;
  const RowFile kind = row_file(path);
  if (kind == RowFile::csv) return csv_rows(path, array);
  if (kind == RowFile::npz) return npz_rows(path, array);
#if defined(VRFM_HAS_HDF5)
  if (kind == RowFile::hdf5) return std::make_unique<Hdf5RowReader>(path, array);
#else
  if (kind == RowFile::hdf5) refuse_hdf5(path);
#endif
  if (kind == RowFile::safetensors) {
    const auto file = std::make_shared<SafetensorsFile>(SafetensorsFile::map(path, true));
    const ArrayInfo info = choose(safetensors_infos(*file), array, path.string());
    const Tensor& tensor = file->at(info.name);
    return stored_rows(path.string(), info, {tensor.dtype, false, false, tensor.data, file, true});
  }
  const auto mapping = std::make_shared<Mapping>(path);
  choose(list_arrays(path), array, path.string());
  return npy_rows(path.string(), "", mapping->bytes(), mapping, true);
}

}  // namespace vrfm
