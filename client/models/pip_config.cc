#include "client/models/pip_config.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "base/ascii.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPublicIndex = "https://pypi.org/simple";

using Options = std::map<std::string, std::string>;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// "Index_URL" -> "index-url"
std::string option_name(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) { return c == '_' ? '-' : ascii::lower(c); });
  return name;
}

/// Reads the subset of Python's configparser that pip's files use: sections, `key = value`, and indented
/// lines that continue a value. [download] overrides [global], as in `pip download`.
void read_file(const fs::path& file, Options& options) {
  std::ifstream in(file);
  std::map<std::string, Options> sections;
  std::string section, key;
  for (std::string line; std::getline(in, line);) {
    const std::string_view text = ascii::trimmed(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') continue;
    if (text.front() == '[') {
      section = text.substr(1, text.find(']') - 1);
      key.clear();
    } else if (ascii::is_space(line.front()) && !key.empty()) {
      sections[section][key].append(" ").append(text);
    } else if (const auto equals = text.find_first_of("=:"); equals != std::string_view::npos) {
      key = option_name(std::string(ascii::trimmed(text.substr(0, equals))));
      sections[section][key] = ascii::trimmed(text.substr(equals + 1));
    }
  }
  for (const auto* name : {"global", "download"}) {
    for (const auto& [option, value] : sections[name]) options[option] = value;
  }
}

std::vector<fs::path> config_files() {
  const auto chosen = environment("PIP_CONFIG_FILE");
  if (chosen == "/dev/null") return {};
  std::vector<fs::path> files{"/etc/xdg/pip/pip.conf", "/etc/pip.conf"};
  const auto home = environment("HOME"), config = environment("XDG_CONFIG_HOME"),
             venv = environment("VIRTUAL_ENV");
  std::error_code failed;
  const bool instead_of_users = !chosen.empty() && fs::exists(chosen, failed);
  if (!instead_of_users && !home.empty()) files.push_back(fs::path(home) / ".pip/pip.conf");
  if (!instead_of_users && (!config.empty() || !home.empty()))
    files.push_back((config.empty() ? fs::path(home) / ".config" : fs::path(config)) / "pip/pip.conf");
  if (!venv.empty()) files.push_back(fs::path(venv) / "pip.conf");
  if (!chosen.empty()) files.emplace_back(chosen);
  return files;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> result;
  for (std::string word; in >> word;) result.push_back(word);
  return result;
}

bool is_on(const std::string& value) {
  const auto text = option_name(value);
  return text == "1" || text == "true" || text == "yes" || text == "on";
}

}  // namespace

PipConfig read_pip_config() {
  Options options;
  for (const auto& file : config_files()) read_file(file, options);
  for (const auto* name : {"index-url", "extra-index-url", "no-index", "find-links", "cert", "proxy"}) {
    std::string variable = std::string("PIP_") + name;
    std::ranges::transform(variable, variable.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    if (const auto value = environment(variable.c_str()); !value.empty()) options[name] = value;
  }

  PipConfig config;
  if (!is_on(options["no-index"])) {
    config.indexes = {options["index-url"].empty() ? kPublicIndex : options["index-url"]};
    for (const auto& extra : words(options["extra-index-url"])) config.indexes.push_back(extra);
  }
  constexpr std::string_view kFile = "file://";
  for (auto& place : words(options["find-links"])) {
    if (place.starts_with(kFile)) place.erase(0, kFile.size());
    if (place.starts_with('/')) config.find_links.emplace_back(place);
  }
  config.certificates = options["cert"];
  for (const auto* variable : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    if (config.certificates.empty()) config.certificates = environment(variable);
  }
  config.proxy = options["proxy"];
  return config;
}

}  // namespace unroll
