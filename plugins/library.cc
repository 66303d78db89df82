#include "plugins/library.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <dlfcn.h>
#include <string.h>

#include "base/ascii.h"

namespace unroll {
namespace {

// The fields that every plugin of ABI 1 has; later fields are read only if the plugin's `size` includes them.
constexpr std::size_t kLeastLibrarySize = sizeof(unroll_plugin_library);
constexpr std::size_t kLeastPluginSize = offsetof(unroll_plugin, destroy) + sizeof(unroll_plugin::destroy);
constexpr std::uint32_t kKnownWants = UNROLL_WANT_ENTROPY | UNROLL_WANT_HIDDEN | UNROLL_WANT_TEXT |
                                      UNROLL_WANT_TOP_K | UNROLL_WANT_WORD_END | UNROLL_WANT_RANK;
constexpr std::size_t kMaxName = 32;
constexpr std::size_t kMaxDescription = 1024;
constexpr std::size_t kMaxSchema = 64 * 1024;

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
  throw PluginError(UNROLL_ERROR_INTERNAL, "plugin library " + file.string() + ": " + what);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && ascii::is_lower(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return ascii::is_lower(c) || ascii::is_digit(c) || c == '-'; });
}

std::string_view bounded(const char* text, std::size_t limit) {
  return text == nullptr ? std::string_view() : std::string_view(text, ::strnlen(text, limit));
}

void check_file(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) fail(file, "there is no such file; give the path of a plugin's .so");
  if (std::filesystem::is_directory(status)) fail(file, "this is a folder; give the path of a plugin's .so");
}

const unroll_plugin_library& entry_of(void* handle, const std::filesystem::path& file) {
  const void* symbol = ::dlsym(handle, "unroll_plugin_entry");
  if (symbol == nullptr) {
    fail(file,
         "it does not export `unroll_plugin_entry`; a plugin defines it as unroll/plugin.h says, "
         "UNROLL_EXPORT");
  }
  const auto& entry = *static_cast<const unroll_plugin_library*>(symbol);
  if (entry.size < kLeastLibrarySize) {
    fail(file, "unroll_plugin_entry.size is " + std::to_string(entry.size) + ", less than the " +
                   std::to_string(kLeastLibrarySize) + " of ABI 1; set it to sizeof(unroll_plugin_library)");
  }
  if (entry.abi_version != UNROLL_ABI_VERSION) {
    fail(file, "it was built for plugin ABI " + std::to_string(entry.abi_version) + ", this program has " +
                   std::to_string(UNROLL_ABI_VERSION) + "; build it against this program's unroll/plugin.h");
  }
  if (entry.count == 0 || entry.count > kMaxPluginsInLibrary || entry.plugins == nullptr) {
    fail(file, "unroll_plugin_entry names " + std::to_string(entry.count) + " plugins; 1 to " +
                   std::to_string(kMaxPluginsInLibrary) + " are allowed, in an array that is not NULL");
  }
  return entry;
}

void check_functions(const unroll_plugin& table, const std::string& name, const std::filesystem::path& file) {
  const std::pair<const char*, bool> required[] = {{"create", table.create != nullptr},
                                                   {"process", table.process != nullptr},
                                                   {"finish", table.finish != nullptr},
                                                   {"destroy", table.destroy != nullptr}};
  for (const auto& [function, present] : required) {
    if (!present) fail(file, "plugin " + name + " has no function `" + function + "`; it is required");
  }
  if ((table.save == nullptr) != (table.load == nullptr)) {
    fail(file,
         "plugin " + name + " has only one of `save` and `load`; give both, or neither if it keeps no state");
  }
}

/// The JSON Schema of the plugin's options; empty if it has none.
std::string options_schema(const unroll_plugin& table) {
  const auto* options = table.extension == nullptr
                            ? nullptr
                            : static_cast<const unroll_options*>(table.extension(UNROLL_EXTENSION_OPTIONS));
  if (options == nullptr || options->size < sizeof(unroll_options)) return {};
  return std::string(bounded(options->schema, kMaxSchema));
}

auto fork_function(const unroll_plugin& table) -> decltype(unroll_fork::fork) {
  const auto* fork = table.extension == nullptr
                         ? nullptr
                         : static_cast<const unroll_fork*>(table.extension(UNROLL_EXTENSION_FORK));
  return fork == nullptr || fork->size < sizeof(unroll_fork) ? nullptr : fork->fork;
}

PluginLibrary::Plugin checked(const unroll_plugin* raw, const std::filesystem::path& file) {
  if (raw == nullptr) fail(file, "unroll_plugin_entry.plugins holds a NULL");
  if (raw->size < kLeastPluginSize) {
    fail(file, "a plugin's size is " + std::to_string(raw->size) + ", less than the " +
                   std::to_string(kLeastPluginSize) + " of ABI 1; set it to sizeof(unroll_plugin)");
  }
  PluginLibrary::Plugin plugin{};
  unroll_plugin& table = plugin.table;
  std::memcpy(&table, raw, std::min<std::size_t>(raw->size, sizeof table));

  PluginInfo& info = plugin.info;
  info.name = bounded(table.name, kMaxName + 1);
  info.wants = table.wants;
  info.top_k = (table.wants & UNROLL_WANT_TOP_K) != 0 ? table.top_k : 0;
  info.library = file;
  check_plugin_info(info, file);
  check_functions(table, info.name, file);
  info.version = printable(bounded(table.version, kMaxDescription), kMaxDescription);
  info.description = printable(bounded(table.description, kMaxDescription), kMaxDescription);
  info.options = options_schema(table);
  plugin.fork = fork_function(table);
  info.forks = plugin.fork != nullptr || table.save == nullptr;
  return plugin;
}

}  // namespace

void check_plugin_info(const PluginInfo& info, const std::filesystem::path& file) {
  if (!is_name(info.name)) {
    fail(file, "a plugin is named \"" + printable(info.name, kMaxName) +
                   "\"; a name is a lower-case letter, then up to 31 of a-z, 0-9 and -");
  }
  if ((info.wants & ~kKnownWants) != 0) {
    fail(file, "plugin " + info.name + " wants something that this program does not know (wants " +
                   std::to_string(info.wants) + "); it needs a newer unroll");
  }
  if ((info.wants & UNROLL_WANT_TOP_K) != 0 && (info.top_k < 1 || info.top_k > kMaxTopK)) {
    fail(file, "plugin " + info.name + " wants the top " + std::to_string(info.top_k) +
                   " alternatives; 1 to " + std::to_string(kMaxTopK) + " are allowed");
  }
}

void PluginLibrary::Close::operator()(void* handle) const {
  ::dlclose(handle);
}

PluginLibrary::PluginLibrary(const std::filesystem::path& given) {
  const auto file =
      std::filesystem::absolute(given);  // the dynamic linker would search its path for a bare name
  check_file(file);
  handle_.reset(::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!handle_) {
    const char* why = ::dlerror();
    fail(file,
         "it cannot be loaded as a shared library (" + printable(why ? why : "no reason given", 1024) + ")");
  }
  const auto& entry = entry_of(handle_.get(), file);
  for (std::uint32_t i = 0; i < entry.count; ++i) {
    auto plugin = checked(entry.plugins[i], file);
    for (const auto& other : plugins_) {
      if (other.info.name == plugin.info.name) fail(file, "it has two plugins named " + plugin.info.name);
    }
    plugins_.push_back(std::move(plugin));
  }
}

}  // namespace unroll
