// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The conformance of the layers that take more than x: LabelEmbedding and Dropout, each made a layer of x alone.
#include <tests/support/model_conformance.hpp>
#include <tests/support/spaces.hpp>

#include <vrfm/layers/dropout.hpp>
#include <vrfm/layers/label_embedding.hpp>

namespace vrfm::test::of_x {

/// y = x + the embedding of the row's label, a pattern in which the null class occurs; with `drops` every third
/// row is dropped.
struct AddLabel {
  static constexpr bool has_parameters = true;
  LabelEmbedding labels;
  bool drops;

  template <class T>
  struct Saved {
    Matrix<const std::int32_t> label, dropped;
  };

  KOKKOS_FUNCTION int inputs() const { return labels.outputs(); }
  KOKKOS_FUNCTION int outputs() const { return labels.outputs(); }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T* p, ConstMatrix<T> x, Matrix<T> y,
                               Saved<T>* saved, Arena<T>& arena) const {
    const auto mark = arena.used();
    Condition<T> condition =
        condition_pattern(ctx, ModelInputs{.classes = labels.classes()}, x.rows, arena);
    if (!drops) condition.dropped = {};
    labels.forward(ctx, p, condition.label, condition.dropped, y);
    ctx.map(y.rows, y.cols, AddScaled<T>{T(1), x, y});
    if (saved == nullptr) {
      arena.rewind(mark);
    } else {
      *saved = {condition.label, condition.dropped};
    }
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T> g, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>& saved,
                                Arena<T>&) const {
    if (!dx.empty()) ctx.map(dx.rows, dx.cols, Copy<T>{dy, dx});
    labels.backward(ctx, g, saved.label, saved.dropped, dy);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>&, Arena<T>&) const {
    ctx.map(dx.rows, dx.cols, Copy<T>{dx, dy});
  }
};

/// Dropout at one address, which saves nothing.
struct Drop {
  static constexpr bool has_parameters = false;
  Dropout dropout;
  int pixels, channels;
  bool in_place;

  template <class T>
  struct Saved {};

  KOKKOS_FUNCTION int inputs() const { return channels; }
  KOKKOS_FUNCTION int outputs() const { return channels; }
  KOKKOS_FUNCTION int input_pixels() const { return pixels; }
  KOKKOS_FUNCTION int output_pixels() const { return pixels; }
  KOKKOS_FUNCTION static DrawAddress address() {
    return {.seed = 3, .step = {2}, .first_sample = 5};
  }

  template <class Ctx, class T>
  KOKKOS_FUNCTION void forward(const Ctx& ctx, const T*, ConstMatrix<T> x, Matrix<T> y, Saved<T>*,
                               Arena<T>&) const {
    if (in_place) ctx.map(y.rows, y.cols, Copy<T>{x, y});
    dropout.forward(ctx, address(), in_place ? ConstMatrix<T>(y) : x, y);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void backward(const Ctx& ctx, const T*, Gradient<T>, ConstMatrix<T>,
                                ConstMatrix<T> dy, Matrix<T> dx, const Saved<T>&, Arena<T>&) const {
    if (dx.empty()) return;
    if (in_place) ctx.map(dx.rows, dx.cols, Copy<T>{dy, dx});
    dropout.backward(ctx, address(), in_place ? ConstMatrix<T>(dx) : dy, dx);
  }
  template <class Ctx, class T>
  KOKKOS_FUNCTION void tangent(const Ctx& ctx, const T*, ConstMatrix<T> dx, Matrix<T> dy,
                               const Saved<T>&, Arena<T>&) const {
    dropout.forward(ctx, address(), dx, dy);
  }
};

}  // namespace vrfm::test::of_x

using namespace vrfm;

TEMPLATE_LIST_TEST_CASE("the embedding of labels conforms", "[layers]", test::Spaces) {
  const auto check = [](int classes, int width, bool drops) {
    INFO(classes << " classes, " << width << " columns, drops: " << drops);
    ParameterList list;
    const test::of_x::AddLabel layer{LabelEmbedding(list, "labels", classes, width), drops};
    test::conform<TestType>(layer, list.count());
  };
  check(3, 5, false);
  check(3, 5, true);
  check(1, 1, true);
}

TEMPLATE_LIST_TEST_CASE("dropout conforms", "[layers][dropout]", test::Spaces) {
  const auto check = [](double probability, int pixels, int channels, bool in_place) {
    INFO(probability << ", " << pixels << " pixels, " << channels
                     << " channels, in place: " << in_place);
    const test::of_x::Drop layer{Dropout(probability, pixels, channels, 1), pixels, channels,
                                 in_place};
    test::conform<TestType>(layer, 0);
  };
  check(0.3, 1, 19, false);
  check(0.3, 6, 3, true);
  check(0, 1, 4, false);
  check(0, 2, 4, true);
}
