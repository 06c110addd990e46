// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files of latents: what several of them are together, and one clear error for each way in which they do not fit.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/io/support.hpp>
#include <tests/support/catch.hpp>
#include <tests/support/thrown.hpp>

#include <vrfm/io/latents.hpp>

using namespace vrfm;
using test::has_all;
using test::TemporaryFolder;
using test::thrown;

namespace {

/// A file of `rows` latents [2, 2, 3], whose numbers are those from `first` on.
struct Shard {
  std::size_t rows;
  float first = 0;
  std::vector<std::int64_t> labels = {};
  bool flip = false, moments = false;
  std::vector<std::size_t> shape = {2, 2, 3};
  Metadata metadata = {};

  void write(const std::filesystem::path& path) const {
    std::filesystem::create_directories(path.parent_path());
    std::vector<std::size_t> extents{rows};
    extents.insert(extents.end(), shape.begin(), shape.end());
    std::size_t count = 1;
    for (const std::size_t extent : extents) count *= extent;
    std::vector<float> numbers(count);
    for (std::size_t k = 0; k < count; ++k) numbers[k] = first + static_cast<float>(k);
    std::vector<Tensor> tensors{make_tensor("latents", extents, numbers)};
    if (flip) tensors.push_back(make_tensor("latents_flip", extents, numbers));
    if (moments) tensors.push_back(make_tensor("deviations", extents, numbers));
    if (moments && flip) tensors.push_back(make_tensor("deviations_flip", extents, numbers));
    if (!labels.empty()) tensors.push_back(make_tensor("labels", {labels.size()}, labels));
    write_safetensors(path, tensors, metadata);
  }
};

std::string error_of(const std::filesystem::path& folder, Split split = Split::train) {
  return thrown<std::runtime_error>([&] { LatentFiles::open(folder, split); });
}

}  // namespace

TEST_CASE("latents: several files are one set in the order of their names", "[io][latents]") {
  const TemporaryFolder folder;
  Shard{3, 100, {4, 0, 2}, true, true, {2, 2, 3}, {{"latent_scale", "0.5"}}}.write(
      folder / "train" / "b.safetensors");
  Shard{2, 0, {1, 1}, true, true, {2, 2, 3}, {{"latent_scale", "0.5"}}}.write(folder / "train" /
                                                                              "a.safetensors");
  Shard{1, 7, {}}.write(folder / "test" / "a.safetensors");
  const auto files = LatentFiles::open(folder.path(), Split::train);
  CHECK(files.count() == 5);
  CHECK(files.channels() == 2);
  CHECK(files.height() == 2);
  CHECK(files.width() == 3);
  CHECK(files.dimension() == 12);
  CHECK(files.classes() == 5);
  CHECK(files.flipped());
  CHECK(files.scale() == 0.5);
  REQUIRE(files.shards().size() == 2);
  CHECK(files.shards()[0].count == 2);
  CHECK(files.shards()[0].latents[13] == 13);
  CHECK(files.shards()[1].latents[0] == 100);
  CHECK(files.shards()[1].labels == std::vector<std::int32_t>{4, 0, 2});
  CHECK(files.shards()[1].deviations_flip.size() == 36);
  double squares = 0;
  for (int k = 0; k < 24; ++k) squares += k * k;
  CHECK(files.size() == std::sqrt(squares / 24));

  const auto held_out = LatentFiles::open(folder.path(), Split::test);
  CHECK(held_out.count() == 1);
  CHECK(held_out.classes() == 0);
  CHECK_FALSE(held_out.flipped());
  CHECK_FALSE(held_out.scale());
  // Files of other programs lie in the folder itself.
  CHECK(LatentFiles::open(folder / "test", Split::train).count() == 1);
}

TEST_CASE("latents: every file that does not fit has its error", "[io][latents]") {
  const TemporaryFolder folder;
  CHECK(has_all(
      error_of(folder.path()),
      {folder.path().string(), "expected latents in files train/*.safetensors, found none"}));
  CHECK(has_all(error_of(folder.path(), Split::test), {"in files test/*.safetensors"}));
  const auto second = [&](const Shard& shard) {
    Shard{2, 0, {0, 1}, true, false, {2, 2, 3}, {{"latent_scale", "1"}}}.write(folder / "train" /
                                                                               "a.safetensors");
    shard.write(folder / "train" / "b.safetensors");
    return error_of(folder.path());
  };
  const Metadata scale{{"latent_scale", "1"}};
  const std::vector<std::size_t> usual{2, 2, 3};
  CHECK(has_all(
      second({2, 0, {0, 1}, true, false, {2, 3, 2}, scale}),
      {"b.safetensors: expected latents of [2, 2, 3] as in", "a.safetensors, found [2, 3, 2]"}));
  CHECK(
      has_all(second({2, 0, {0, 1}, true, false, {12}, scale}),
              {"tensor 'latents': expected F32 [n, channels, height, width], found F32 [2, 12]"}));
  CHECK(has_all(second({0, 0, {0, 1}, true, false, usual, scale}),
                {"expected F32 [n, channels, height, width], found F32 [0, 2, 2, 3]"}));
  CHECK(has_all(second({2, 0, {}, true, false, usual, scale}),
                {"b.safetensors: expected a tensor 'labels' as in"}));
  CHECK(has_all(second({2, 0, {0, 1}, false, false, usual, scale}),
                {"expected a tensor 'latents_flip' as in"}));
  CHECK(has_all(second({2, 0, {0, 1}, true, true, usual, scale}),
                {"expected no tensor 'deviations' as in"}));
  CHECK(has_all(second({2, 0, {0, -1}, true, false, usual, scale}),
                {"tensor 'labels': expected 0 or more, found -1"}));
  CHECK(has_all(
      second({2, 0, {0, std::numeric_limits<std::int32_t>::max()}, true, false, usual, scale}),
      {"tensor 'labels': expected 0 or more, found 2147483647"}));
  CHECK(has_all(second({2, 0, {0, 1, 2}, true, false, usual, scale}),
                {"tensor 'labels': expected I64 [2], found I64 [3]"}));
  CHECK(has_all(second({2, 0, {0, 1}, true, false, usual, {{"latent_scale", "2"}}}),
                {"expected the latent_scale of", "a.safetensors"}));
  CHECK(has_all(second({2, 0, {0, 1}, true, false, usual, {{"latent_scale", "1x"}}}),
                {"metadata latent_scale: expected a positive number, found '1x'"}));
  CHECK(has_all(second({2, 0, {0, 1}, true, false, usual, {{"latent_scale", "1"}, {"files", "3"}}}),
                {"b.safetensors: expected to be one of '3' files of latents, found 2 here"}));
  test::spill(folder / "train" / "b.safetensors", "");
  CHECK(has_all(error_of(folder.path()), {"b.safetensors", "found an empty file"}));
}
