#include "training/trainer_state.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ATen/ATen.h>

namespace unroll {
namespace {

using nlohmann::json;

constexpr const char* kPosition = "position";
constexpr const char* kParameters = "parameters.";
constexpr const char* kAverage = "average.";
constexpr const char* kMemories = "memories.";
constexpr const char* kStates = "states.";
constexpr const char* kMemoriesVisible = "memories_visible";
const std::string kRouted = "routed.";

json or_null(const std::optional<double>& number) {
  return number ? json(*number) : json();
}

std::optional<double> number_or_none(const json& value) {
  return value.is_null() ? std::nullopt : std::optional(value.get<double>());
}

json position_of(const TrainerState& state) {
  std::ostringstream random;
  random << state.random;
  const auto& validation = state.validation;
  return {{"step", state.step},
          {"tokens", state.tokens},
          {"lanes", state.lanes},
          {"random", random.str()},
          {"options", state.options},
          {"validation",
           {{"first", or_null(validation.first)},
            {"best", or_null(validation.best)},
            {"best_step", validation.best_step},
            {"worse", validation.worse}}}};
}

void set_position(const json& position, TrainerState& state) {
  state.step = position.at("step");
  state.tokens = position.at("tokens");
  state.lanes = position.at("lanes");
  std::istringstream(position.at("random").get<std::string>()) >> state.random;
  state.options = position.value("options", json());
  if (const auto found = position.find("validation"); found != position.end()) {
    state.validation = {number_or_none(found->at("first")), number_or_none(found->at("best")),
                        found->at("best_step"), found->at("worse")};
  }
}

/// The tensors whose names have this prefix, without it.
TensorMap take(const TensorMap& tensors, std::string_view prefix) {
  TensorMap taken;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix)) taken[name.substr(prefix.size())] = tensor.clone();
  }
  return taken;
}

std::vector<at::Tensor> take_list(const TensorMap& tensors, const std::string& prefix) {
  std::vector<at::Tensor> taken;
  for (auto found = tensors.find(prefix + "0"); found != tensors.end();
       found = tensors.find(prefix + std::to_string(taken.size()))) {
    taken.push_back(found->second.clone());
  }
  return taken;
}

void put_list(const std::vector<at::Tensor>& list, const std::string& prefix, TensorMap& tensors) {
  for (std::size_t i = 0; i < list.size(); ++i) tensors[prefix + std::to_string(i)] = list[i].contiguous();
}

void put_recurrence(const Recurrence& recurrence, TensorMap& tensors) {
  put_list(recurrence.memories, kMemories, tensors);
  put_list(recurrence.states, kStates, tensors);
  if (recurrence.memories_visible.defined()) tensors[kMemoriesVisible] = recurrence.memories_visible;
  for (std::size_t i = 0; i < recurrence.routed.size(); ++i) {
    const auto& block = *recurrence.routed[i];
    const auto prefix = kRouted + std::to_string(i);
    tensors[prefix + ".kv"] = block.kv.contiguous();
    tensors[prefix + ".routes"] = block.routes.contiguous();
    if (block.visible.defined()) tensors[prefix + ".visible"] = block.visible;
  }
}

Recurrence take_recurrence(const TensorMap& tensors) {
  Recurrence recurrence;
  recurrence.memories = take_list(tensors, kMemories);
  recurrence.states = take_list(tensors, kStates);
  const auto find = [&](const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second.clone();
  };
  recurrence.memories_visible = find(kMemoriesVisible);
  for (;;) {
    const auto prefix = kRouted + std::to_string(recurrence.routed.size());
    const auto kv = find(prefix + ".kv");
    if (!kv.defined()) return recurrence;
    recurrence.routed.push_back(std::make_shared<const RoutedBlock>(
        RoutedBlock{kv, {}, find(prefix + ".routes"), find(prefix + ".visible")}));
  }
}

}  // namespace

void save_state(const std::filesystem::path& file, const TrainerState& state) {
  TensorMap all = state.moments;
  for (const auto& [name, tensor] : state.parameters) all[kParameters + name] = tensor.detach();
  for (const auto& [name, tensor] : state.average) all[kAverage + name] = tensor;
  put_recurrence(state.recurrence, all);
  const auto text = position_of(state).dump();
  auto& position = all[kPosition] = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::ranges::copy(text, position.mutable_data_ptr<std::uint8_t>());
  write_safetensors(file, all);
}

TrainerState load_state(const std::filesystem::path& file) {
  const auto saved = read_safetensors(file);
  const auto found = saved.find(kPosition);
  if (found == saved.end())
    throw std::runtime_error(file.string() + " is not a trainer checkpoint; give another folder with --out");
  const auto text = found->second.contiguous();
  const auto* begin = text.const_data_ptr<std::uint8_t>();
  TrainerState state;
  try {
    set_position(json::parse(begin, begin + text.numel()), state);
  } catch (const json::exception& error) {
    throw std::runtime_error(file.string() + " is damaged (" + error.what() +
                             "); give another folder with --out");
  }
  state.parameters = take(saved, kParameters);
  state.average = take(saved, kAverage);
  for (const char* moment : {"exp_avg.", "exp_avg_sq.", "momentum."}) {
    for (auto& [name, tensor] : take(saved, moment)) state.moments[moment + name] = tensor;
  }
  state.recurrence = take_recurrence(saved);
  return state;
}

}  // namespace unroll
