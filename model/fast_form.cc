#include "model/fast_form.h"

#include <ATen/ATen.h>

namespace unroll {

std::vector<at::Tensor> entry_matrices(const BlockRecurrentTransformer& definition, const Layer& layer) {
  std::vector<const StateContainer*> containers;
  for (const auto& each : definition.layers())
    if (each.state_container) containers.push_back(&*each.state_container);
  std::vector<at::Tensor> entry{layer.to_q, layer.to_kv};
  for (const auto state : layer.reads_states) entry.push_back(containers[state]->q_to_state);
  return entry;
}

std::vector<at::Tensor> entry_matrices(const StateContainer& container) {
  return {container.state_to_kv, container.state_to_q, container.q_from_state};
}

Layer without_matrices(Layer layer) {
  for (auto* matrix : {&layer.to_q, &layer.to_kv, &layer.to_out, &layer.ff_in, &layer.ff_out})
    matrix->reset();
  layer.state_container.reset();
  return layer;
}

StateContainer without_matrices(StateContainer container) {
  for (auto* matrix : {&container.q_to_state, &container.q_from_state, &container.state_to_q,
                       &container.state_to_kv, &container.to_state_out, &container.gate.weight})
    matrix->reset();
  return container;
}

at::Tensor share_of(const at::Tensor& gate) {
  return gate.defined() ? gate.sigmoid().contiguous() : gate;
}

}  // namespace unroll
