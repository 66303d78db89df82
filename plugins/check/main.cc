// unroll-plugin-check [--format text|coloured|json] [--timeout SECONDS] [--python PROGRAM] FILE: what `unroll
// plugin check` runs. A separate program, so that a library runs with glibc's malloc and without other
// code.
#include <charconv>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "plugins/check/plugin_check.h"

namespace {

namespace fs = std::filesystem;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kHasSanitizer = true;
#else
constexpr bool kHasSanitizer = false;
#endif

struct Arguments {
  fs::path file;
  unroll::CheckOptions options;
  unroll::check::ReportFormat format = unroll::check::ReportFormat::kText;
};

Arguments parse(const std::vector<std::string>& words) {
  using unroll::check::ReportFormat;
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--timeout" && i + 1 < words.size()) {
      arguments.options.timeout = std::chrono::seconds(std::stoul(words[++i]));
    } else if (words[i] == "--python" && i + 1 < words.size()) {
      arguments.options.python = words[++i];
    } else if (words[i] == "--format" && i + 1 < words.size()) {
      const auto& name = words[++i];
      arguments.format = name == "json"       ? ReportFormat::kJson
                         : name == "coloured" ? ReportFormat::kColouredText
                                              : ReportFormat::kText;
    } else {
      arguments.file = words[i];
    }
  }
  return arguments;
}

/// The name of AddressSanitizer's runtime if the library was built with it: it must be loaded first.
std::optional<std::string> needed_sanitizer(const fs::path& file) {
  constexpr std::string_view kName = "libasan.so.";
  if (!fs::is_regular_file(file)) return std::nullopt;  // the check reports this
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const auto at = bytes.find(kName);
  if (at == std::string::npos) return std::nullopt;
  return std::string(bytes.c_str() + at);
}

/// Restarts this program once: with the sanitizer that the library needs, and without malloc's thread caches,
/// whose chunks would count as leaked.
void start_again(const fs::path& file, char** argv) {
  if (kHasSanitizer || std::getenv("GLIBC_TUNABLES") != nullptr) return;
  ::setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
  if (const auto runtime = needed_sanitizer(file)) ::setenv("LD_PRELOAD", runtime->c_str(), 1);
  ::execv("/proc/self/exe", argv);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Arguments arguments = parse({argv + 1, argv + argc});
    if (arguments.file.empty()) throw std::invalid_argument("no FILE was given");
    start_again(arguments.file, argv);
    unroll::check::Report report(std::cout, arguments.format);
    return unroll::check_plugin_library(arguments.file, arguments.options, report) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "unroll-plugin-check: " << e.what() << '\n';
    return 1;
  }
}
