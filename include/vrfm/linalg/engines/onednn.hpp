// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions of float by oneDNN on OpenMP's threads, for programs that link vrfm::onednn. Images
// are read in place, channels last; weights are brought into the order that the library's kernel
// asks for. The first convolution of a shape compiles its kernel; later ones reuse the kernel and
// its working memory, and allocate nothing but the library's own list of arguments. Three cases stay
// with vrfm's own products: volumes, what the library has only plain loops for, such as images with gaps
// between pixels, and launches of an instance that has a part of the threads. The library cuts the
// sum of the weights' gradient by the number of threads, so the results of a training depend on
// that number, unlike those of vrfm's own products.
#pragma once

#include <vrfm/linalg/detail/convolution.hpp>
#include <vrfm/linalg/engines/engine.hpp>

#if defined(VRFM_ENGINE_ONEDNN)

#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>

namespace vrfm::detail {

/// The kernels and the working memory of one thread that launches convolutions.
class OneDnn {
 public:
  static OneDnn& here() {
    thread_local OneDnn one;
    return one;
  }

  /// Computes what `c` seeks, with `bias` added to an output unless it is null. Returns false, and
  /// does nothing, if the library has no fast kernel for it. Throws dnnl::error if the library
  /// fails.
  bool compute(const Convolution<float>& c, const float* bias, Update update) {
    const auto [entry, is_new] = kernels_.try_emplace(key(c, bias, update));
    if (is_new) entry->second = make(c, bias != nullptr, update);
    if (!entry->second) return false;
    const Kernel& kernel = *entry->second;
    if (buffer_.size() < kernel.scratch_lines + kernel.ordered_lines) {
      buffer_.resize(kernel.scratch_lines + kernel.ordered_lines);
    }
    place(kernel.input, c.input.data);
    place(kernel.output, c.output.data);
    place(kernel.weights, c.weights.data);
    place(kernel.bias, bias);
    place(kernel.scratch, buffer_.data());
    place(kernel.ordered, buffer_.data() + kernel.scratch_lines);
    for (const Step& step : kernel.steps) {
      dnnl::error::wrap_c_api(
          dnnl_primitive_execute(step.primitive.get(), stream_.get(),
                                 static_cast<int>(step.arguments.size()), step.arguments.data()),
          "vrfm: a convolution by oneDNN failed");
    }
    return true;
  }

 private:
  using Memory = dnnl::memory;
  using Key = std::pair<std::array<int, 12>, std::array<int, 7>>;

  struct Step {
    dnnl::primitive primitive;
    std::vector<dnnl_exec_arg_t> arguments;
  };

  struct Kernel {
    Memory input, output, weights, bias, scratch, ordered;
    std::size_t scratch_lines = 0, ordered_lines = 0;
    std::vector<Step> steps;  // the product, and the copy of the weights before or after it
  };

  struct alignas(64) Line {
    std::byte bytes[64];
  };

  static Key key(const Convolution<float>& c, const float* bias, Update update) {
    return {c.shape(),
            {c.input.stride, c.output.stride, c.weights.stride, c.adjoint, bias != nullptr,
             update == Update::accumulate, omp_get_max_threads()}};
  }

  static void place(const Memory& memory, const void* data) {
    if (memory && memory.get_data_handle() != data) {
      memory.set_data_handle(const_cast<void*>(data));
    }
  }

  static Memory::desc image(const Matrix<const float>& x, int samples, int height, int width) {
    const Memory::dim pixel = x.stride, line = width * pixel;
    return {{samples, x.cols, height, width},
            Memory::data_type::f32,
            Memory::dims{height * line, 1, line, pixel}};
  }

  Memory on(const Memory::desc& desc) const { return {desc, engine_, DNNL_MEMORY_NONE}; }

  /// The library's kernel for a convolution (`hint`: for its gradients); empty if it has none.
  template <class Primitive, class... Hint, class... What>
  auto find(const dnnl::primitive_attr& attributes, const std::tuple<Hint...>& hint,
            const What&... what) const {
    return std::apply(
        [&](const auto&... forward) {
          using Desc = typename Primitive::primitive_desc;
#if DNNL_VERSION_MAJOR >= 3
          return Desc(engine_, what..., forward..., attributes, true);
#else
          return Desc(typename Primitive::desc(what...), attributes, engine_, forward..., true);
#endif
        },
        hint);
  }

  std::optional<Kernel> make(const Convolution<float>& c, bool has_bias, Update update) const {
    constexpr auto direct = dnnl::algorithm::convolution_direct;
    constexpr auto training = dnnl::prop_kind::forward_training;
    using Layout = Memory::format_tag;
    const Window& w = c.window;
    const auto input = image(c.input, c.samples, w.height, w.width);
    const auto output = image(c.output, c.samples, w.out_height(), w.out_width());
    const Memory::dims shape{c.output.cols, c.input.cols, w.kernel.y, w.kernel.x};
    const Memory::desc any(shape, Memory::data_type::f32, Layout::any);
    const Memory::dim row = c.weights.stride, tap = c.adjoint ? c.output.cols : c.input.cols;
    const Memory::desc weights(
        shape, Memory::data_type::f32,
        Memory::dims{c.adjoint ? 1 : row, c.adjoint ? row : 1, w.kernel.x * tap, tap});
    const Memory::desc bias = has_bias
                                  ? Memory::desc({c.output.cols}, Memory::data_type::f32, Layout::x)
                                  : Memory::desc();
    const Memory::dims strides{w.stride, w.stride}, padding{w.padding.y, w.padding.x},
        last_padding{w.padding.y + w.behind, w.padding.x + w.behind};
    dnnl::primitive_attr plain, summed;
    plain.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    summed.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    dnnl::post_ops sum;
    sum.append_sum();
    summed.set_post_ops(sum);

    const auto forward = find<dnnl::convolution_forward>(
        update == Update::accumulate ? summed : plain, {}, training, direct, input, any, bias,
        output, strides, padding, last_padding);
    if (!forward) return {};
    if (c.sought == Sought::output) {
      return ready(forward, forward.weights_desc(), weights, input, output, bias,
                   {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, c.sought);
    }
    if (update == Update::accumulate) return {};
    const std::tuple hint(forward);
    if (c.sought == Sought::input) {
      const auto found = find<dnnl::convolution_backward_data>(
          plain, hint, direct, input, any, output, strides, padding, last_padding);
      if (!found) return {};
      return ready(found, found.weights_desc(), weights, input, output, bias,
                   {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST}, c.sought);
    }
    const auto found = find<dnnl::convolution_backward_weights>(
        plain, hint, direct, input, any, output, strides, padding, last_padding);
    if (!found) return {};
    return ready(found, found.diff_weights_desc(), weights, input, output, bias,
                 {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}, c.sought);
  }

  /// Sets up the kernel of `found`, whose weights are `ordered`; `names` are those of input,
  /// weights and output. None if the library would take its reference code, whose loops are plain.
  template <class Found>
  std::optional<Kernel> ready(const Found& found, const Memory::desc& ordered,
                              const Memory::desc& weights, const Memory::desc& input,
                              const Memory::desc& output, const Memory::desc& bias,
                              const std::array<int, 3>& names, Sought sought) const {
    if (std::string_view(found.impl_info_str()).find("ref") != std::string_view::npos) return {};
    const auto lines = [](const Memory::desc& desc) { return (desc.get_size() + 63) / 64; };
    Kernel kernel;
    kernel.input = on(input);
    kernel.output = on(output);
    kernel.weights = on(weights);
    Step product{dnnl::primitive(found.get()),
                 {{names[0], kernel.input.get()}, {names[2], kernel.output.get()}}};
    if (bias.get_size() > 0) {
      kernel.bias = on(bias);
      product.arguments.push_back({DNNL_ARG_BIAS, kernel.bias.get()});
    }
    kernel.scratch_lines = lines(found.scratchpad_desc());
    if (kernel.scratch_lines > 0) {
      kernel.scratch = on(found.scratchpad_desc());
      product.arguments.push_back({DNNL_ARG_SCRATCHPAD, kernel.scratch.get()});
    }
    if (ordered == weights) {
      product.arguments.push_back({names[1], kernel.weights.get()});
      kernel.steps = {product};
      return kernel;
    }
    kernel.ordered = on(ordered);
    kernel.ordered_lines = lines(ordered);
    product.arguments.push_back({names[1], kernel.ordered.get()});
    const bool before = sought != Sought::weights;
    const Memory &from = before ? kernel.weights : kernel.ordered,
                 &to = before ? kernel.ordered : kernel.weights;
    const Step copy{dnnl::reorder(from, to),
                    {{DNNL_ARG_FROM, from.get()}, {DNNL_ARG_TO, to.get()}}};
    if (before)
      kernel.steps = {copy, product};
    else
      kernel.steps = {product, copy};
    return kernel;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Key, std::optional<Kernel>> kernels_;
  std::vector<Line> buffer_;
};

}  // namespace vrfm::detail

namespace vrfm {

struct OneDnnEngine {
  template <class Exec, class A, class B>
  static constexpr bool takes =
      std::is_same_v<Exec, Kokkos::OpenMP> && detail::are_of_float_convolution<A, B>;
  static constexpr bool complete = false;

  template <Op OpA, Op OpB, class Ctx, class A, class B, class T, class Epilogue>
  static Launched gemm(const Ctx& ctx, const A& a, const B& b, Matrix<T> c, Update update,
                       const Epilogue& epilogue) {
    if constexpr ((OpA == Op::none && OpB == Op::none) || !std::is_same_v<T, float>) {
      return Launched::nothing;  // its weights are transposed, its results of float
    } else {
      // The library knows OpenMP's own number of threads only.
      const bool all_threads =
          ctx.exec().concurrency() == omp_get_max_threads() && omp_in_parallel() == 0;
      const detail::Convolution<float> convolution = detail::convolution_of(a, b, c);
      if (!all_threads || convolution.samples == 0 || convolution.window.is_volume()) {
        return Launched::nothing;
      }
      const float* const bias =
          convolution.sought == detail::Sought::output ? bias_of(epilogue) : nullptr;
      if (!detail::OneDnn::here().compute(convolution, bias, update)) return Launched::nothing;
      return bias != nullptr ? Launched::product_and_epilogue : Launched::product;
    }
  }

 private:
  /// The bias that the library adds, which is all it fuses.
  static const float* bias_of(const AddBias<float>& add) { return add.bias; }
  template <class Epilogue>
  static const float* bias_of(const Epilogue&) {
    return nullptr;
  }
};

}  // namespace vrfm

#endif
