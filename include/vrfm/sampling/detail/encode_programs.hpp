// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The programs of encode.hpp: what one tile or one batch of samples runs.
#pragma once

#include <vrfm/paths/affine_path.hpp>
#include <vrfm/sampling/detail/latents.hpp>
#include <vrfm/sampling/detail/run_blocks.hpp>

namespace vrfm::detail {

/// Throws std::invalid_argument unless `table` is rows x columns and row-major.
template <class View>
void check_rows(const View& table, std::string_view name, std::size_t rows, int columns) {
  expect_same(name, table.extent(0), "the call", rows, "rows");
  expect_same(name, table.extent(1), "the flow", static_cast<std::size_t>(columns), "columns");
  (void)matrix(table);
}

/// Element: mu, and s within its limits.
template <class T>
struct SplitMoments {
  ConstMatrix<T> moments;
  Matrix<T> mean, log_variance;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    mean(i, j) = moments(i, j);
    log_variance(i, j) = limited_log_variance(moments(i, mean.cols + j));
  }
};

/// The program of run_blocks that tells the posterior of pairs and draws from it. Tables that are
/// empty were not given.
template <class T, class P, class Posterior, class Products>
struct EncodePairs {
  static constexpr bool host_only = vrfm::host_only<Posterior>;
  using products = Products;

  Posterior posterior;
  const P* parameters;
  ConditionRows<T> condition;
  Matrix<const T> x0, x1, x_t;
  T t;
  Matrix<T> mean, log_variance, z;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block, Arena<T>& arena) const {
    const auto mark = arena.used();
    const int first = block.first_row, count = block.count;
    const EncoderInput input = posterior.input();
    LatentInputs<T> inputs{};
    if (contains(input, EncoderInput::x0)) inputs.x0 = x0.row_range(first, count);
    if (contains(input, EncoderInput::x1)) inputs.x1 = x1.row_range(first, count);
    const bool on_path = contains(input, EncoderInput::x_t) && x_t.rows == 0;
    if (contains(input, EncoderInput::x_t)) inputs.x_t = x_t.row_range(first, count);
    if (on_path || contains(input, EncoderInput::t)) {
      const Matrix<T> times = arena.take(count, 1);
      ctx.map(count, 1, Fill<T>{times, t});
      if (contains(input, EncoderInput::t)) inputs.t = times;
      if (on_path) {
        const Matrix<T> x = arena.take(count, x0.cols), u = arena.take(count, x0.cols);
        ctx.each_row(count,
                     Interpolate<T>{
                         {}, times, x0.row_range(first, count), x1.row_range(first, count), x, u});
        inputs.x_t = x;
      }
    }
    inputs.condition = gather_condition(ctx, condition, posterior.inputs(), block, arena);
    const Matrix<T> moments = arena.take(count, 2 * z.cols);
    saved_of<Posterior, T, P>* const unsaved = nullptr;
    posterior.moments(ctx, parameters, inputs, moments, unsaved, arena);
    ctx.map(count, z.cols,
            SplitMoments<T>{moments, mean.row_range(first, count),
                            log_variance.row_range(first, count)});
    ctx.each_row(count,
                 DrawLatent<T>{block, Purpose::posterior, moments, z.row_range(first, count)});
    arena.rewind(mark);
  }
};

/// The program of run_blocks that draws from the prior.
template <class T, class P, class Prior, class Products>
struct DrawLatents {
  static constexpr bool host_only = vrfm::host_only<Prior>;
  using products = Products;

  Prior prior;
  const P* parameters;
  ConditionRows<T> condition;
  Matrix<const T> x0;
  Matrix<T> z;

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx>
  KOKKOS_FUNCTION void operator()(const Ctx& ctx, const SampleBlock& block, Arena<T>& arena) const {
    const auto mark = arena.used();
    const Condition<T> c = gather_condition(ctx, condition, prior.inputs(), block, arena);
    draw_from_prior(ctx, prior, parameters, block, x0.row_range(block.first_row, block.count), c,
                    z.row_range(block.first_row, block.count), arena);
    arena.rewind(mark);
  }
};

}  // namespace vrfm::detail
