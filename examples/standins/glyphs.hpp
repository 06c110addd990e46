// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Digits as a pen would write them: strokes through a few points of a built-in font, each point
// moved a little, then scaled, slanted, turned and shifted; a pixel is as bright as the pen's round
// tip covers it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <examples/standins/draws.hpp>

namespace standins {

struct Point {
  double x, y;  ///< in the font: both in [-1, 1], y downwards
};

struct Stroke {
  bool curved;  ///< a Catmull-Rom spline through the points; else lines between them
  std::vector<Point> points;
};

inline constexpr int glyph_side = 28;

/// The strokes of a digit.
inline const std::vector<Stroke>& font(int digit) {
  static const std::vector<Stroke> digits[10] = {
      {{true,
        {{0, -1},
         {-.46, -.7},
         {-.6, 0},
         {-.44, .72},
         {0, 1},
         {.46, .7},
         {.6, 0},
         {.44, -.72},
         {0, -1}}}},
      {{false, {{-.3, -.62}, {.06, -1}, {.06, 1}}}},
      {{true,
        {{-.52, -.55},
         {-.28, -.93},
         {.2, -.97},
         {.5, -.58},
         {.32, -.06},
         {-.12, .45},
         {-.58, .95}}},
       {false, {{-.58, .95}, {.6, .93}}}},
      {{true, {{-.5, -.78}, {-.08, -1}, {.4, -.8}, {.38, -.32}, {-.1, -.08}}},
       {true, {{-.1, -.08}, {.42, .08}, {.52, .56}, {.12, .98}, {-.34, .96}, {-.56, .7}}}},
      {{false, {{.16, -1}, {-.6, .3}, {.6, .3}}}, {false, {{.3, -.35}, {.28, 1}}}},
      {{false, {{.5, -.95}, {-.38, -.95}, {-.46, -.12}}},
       {true, {{-.46, -.12}, {.04, -.3}, {.5, 0}, {.5, .56}, {.1, .97}, {-.34, .95}, {-.56, .72}}}},
      {{true,
        {{.38, -1},
         {-.12, -.66},
         {-.45, -.1},
         {-.5, .46},
         {-.2, .95},
         {.26, .93},
         {.5, .52},
         {.26, .1},
         {-.14, .1},
         {-.46, .46}}}},
      {{false, {{-.56, -.92}, {.56, -.95}}}, {true, {{.56, -.95}, {.2, -.2}, {-.14, 1}}}},
      {{true,
        {{0, -.06},
         {-.38, -.36},
         {-.36, -.8},
         {0, -1},
         {.36, -.8},
         {.38, -.36},
         {0, -.06},
         {-.46, .3},
         {-.44, .8},
         {0, 1},
         {.44, .8},
         {.46, .3},
         {0, -.06}}}},
      {{true,
        {{.44, -.5}, {.26, -.94}, {-.22, -.96}, {-.5, -.52}, {-.26, -.08}, {.2, -.12}, {.44, -.5}}},
       {true, {{.44, -.5}, {.42, .2}, {.18, 1}}}},
  };
  return digits[digit];
}

namespace detail {

/// The spline's point at t in [0, 1] between b and c.
inline Point catmull_rom(Point a, Point b, Point c, Point d, double t) {
  const auto blend = [t](double p, double q, double r, double s) {
    return q + t / 2 * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
  };
  return {blend(a.x, b.x, c.x, d.x), blend(a.y, b.y, c.y, d.y)};
}

inline double squared_distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const double t =
      length > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0.0, 1.0) : 0.0;
  const double ex = p.x - a.x - t * dx, ey = p.y - a.y - t * dy;
  return ex * ex + ey * ey;
}

}  // namespace detail

/// Writes one image of `digit`, white on black, to pixels [28 * 28].
inline void draw_glyph(int digit, Draws& draws, std::span<std::uint8_t> pixels) {
  const double height = draws.uniform(8.3, 9.3), width = height * draws.uniform(.84, 1.06);
  const double slant = draws.uniform(-.05, .3), pen = draws.uniform(1, 1.6);
  const Rotation turn(draws.uniform(-.05, .05));
  // As in MNIST, the digits are in the middle.
  const Point centre{glyph_side / 2.0 + draws.uniform(-.6, .6),
                     glyph_side / 2.0 + draws.uniform(-.6, .6)};
  const auto placed = [&](Point p) {
    const double x = (p.x - slant * p.y) * width, y = p.y * height;
    return Point{centre.x + turn.cosine * x - turn.sine * y,
                 centre.y + turn.sine * x + turn.cosine * y};
  };

  struct Segment {
    Point from, to;
  };
  std::vector<Segment> segments;
  for (const Stroke& stroke : font(digit)) {
    std::vector<Point> points = stroke.points;
    // The ends stay where other strokes begin.
    for (std::size_t i = 1; i + 1 < points.size(); ++i) {
      points[i].x += draws.uniform(-.05, .05);
      points[i].y += draws.uniform(-.05, .05);
    }
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      const std::size_t last = points.size() - 1;
      const bool closed = stroke.points.front().x == stroke.points.back().x &&
                          stroke.points.front().y == stroke.points.back().y;
      const Point before = i > 0 ? points[i - 1] : closed ? points[last - 1] : points[0];
      const Point after = i + 2 <= last ? points[i + 2] : closed ? points[1] : points[last];
      const int pieces = stroke.curved ? 6 : 1;
      for (int k = 0; k < pieces; ++k) {
        const auto at = [&](int piece) {
          const double t = static_cast<double>(piece) / pieces;
          return placed(stroke.curved
                            ? detail::catmull_rom(before, points[i], points[i + 1], after, t)
                        : piece == 0 ? points[i]
                                     : points[i + 1]);
        };
        segments.push_back({at(k), at(k + 1)});
      }
    }
  }
  for (int row = 0; row < glyph_side; ++row)
    for (int column = 0; column < glyph_side; ++column) {
      double nearest = 1e9;
      for (const Segment& segment : segments)
        nearest = std::min(
            nearest, detail::squared_distance({column + .5, row + .5}, segment.from, segment.to));
      const double covered = std::clamp(pen + .5 - std::sqrt(nearest), 0.0, 1.0);
      pixels[static_cast<std::size_t>(row * glyph_side + column)] =
          static_cast<std::uint8_t>(255 * covered + .5);
    }
}

}  // namespace standins
