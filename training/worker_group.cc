#include "training/worker_group.h"

#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <ATen/ATen.h>

// The wheel's library has Gloo; its headers require this macro.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace unroll {
namespace {

constexpr auto kTimeout = std::chrono::minutes(30);  // longer than a validation, during which the others wait
constexpr auto kJoinTimeout = std::chrono::minutes(5);
constexpr int kDefaultPort = 29500;  // torchrun's

struct Names {
  const char *rank, *size;
};
constexpr std::array kNames{Names{"RANK", "WORLD_SIZE"},
                            Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                            Names{"SLURM_PROCID", "SLURM_NTASKS"}};

std::optional<int> number_in(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const std::string_view all(text);
  int value = 0;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), value);
  if (error != std::errc() || end != all.data() + all.size() || value < 0)
    throw std::runtime_error(std::string(name) + " is '" + text +
                             "' in the environment; it must be a number");
  return value;
}

/// Removes the source location from c10d's messages.
template <typename Call>
auto explained(const char* what, Call&& call) {
  try {
    return call();
  } catch (const c10::Error& error) {
    throw std::runtime_error(std::string(what) + ": " + error.what_without_backtrace());
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::string(what) + ": " + error.what());
  }
}

constexpr const char* kLost =
    "lost the other training processes; restart all of them to continue from the checkpoint";

}  // namespace

struct WorkerGroup::Connection {
  c10::intrusive_ptr<c10d::TCPStore> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
};

WorkerGroup::WorkerGroup(int rank, int size, std::unique_ptr<Connection> connection)
    : rank_(rank), size_(size), connection_(std::move(connection)) {}

WorkerGroup::~WorkerGroup() = default;

std::unique_ptr<WorkerGroup> WorkerGroup::from_environment() {
  const char* address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0') return nullptr;
  for (const auto& names : kNames) {
    const auto rank = number_in(names.rank), size = number_in(names.size);
    if (!rank || !size) continue;
    if (*rank >= *size)
      throw std::runtime_error(std::string(names.rank) + " is " + std::to_string(*rank) + ", but " +
                               names.size + " is " + std::to_string(*size));
    if (*size == 1) return nullptr;
    const auto port = number_in("MASTER_PORT").value_or(kDefaultPort);
    const auto where = "cannot join the training processes at " + std::string(address) + ":" +
                       std::to_string(port) + " (MASTER_ADDR, MASTER_PORT)";
    return explained(where.c_str(), [&] {
      c10d::TCPStoreOptions options;
      options.port = static_cast<std::uint16_t>(port);
      options.isServer = *rank == 0;
      options.numWorkers = static_cast<std::size_t>(*size);
      options.timeout = kJoinTimeout;
      auto connection = std::make_unique<Connection>();
      connection->store = c10::make_intrusive<c10d::TCPStore>(address, options);
      connection->group = c10::make_intrusive<c10d::ProcessGroupGloo>(
          connection->store, *rank, *size, c10d::ProcessGroupGloo::Options::create_default(kTimeout));
      return std::unique_ptr<WorkerGroup>(new WorkerGroup(*rank, *size, std::move(connection)));
    });
  }
  return nullptr;
}

void WorkerGroup::sum(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> flat;
  for (const auto& tensor : tensors) flat.push_back(tensor.flatten());
  std::vector<at::Tensor> all{at::cat(flat)};  // one message for all parameters
  explained(kLost, [&] { connection_->group->allreduce(all)->wait(); });
  std::int64_t at = 0;
  for (const auto& tensor : tensors) {
    tensor.flatten().copy_(all[0].narrow(0, at, tensor.numel()));
    at += tensor.numel();
  }
}

double WorkerGroup::sum(double value) {
  std::vector<at::Tensor> all{at::scalar_tensor(value, at::kDouble)};
  explained(kLost, [&] { connection_->group->allreduce(all)->wait(); });
  return all[0].item<double>();
}

double WorkerGroup::broadcast(double value) {
  std::vector<at::Tensor> all{at::scalar_tensor(value, at::kDouble)};
  explained(kLost, [&] { connection_->group->broadcast(all)->wait(); });
  return all[0].item<double>();
}

void WorkerGroup::barrier() {
  explained(kLost, [&] { connection_->group->barrier()->wait(); });
}

at::Tensor WorkerGroup::gather(const at::Tensor& tensor, std::int64_t dimension) {
  std::vector<at::Tensor> mine{tensor.contiguous()};
  std::vector<std::vector<at::Tensor>> all(1);
  for (int i = 0; i < size_; ++i) all[0].push_back(at::empty_like(mine[0]));
  explained(kLost, [&] { connection_->group->allgather(all, mine)->wait(); });
  return at::cat(all[0], dimension);
}

}  // namespace unroll
