#include "model/cuda_library.h"

#include <filesystem>

#include <ATen/Context.h>
#include <dlfcn.h>

namespace unroll {
namespace {

std::string try_to_load() {
  // The library takes a second to load and gigabytes of others with it: not where it has no driver to talk
  // to.
  if (!std::filesystem::exists("/dev/nvidiactl"))
    return "this machine has no NVIDIA driver (no /dev/nvidiactl)";
  if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    return std::string("LibTorch's CUDA library cannot be loaded: ") + ::dlerror();
  if (!at::globalContext().hasCUDA()) return "no GPU is visible to this process";
  return "";
}

}  // namespace

std::string load_cuda() {
  static const std::string reason = try_to_load();
  return reason;
}

}  // namespace unroll
