// Operations between a GPU's matrix products for which LibTorch has no fused kernel. Each is a program for
// one row, written once as a template over the group of threads that share the row: one thread on a CPU,
// where the tests run it; threads of a warp or block on a GPU (cuda_programs.cu). A program reads and writes
// through plain pointers and owns nothing.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <c10/util/BFloat16.h>

#ifdef __CUDACC__
#define UNROLL_DEVICE __device__ __forceinline__
#else
#define UNROLL_DEVICE inline
#endif

namespace unroll {

/// Numbers in 16 bytes, the most that a GPU's thread reads or writes with one instruction.
template <typename Number>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(Number));
/// Widths are multiples of this, and rows begin at multiples of 16 bytes; half heads, of kHalfHead.
inline constexpr int kWidthMultiple = kWide<c10::BFloat16>, kHalfHead = 4;

template <int Count>
struct Pack {
  float values[Count];
};

/// `Bytes` that are moved with one instruction.
template <int Bytes>
struct [[gnu::may_alias]] alignas(Bytes) Word {
  std::uint64_t bits[Bytes / sizeof(std::uint64_t)];
};

/// The word size for `Count` numbers: they are one word, or several of 16 bytes.
template <int Count, typename Number>
inline constexpr int kWordBytes = Count* static_cast<int>(sizeof(Number)) < 16
                                      ? Count* static_cast<int>(sizeof(Number))
                                      : 16;

/// What no thread writes meanwhile: a GPU may read it early and through another cache.
template <int Bytes>
UNROLL_DEVICE Word<Bytes> load_constant(const Word<Bytes>* from) {
#ifdef __CUDA_ARCH__
  if constexpr (Bytes == 16) {
    const auto word = __ldg(reinterpret_cast<const ulonglong2*>(from));
    return {{word.x, word.y}};
  } else {
    return {{__ldg(reinterpret_cast<const unsigned long long*>(from))}};
  }
#else
  return *from;
#endif
}

/// From a pointer to const numbers: those that the program only reads.
template <int Count, typename Number>
UNROLL_DEVICE auto load_pack(Number* from) {
  using Whole = Word<kWordBytes<Count, Number>>;
  constexpr int kInWord = static_cast<int>(sizeof(Whole) / sizeof(Number));
  std::remove_const_t<Number> numbers[Count];
  for (int i = 0; i < Count / kInWord; ++i) {
    Whole word;
    if constexpr (std::is_const_v<Number>)
      word = load_constant(reinterpret_cast<const Whole*>(from) + i);
    else
      word = reinterpret_cast<const Whole*>(from)[i];
    std::memcpy(reinterpret_cast<char*>(numbers) + i * sizeof word, &word, sizeof word);
  }
  Pack<Count> pack;
  for (int i = 0; i < Count; ++i) pack.values[i] = static_cast<float>(numbers[i]);
  return pack;
}

template <int Count, typename Number>
UNROLL_DEVICE void store_pack(Number* to, const Pack<Count>& pack) {
  using Whole = Word<kWordBytes<Count, Number>>;
  constexpr int kInWord = static_cast<int>(sizeof(Whole) / sizeof(Number));
  Number numbers[Count];
  for (int i = 0; i < Count; ++i) numbers[i] = static_cast<Number>(pack.values[i]);
  for (int i = 0; i < Count / kInWord; ++i) {
    Whole word;
    std::memcpy(&word, reinterpret_cast<const char*>(numbers) + i * sizeof word, sizeof word);
    reinterpret_cast<Whole*>(to)[i] = word;
  }
}

/// The single thread of a CPU, and the interface of all groups: each(count, f) calls f(i) for this thread's
/// share of 0, ..., count - 1, the same share for the same count; sum() and max() return the total over all
/// threads to each of them, and all must call them.
struct SingleThread {
  template <typename Do>
  void each(std::int64_t count, Do&& f) const {
    for (std::int64_t i = 0; i < count; ++i) f(i);
  }
  float sum(float value) const { return value; }
  float max(float value) const { return value; }
  bool first() const { return true; }
};

/// x [rows, dim] = x + branch, or with a `share` [dim], x + share * (branch - x). Then out [rows, dim] =
/// layer_norm(x) * gamma + beta, plus the row's entry of `places` [place_count, dim] if there are any.
template <typename Number>
struct ResidualNorm {
  static constexpr int kThreads = 32, kPack = kWide<Number>;
  float* x;
  const Number* branch;       // null: x is unchanged
  const float* share;         // null: a sum
  const float *gamma, *beta;  // [dim]
  const float* places;        // null: none
  Number* out;                // null: compute only the sum
  std::int64_t dim, place_count;

  template <typename Group>
  UNROLL_DEVICE void operator()(const Group& group, std::int64_t row) const {
    const auto packs = dim / kPack;
    float* mine = x + row * dim;
    float sum = 0;
    group.each(packs, [&](std::int64_t i) {
      const auto pack = branch ? join(mine, row, i) : load_pack<kPack>(mine + i * kPack);
      for (int j = 0; j < kPack; ++j) sum += pack.values[j];
    });
    if (!out) return;
    const float mean = group.sum(sum) / static_cast<float>(dim);
    float squares = 0;
    group.each(packs, [&](std::int64_t i) {
      const auto pack = load_pack<kPack>(mine + i * kPack);
      for (int j = 0; j < kPack; ++j) squares += (pack.values[j] - mean) * (pack.values[j] - mean);
    });
    const float factor = 1.0F / ::sqrtf(group.sum(squares) / static_cast<float>(dim) + 1e-5F);
    const float* place = places ? places + row % place_count * dim : nullptr;
    group.each(packs, [&](std::int64_t i) {
      auto pack = load_pack<kPack>(mine + i * kPack);
      const auto g = load_pack<kPack>(gamma + i * kPack), b = load_pack<kPack>(beta + i * kPack);
      for (int j = 0; j < kPack; ++j)
        pack.values[j] = (pack.values[j] - mean) * factor * g.values[j] + b.values[j];
      if (place) add(pack, load_pack<kPack>(place + i * kPack));
      store_pack(out + row * dim + i * kPack, pack);
    });
  }

 private:
  static UNROLL_DEVICE void add(Pack<kPack>& pack, const Pack<kPack>& other) {
    for (int j = 0; j < kPack; ++j) pack.values[j] += other.values[j];
  }
  UNROLL_DEVICE Pack<kPack> join(float* mine, std::int64_t row, std::int64_t i) const {
    auto pack = load_pack<kPack>(mine + i * kPack);
    auto other = load_pack<kPack>(branch + row * dim + i * kPack);
    if (share) {
      const auto part = load_pack<kPack>(share + i * kPack);
      for (int j = 0; j < kPack; ++j) other.values[j] = part.values[j] * (other.values[j] - pack.values[j]);
    }
    add(pack, other);
    store_pack(mine + i * kPack, pack);
    return pack;
  }
};

/// in [rows, 2 * width], values before gates -> out [rows, width] = gelu(gate) * value.
template <typename Number>
struct GeluGate {
  static constexpr int kThreads = 32, kPack = kWide<Number>;
  const Number* in;
  Number* out;
  std::int64_t width;

  template <typename Group>
  UNROLL_DEVICE void operator()(const Group& group, std::int64_t row) const {
    const Number *values = in + row * 2 * width, *gates = values + width;
    group.each(width / kPack, [&](std::int64_t i) {
      auto pack = load_pack<kPack>(values + i * kPack);
      const auto gate = load_pack<kPack>(gates + i * kPack);
      for (int j = 0; j < kPack; ++j)
        pack.values[j] *= 0.5F * gate.values[j] * (1.0F + ::erff(gate.values[j] * 0.70710678F));
      store_pack(out + row * width + i * kPack, pack);
    });
  }
};

/// out [rows, dim] = before + share * (z + bias - before): the fixed gate of a state.
template <typename Number>
struct StateUpdate {
  static constexpr int kThreads = 32, kPack = kWide<Number>;
  const float* before;
  const Number* z;
  const float *bias, *share;  // [dim]
  float* out;
  std::int64_t dim;

  template <typename Group>
  UNROLL_DEVICE void operator()(const Group& group, std::int64_t row) const {
    group.each(dim / kPack, [&](std::int64_t i) {
      const auto at = row * dim + i * kPack;
      auto pack = load_pack<kPack>(before + at);
      const auto next = load_pack<kPack>(z + at), b = load_pack<kPack>(bias + i * kPack),
                 s = load_pack<kPack>(share + i * kPack);
      for (int j = 0; j < kPack; ++j)
        pack.values[j] += s.values[j] * (next.values[j] + b.values[j] - pack.values[j]);
      store_pack(out + at, pack);
    });
  }
};

/// Copies queries, keys or values to the layout of attention. Each head is normalised to the length that
/// `scale` gives and rotated to its position, if wanted.
template <typename Number>
struct HeadCopy {
  const Number* numbers;                 // either
  const float* floats;                   // or
  std::int64_t document_stride, stride;  // numbers from one document, or position, to the next
  std::int64_t documents, length, heads;
  const float* scale;          // [dim]; null: lengths are unchanged
  const float *cosine, *sine;  // [length, dim], from the first position on; null: no rotation
  Number* out;                 // [documents, out_length, heads, dim]; the first position is out_begin
  std::int64_t out_length, out_begin;
};

/// Several copies in one launch: rows are heads of positions, those of the first copy, then of the second...
template <typename Number>
struct HeadCopies {
  static constexpr int kThreads = 8, kMost = 5, kPack = kHalfHead;
  HeadCopy<Number> copies[kMost] = {};
  int count = 0;
  std::int64_t dim = 0, rows = 0;

  void add(const HeadCopy<Number>& copy) {
    copies[count++] = copy;
    rows += copy.documents * copy.length * copy.heads;
  }

  template <typename Group>
  UNROLL_DEVICE void operator()(const Group& group, std::int64_t row) const {
    for (int i = 0; i < count; ++i) {
      const auto here = copies[i].documents * copies[i].length * copies[i].heads;
      if (row < here) {
        if (copies[i].numbers) return run(group, copies[i], copies[i].numbers, row);
        return run(group, copies[i], copies[i].floats, row);
      }
      row -= here;
    }
  }

 private:
  template <typename Group, typename From>
  UNROLL_DEVICE void run(const Group& group, const HeadCopy<Number>& copy, const From* from,
                         std::int64_t row) const {
    // In 32 bits, because a GPU divides 64 bits slowly; RowOperators checks that rows fit.
    const auto heads = static_cast<std::uint32_t>(copy.heads),
               length = static_cast<std::uint32_t>(copy.length);
    const auto place = static_cast<std::uint32_t>(row) / heads;
    const std::int64_t head = static_cast<std::uint32_t>(row) - place * heads, document = place / length;
    const std::int64_t position = place - static_cast<std::uint32_t>(document) * length;
    const From* x = from + document * copy.document_stride + position * copy.stride + head * dim;
    Number* out =
        copy.out + ((document * copy.out_length + copy.out_begin + position) * copy.heads + head) * dim;
    float factor = 1;
    if (copy.scale) {
      float squares = 0;
      group.each(dim / kPack, [&](std::int64_t i) {
        const auto pack = load_pack<kPack>(x + i * kPack);
        for (int j = 0; j < kPack; ++j) squares += pack.values[j] * pack.values[j];
      });
      factor = 1.0F / ::fmaxf(::sqrtf(group.sum(squares)), 1e-12F);
    }
    const auto half = dim / 2;
    group.each(half / kPack, [&](std::int64_t i) {
      auto first = scaled(copy, x, factor, i * kPack), second = scaled(copy, x, factor, half + i * kPack);
      if (copy.cosine) turn(copy, first, second, position * dim + i * kPack, half);
      store_pack(out + i * kPack, first);
      store_pack(out + half + i * kPack, second);
    });
  }

  template <typename From>
  static UNROLL_DEVICE Pack<kPack> scaled(const HeadCopy<Number>& copy, const From* x, float factor,
                                          std::int64_t at) {
    auto pack = load_pack<kPack>(x + at);
    if (!copy.scale) return pack;
    const auto scale = load_pack<kPack>(copy.scale + at);
    for (int j = 0; j < kPack; ++j) pack.values[j] *= factor * scale.values[j];
    return pack;
  }

  /// Rotates the pair of halves, as rotary.h does.
  static UNROLL_DEVICE void turn(const HeadCopy<Number>& copy, Pack<kPack>& first, Pack<kPack>& second,
                                 std::int64_t at, std::int64_t half) {
    const auto c = load_pack<kPack>(copy.cosine + at), s = load_pack<kPack>(copy.sine + at);
    const auto d = load_pack<kPack>(copy.cosine + at + half), t = load_pack<kPack>(copy.sine + at + half);
    for (int j = 0; j < kPack; ++j) {
      const float a = first.values[j], b = second.values[j];
      first.values[j] = a * c.values[j] - b * s.values[j];
      second.values[j] = b * d.values[j] + a * t.values[j];
    }
  }
};

/// logits [rows, stride], of which the first `count` are used -> the target's log-probability and the entropy
/// in nats, [rows] each, in one pass (Milakov & Gimelshein 2018, arXiv 1805.02867).
template <typename Number>
struct Score {
  static constexpr int kThreads = 256, kPack = kWide<Number>;
  const Number* logits;
  const std::int64_t* targets;  // [rows]
  float *logprobs, *entropies;  // entropies: null if not wanted
  std::int64_t count, stride;

  template <typename Group>
  UNROLL_DEVICE void operator()(const Group& group, std::int64_t row) const {
    const Number* mine = logits + row * stride;
    float max = -INFINITY, sum = 0, weighted = 0;
    group.each((count + kPack - 1) / kPack, [&](std::int64_t i) {
      const auto pack = load_pack<kPack>(mine + i * kPack);
      const auto most = count - i * kPack;
      float here = max;
      for (int j = 0; j < kPack; ++j)
        if (j < most) here = ::fmaxf(here, pack.values[j]);
      if (here > max) {
        const float factor = ::expf(max - here);
        sum *= factor;
        weighted *= factor;
        max = here;
      }
      for (int j = 0; j < kPack; ++j) {
        if (j >= most) continue;
        const float e = ::expf(pack.values[j] - max);
        sum += e;
        weighted += e * pack.values[j];
      }
    });
    const float all = group.max(max), factor = ::expf(max - all);
    const float total = group.sum(sum * factor), total_weighted = group.sum(weighted * factor);
    if (!group.first()) return;
    const float log_sum = all + ::logf(total);
    logprobs[row] = static_cast<float>(mine[targets[row]]) - log_sum;
    if (entropies) entropies[row] = log_sum - total_weighted / total;
  }
};

}  // namespace unroll
