// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// PixelGrid: the pixels of a field of one, two or three axes, a signal, an image or a volume, the last
// axis fastest. Its number of axes is known at run time: a signal is computed as an image of one line,
// an image as a volume of one plane, so one network compiled once is of all three, and only what moves
// along an axis (convolutions, pools) asks which there are.
#pragma once

#include <ostream>

#include <vrfm/core/compat.hpp>

namespace vrfm {

/// Extents that no axis stands for are 1.
struct PixelGrid {
  int axes = 2;
  int depth = 1, height = 1, width = 1;

  constexpr PixelGrid() = default;
  /// A signal.
  KOKKOS_INLINE_FUNCTION constexpr PixelGrid(int n) : axes(1), width(n) {}
  /// An image.
  KOKKOS_INLINE_FUNCTION constexpr PixelGrid(int lines, int columns)
      : height(lines), width(columns) {}
  /// A volume.
  KOKKOS_INLINE_FUNCTION constexpr PixelGrid(int planes, int lines, int columns)
      : axes(3), depth(planes), height(lines), width(columns) {}

  KOKKOS_INLINE_FUNCTION constexpr int pixels() const { return depth * height * width; }

  /// The extent of the first axis: of an image its height.
  constexpr int first() const { return axes == 1 ? width : axes == 2 ? height : depth; }
  /// The smallest extent.
  constexpr int shortest() const {
    int least = width;
    if (axes > 1 && height < least) least = height;
    if (axes > 2 && depth < least) least = depth;
    return least;
  }
  /// With this extent along each axis.
  constexpr PixelGrid each(int extent) const {
    PixelGrid grid;
    grid.axes = axes;
    grid.width = extent;
    if (axes > 1) grid.height = extent;
    if (axes > 2) grid.depth = extent;
    return grid;
  }

  /// Finer or coarser along each axis, rounded down.
  friend constexpr PixelGrid operator*(PixelGrid grid, int factor) {
    const PixelGrid by = grid.each(factor);
    grid.depth *= by.depth;
    grid.height *= by.height;
    grid.width *= by.width;
    return grid;
  }
  friend constexpr PixelGrid operator/(PixelGrid grid, int factor) {
    const PixelGrid by = grid.each(factor);
    grid.depth /= by.depth;
    grid.height /= by.height;
    grid.width /= by.width;
    return grid;
  }

  friend constexpr bool operator==(const PixelGrid&, const PixelGrid&) = default;

  /// As "4 x 5".
  friend std::ostream& operator<<(std::ostream& out, const PixelGrid& grid) {
    if (grid.axes > 2) out << grid.depth << " x ";
    if (grid.axes > 1) out << grid.height << " x ";
    return out << grid.width;
  }
};

}  // namespace vrfm
