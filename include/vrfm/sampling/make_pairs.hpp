// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// make_pairs: draw_pairs block by block into a PairFile (io/pair_file.hpp), which may be larger than memory, with the
// condition of each pair. A row's bits depend neither on the size of the blocks nor on threads. StoredPairs
// (data/stored_pairs.hpp) trains on the file.
#pragma once

#include <filesystem>
#include <functional>

#include <vrfm/core/copy.hpp>
#include <vrfm/io/pair_file.hpp>
#include <vrfm/sampling/draw_pairs.hpp>

namespace vrfm {

namespace detail {

/// Rows first ... first + count - 1 of a table with one for each pair; nothing if it was not given.
template <class View>
View rows_of_block(const View& table, std::size_t first, std::size_t count) {
  if (!is_given(table)) return table;
  const std::pair<std::size_t, std::size_t> rows(first, first + count);
  if constexpr (View::rank == 1) {
    return Kokkos::subview(table, rows);
  } else {
    return Kokkos::subview(table, rows, Kokkos::ALL);
  }
}

/// The elements of a table on the host, which is kept by `host`.
template <class View>
auto elements_of(const View& host) {
  return std::span<const typename View::non_const_value_type>(host.data(), host.size());
}

}  // namespace detail

/// Writes options.count pairs to `path`, which appears when all are done. `between` is called behind each block; if it
/// throws, nothing appears. Waits for the end. Throws as draw_pairs and
/// AtomicFile do, and std::invalid_argument for a solver whose error norm is over a batch.
template <Real T, ExecutionSpace Exec, class Networks, Compute precision, class List, class Source,
          class Solver>
void make_pairs(const std::filesystem::path& path,
                const Flow<T, Exec, Networks, precision, List>& flow, const Source& source,
                const Solver& solver, const std::type_identity_t<PairOptions<T, Exec>>& options,
                const Metadata& metadata = {}, const std::function<void()>& between = {}) {
  expect(options.count >= 1, "make_pairs needs at least 1 pair, got ", options.count);
  expect(options.block >= 1, "make_pairs needs blocks of at least 1 pair, got ", options.block);
  (void)detail::all_samples(options.count, options.seed, options.first_id, Use::sampling);
  if constexpr (AdaptiveSolver<Solver>) {
    expect(solver.norm == ErrorNorm::sample,
           "pairs are made in blocks: expected an error norm of each sample");
  }
  detail::check_pair_rows(options);
  const auto& c = options.condition;
  const bool latents = detail::pairs_have_latents(flow, options);
  PairWriter<T> file(path,
                     {.count = options.count,
                      .dimension = static_cast<std::size_t>(flow.dimension()),
                      .latent = latents ? static_cast<std::size_t>(flow.latent()) : 0,
                      .columns = c.vector.extent(1),
                      .field_columns = c.field.extent(1),
                      .labels = detail::is_given(c.labels)},
                     metadata);
  for (std::size_t first = 0; first < options.count; first += options.block) {
    PairOptions<T, Exec> part = options;
    part.count = math::minimum(options.block, options.count - first);
    part.first_id = options.first_id + first;
    part.condition = {detail::rows_of_block(c.labels, first, part.count),
                      detail::rows_of_block(c.vector, first, part.count),
                      detail::rows_of_block(c.field, first, part.count)};
    const auto pairs = draw_pairs(flow, source, solver, part);
    const auto& exec = flow.exec();
    const auto x0 = to_host(exec, pairs.x0), x1 = to_host(exec, pairs.x1),
               z = to_host(exec, pairs.z);
    const auto vector = to_host(exec, part.condition.vector),
               field = to_host(exec, part.condition.field);
    const auto labels = to_host(exec, part.condition.labels);
    file.write({detail::elements_of(x0), detail::elements_of(x1), detail::elements_of(z),
                detail::elements_of(vector), detail::elements_of(field),
                detail::elements_of(labels)});
    if (between) between();
  }
  file.commit();
}

}  // namespace vrfm
