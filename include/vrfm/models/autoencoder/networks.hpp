// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// AutoencoderNetworks: the encoder and decoder of images of Rombach et al. 2022 ("High-resolution image
// synthesis with latent diffusion models"; KL, factor 8), in whose latents SiT works. The encoder tells mean and
// log-variance of each latent pixel's channels. Names are those of diffusers' AutoencoderKL.
#pragma once

#include <string>
#include <vector>

#include <vrfm/models/autoencoder/chain.hpp>

namespace vrfm {

struct AutoencoderOptions {
  int height = 256, width = 256, channels = 3;  ///< of the images
  int latent_channels = 4;                      ///< of a latent pixel
  std::vector<int> widths = {128, 256, 512,
                             512};  ///< channels of each level; each but the last halves
  int blocks = 2;                   ///< residual blocks of a level down; one more up
  int groups = 32;                  ///< of each norm
  double scale = 0.18215;           ///< a latent is scale times the encoder's

  int factor() const { return 1 << (widths.size() - 1); }
  int latent_height() const { return height / factor(); }
  int latent_width() const { return width / factor(); }
  /// Throws std::invalid_argument naming the first impossible option.
  void check() const {
    expect(!widths.empty() && widths.size() <= 8, "an autoencoder needs 1 to 8 levels, got ",
           widths.size());
    expect(
        channels >= 1 && latent_channels >= 1 && blocks >= 1 && blocks <= 4,
        "an autoencoder needs at least one channel of images and latents and 1 to 4 blocks, got ",
        channels, ", ", latent_channels, " and ", blocks);
    expect(height >= 1 && width >= 1 && height % factor() == 0 && width % factor() == 0,
           "an autoencoder of ", widths.size(), " levels needs images whose extents ", factor(),
           " divides, got ", height, " x ", width);
    for (const int w : widths) {
      expect(groups >= 1 && w >= 1 && w % groups == 0, "an autoencoder needs widths that its ",
             groups, " groups divide, got ", w);
    }
    expect(scale > 0, "an autoencoder needs scale > 0, got ", scale);
  }
};

class AutoencoderNetworks {
 public:
  AutoencoderNetworks() = default;

  /// Throws std::invalid_argument naming the first impossible option.
  AutoencoderNetworks(ParameterList& list, const AutoencoderOptions& options) : o_(options) {
    o_.check();
    make_encoder(list);
    make_decoder(list);
  }

  const AutoencoderOptions& options() const { return o_; }
  /// Images to (mean | log-variance) of each latent pixel.
  const ImageChain& encoder() const { return encoder_; }
  /// Latents, not scaled, to images.
  const ImageChain& decoder() const { return decoder_; }

 private:
  static constexpr double eps = 1e-6;
  static constexpr Window same{0, 0, 3, 1, 1};
  static constexpr ResidualNames residual_names{".norm1", ".conv1", ".norm2", ".conv2",
                                                ".conv_shortcut"};
  static constexpr AttentionNames attention_names{.norm = ".group_norm",
                                                  .projection = ".to_out.0",
                                                  .trailing = 0,
                                                  .q = ".to_q",
                                                  .k = ".to_k",
                                                  .v = ".to_v"};

  void add_residual(ParameterList& list, ImageChain& chain, const std::string& name,
                    int width) const {
    chain.add_residual(list, name,
                       {.groups = o_.groups, .eps = eps, .zero = false, .names = residual_names},
                       width);
  }

  void add_middle(ParameterList& list, ImageChain& chain, const std::string& name) const {
    const int width = o_.widths.back();
    add_residual(list, chain, name + ".resnets.0", width);
    chain.add_attention(list, name + ".attentions.0", o_.groups, eps, attention_names);
    add_residual(list, chain, name + ".resnets.1", width);
  }

  void make_encoder(ParameterList& list) {
    ImageChain& chain = encoder_ = ImageChain(o_.height, o_.width, o_.channels);
    chain.add_conv(list, "encoder.conv_in", same, o_.widths[0]);
    for (std::size_t level = 0; level < o_.widths.size(); ++level) {
      const std::string name = "encoder.down_blocks." + std::to_string(level);
      for (int k = 0; k < o_.blocks; ++k) {
        add_residual(list, chain, name + ".resnets." + std::to_string(k), o_.widths[level]);
      }
      if (level + 1 < o_.widths.size()) {
        const Window halves{.kernel = 3, .stride = 2, .behind = 1};
        chain.add_conv(list, name + ".downsamplers.0.conv", halves, o_.widths[level]);
      }
    }
    add_middle(list, chain, "encoder.mid_block");
    chain.add_norm(list, "encoder.conv_norm_out", o_.groups, eps);
    chain.add_conv(list, "encoder.conv_out", same, 2 * o_.latent_channels);
    chain.add_dense(list, "quant_conv", 2 * o_.latent_channels);
  }

  void make_decoder(ParameterList& list) {
    ImageChain& chain = decoder_ =
        ImageChain(o_.latent_height(), o_.latent_width(), o_.latent_channels);
    chain.add_dense(list, "post_quant_conv", o_.latent_channels);
    chain.add_conv(list, "decoder.conv_in", same, o_.widths.back());
    add_middle(list, chain, "decoder.mid_block");
    for (std::size_t level = 0; level < o_.widths.size(); ++level) {
      const std::string name = "decoder.up_blocks." + std::to_string(level);
      const int width = o_.widths[o_.widths.size() - 1 - level];
      for (int k = 0; k <= o_.blocks; ++k) {
        add_residual(list, chain, name + ".resnets." + std::to_string(k), width);
      }
      if (level + 1 < o_.widths.size()) {
        chain.add_upsample();
        chain.add_conv(list, name + ".upsamplers.0.conv", same, width);
      }
    }
    chain.add_norm(list, "decoder.conv_norm_out", o_.groups, eps);
    chain.add_conv(list, "decoder.conv_out", same, o_.channels);
  }

  AutoencoderOptions o_;
  ImageChain encoder_, decoder_;
};

}  // namespace vrfm
