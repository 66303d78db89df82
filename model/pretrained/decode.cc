#include "model/pretrained/decode.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace unroll {
namespace {

using Bytes = const std::uint8_t*;

constexpr int kSmall = 32;   // numbers per block of Q8_0, Q4_0, Q4_1, Q5_0, Q5_1
constexpr int kSuper = 256;  // numbers per block of Q4_K, Q5_K, Q6_K
constexpr int kPart = 32;    // numbers of Q4_K and Q5_K that share a scale and a minimum
constexpr std::int64_t kNumbersPerTask = 1 << 15;

template <typename T>
T load(Bytes bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

float half(Bytes bytes) {
  return static_cast<float>(c10::Half(load<std::uint16_t>(bytes), c10::Half::from_bits()));
}

void decode_f32(Bytes block, float* out) {
  *out = load<float>(block);
}

void decode_f16(Bytes block, float* out) {
  *out = half(block);
}

void decode_bf16(Bytes block, float* out) {
  *out = static_cast<float>(c10::BFloat16(load<std::uint16_t>(block), c10::BFloat16::from_bits()));
}

void decode_q8_0(Bytes block, float* out) {
  const float scale = half(block);
  for (int i = 0; i < kSmall; ++i)
    out[i] = static_cast<float>(static_cast<std::int8_t>(block[2 + i])) * scale;
}

/// Byte i holds number i in its low four bits and number i + 16 in its high four.
int nibble(Bytes quants, int i) {
  return i < kSmall / 2 ? quants[i] & 15 : quants[i - kSmall / 2] >> 4;
}

/// Adds the fifth bit of each from a word of 32.
int five_bits(Bytes quants, std::uint32_t high, int i) {
  return nibble(quants, i) | static_cast<int>((high >> i & 1) << 4);
}

void decode_q4_0(Bytes block, float* out) {
  const float scale = half(block);
  for (int i = 0; i < kSmall; ++i) out[i] = scale * static_cast<float>(nibble(block + 2, i) - 8);
}

void decode_q4_1(Bytes block, float* out) {
  const float scale = half(block), least = half(block + 2);
  for (int i = 0; i < kSmall; ++i) out[i] = scale * static_cast<float>(nibble(block + 4, i)) + least;
}

void decode_q5_0(Bytes block, float* out) {
  const float scale = half(block);
  const auto high = load<std::uint32_t>(block + 2);
  for (int i = 0; i < kSmall; ++i) out[i] = scale * static_cast<float>(five_bits(block + 6, high, i) - 16);
}

void decode_q5_1(Bytes block, float* out) {
  const float scale = half(block), least = half(block + 2);
  const auto high = load<std::uint32_t>(block + 4);
  for (int i = 0; i < kSmall; ++i) out[i] = scale * static_cast<float>(five_bits(block + 8, high, i)) + least;
}

/// Q4_K and Q5_K: scales and minima of eight parts, six bits each, packed into twelve bytes.
struct PartScales {
  float scale, least;
};
PartScales part_scales(Bytes block, int part) {
  const float scale = half(block), least = half(block + 2);
  const Bytes packed = block + 4;
  int s = 0, m = 0;
  if (part < 4) {
    s = packed[part] & 63;
    m = packed[part + 4] & 63;
  } else {
    s = (packed[part + 4] & 15) | (packed[part - 4] >> 2 & 48);
    m = packed[part + 4] >> 4 | (packed[part] >> 2 & 48);
  }
  return {scale * static_cast<float>(s), least * static_cast<float>(m)};
}

/// 32 bytes hold two parts: the first in the low four bits, the second in the high four.
int part_nibble(Bytes quants, int part, int i) {
  const int byte = quants[part / 2 * kPart + i];
  return part % 2 == 0 ? byte & 15 : byte >> 4;
}

void decode_q4_k(Bytes block, float* out) {
  for (int part = 0; part < kSuper / kPart; ++part) {
    const auto [scale, least] = part_scales(block, part);
    for (int i = 0; i < kPart; ++i)
      *out++ = scale * static_cast<float>(part_nibble(block + 16, part, i)) - least;
  }
}

void decode_q5_k(Bytes block, float* out) {
  const Bytes high = block + 16, quants = block + 48;
  for (int part = 0; part < kSuper / kPart; ++part) {
    const auto [scale, least] = part_scales(block, part);
    for (int i = 0; i < kPart; ++i) {
      const int value = part_nibble(quants, part, i) | (high[i] >> part & 1) << 4;
      *out++ = scale * static_cast<float>(value) - least;
    }
  }
}

/// Two halves of 128 numbers: 64 bytes of low four bits, 32 bytes of high two bits, and a scale per 16
/// numbers.
void decode_q6_k(Bytes block, float* out) {
  const Bytes low = block, high = block + 128, scales = block + 192;
  const float scale = half(block + 208);
  for (int i = 0; i < kSuper; ++i) {
    const int group = i / 128, within = i % 128, row = within / 32, column = within % 32;
    const int byte = low[group * 64 + row % 2 * 32 + column];
    const int nibble = row < 2 ? byte & 15 : byte >> 4;
    const int pair = high[group * 32 + column] >> (2 * row) & 3;
    const float of_part = scale * static_cast<float>(static_cast<std::int8_t>(scales[i / 16]));
    out[i] = of_part * static_cast<float>((nibble | pair << 4) - 32);
  }
}

struct Decoder {
  std::string_view dtype;
  std::int64_t numbers, bytes;  // of a block
  void (*decode)(Bytes block, float* out);
};

constexpr std::array kDecoders{
    Decoder{"F32", 1, 4, decode_f32},          Decoder{"F16", 1, 2, decode_f16},
    Decoder{"BF16", 1, 2, decode_bf16},        Decoder{"Q8_0", kSmall, 34, decode_q8_0},
    Decoder{"Q4_0", kSmall, 18, decode_q4_0},  Decoder{"Q4_1", kSmall, 20, decode_q4_1},
    Decoder{"Q5_0", kSmall, 22, decode_q5_0},  Decoder{"Q5_1", kSmall, 24, decode_q5_1},
    Decoder{"Q4_K", kSuper, 144, decode_q4_k}, Decoder{"Q5_K", kSuper, 176, decode_q5_k},
    Decoder{"Q6_K", kSuper, 210, decode_q6_k},
};

const Decoder* find_decoder(std::string_view dtype) {
  const auto found = std::ranges::find(kDecoders, dtype, &Decoder::dtype);
  return found == kDecoders.end() ? nullptr : &*found;
}

}  // namespace

bool can_decode(std::string_view dtype) {
  return find_decoder(dtype) != nullptr;
}

std::string decodable_types() {
  std::string text;
  for (const auto& decoder : kDecoders) text += (text.empty() ? "" : ", ") + std::string(decoder.dtype);
  return text;
}

at::Tensor decode(const StoredTensor& stored) {
  const auto& decoder = *find_decoder(stored.dtype);
  auto result = at::empty(stored.shape, at::kFloat);
  const auto* blocks = static_cast<Bytes>(stored.data);
  auto* out = result.mutable_data_ptr<float>();
  at::parallel_for(0, result.numel() / decoder.numbers,
                   std::max<std::int64_t>(kNumbersPerTask / decoder.numbers, 1),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto i = begin; i < end; ++i)
                       decoder.decode(blocks + i * decoder.bytes, out + i * decoder.numbers);
                   });
  return result;
}

}  // namespace unroll
