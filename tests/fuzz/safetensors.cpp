// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// libFuzzer program for the safetensors parser: it either refuses with std::runtime_error or its
// tensors, written and read again, are the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include <vrfm/io/safetensors.hpp>

namespace {

using Bytes = std::vector<std::byte>;

void append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void require(bool condition) {
  if (!condition) __builtin_trap();
}

std::optional<vrfm::SafetensorsFile> parsed(std::span<const std::byte> bytes) {
  try {
    return vrfm::SafetensorsFile::parse(bytes, "fuzz");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

/// Whether the tensor was copied as T; all of the place is then written.
template <class T>
bool check_copy(const vrfm::SafetensorsFile& file, const vrfm::Tensor& tensor) {
  const auto count = vrfm::detail::io::byte_count(tensor.shape, 1);
  require(count.has_value());
  std::vector<T> ones(*count, T(1)), twos(*count, T(2));
  try {
    file.copy_values(tensor.name, tensor.shape, std::span(ones));
  } catch (const std::runtime_error&) {
    return false;
  }
  file.copy_values(tensor.name, tensor.shape, std::span(twos));
  require(ones.empty() || std::memcmp(ones.data(), twos.data(), ones.size() * sizeof(T)) == 0);
  return true;
}

void check(std::span<const std::byte> bytes) {
  const auto first = parsed(bytes);
  if (!first) return;
  Bytes copy;
  vrfm::encode_safetensors(first->tensors(), first->metadata(),
                           [&](std::span<const std::byte> piece) { append(copy, piece); });
  const auto second = parsed(copy);
  require(second && first->metadata() == second->metadata());
  require(first->tensors().size() == second->tensors().size());
  for (std::size_t i = 0; i < first->tensors().size(); ++i) {
    const vrfm::Tensor &a = first->tensors()[i], &b = second->tensors()[i];
    require(first->find(a.name) == &a);
    require(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape);
    require(std::equal(a.data.begin(), a.data.end(), b.data.begin(), b.data.end()));
    if (a.dtype == vrfm::DType::f64) require(a.values<double>().size() == a.data.size() / 8);
    const bool floats = check_copy<float>(*first, a), doubles = check_copy<double>(*first, a);
    require((floats && doubles) == (a.dtype == vrfm::DType::f16 || a.dtype == vrfm::DType::bf16));
    check_copy<std::uint8_t>(*first, a);
    check_copy<std::int32_t>(*first, a);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);

  // A random size rarely fits its header: also take the first line as header, the rest as data.
  const auto header_end = std::find(input.begin(), input.end(), std::byte{'\n'});
  const std::uint64_t header_size = static_cast<std::uint64_t>(header_end - input.begin());
  Bytes framed;
  append(framed, std::as_bytes(std::span(&header_size, 1)));
  append(framed, input.first(header_size));
  if (header_size < size) append(framed, input.subspan(header_size + 1));
  check(framed);
  return 0;
}
