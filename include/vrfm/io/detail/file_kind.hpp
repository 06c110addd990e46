// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a file seems to be that is not what its reader expects, in words: a web page that a server
// sent in place of a file, a pointer that Git LFS left, nothing at all, or another format.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <vrfm/io/detail/descriptor.hpp>
#include <vrfm/io/tensor.hpp>

namespace vrfm::detail::io {

/// The end of an error about a file that lacks its last part.
inline constexpr std::string_view truncated = ": truncated, as by a download that broke off";

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether a text begins as HTML or XML does. A tab at the beginning is not skipped: 9 is a label
/// of CIFAR-10. No format that is read here begins with what is skipped.
inline bool is_web_page(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix((std::min)(text.find_first_not_of(" \r\n"), text.size()));
  constexpr std::string_view starts[] = {"<!doctype", "<html", "<head", "<body", "<?xml"};
  return std::any_of(std::begin(starts), std::end(starts), [text](std::string_view start) {
    return text.size() >= start.size() &&
           std::equal(start.begin(), start.end(), text.begin(), [](char lower, char c) {
             return lower == std::tolower(static_cast<unsigned char>(c));
           });
  });
}

/// The format that the first bytes of a file belong to, as the end of "expected ..., found ".
inline std::string kind_of(std::span<const std::byte> start) {
  using namespace std::string_view_literals;
  const std::string_view text = as_text(start);
  constexpr std::pair<std::string_view, const char*> kinds[] = {
      {"\x93NUMPY"sv, "an NPY file (.npy)"},
      {"PK\3\4"sv, "a zip archive (.npz, .pt or .zip)"},
      {"PK\5\6"sv, "a zip archive without entries"},
      {"\x1f\x8b"sv, "data compressed by gzip (.gz)"},
      {"\x89HDF"sv, "an HDF5 file (.h5)"},
      {"\x89PNG"sv, "a picture (.png)"},
      {"\xff\xd8\xff"sv, "a picture (.jpg)"},
      {"\x80\2"sv, "a Python pickle"},
      {"\x80\3"sv, "a Python pickle"},
      {"\x80\4"sv, "a Python pickle"},
      {"\x80\5"sv, "a Python pickle"},
      {"\0\0\x08"sv, "an IDX file"}};
  for (const auto& [signature, words] : kinds)
    if (text.starts_with(signature)) return words;
  if (text.size() > 8 && text[8] == '{' && text.substr(4, 4) == "\0\0\0\0"sv)
    return "a safetensors file";
  const std::string_view shown = text.substr(0, 20);
  const auto printable = [](unsigned char c) { return c >= ' ' && c <= '~'; };
  if (!shown.empty() && std::all_of(shown.begin(), shown.end(), printable))
    return "a text that begins with " + in_quotes(shown);
  return "other bytes";
}

/// The first bytes of `input`, an InputFile or InputBytes, which is then at its beginning again.
template <class Input>
std::string first_bytes(Input& input) {
  std::string start(std::min<std::size_t>(input.size(), 256), '\0');
  input.seek(0);
  input.read(std::as_writable_bytes(std::span(start)));
  input.seek(0);
  return start;
}

/// Whether `input` is an HDF5 file, which may begin behind a block of another's, such as MATLAB's, of 512, 1024, ...
/// bytes (HDF5 File Format Specification, II.A). It is then at its beginning again.
template <class Input>
bool is_hdf5(Input& input) {
  constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";
  std::string found(signature.size(), '\0');
  for (std::size_t at = 0; at + found.size() <= input.size(); at = at == 0 ? 512 : 2 * at) {
    input.seek(at);
    input.read(std::as_writable_bytes(std::span(found)));
    if (found == signature) break;
  }
  input.seek(0);
  return found == signature;
}

/// Throws std::runtime_error if `input` is empty, a web page or a Git LFS pointer, and not
/// `wanted`, such as "an NPY file". No file of a format that is read here begins so.
template <class Input>
void refuse_placeholder(Input& input, std::string_view wanted) {
  const std::string start = first_bytes(input);
  const auto refuse = [&](const std::string& found) {
    fail(input.name(), "expected " + std::string(wanted) + ", found " + found);
  };
  if (start.empty()) refuse("an empty file (0 bytes), as a download that failed leaves it");
  if (is_web_page(start)) refuse("a web page (HTML), which a server sent in place of the file");
  if (start.starts_with("version https://git-lfs"))
    refuse("a Git LFS pointer in place of the file; \"git lfs pull\" fetches the file");
}

}  // namespace vrfm::detail::io
