// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every velocity model and every posterior or prior must do: each is made a layer of one input and
// takes the layers' conformance test (tests/support/conformance.hpp). A velocity model's input is
// [t | x | s | z | vector | field], as far as it takes them, a posterior's [x0 | x1 | x_t | t | vector |
// field]. Labels and dropped rows are a pattern of the row: one label after the other, the null class
// among them, and every third row dropped.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include <tests/support/conformance.hpp>

#include <vrfm/linalg/elementwise.hpp>
#include <vrfm/models/latent_model.hpp>
#include <vrfm/models/velocity_model.hpp>

namespace vrfm::test {

/// Each parameter as "name extent extent", in the order of the list.
inline std::vector<std::string> names_and_shapes(const ParameterList& list) {
  std::vector<std::string> result;
  for (const auto& slot : list.entries()) {
    std::string shape;
    for (const auto extent : slot.shape) shape += ' ' + std::to_string(extent);
    result.push_back(slot.name + shape);
  }
  return result;
}

/// A model inside a layer, which must be trivially copyable: itself, or a pointer to one that kernels
/// cannot carry.
template <class Model>
struct HeldModel {
  Model model;
  explicit HeldModel(const Model& m) : model(m) {}
  KOKKOS_FUNCTION const Model& operator*() const { return model; }
};
template <class Model>
  requires host_only<Model>
struct HeldModel<Model> {
  const Model* model;
  explicit HeldModel(const Model& m) : model(&m) {}
  KOKKOS_FUNCTION const Model& operator*() const { return *model; }
};

/// Row: its label and whether its condition is dropped.
struct ConditionPattern {
  int classes;
  Matrix<std::int32_t> label, dropped;
  KOKKOS_FUNCTION void operator()(int i) const {
    label(i, 0) = i % (classes + 1);
    dropped(i, 0) = i % 3 == 1 ? 1 : 0;
  }
};

/// The label and dropped rows of `rows` rows, in memory of the arena.
template <class Ctx, class T>
KOKKOS_FUNCTION Condition<T> condition_pattern(const Ctx& ctx, const ModelInputs& inputs, int rows,
                                               Arena<T>& arena) {
  Condition<T> condition{};
  if (!inputs.conditional()) return condition;
  const ConditionPattern pattern{inputs.classes, arena.template take_as<std::int32_t>(rows, 1),
                                 arena.template take_as<std::int32_t>(rows, 1)};
  ctx.each_row(rows, pattern);
  if (inputs.classes > 0) condition.label = pattern.label;
  condition.dropped = pattern.dropped;
  return condition;
}

/// Cuts columns off from the left; no data if there are none.
template <class M>
struct ColumnCutter {
  M matrix;
  int next = 0;
  KOKKOS_FUNCTION M cut(int count) {
    const M part = matrix.empty() || count == 0 ? M() : matrix.col_range(next, count);
    next += count;
    return part;
  }
};

template <class Model>
struct VelocityLayer {
  static constexpr bool has_parameters = true, host_only = vrfm::host_only<Model>;

  template <class T>
  struct Saved {
    typename Model::template PreparedSaved<T> prepared;
    typename Model::template Saved<T> saved;
  };

  HeldModel<Model> model;
  bool draws;  ///< whether dropout is drawn

  /// Columns of t, x and s.
  KOKKOS_FUNCTION int query_cols() const {
    return 1 + (*model).dimension() + ((*model).inputs().second_time ? 1 : 0);
  }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION int inputs() const {
    const ModelInputs in = (*model).inputs();
    return query_cols() + in.latent + in.condition_columns + in.field_columns;
  }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION int outputs() const { return (*model).dimension(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> v,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    ColumnCutter<Matrix<const T>> columns{in};
    const Query<T> query = cut_query<Query<T>>(columns);
    Condition<T> condition = condition_pattern(ctx, (*model).inputs(), in.rows, arena);
    cut_condition(columns, condition);
    const Matrix<T> prepared = arena.take(in.rows, (*model).prepared_cols());
    const DrawAddress address{.seed = 3, .step = {2}, .first_sample = 5};
    (*model).prepare(ctx, p, condition, prepared, saved == nullptr ? nullptr : &saved->prepared,
                     arena);
    (*model).forward(ctx, p, query, prepared, draws ? &address : nullptr, v,
                     saved == nullptr ? nullptr : &saved->saved, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dv, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    const auto mark = arena.used();
    ColumnCutter<Matrix<T>> columns{dx};
    const auto dquery = cut_query<QueryGradient<T>>(columns);
    ConditionGradient<T> dcondition;
    cut_condition(columns, dcondition);
    const Matrix<T> dprepared = arena.take(dv.rows, (*model).prepared_cols());
    ctx.map(dprepared.rows, dprepared.cols, Fill<T>{dprepared, T(0)});
    (*model).backward(ctx, p, g, dv, dquery, dprepared, saved.saved, arena);
    (*model).prepare_backward(ctx, p, g, dprepared, dcondition, saved.prepared, arena);
    arena.rewind(mark);
  }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T* p, ConstMatrix<T> dx, Matrix<T> dv,
                               const Saved<T>& saved, Arena<T>& arena) const {
    if constexpr (DifferentiableModel<Model>) {
      ColumnCutter<Matrix<const T>> columns{dx};
      (*model).tangent(ctx, p, cut_query<Query<T>>(columns), dv, saved.saved, arena);
    }
  }

 private:
  template <class Q, class M>
  KOKKOS_FUNCTION Q cut_query(ColumnCutter<M>& columns) const {
    Q query;
    query.t = columns.cut(1);
    query.x = columns.cut((*model).dimension());
    if ((*model).inputs().second_time) query.s = columns.cut(1);
    return query;
  }
  template <class C, class M>
  KOKKOS_FUNCTION void cut_condition(ColumnCutter<M>& columns, C& condition) const {
    condition.z = columns.cut((*model).inputs().latent);
    condition.vector = columns.cut((*model).inputs().condition_columns);
    condition.field = columns.cut((*model).inputs().field_columns);
  }
};

/// A posterior or prior of x0, x1 and x_t of `dimension` columns.
template <class Model>
struct LatentLayer {
  static constexpr bool has_parameters = true, host_only = vrfm::host_only<Model>;

  template <class T>
  using Saved = typename Model::template Saved<T>;

  HeldModel<Model> model;
  int dimension;

  KOKKOS_FUNCTION int seen_cols() const { return 3 * dimension + 1; }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION int inputs() const {
    return seen_cols() + (*model).inputs().condition_columns + (*model).inputs().field_columns;
  }
  VRFM_UNCHECKED_HOST_DEVICE
  KOKKOS_FUNCTION int outputs() const { return 2 * (*model).latent(); }

  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> in, Matrix<T> moments,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    ColumnCutter<Matrix<const T>> columns{in};
    LatentInputs<T> inputs{columns.cut(dimension), columns.cut(dimension), columns.cut(dimension),
                           columns.cut(1),
                           condition_pattern(ctx, (*model).inputs(), in.rows, arena)};
    inputs.condition.vector = columns.cut((*model).inputs().condition_columns);
    inputs.condition.field = columns.cut((*model).inputs().field_columns);
    (*model).moments(ctx, p, inputs, moments, saved, arena);
    if (saved == nullptr) arena.rewind(mark);
  }

  /// dx: of the vector and the field.
  VRFM_UNCHECKED_HOST_DEVICE
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T* p, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dmoments, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>& arena) const {
    ColumnCutter<Matrix<T>> columns{dx};
    ConditionGradient<T> dcondition;
    dcondition.vector = columns.cut((*model).inputs().condition_columns);
    dcondition.field = columns.cut((*model).inputs().field_columns);
    (*model).backward(ctx, p, g, dmoments, dcondition, saved, arena);
  }

  /// These models have no forward mode.
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx&, const T*, ConstMatrix<T>, Matrix<T>, const Saved<T>&,
                               Arena<T>&) const {}
};

/// On the host, in double: results of backward that are wanted alone, or all but one, are those that
/// come together, and what backward adds to dprepared does not depend on what was there.
template <VelocityModel Model>
class VelocityWishes {
 public:
  VelocityWishes(const Model& model, std::size_t parameters)
      : model_(model), n_(static_cast<int>(parameters)) {}

  void check() const {
    const Results all = run(~0u, 0);
    for (std::size_t k = 0; k < count; ++k) {
      for (const unsigned wanted : {1u << k, ~(1u << k)}) {
        INFO("wanted " << (wanted & ((1u << count) - 1)));
        const Results some = run(wanted, 0);
        for (std::size_t j = 0; j < count; ++j) {
          if (wanted >> j & 1u) CHECK(some[j] == all[j]);
        }
      }
    }
    // To dprepared is added, and what goes to t, x and s does not see it.
    const Results moved = run(~0u, 0.25);
    for (std::size_t j = 1; j < 4; ++j) CHECK(moved[j] == all[j]);
    for (std::size_t j = 0; j < moved[count].size(); ++j) {
      CHECK(std::fabs(moved[count][j] - all[count][j] - 0.25) <=
            8 * epsilon<double> * (1 + std::fabs(all[count][j])));
    }
  }

 private:
  using Host = Kokkos::DefaultHostExecutionSpace;
  static constexpr int rows = 4;
  /// g, t, x, s, z, vector, field; then dprepared.
  static constexpr std::size_t count = 7;
  using Results = std::array<std::vector<double>, count + 1>;

  Results run(unsigned wanted, double start) const {
    const ModelInputs in = model_.inputs();
    const int cols[] = {0,
                        1,
                        model_.dimension(),
                        in.second_time ? 1 : 0,
                        in.latent,
                        in.condition_columns,
                        in.field_columns};
    Numbers numbers(7);
    const auto random = [&](int m, int k) {
      return Padded<double, Host>(m, k, numbers.take(std::size_t(m) * std::size_t(k)));
    };
    Padded<double, Host> p = random(1, n_), g(1, n_), dv = random(rows, model_.dimension()),
                         v(rows, model_.dimension()), prepared(rows, model_.prepared_cols()),
                         dprepared(rows, model_.prepared_cols());
    dprepared.write(
        std::vector<double>(std::size_t(rows) * std::size_t(model_.prepared_cols()), start));
    std::vector<Padded<double, Host>> input, output;
    for (std::size_t k = 0; k < count; ++k) {
      input.push_back(random(rows, cols[k]));
      output.emplace_back(rows, cols[k]);
    }
    const auto given = [&](std::size_t k) {
      return cols[k] > 0 ? Matrix<const double>(input[k].matrix()) : Matrix<const double>();
    };
    const auto wish = [&](std::size_t k) {
      return cols[k] > 0 && (wanted >> k & 1u) ? output[k].matrix() : Matrix<double>();
    };
    const Query<double> query{given(1), given(2), given(3)};
    const QueryGradient<double> dquery{wish(1), wish(2), wish(3)};
    const ConditionGradient<double> dcondition{wish(4), wish(5), wish(6)};
    const Gradient<double> gradient{wanted & 1u ? g.data() : nullptr, false};
    const bool downstream = (wanted & 0b1110001u) != 0;
    const auto step = [&](const auto& ctx, Arena<double>& arena) {
      typename Model::template PreparedSaved<double> prepared_saved{};
      typename Model::template Saved<double> saved{};
      Condition<double> condition = condition_pattern(ctx, in, rows, arena);
      condition.z = given(4);
      condition.vector = given(5);
      condition.field = given(6);
      model_.prepare(ctx, p.data(), condition, prepared.matrix(), &prepared_saved, arena);
      model_.forward(ctx, p.data(), query, prepared.matrix(), nullptr, v.matrix(), &saved, arena);
      const Matrix<double> d = downstream ? dprepared.matrix() : Matrix<double>();
      model_.backward(ctx, p.data(), gradient, dv.matrix(), dquery, d, saved, arena);
      if (downstream) {
        model_.prepare_backward(ctx, p.data(), gradient, dprepared.matrix(), dcondition,
                                prepared_saved, arena);
      }
    };
    auto measure = Arena<double>::measure();
    step(MeasureContext{}, measure);
    std::vector<double> block(measure.peak());
    Arena<double> arena(block.data(), block.size());
    step(TileContext<Host>{}, arena);
    Results results;
    results[0] = g.read();
    for (std::size_t k = 1; k < count; ++k) results[k] = output[k].read();
    results[count] = dprepared.read();
    return results;
  }

  const Model& model_;
  int n_;
};

struct ModelConformance {
  double roughness = 1, weights = 1;  ///< see ConformanceOptions
  Columns fixed = {};
  bool draws = false;  ///< whether dropout is drawn
};

/// The parameters of a slot.
inline Columns slot_of(const ParameterList& list, const std::string& name) {
  for (const auto& slot : list.entries()) {
    if (slot.name == name) return {static_cast<int>(slot.offset), static_cast<int>(slot.count)};
  }
  throw std::runtime_error("no parameter " + name);
}

/// Checks a velocity model with `parameters` parameters on Exec: differentiable in all that it takes,
/// and in forward mode in t, x and s.
template <class Exec, VelocityModel Model>
void conform_velocity(const Model& model, std::size_t parameters,
                      const ModelConformance& options = {}) {
  const VelocityLayer<Model> layer{HeldModel<Model>(model), options.draws};
  const Columns tangent{0, DifferentiableModel<Model> ? layer.query_cols() : 0};
  VelocityWishes<Model>(model, parameters).check();
  conform<Exec>(layer, parameters,
                {.differentiable = {0, layer.inputs()},
                 .tangent = tangent,
                 .fixed = options.fixed,
                 .roughness = options.roughness,
                 .weights = options.weights});
}

/// Checks a posterior or prior of inputs of `dimension` columns: differentiable in the vector and the
/// field.
template <class Exec, LatentModel Model>
void conform_latent(const Model& model, std::size_t parameters, int dimension,
                    const ModelConformance& options = {}) {
  const LatentLayer<Model> layer{HeldModel<Model>(model), dimension};
  const Columns told{layer.seen_cols(), layer.inputs() - layer.seen_cols()};
  conform<Exec>(layer, parameters,
                {.differentiable = told,
                 .fixed = options.fixed,
                 .roughness = options.roughness,
                 .weights = options.weights});
}

}  // namespace vrfm::test
