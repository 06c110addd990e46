// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ten coloured shapes, each with a colour of its own that varies a little, before a dark, shaded
// background of any colour.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <examples/standins/draws.hpp>

namespace standins {

inline constexpr int shape_side = 32;

struct Colour {
  double red, green, blue;  ///< in [0, 1]
};

/// Hue in turns, saturation and value in [0, 1].
inline Colour from_hsv(double hue, double saturation, double value) {
  const auto channel = [=](double offset) {
    const double turns = hue + offset, k = 6 * (turns - std::floor(turns));
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {channel(5. / 6), channel(3. / 6), channel(1. / 6)};
}

/// Whether (x, y), y downwards, lies inside shape `label` of radius about 1.
inline bool inside(int label, double x, double y) {
  const double square = x * x + y * y, ax = std::fabs(x), ay = std::fabs(y);
  switch (label) {
    case 0:  // disc
      return square < .81;
    case 1:  // square
      return std::max(ax, ay) < .78;
    case 2:  // triangle
      return y < .75 && ax < .58 * (y + .95);
    case 3:  // ring
      return square > .3 && square < 1;
    case 4:  // cross
      return std::min(ax, ay) < .28 && std::max(ax, ay) < .98;
    case 5: {  // five-pointed star: at most one side of the inner pentagon is passed
      constexpr double normals[5][2] = {{0, 1},
                                        {.9510565162951535, .3090169943749474},
                                        {.5877852522924731, -.8090169943749475},
                                        {-.5877852522924731, -.8090169943749475},
                                        {-.9510565162951535, .3090169943749474}};
      int passed = 0;
      for (const auto& normal : normals) passed += normal[0] * x + normal[1] * y > .36;
      return passed <= 1;
    }
    case 6:  // narrow rhombus
      return ax / .58 + ay < 1;
    case 7:  // crescent
      return square < .9 && (x - .42) * (x - .42) + y * y > .5;
    case 8: {  // heart: (X^2 + Y^2 - 1)^3 < X^2 Y^3
      const double u = 1.2 * x, v = .15 - 1.2 * y, ring = u * u + v * v - 1;
      return ring * ring * ring < u * u * v * v * v;
    }
    default:  // hourglass
      return ay < .88 && ax < .12 + .75 * ay;
  }
}

/// Writes one image of shape `label`, channels-last, to pixels [32 * 32 * 3].
inline void draw_shape(int label, Draws& draws, std::span<std::uint8_t> pixels) {
  constexpr double hues[10] = {.0, .58, .33, .14, .78, .16, .48, .11, .93, .7};
  const double radius = draws.uniform(10, 13);
  const Rotation turn(draws.uniform(-.1, .1));
  const double centre_x = shape_side / 2.0 + draws.uniform(-1.5, 1.5);
  const double centre_y = shape_side / 2.0 + draws.uniform(-1.5, 1.5);
  const Colour colour =
      from_hsv(hues[label] + draws.uniform(-.03, .03), draws.uniform(.75, 1), draws.uniform(.8, 1));

  const double hue = draws.uniform(0, 1), saturation = draws.uniform(.1, .4);
  const double dark = draws.uniform(.15, .35), bright = dark + draws.uniform(.1, .25);
  const Colour one = from_hsv(hue, saturation, dark), two = from_hsv(hue, saturation, bright);
  const double along_x = draws.uniform(-1, 1), along_y = 1 - std::fabs(along_x);
  const auto background = [&](double x, double y) {
    const double share = (along_x * x + along_y * y) / shape_side + (along_x < 0 ? -along_x : 0);
    return Colour{one.red + share * (two.red - one.red),
                  one.green + share * (two.green - one.green),
                  one.blue + share * (two.blue - one.blue)};
  };

  constexpr int finer = 4;  // samples of a pixel in each direction
  for (int row = 0; row < shape_side; ++row)
    for (int column = 0; column < shape_side; ++column) {
      std::array<double, 3> sum{};
      for (int sample = 0; sample < finer * finer; ++sample) {
        const double x = column + (sample % finer + .5) / finer;
        const double y = row + (sample / finer + .5) / finer;
        const double u = (x - centre_x) / radius, v = (y - centre_y) / radius;
        const bool in =
            inside(label, turn.cosine * u + turn.sine * v, turn.cosine * v - turn.sine * u);
        const Colour seen = in ? colour : background(x, y);
        const double light = in ? 1 - .18 * (u + v) : 1;  // from the upper left
        sum[0] += light * seen.red;
        sum[1] += light * seen.green;
        sum[2] += light * seen.blue;
      }
      for (std::size_t c = 0; c < 3; ++c) {
        const double mean = std::clamp(sum[c] / (finer * finer), 0.0, 1.0);
        pixels[static_cast<std::size_t>(row * shape_side + column) * 3 + c] =
            static_cast<std::uint8_t>(255 * mean + .5);
      }
    }
}

}  // namespace standins
