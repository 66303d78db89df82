// Compiled once for each instruction set: cmake/instruction_sets.cmake.
#include "training/fast/tile_kernels.h"

#include "model/cpu/lanes.h"
#include "training/fast/tile_layout.h"

namespace unroll {
namespace {

constexpr float kEpsilon = 1e-5F;
constexpr float kLeastNorm = 1e-12F;

/// For x: gelu(x) = x * cdf, and its derivative cdf + x * density.
struct Gelu {
  Floats cdf, density;
};
UNROLL_INLINE Gelu gelu(Floats x) {
  const Floats size = at_least(0, larger(x, -x)) * 0.70710678F;
  const Floats t = 1.0F / (1.0F + 0.3275911F * size);
  const Floats p =
      ((((1.061405429F * t - 1.453152027F) * t + 1.421413741F) * t - 0.284496736F) * t + 0.254829592F) * t;
  const Floats e = power_of_two<6>(-size * size * kLog2OfE);
  const Floats half_tail = 0.5F * p * e;  // of the side that x is on
  return {x < 0.0F ? half_tail : 1.0F - half_tail, 0.39894228F * e};
}

template <typename Number>
void gelu_gate(const float* values, const float* gates, std::int64_t features, Number* kept_values,
               Number* kept_gates, Number* out) {
  const auto one = [&](std::int64_t f, std::int64_t c) UNROLL_INLINE_LAMBDA {
    const auto at = f * kRow + c;
    const Floats value = load(values + at), gate = load(gates + at);
    store(value, kept_values + at);
    store(gate, kept_gates + at);
    return gate * gelu(gate).cdf * value;
  };
  std::int64_t f = 0;
  for (; f + 2 <= features; f += 2)
    for (int c = 0; c < kRow; c += kLanes) store_pair(one(f, c), one(f + 1, c), out + pair_at(f, c, out));
  if (f < features)
    for (int c = 0; c < kRow; c += kLanes) store_last(one(f, c), out + pair_at(f, c, out));
}

template <typename Number>
void gelu_gate_back(const Number* values, const Number* gates, const float* d_out, std::int64_t features,
                    std::int64_t stride, Number* d_values, Number* d_gates, Number* d_value_pairs,
                    Number* d_gate_pairs, float* out) {
  struct Both {
    Floats value, gate;
  };
  const auto one = [&](std::int64_t f, std::int64_t c) UNROLL_INLINE_LAMBDA {
    const auto at = f * kRow + c;
    const Floats value = load(values + at), gate = load(gates + at), d = load(d_out + at);
    const auto g = gelu(gate);
    const Floats active = gate * g.cdf;
    store(active * value, out + at);
    const Both both{d * active, d * value * (g.cdf + gate * g.density)};
    store(both.value, d_values + f * stride + c);
    store(both.gate, d_gates + f * stride + c);
    return both;
  };
  std::int64_t f = 0;
  for (; f + 2 <= features; f += 2)
    for (int c = 0; c < kRow; c += kLanes) {
      const auto first = one(f, c), second = one(f + 1, c);
      store_pair(first.value, second.value, d_value_pairs + pair_at(f, c, d_value_pairs));
      store_pair(first.gate, second.gate, d_gate_pairs + pair_at(f, c, d_gate_pairs));
    }
  if (f < features)
    for (int c = 0; c < kRow; c += kLanes) {
      const auto last = one(f, c);
      store_last(last.value, d_value_pairs + pair_at(f, c, d_value_pairs));
      store_last(last.gate, d_gate_pairs + pair_at(f, c, d_gate_pairs));
    }
}

template <typename Number>
constexpr int kTerms = sizeof(Number) == 2 ? 4 : 6;  // of the exponential: enough for Number's precision

template <typename Number>
void softmax(float* scores, std::int64_t keys, float factor, std::int64_t diagonal, float* max, float* sum,
             float* correction, Number* out) {
  for (int c = 0; c < kRow; c += kLanes) {
    Floats most = all(-kInfinity);
    for (std::int64_t j = 0; j < keys; ++j) {
      auto* at = scores + j * kRow + c;
      Floats score = load(at);
      if (j + diagonal > c) {
        score = from_lane(c, j + diagonal, score, -kInfinity);
        store(score, at);
      }
      most = larger(most, score);
    }
    const Floats before = load(max + c);
    const Floats now = larger(before, most * factor);
    const Floats kept = power_of_two<6>(before - now);
    Floats total = load(sum + c) * kept;
    const auto one = [&](std::int64_t j) UNROLL_INLINE_LAMBDA {
      const Floats e = power_of_two<kTerms<Number>>(load(scores + j * kRow + c) * factor - now);
      total += e;
      return e;
    };
    std::int64_t j = 0;
    for (; j + 2 <= keys; j += 2) {
      const Floats first = one(j);
      store_pair(first, one(j + 1), out + pair_at(j, c, out));
    }
    if (j < keys) store_last(one(j), out + pair_at(j, c, out));
    store(now, max + c);
    store(total, sum + c);
    store(kept, correction + c);
  }
}

template <typename Number>
void softmax_back(const float* scores, const float* dp, std::int64_t keys, float factor, float scale,
                  std::int64_t diagonal, const float* lse, const float* delta, Number* p, Number* ds,
                  Number* ds_pairs) {
  for (int c = 0; c < kRow; c += kLanes) {
    const Floats low = load(lse + c), mean = load(delta + c);
    const auto one = [&](std::int64_t j) UNROLL_INLINE_LAMBDA {
      const auto at = j * kRow + c;
      Floats e = power_of_two<kTerms<Number>>(load(scores + at) * factor - low);
      if (j + diagonal > c) e = from_lane(c, j + diagonal, e, 0);
      const Floats d = scale * e * (load(dp + at) - mean);
      store(e, p + at);
      store(d, ds + at);
      return d;
    };
    std::int64_t j = 0;
    for (; j + 2 <= keys; j += 2) {
      const Floats first = one(j);
      store_pair(first, one(j + 1), ds_pairs + pair_at(j, c, ds_pairs));
    }
    if (j < keys) store_last(one(j), ds_pairs + pair_at(j, c, ds_pairs));
  }
}

template <typename Number>
void cross_entropy_back(const float* logits, std::int64_t count, const float* lse, const float* weight,
                        const std::int64_t* targets, std::int64_t stride, Number* d, Number* d_pairs) {
  typedef std::int32_t Index __attribute__((vector_size(kLanes * 4)));
  for (int c = 0; c < kRow; c += kLanes) {
    const Floats low = load(lse + c), share = load(weight + c);
    Index target;
    for (int i = 0; i < kLanes; ++i) {
      const auto at = targets[c + i];
      target[i] = at >= 0 && at < count ? static_cast<std::int32_t>(at) : -1;
    }
    const auto one = [&](std::int64_t j) UNROLL_INLINE_LAMBDA {
      Floats e = power_of_two<kTerms<Number>>(load(logits + j * kRow + c) * kLog2OfE - low);
      e = target == static_cast<std::int32_t>(j) ? e - 1.0F : e;
      e *= share;
      store(e, d + j * stride + c);
      return e;
    };
    std::int64_t j = 0;
    for (; j + 2 <= count; j += 2) {
      const Floats first = one(j);
      store_pair(first, one(j + 1), d_pairs + pair_at(j, c, d_pairs));
    }
    if (j < count) store_last(one(j), d_pairs + pair_at(j, c, d_pairs));
  }
}

void layer_norm(const float* x, const float* gamma, std::int64_t features, float* stats, float* out) {
  const float share = 1.0F / static_cast<float>(features);
  for (int c = 0; c < kRow; c += kLanes) {
    Floats sum[2] = {}, squares[2] = {};
    for (std::int64_t f = 0; f < features; ++f) sum[f % 2] += load(x + f * kRow + c);
    const Floats mean = (sum[0] + sum[1]) * share;
    for (std::int64_t f = 0; f < features; ++f) {
      const Floats apart = load(x + f * kRow + c) - mean;
      squares[f % 2] += apart * apart;
    }
    const Floats factor = 1.0F / square_root((squares[0] + squares[1]) * share + kEpsilon);
    store(mean, stats + c);
    store(factor, stats + kRow + c);
    for (std::int64_t f = 0; f < features; ++f)
      store((load(x + f * kRow + c) - mean) * factor * gamma[f], out + f * kRow + c);
  }
}

void layer_norm_back(const float* x, const float* stats, const float* gamma, const float* d_out,
                     std::int64_t features, float* dx, float* d_gamma, float* normed) {
  const float share = 1.0F / static_cast<float>(features);
  Floats mean[kParts], factor[kParts], sum[kParts] = {}, with_x[kParts] = {};
  for (int i = 0; i < kParts; ++i) {
    mean[i] = load(stats + i * kLanes);
    factor[i] = load(stats + kRow + i * kLanes);
  }
  for (std::int64_t f = 0; f < features; ++f) {
    Floats of_gamma = {};
    for (int i = 0; i < kParts; ++i) {
      const auto at = f * kRow + i * kLanes;
      const Floats unit = (load(x + at) - mean[i]) * factor[i], d = load(d_out + at), g = d * gamma[f];
      sum[i] += g;
      with_x[i] += g * unit;
      of_gamma += d * unit;
      if (normed) store(unit * gamma[f], normed + at);
    }
    d_gamma[f] += sum_of_lanes(of_gamma);
  }
  for (std::int64_t f = 0; f < features; ++f)
    for (int i = 0; i < kParts; ++i) {
      const auto at = f * kRow + i * kLanes;
      const Floats unit = (load(x + at) - mean[i]) * factor[i], g = load(d_out + at) * gamma[f];
      store(load(dx + at) + factor[i] * (g - share * (sum[i] + unit * with_x[i])), dx + at);
    }
}

/// 1 / the norm of each position's features.
UNROLL_INLINE Floats inverse_length(const float* x, std::int64_t features, int c) {
  Floats squares[2] = {};
  for (std::int64_t f = 0; f < features; ++f) {
    const Floats lanes = load(x + f * kRow + c);
    squares[f % 2] += lanes * lanes;
  }
  return 1.0F / at_least(kLeastNorm, square_root(squares[0] + squares[1]));
}

void ready(const float* x, const float* scale, const float* cosine, const float* sine, std::int64_t stride,
           std::int64_t features, float* out) {
  const auto half = features / 2;
  for (int c = 0; c < kRow; c += kLanes) {
    const Floats inverse = scale ? inverse_length(x, features, c) : all(1);
    const auto one = [&](std::int64_t f) UNROLL_INLINE_LAMBDA {
      return load(x + f * kRow + c) * inverse * (scale ? scale[f] : 1.0F);
    };
    if (!cosine) {
      for (std::int64_t f = 0; f < features; ++f) store(one(f), out + f * kRow + c);
      continue;
    }
    for (std::int64_t f = 0; f < half; ++f) {
      const Floats first = one(f), second = one(half + f);
      const auto low = f * stride + c, high = (half + f) * stride + c;
      store(first * load(cosine + low) - second * load(sine + low), out + f * kRow + c);
      store(second * load(cosine + high) + first * load(sine + high), out + (half + f) * kRow + c);
    }
  }
}

void ready_back(const float* x, const float* scale, const float* cosine, const float* sine,
                std::int64_t stride, std::int64_t features, float* d_out, float* dx, float* d_scale) {
  const auto half = features / 2;
  for (int c = 0; cosine && c < kRow; c += kLanes) {
    for (std::int64_t f = 0; f < half; ++f) {
      const auto low = f * stride + c, high = (half + f) * stride + c;
      const Floats first = load(d_out + f * kRow + c), second = load(d_out + (half + f) * kRow + c);
      store(first * load(cosine + low) + second * load(sine + high), d_out + f * kRow + c);
      store(second * load(cosine + high) - first * load(sine + low), d_out + (half + f) * kRow + c);
    }
  }
  if (!scale) {
    for (std::int64_t i = 0; i < features * kRow; i += kLanes) store(load(d_out + i), dx + i);
    return;
  }
  Floats inverse[kParts], along[kParts] = {};
  for (int i = 0; i < kParts; ++i) inverse[i] = inverse_length(x, features, static_cast<int>(i * kLanes));
  for (std::int64_t f = 0; f < features; ++f) {
    Floats of_scale = {};
    for (int i = 0; i < kParts; ++i) {
      const auto at = f * kRow + i * kLanes;
      const Floats unit = load(x + at) * inverse[i], d = load(d_out + at);
      of_scale += d * unit;
      along[i] += d * scale[f] * unit;
    }
    d_scale[f] += sum_of_lanes(of_scale);
  }
  for (std::int64_t f = 0; f < features; ++f)
    for (int i = 0; i < kParts; ++i) {
      const auto at = f * kRow + i * kLanes;
      store(inverse[i] * (load(d_out + at) * scale[f] - load(x + at) * inverse[i] * along[i]), dx + at);
    }
}

void scale_columns(float* x, const float* factor, std::int64_t features) {
  for (int c = 0; c < kRow; c += kLanes) {
    const Floats lanes = load(factor + c);
    for (std::int64_t f = 0; f < features; ++f) store(load(x + f * kRow + c) * lanes, x + f * kRow + c);
  }
}

void dot_columns(const float* a, const float* b, std::int64_t features, float* out) {
  for (int c = 0; c < kRow; c += kLanes) {
    Floats sum[2] = {};
    for (std::int64_t f = 0; f < features; ++f) sum[f % 2] += load(a + f * kRow + c) * load(b + f * kRow + c);
    store(sum[0] + sum[1], out + c);
  }
}

void sum_positions(const float* x, std::int64_t features, float* out) {
  for (std::int64_t f = 0; f < features; ++f) {
    Floats sum = {};
    for (int c = 0; c < kRow; c += kLanes) sum += load(x + f * kRow + c);
    out[f] += sum_of_lanes(sum);
  }
}

void add(float* x, const float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) x[i] += y[i];
}

void softmax_sums(const float* logits, std::int64_t count, float* max, float* sum) {
  for (int c = 0; c < kRow; c += kLanes) {
    Floats most[2] = {all(-kInfinity), all(-kInfinity)}, more[2] = {};
    for (std::int64_t j = 0; j < count; ++j) most[j % 2] = larger(most[j % 2], load(logits + j * kRow + c));
    const Floats before = load(max + c), now = larger(before, larger(most[0], most[1]) * kLog2OfE);
    for (std::int64_t j = 0; j < count; ++j)
      more[j % 2] += power_of_two<6>(load(logits + j * kRow + c) * kLog2OfE - now);
    store(load(sum + c) * power_of_two<6>(before - now) + more[0] + more[1], sum + c);
    store(now, max + c);
  }
}

void to_bf16(const float* x, std::int64_t count, Half* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(load(x + i), out + i);
  for (; i < count; ++i)
    out[i] = static_cast<Half>((__builtin_bit_cast(std::uint32_t, x[i]) + 0x8000U) >> 16);
}

template <typename Number>
constexpr TileKernels<Number> kTable{pairs<Number>,
                                     plain<Number>,
                                     row_pairs,
                                     rows<Number>,
                                     tile,
                                     gelu_gate<Number>,
                                     gelu_gate_back<Number>,
                                     softmax<Number>,
                                     softmax_back<Number>,
                                     cross_entropy_back<Number>};

}  // namespace

template <>
const TileTables& tile_tables_for<InstructionSet::UNROLL_INSTRUCTION_SET>() {
  static constexpr TileTables kTables{kTable<float>, kTable<Half>,
                                      TileLoops{layer_norm, layer_norm_back, ready, ready_back, scale_columns,
                                                dot_columns, sum_positions, add, softmax_sums, to_bf16}};
  return kTables;
}

}  // namespace unroll
