// Lets C++ exceptions cross the C interface.
#include <memory>
#include <stdexcept>

#include <unroll/plugin.h>

namespace {

unroll_status create(const unroll_host*, const char*, size_t, void** instance) {
  *instance = std::make_unique<int>(0).release();
  return UNROLL_OK;
}
unroll_status process(void*, const unroll_block* block) {
  if (block->index == 1) throw 7;
  throw std::runtime_error("no cheese");
}
unroll_status finish(void*, const unroll_document_end*) {
  return UNROLL_OK;
}
void destroy(void* instance) {
  std::unique_ptr<int>(static_cast<int*>(instance)).reset();
}

constexpr unroll_plugin kTable = {sizeof(unroll_plugin),
                                  "throws",
                                  "1",
                                  "",
                                  0,
                                  0,
                                  &create,
                                  &process,
                                  &finish,
                                  nullptr,
                                  nullptr,
                                  &destroy,
                                  nullptr};
constexpr const unroll_plugin* kTables[] = {&kTable};

}  // namespace

const unroll_plugin_library unroll_plugin_entry = {sizeof(unroll_plugin_library), UNROLL_ABI_VERSION, 1,
                                                   kTables};
