// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ConditionTables: the condition c of the samples of a call, as tables with one row a sample that are
// used round and round: sample number i of the call has row i % rows, so one row is for all.
#pragma once

#include <string_view>

#include <vrfm/core/arena.hpp>
#include <vrfm/core/copy.hpp>
#include <vrfm/integrators/sample_block.hpp>
#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/condition.hpp>

namespace vrfm {

/// What a model takes of c, and nothing else.
template <Real T, ExecutionSpace Exec>
struct ConditionTables {
  Array<const std::int32_t, Exec> labels = {};  ///< 0 ... classes - 1; `classes` is the null class
  Table<const T, Exec> vector = {};             ///< rows x condition_columns
  Table<const T, Exec> field = {};              ///< rows x field_columns, channels last
};

namespace detail {

/// The tables as kernels read them; empty: not given.
template <class T>
struct ConditionRows {
  Matrix<const std::int32_t> labels;
  Matrix<const T> vector, field;
};

/// matrix() without its checks, for kernels too.
template <class View>
KOKKOS_INLINE_FUNCTION Matrix<typename View::value_type> rows_of(const View& table) {
  return {table.data(), static_cast<int>(table.extent(0)), static_cast<int>(table.extent(1)),
          static_cast<int>(table.stride(0))};
}

template <class T, class Exec>
KOKKOS_INLINE_FUNCTION ConditionRows<T> rows_of(const ConditionTables<T, Exec>& tables) {
  const int labels = static_cast<int>(tables.labels.extent(0));
  return {{tables.labels.data(), labels, 1, 1}, rows_of(tables.vector), rows_of(tables.field)};
}

/// Whether a caller gave this table: a default one has no extents.
template <class View>
bool is_given(const View& table) {
  return table.extent(0) != 0 || (View::rank == 2 && table.extent(1) != 0);
}

/// Element: out = the block's rows of a table that is used round and round, or `missing` without one.
template <class T>
struct LookUpRound {
  ConstMatrix<T> table;
  SampleBlock block;
  T missing;
  Matrix<T> out;
  KOKKOS_INLINE_FUNCTION void operator()(int i, int j) const {
    out(i, j) = table.rows == 0 ? missing : table((block.first_row + i) % table.rows, j);
  }
};

/// c of the block's rows, as far as `inputs` says that it is taken: the null class and zeros where
/// there is no table.
template <class Ctx, class T>
KOKKOS_FUNCTION Condition<T> gather_condition(const Ctx& ctx, const ConditionRows<T>& tables,
                                              const ModelInputs& inputs, const SampleBlock& block,
                                              Arena<T>& arena) {
  Condition<T> c{};
  const int count = block.count;
  if (inputs.classes > 0) {
    const Matrix<std::int32_t> label = arena.template take_as<std::int32_t>(count, 1);
    ctx.map(count, 1, LookUpRound<std::int32_t>{tables.labels, block, inputs.classes, label});
    c.label = label;
  }
  if (inputs.condition_columns > 0) {
    const Matrix<T> vector = arena.take(count, inputs.condition_columns);
    ctx.map(count, vector.cols, LookUpRound<T>{tables.vector, block, T(0), vector});
    c.vector = vector;
  }
  if (inputs.field_columns > 0) {
    const Matrix<T> field = arena.take(count, inputs.field_columns);
    ctx.map(count, field.cols, LookUpRound<T>{tables.field, block, T(0), field});
    c.field = field;
  }
  return c;
}

/// `c` counts as not given in any row.
template <class Ctx, class T>
KOKKOS_FUNCTION Condition<T> dropped_condition(const Ctx& ctx, Condition<T> c, int rows,
                                               Arena<T>& arena) {
  const Matrix<std::int32_t> dropped = arena.template take_as<std::int32_t>(rows, 1);
  ctx.map(rows, 1, Fill<std::int32_t>{dropped, 1});
  c.dropped = dropped;
  return c;
}

/// `c` without z and without what `inputs` does not take.
template <class T>
KOKKOS_INLINE_FUNCTION Condition<T> taken_of(Condition<T> c, const ModelInputs& inputs) {
  c.z = {};
  if (inputs.classes == 0) c.label = {};
  if (inputs.condition_columns == 0) c.vector = {};
  if (inputs.field_columns == 0) c.field = {};
  return c;
}

/// The tables of `tables` that `inputs` takes.
template <Real T, ExecutionSpace Exec>
ConditionTables<T, Exec> tables_for(ConditionTables<T, Exec> tables, const ModelInputs& inputs) {
  if (inputs.classes == 0) tables.labels = {};
  if (inputs.condition_columns == 0) tables.vector = {};
  if (inputs.field_columns == 0) tables.field = {};
  return tables;
}

/// What a or b takes of c.
inline ModelInputs either(ModelInputs a, const ModelInputs& b) {
  if (a.classes == 0) a.classes = b.classes;
  if (a.condition_columns == 0) a.condition_columns = b.condition_columns;
  if (a.field_columns == 0) a.field_columns = b.field_columns;
  return a;
}

/// Throws std::invalid_argument unless there is a table exactly if one is wanted, of that many columns.
template <class View>
void check_table(const View& table, std::string_view name, int columns, std::string_view taker,
                 bool needed) {
  if (!is_given(table)) {
    expect(!needed || columns == 0, taker, " takes a condition, but ", name, " was not given");
    return;
  }
  expect(columns > 0, name, " was given, but ", taker, " takes none");
  narrow<int>(table.extent(0), "the number of rows of ", name);
  if constexpr (View::rank == 2) {
    expect_same(name, table.extent(1), taker, static_cast<std::size_t>(columns), "columns");
    expect(table.extent(0) > 0, name, " has no rows");
    (void)matrix(table);
  }
}

/// Throws std::invalid_argument unless the tables are what `inputs` takes and the labels are in
/// 0 ... classes. `needed`: false if tables may be left out. `taker` names the model in the text.
template <Real T, ExecutionSpace Exec>
void check_condition(const Exec& exec, const ConditionTables<T, Exec>& tables,
                     const ModelInputs& inputs, std::string_view taker, bool needed = true) {
  check_table(tables.labels, "condition.labels", inputs.classes, taker, needed);
  check_table(tables.vector, "condition.vector", inputs.condition_columns, taker, needed);
  check_table(tables.field, "condition.field", inputs.field_columns, taker, needed);
  const auto labels = to_host(exec, tables.labels);
  for (std::size_t i = 0; i < labels.extent(0); ++i) {
    expect(labels(i) >= 0 && labels(i) <= inputs.classes, "condition.labels has ", labels(i),
           " in row ", i, ": expected 0 to ", inputs.classes, ", of which ", inputs.classes,
           " is the null class");
  }
}

}  // namespace detail

}  // namespace vrfm
