// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// JPEG files as 8-bit red, green and blue (ITU-T T.81; component `jpeg`), through libjpeg's plain interface. What it
// calls an error would end the program, and what it calls a warning, such as data that end too early, would leave a
// part of the picture grey: both become one exception here. EXIF is not read, so that a picture lies as it is stored.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <jpeglib.h>

#include <vrfm/io/detail/file_kind.hpp>
#include <vrfm/io/detail/memory.hpp>
#include <vrfm/io/images.hpp>
#include <vrfm/io/input.hpp>

namespace vrfm {

namespace detail::io {

/// libjpeg over bytes that the caller keeps. A member that returns false has failed, and error() says why. libjpeg
/// comes back by a long jump, so that these members have no object that a jump would leave without its destructor.
class JpegDecoder {
 public:
  JpegDecoder() {
    info_.err = jpeg_std_error(&handlers_);
    handlers_.error_exit = give_up;
    handlers_.emit_message = take_message;
    info_.client_data = this;
  }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }

  const char* error() const { return error_; }
  std::size_t width() const { return info_.image_width; }
  std::size_t height() const { return info_.image_height; }
  /// Whether each pixel is grey, or red, green and blue.
  bool has_colours() const {
    return info_.jpeg_color_space == JCS_GRAYSCALE || info_.jpeg_color_space == JCS_YCbCr ||
           info_.jpeg_color_space == JCS_RGB;
  }
  bool is_cmyk() const {
    return info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
  }

  /// What comes before the pixels.
  bool begin(const unsigned char* bytes, std::size_t size) {
    if (setjmp(back_) != 0) return false;
    jpeg_CreateDecompress(&info_, JPEG_LIB_VERSION, sizeof info_);
    info_.client_data = this;
    jpeg_mem_src(&info_, const_cast<unsigned char*>(bytes), size);
    jpeg_read_header(&info_, TRUE);
    return true;
  }

  /// [height][width][3]. line: width() pixels of four bytes, which CMYK passes through.
  bool read(unsigned char* pixels, unsigned char* line) {
    if (setjmp(back_) != 0) return false;
    info_.out_color_space = is_cmyk() ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + std::size_t{3} * info_.output_width * info_.output_scanline;
      JSAMPROW into = is_cmyk() ? line : row;
      jpeg_read_scanlines(&info_, &into, 1);
      if (is_cmyk()) print(line, info_.output_width, row);
    }
    jpeg_finish_decompress(&info_);  // reads on to the mark of the end
    return true;
  }

 private:
  /// Red, green and blue of inks as Adobe's programs store them, 255 for none: the ink's share of the paper times
  /// black's, rounded as Pillow rounds.
  static void print(const unsigned char* inks, std::size_t count, unsigned char* colours) {
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned paper = inks[4 * i + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned product = (255u - inks[4 * i + c]) * paper + 128u;
        colours[3 * i + c] = static_cast<unsigned char>(paper - ((product >> 8) + product) / 256);
      }
    }
  }

  static void give_up(j_common_ptr info) {
    auto* const self = static_cast<JpegDecoder*>(info->client_data);
    info->err->format_message(info, self->error_);
    std::longjmp(self->back_, 1);
  }
  static void take_message(j_common_ptr info, int level) {
    if (level < 0) give_up(info);  // a warning; the rest is a trace of what is done
  }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr handlers_{};
  std::jmp_buf back_{};
  char error_[JMSG_LENGTH_MAX] = {};
};

}  // namespace detail::io

/// Reads a JPEG of grey, of red, green and blue (stored as such or as YCbCr), or of Adobe's CMYK (or YCCK), which some
/// of ImageNet's are, baseline or progressive. Throws std::runtime_error with the path, what was expected and what was
/// found, also for a file that is cut or of which libjpeg warns; std::bad_alloc with the path and the bytes if the
/// pixels do not fit in memory.
inline RgbImage read_jpeg(const std::filesystem::path& path) {
  using namespace detail::io;
  InputFile file(path);
  refuse_placeholder(file, "a JPEG");
  auto bytes = allocate_values<unsigned char>(file.name(), file.size());
  file.read(std::as_writable_bytes(std::span(bytes)));
  JpegDecoder decoder;
  const auto refuse = [&] {
    fail(file.name(), std::string("expected a whole JPEG, but libjpeg says: ") + decoder.error());
  };
  if (!decoder.begin(bytes.data(), bytes.size())) refuse();
  if (!decoder.has_colours() && !decoder.is_cmyk()) {
    fail(file.name(),
         "expected a JPEG of grey, of red, green and blue or of CMYK, found other colours");
  }
  RgbImage image{decoder.width(), decoder.height(), {}};
  if (image.width * image.height > 0x7fff'ffff / 3) {
    fail(file.name(), "expected a JPEG of fewer than 2^31 values, found " +
                          std::to_string(image.width) + " x " + std::to_string(image.height) +
                          " pixels");
  }
  image.pixels = allocate_values<std::uint8_t>(file.name(), 3 * image.width * image.height);
  auto line = allocate_values<unsigned char>(file.name(), 4 * image.width);
  if (!decoder.read(image.pixels.data(), line.data())) refuse();
  return image;
}

}  // namespace vrfm
