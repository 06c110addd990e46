// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the benchmarks measure, once more as plain loops on one thread: a dense layer, a training step
// and Euler's method, one sample at a time and with the standard library's functions. It reads the
// same parameters and draws the same numbers, and `expect_agreement` compares the results before any
// of it is timed.
#pragma once

#include <cmath>
#include <stdexcept>
#include <vector>

#include "flows.hpp"

namespace vrfm::bench::naive {

using Host = Kokkos::DefaultHostExecutionSpace;

/// The numbers of a view, on the host.
template <class View>
std::vector<typename View::non_const_value_type> to_vector(const View& view) {
  const auto host = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), view);
  return {host.data(), host.data() + host.size()};
}

/// Throws std::runtime_error unless |actual - expected| <= 8 epsilon sqrt(terms) |expected| in the
/// Euclidean norm; `terms`: how many each number is the sum of.
template <class T>
void expect_agreement(const std::string& what, const std::vector<T>& actual,
                      const std::vector<T>& expected, double terms) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto a = static_cast<double>(actual.at(i)), e = static_cast<double>(expected[i]);
    difference += (a - e) * (a - e);
    norm += e * e;
  }
  const double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double relative = std::sqrt(difference / norm), bound = 8 * epsilon * std::sqrt(terms);
  if (!(relative <= bound)) {
    throw std::runtime_error(text(what, " and its plain loops differ by ", relative,
                                  " of their norm, more than ", bound));
  }
}

/// y = f(W x + b), f = GELU or the identity.
template <class T>
class Dense {
 public:
  Dense(const ParameterList& list, const std::string& name, bool gelu) : gelu_(gelu) {
    for (const auto& slot : list.entries()) {
      if (slot.name == name + ".bias") bias_ = slot.offset;
      if (slot.name != name + ".weight") continue;
      weight_ = slot.offset;
      outputs_ = slot.shape[0];
      inputs_ = slot.shape[1];
    }
  }

  std::size_t inputs() const { return inputs_; }
  std::size_t outputs() const { return outputs_; }

  void forward(const T* p, const T* x, T* y, T* slope) const {
    for (std::size_t j = 0; j < outputs_; ++j) {
      const T* w = p + weight_ + j * inputs_;
      T sum = p[bias_ + j];
      for (std::size_t k = 0; k < inputs_; ++k) sum += w[k] * x[k];
      const T cdf = gelu_ ? T(0.5) * (T(1) + std::erf(sum * T(0.70710678118654752))) : T(1);
      const T pdf = gelu_ ? T(0.39894228040143268) * std::exp(T(-0.5) * sum * sum) : T(0);
      y[j] = sum * cdf;
      slope[j] = cdf + sum * pdf;
    }
  }

  /// Adds the parameters' gradient to g; writes the input's to dx unless that is null.
  void backward(const T* p, T* g, const T* x, const T* slope, const T* dy, T* dx) const {
    for (std::size_t k = 0; dx != nullptr && k < inputs_; ++k) dx[k] = T(0);
    for (std::size_t j = 0; j < outputs_; ++j) {
      const T d = dy[j] * slope[j];
      const T* w = p + weight_ + j * inputs_;
      T* dw = g + weight_ + j * inputs_;
      g[bias_ + j] += d;
      for (std::size_t k = 0; k < inputs_; ++k) dw[k] += d * x[k];
      for (std::size_t k = 0; dx != nullptr && k < inputs_; ++k) dx[k] += d * w[k];
    }
  }

 private:
  bool gelu_;
  std::size_t inputs_ = 0, outputs_ = 0, weight_ = 0, bias_ = 0;
};

/// Dense layers <name>.0, <name>.1, ... and what they keep of one sample.
template <class T>
class Stack {
 public:
  Stack(const ParameterList& list, const std::string& name, bool gelu_at_end) {
    std::size_t depth = 0;
    for (const auto& slot : list.entries()) {
      depth += slot.name.starts_with(name + ".") && slot.shape.size() == 2 ? 1u : 0u;
    }
    for (std::size_t i = 0; i < depth; ++i) {
      layers_.emplace_back(list, text(name, '.', i), gelu_at_end || i + 1 < depth);
      y_.emplace_back(layers_[i].outputs());
      slope_.emplace_back(layers_[i].outputs());
    }
  }

  const std::vector<T>& forward(const T* p, const std::vector<T>& x) {
    x_ = x;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].forward(p, input(i).data(), y_[i].data(), slope_[i].data());
    }
    return y_.back();
  }

  /// The gradient of the input; that of the parameters is added to g.
  std::vector<T> backward(const T* p, T* g, std::vector<T> d) const {
    for (std::size_t i = layers_.size(); i-- > 0;) {
      std::vector<T> dx(layers_[i].inputs());
      layers_[i].backward(p, g, input(i).data(), slope_[i].data(), d.data(), dx.data());
      d = dx;
    }
    return d;
  }

 private:
  const std::vector<T>& input(std::size_t i) const { return i == 0 ? x_ : y_[i - 1]; }

  std::vector<Dense<T>> layers_;
  std::vector<T> x_;
  std::vector<std::vector<T>> y_, slope_;
};

/// Puts `part` behind `all`.
template <class T>
void append(std::vector<T>& all, const std::vector<T>& part) {
  all.insert(all.end(), part.begin(), part.end());
}

/// The k-th of equal parts.
template <class T>
std::vector<T> part(const std::vector<T>& all, std::size_t parts, std::size_t k) {
  const auto length = static_cast<std::ptrdiff_t>(all.size() / parts);
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(k) * length;
  return {first, first + length};
}

/// The networks of a flow.
template <class T>
class Networks {
 public:
  Networks(const ParameterList& list, const FlowOptions& options)
      : variational_(options.latent > 0),
        time_(list, "velocity.time_encoder", true),
        data_(list, "velocity.data_encoder", true),
        latent_(list, "velocity.latent_encoder", false),
        decoder_(list, "velocity.decoder", false),
        encoder_{{list, "posterior.x0_encoder", true},
                 {list, "posterior.x1_encoder", true},
                 {list, "posterior.xt_encoder", true}},
        head_(list, "posterior.head", false) {
    const int half = options.encoder.features / 2;
    for (int k = 0; k < half; ++k) {
      const double power = -static_cast<double>(k) / half;
      frequency_.push_back(
          static_cast<T>(options.encoder.scale * std::pow(options.encoder.max_period, power)));
    }
  }

  /// v(x, t, z); z is empty without a latent variable.
  const std::vector<T>& velocity(const T* p, T t, const std::vector<T>& x,
                                 const std::vector<T>& z) {
    std::vector<T> features = time_.forward(p, waves({t}));
    append(features, data_.forward(p, waves(x)));
    if (variational_) append(features, latent_.forward(p, z));
    return decoder_.forward(p, features);
  }

  /// The gradient of z.
  std::vector<T> velocity_backward(const T* p, T* g, const std::vector<T>& dv) {
    const std::vector<T> d = decoder_.backward(p, g, dv);
    const std::size_t parts = variational_ ? 3 : 2;
    time_.backward(p, g, part(d, parts, 0));
    data_.backward(p, g, part(d, parts, 1));
    return variational_ ? latent_.backward(p, g, part(d, parts, 2)) : std::vector<T>();
  }

  /// The posterior's mu and s, one behind the other.
  const std::vector<T>& moments(const T* p, const std::vector<T>& x0, const std::vector<T>& x1,
                                const std::vector<T>& x_t) {
    std::vector<T> features = encoder_[0].forward(p, waves(x0));
    append(features, encoder_[1].forward(p, waves(x1)));
    append(features, encoder_[2].forward(p, waves(x_t)));
    return head_.forward(p, features);
  }

  void moments_backward(const T* p, T* g, const std::vector<T>& dmoments) {
    const std::vector<T> d = head_.backward(p, g, dmoments);
    for (std::size_t k = 0; k < 3; ++k) encoder_[k].backward(p, g, part(d, 3, k));
  }

 private:
  /// The sinusoidal encoding.
  std::vector<T> waves(const std::vector<T>& x) const {
    std::vector<T> y;
    for (const T value : x) {
      for (const T w : frequency_) y.push_back(std::cos(w * value));
      for (const T w : frequency_) y.push_back(std::sin(w * value));
    }
    return y;
  }

  bool variational_;
  std::vector<T> frequency_;
  Stack<T> time_, data_, latent_, decoder_;
  Stack<T> encoder_[3];
  Stack<T> head_;
};

/// Training by AdamW with the negative ELBO, or the velocity loss without a latent variable.
template <class T>
class Trainer {
 public:
  Trainer(const ParameterList& list, const FlowOptions& options, std::vector<T> parameters,
          double beta, int batch)
      : networks_(list, options),
        source_(source<T, Host>(options.dimension)),
        target_(target<T, Host>(options.dimension)),
        dimension_(static_cast<std::size_t>(options.dimension)),
        latent_(static_cast<std::size_t>(options.latent)),
        beta_(static_cast<T>(beta)),
        batch_(batch),
        p_(std::move(parameters)),
        g_(p_.size()),
        m_(p_.size()),
        v_(p_.size()) {}

  const std::vector<T>& first_moment() const { return m_; }
  const std::vector<T>& second_moment() const { return v_; }
  const std::vector<T>& parameters() const { return p_; }
  /// Velocity loss and, with a latent variable, KL of the last step, means over the batch.
  std::vector<T> losses() const {
    std::vector<T> means{velocity_loss_ / T(batch_)};
    if (latent_ > 0) means.push_back(kl_ / T(batch_));
    return means;
  }

  void step() {
    g_.assign(g_.size(), T(0));
    velocity_loss_ = kl_ = T(0);
    for (int i = 0; i < batch_; ++i) add_sample(static_cast<std::uint64_t>(i));
    const AdamW o;
    const double rate = o.learning_rate.at(step_);
    ++step_;
    const T step_size = static_cast<T>(rate / (1 - std::pow(o.beta1, step_)));
    const T root = static_cast<T>(std::sqrt(1 - std::pow(o.beta2, step_)));
    for (std::size_t k = 0; k < p_.size(); ++k) {
      m_[k] += static_cast<T>(1 - o.beta1) * (g_[k] - m_[k]);
      v_[k] += static_cast<T>(1 - o.beta2) * (g_[k] * g_[k] - v_[k]);
      p_[k] = static_cast<T>(1 - rate * o.weight_decay) * p_[k] -
              step_size * m_[k] / (std::sqrt(v_[k]) / root + static_cast<T>(o.epsilon));
    }
  }

 private:
  /// Adds one sample's part to the gradient and the losses.
  void add_sample(std::uint64_t sample) {
    const auto step = static_cast<std::uint32_t>(step_);
    const auto stream = [](Purpose purpose) { return RandomStream(0, purpose); };
    std::vector<T> x0(dimension_), x1(dimension_), x_t(dimension_), dv(dimension_);
    source_.draw(sample, step, stream(Purpose::source), x0.data());
    target_.draw(sample, step, stream(Purpose::target), x1.data());
    const T t = stream(Purpose::time).template uniform<T>(sample, step, 0);
    for (std::size_t j = 0; j < dimension_; ++j) x_t[j] = t * x1[j] + (T(1) - t) * x0[j];

    std::vector<T> moments, z(latent_), noise(latent_), sigma(latent_);
    if (latent_ > 0) {
      moments = networks_.moments(p_.data(), x0, x1, x_t);
      stream(Purpose::posterior).normal(sample, step, 0, static_cast<int>(latent_), noise.data());
    }
    for (std::size_t j = 0; j < latent_; ++j) {
      const T mu = moments[j], s = moments[latent_ + j];
      sigma[j] = std::exp(s / T(2));
      z[j] = mu + sigma[j] * noise[j];
      kl_ += (mu * mu + sigma[j] * sigma[j] - T(1) - s) / T(2);
    }
    const std::vector<T>& v = networks_.velocity(p_.data(), t, x_t, z);
    const T weight = T(1) / T(batch_);
    for (std::size_t j = 0; j < dimension_; ++j) {
      const T error = v[j] - (x1[j] - x0[j]);
      velocity_loss_ += error * error;
      dv[j] = T(2) * weight * error;
    }
    const std::vector<T> dz = networks_.velocity_backward(p_.data(), g_.data(), dv);
    if (latent_ == 0) return;
    std::vector<T> dmoments(2 * latent_);
    for (std::size_t j = 0; j < latent_; ++j) {
      dmoments[j] = dz[j] + beta_ * weight * moments[j];
      dmoments[latent_ + j] =
          (dz[j] * noise[j] * sigma[j] + beta_ * weight * (sigma[j] * sigma[j] - T(1))) / T(2);
    }
    networks_.moments_backward(p_.data(), g_.data(), dmoments);
  }

  Networks<T> networks_;
  GaussianMixture<T, Host> source_, target_;
  std::size_t dimension_, latent_;
  T beta_;
  int batch_;
  std::int64_t step_ = 0;
  std::vector<T> p_, g_, m_, v_;
  T velocity_loss_ = 0, kl_ = 0;
};

/// Samples 0 ... count - 1 of a flow under seed 0 by Euler's method, one behind the other.
template <class T>
std::vector<T> sample(Networks<T>& networks, const T* p, const FlowOptions& options,
                      std::size_t count, int steps) {
  const auto from = source<T, Host>(options.dimension);
  const T h = T(1) / T(steps);
  std::vector<T> all;
  for (std::uint64_t id = 0; id < count; ++id) {
    std::vector<T> x(static_cast<std::size_t>(options.dimension));
    std::vector<T> z(static_cast<std::size_t>(options.latent));
    const SampleAddress address{.sample = id, .use = Use::sampling};
    from.draw(id, 0, address.stream(Purpose::source), x.data());
    address.stream(Purpose::prior).normal(id, 0, 0, options.latent, z.data());
    for (int k = 0; k < steps; ++k) {
      const std::vector<T>& v = networks.velocity(p, T(k) * h, x, z);
      for (std::size_t j = 0; j < x.size(); ++j) x[j] += h * v[j];
    }
    append(all, x);
  }
  return all;
}

}  // namespace vrfm::bench::naive
