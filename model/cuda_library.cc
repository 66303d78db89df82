#include "model/cuda_library.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include <ATen/Context.h>
#include <dlfcn.h>

namespace unroll {
namespace {

std::string try_to_load() {
  // The library and those that it needs are gigabytes and take a second to load, so first check that there is
  // a driver.
  if (!std::filesystem::exists("/dev/nvidiactl"))
    return "this machine has no NVIDIA driver (no /dev/nvidiactl)";
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    return std::string("LibTorch's CUDA library cannot be loaded: ") + ::dlerror();
  if (!at::globalContext().hasCUDA()) return "no GPU is visible to this process";
  return "";
}

/// Folders that may hold it, relative to the program: in a build, and in an installation.
constexpr auto kKernelFolders = {".", "../lib/unroll/lib", "../../bin", "../../lib/unroll/lib"};
constexpr auto kKernels = "libunroll_cuda.so", kMakeMachine = "unroll_cuda_machine";

std::filesystem::path find_kernels() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const auto* folder : kKernelFolders) {
    auto file = program.parent_path() / folder / kKernels;
    if (std::filesystem::exists(file, error)) return file;
  }
  return {};
}

}  // namespace

std::string load_cuda() {
  static const std::string reason = try_to_load();
  return reason;
}

CudaKernels load_cuda_kernels() {
  const auto file = find_kernels();
  if (file.empty()) return {nullptr, std::string(kKernels) + " was not found near the program"};
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed
  if (library == nullptr) return {nullptr, ::dlerror()};
  auto* const make = reinterpret_cast<RowMachine* (*)()>(::dlsym(library, kMakeMachine));
  if (make == nullptr) return {nullptr, ::dlerror()};
  std::unique_ptr<RowMachine> machine(make());
  if (!machine) return {nullptr, "no memory for " + file.string()};
  return {std::move(machine), ""};
}

}  // namespace unroll
