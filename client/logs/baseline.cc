#include "client/logs/baseline.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <regex>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/base64.h"
#include "client/cli/command_error.h"
#include "client/logs/log_records.h"
#include "client/sources/log_text.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The file: one JSON object per line. First kHeader with its version, then for each log {"log": name,
// "habits": base64}, followed by its different lines, {"text", "count", "severity"}. Version 1 has no habits.
constexpr const char* kHeader = "unroll_baseline";
constexpr int kVersion = 2;

bool is_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 512> head;
  file.read(head.data(), head.size());
  const std::string_view bytes(head.data(), static_cast<std::size_t>(file.gcount()));
  const bool compressed = bytes.starts_with("\x1f\x8b") ||
                          bytes.starts_with(
                              "\xfd"
                              "7zXZ") ||
                          bytes.starts_with("\x28\xb5\x2f\xfd");
  return compressed || !wide_encoding(bytes).empty() || bytes.find('\0') == std::string_view::npos;
}

void add_folder(const fs::path& folder, std::vector<LogFile>& files,
                const std::function<void(const std::string&)>& note) {
  std::vector<fs::path> found;
  std::error_code failed;
  for (auto entry = fs::recursive_directory_iterator(folder, failed); entry != fs::end(entry) && !failed;
       entry.increment(failed)) {
    if (entry->is_regular_file(failed)) found.push_back(entry->path());
  }
  if (failed) throw CommandError("cannot read the folder " + folder.string() + ": " + failed.message());
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    if (is_text(path)) {
      files.push_back({path, log_name(path.lexically_relative(folder))});
    } else {
      note(path.string() + " is not text; it is passed over");
    }
  }
}

[[noreturn]] void refuse(const fs::path& file) {
  throw CommandError(file.string() +
                     " is damaged, or a baseline of another version; make it again with 'unroll learn'");
}

}  // namespace

std::string log_name(const fs::path& path) {
  static const std::regex kChanging(
      R"((\.(gz|xz|zst|old|prev)|\.\d{1,4}|[-_.]?\d{4}-?\d{2}-?\d{2}([-_T]\d{2}[-:]?\d{2}([-:]?\d{2})?)?)(?=$|\.))");
  std::string name = path.generic_string();
  const std::string shorter = std::regex_replace(name, kChanging, "");
  return shorter.empty() || shorter.ends_with('/') ? name : shorter;
}

std::vector<LogFile> log_files(const std::vector<std::string>& arguments,
                               const std::function<void(const std::string&)>& note) {
  std::vector<LogFile> files;
  for (const std::string& argument : arguments) {
    std::error_code failed;
    if (argument != "-" && fs::is_directory(argument, failed)) {
      add_folder(argument, files, note);
    } else {
      files.push_back({argument, log_name(fs::path(argument).filename())});
    }
  }
  if (files.empty()) throw CommandError("there is no log in " + arguments.front());
  return files;
}

void Baseline::learn(const LogFile& log, const LogReading& reading,
                     const std::function<void(const std::string&)>& note) {
  GoodLog& good = logs_[log.name];
  good.habits.begin_file();
  const std::string told = read_records(Source::open(log.path.string()), reading.encoding, reading.times,
                                        [&](const LogRecord& record) {
                                          good.lines.learn(record.text, record.facts.severity);
                                          good.habits.learn(record, reading.times);
                                        });
  if (!told.empty()) note(told);
  const std::string times = about_times(log.path.string(), reading.encoding, reading.times);
  if (!times.empty()) note(times);
  if (good.lines.left_out() > 0)
    note(log.path.string() + ": a baseline keeps " + std::to_string(KnownLines::kMost) +
         " different lines of a log; " + std::to_string(good.lines.left_out()) + " lines were not learned");
}

bool Baseline::load(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string line;
  if (!std::getline(in, line) || !line.starts_with(std::string("{\"") + kHeader + "\":")) return false;
  const json header = json::parse(line, nullptr, false);
  const int version = header.is_object() ? header.value(kHeader, 0) : 0;
  if (version < 1 || version > kVersion) refuse(file);
  GoodLog* log = nullptr;
  while (std::getline(in, line)) {
    const json entry = json::parse(line, nullptr, false);
    if (!entry.is_object()) refuse(file);
    try {
      if (entry.contains("log")) {
        log = &logs_[entry.at("log").get<std::string>()];
        if (version > 1) log->habits.load(base64_decode(entry.at("habits").get<std::string>()).value_or(""));
      } else if (log != nullptr) {
        log->lines.learn(entry.at("text").get<std::string>(), entry.at("severity").get<int>(),
                         entry.at("count").get<std::uint64_t>());
      }
    } catch (const json::exception&) {
      refuse(file);
    } catch (const plugin::StateError&) {
      refuse(file);
    }
  }
  return true;
}

void Baseline::save(const fs::path& file) const {
  AtomicFile out(file, 0600);
  const auto write = [&](const json& object) {
    out.write(object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  };
  write({{kHeader, kVersion}});
  for (const auto& [name, log] : logs_) {
    write({{"log", name}, {"habits", base64_encode(log.habits.save())}});
    for (const KnownLine& line : log.lines.lines())
      write({{"text", line.text}, {"count", line.count}, {"severity", line.severity}});
  }
  out.commit();
}

GoodLog& Baseline::good_for(const std::string& name, std::string& name_of_pair) {
  const auto file_name = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  auto pair = logs_.size() == 1 ? logs_.begin() : logs_.find(name);
  if (pair == logs_.end()) {
    pair = std::find_if(logs_.begin(), logs_.end(),
                        [&](const auto& log) { return file_name(log.first) == file_name(name); });
  }
  if (pair != logs_.end()) {
    name_of_pair = pair->first;
    return pair->second;
  }
  name_of_pair.clear();
  if (all_.lines.lines().empty()) {
    for (const auto& [ignored, log] : logs_) {
      for (const KnownLine& line : log.lines.lines()) all_.lines.learn(line.text, line.severity, line.count);
    }
  }
  return all_;
}

std::uint64_t Baseline::lines() const {
  std::uint64_t lines = 0;
  for (const auto& [name, log] : logs_) {
    for (const KnownLine& line : log.lines.lines()) lines += line.count;
  }
  return lines;
}

std::uint64_t Baseline::different() const {
  std::uint64_t different = 0;
  for (const auto& [name, log] : logs_) different += log.lines.lines().size();
  return different;
}

}  // namespace unroll
