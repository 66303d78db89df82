#include "model/network.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace unroll {

void append_top(const at::Tensor& logprobs, std::int64_t count, std::vector<std::int32_t>& ids,
                std::vector<float>& values) {
  const auto [best, places] = logprobs.topk(std::min(count, logprobs.size(1)), -1);
  const auto here = best.to(at::kCPU, at::kFloat).contiguous(),
             tokens = places.to(at::kCPU, at::kInt).contiguous();
  values.insert(values.end(), here.const_data_ptr<float>(), here.const_data_ptr<float>() + here.numel());
  const auto* token = tokens.const_data_ptr<std::int32_t>();
  ids.insert(ids.end(), token, token + tokens.numel());
}

}  // namespace unroll
