// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// CheckpointFolder: the last few checkpoints of one run, step-000012000.safetensors and so on. Each
// is written whole or not at all before an older one is removed, so a kill, a crash or a full disk
// costs at most the steps since the last one.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <vrfm/training/checkpoint.hpp>

namespace vrfm {

/// A folder that belongs to one run and to one process at a time.
class CheckpointFolder {
 public:
  /// keep: how many checkpoints stay. Throws std::invalid_argument unless it is at least 1.
  explicit CheckpointFolder(std::filesystem::path folder, int keep = 3)
      : folder_(std::move(folder)), keep_(static_cast<std::size_t>(keep)) {
    expect(keep >= 1, "CheckpointFolder: must keep at least 1 checkpoint, got ", keep);
  }

  const std::filesystem::path& path() const { return folder_; }

  /// The checkpoints, the newest first; none if there is no folder.
  std::vector<std::filesystem::path> files() const {
    std::vector<std::pair<std::int64_t, std::filesystem::path>> found;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
      const std::int64_t step = step_of(entry.path().filename().string());
      if (step >= 0) found.emplace_back(step, entry.path());
    }
    std::sort(found.begin(), found.end(), std::greater<>());
    std::vector<std::filesystem::path> sorted;
    for (auto& entry : found) sorted.push_back(std::move(entry.second));
    return sorted;
  }

  /// Writes a checkpoint of the trainer's step, making the folder if need be, and removes what is
  /// too old; returns its path. All ranks call it, as save_checkpoint. Throws std::runtime_error, on
  /// all ranks, that says why it cannot be written and which checkpoint remains; none is removed then.
  template <class TrainerType>
  std::filesystem::path save(const TrainerType& trainer, const Settings& settings) const {
    std::string digits = std::to_string(trainer.step());
    digits.insert(0, digits.size() < width ? width - digits.size() : 0, '0');
    const auto target = folder_ / (std::string(prefix) + digits + std::string(suffix));
    check_replicas(trainer);
    const auto& communicator = trainer.communicator();
    try {
      together(communicator, [&] {
        if (!communicator.is_root()) return;
        std::filesystem::create_directories(folder_);
        // What a killed process left would fill the disk in the end.
        AtomicFile::remove_temporaries(folder_);
      });
      detail::write_checkpoint(target, trainer, settings);
    } catch (const RankError&) {
      throw;
    } catch (const std::exception& error) {
      throw failure(trainer.step(), error.what());
    }
    if (communicator.is_root()) remove_old(target);
    return target;
  }

  /// Restores the newest checkpoint that can be read, and returns its path; nothing if the folder
  /// has none. `skipped` is told of each newer one that is damaged. Throws as load_checkpoint does
  /// if it does not fit, and std::runtime_error if all are damaged; the trainer is then unchanged.
  template <class TrainerType>
  std::optional<std::filesystem::path> load_newest(
      TrainerType& trainer, const Settings& settings,
      const std::function<void(const std::string&)>& skipped = {}) const {
    const auto all = files();
    std::string first_error;
    for (const auto& file : all) {
      const auto contents = read(file, [&](const std::string& error) {
        if (first_error.empty()) first_error = error;
        if (skipped) skipped(error);
      });
      if (!contents) continue;
      load_checkpoint(*contents, trainer, settings);
      return file;
    }
    if (all.empty()) return std::nullopt;
    throw std::runtime_error(text("expected a readable checkpoint in ", folder_.string(),
                                  ", found ", all.size(), " that are damaged: ", first_error));
  }

 private:
  std::runtime_error failure(std::int64_t step, const char* why) const {
    const auto before = files();
    return std::runtime_error(
        text("checkpoint of step ", step, ": ", why, "; ",
             before.empty() ? "there is no earlier one"
                            : "the earlier ones are intact, the newest is " + before[0].string()));
  }

  void remove_old(const std::filesystem::path& target) const {
    const auto all = files();
    for (std::size_t k = keep_; k < all.size(); ++k) {
      // That of an earlier step than those of another run here stays, too.
      if (all[k] != target) remove(all[k]);
    }
  }

  static constexpr std::string_view prefix = "step-", suffix = ".safetensors";
  static constexpr std::size_t width = 9;

  /// The step in a checkpoint's name; -1 for any other name.
  static std::int64_t step_of(std::string_view name) {
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) return -1;
    name.remove_prefix(prefix.size());
    name.remove_suffix(suffix.size());
    std::int64_t step = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
    return error == std::errc() && end == name.data() + name.size() ? step : -1;
  }

  static void remove(const std::filesystem::path& file) {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }

  static std::optional<SafetensorsFile> read(
      const std::filesystem::path& file, const std::function<void(const std::string&)>& failed) {
    try {
      auto contents = SafetensorsFile::read(file);
      detail::read_step(contents);
      return contents;
    } catch (const std::runtime_error& error) {
      failed(error.what());
      return std::nullopt;
    }
  }

  std::filesystem::path folder_;
  std::size_t keep_;
};

}  // namespace vrfm
