#include "client/follow/marks.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>

#include "base/atomic_file.h"
#include "base/write_all.h"
#include "client/cli/command_error.h"
#include "client/views/follow_view.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMostBytes = 1 << 20;  // of a log of events; then the older half is dropped
constexpr double kLike = 0.1;                  // distance of known_lines.h; 1 in the scores of a baseline

fs::path file_of_marks(const fs::path& folder) {
  return folder / "marks";
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The objects of a file of JSON lines; lines that are damaged or cut off are passed over.
std::vector<json> objects_of(const fs::path& file) {
  std::vector<json> objects;
  std::ifstream in(file, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    json object = json::parse(line, nullptr, false);
    if (object.is_object()) objects.push_back(std::move(object));
  }
  return objects;
}

[[noreturn]] void fail(const fs::path& file) {
  throw CommandError(system_message("cannot write " + file.string(), errno) +
                     "; name a writable folder with --state");
}

UniqueFd opened_to_append(const fs::path& file) {
  UniqueFd opened(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!opened) fail(file);
  return opened;
}

std::string line_of(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

int severity_named(const std::string& name) {
  const auto found = std::find(kSeverities.begin(), kSeverities.end(), name);
  return found == kSeverities.end() ? 0 : static_cast<int>(found - kSeverities.begin());
}

/// Whether `wanted` is the event's id, or its source (also without folders) and line.
bool is_named(const json& event, const std::string& wanted) {
  if (event.value("id", "") == wanted) return true;
  const std::string source = event.value("source", "");
  const std::string line = ":" + std::to_string(event.value("line", std::uint64_t{0}));
  return wanted == source + line || wanted == fs::path(source).filename().string() + line;
}

}  // namespace

EventLog::EventLog(fs::path file) : path_(std::move(file)) {
  open();
}

void EventLog::open() {
  file_ = opened_to_append(path_);
  std::error_code failed;
  bytes_ = fs::file_size(path_, failed);
}

void EventLog::add(const json& event) {
  const std::string line = line_of(event);
  if (!write_all(file_.get(), line)) fail(path_);
  bytes_ += line.size();
  if (bytes_ > kMostBytes) drop_old();
}

void EventLog::drop_old() {
  const std::string all = bytes_of(path_);
  const std::size_t middle = all.find('\n', all.size() / 2);
  AtomicFile fresh(path_, 0600);
  fresh.write(std::string_view(all).substr(std::min(all.size(), middle + 1)));
  fresh.commit();
  open();
}

std::optional<json> EventLog::find(const fs::path& folder, const std::string& event) {
  std::optional<json> found;
  fs::file_time_type newest;
  std::error_code failed;
  for (auto file = fs::directory_iterator(folder, failed); !failed && file != fs::directory_iterator();
       file.increment(failed)) {
    if (file->path().extension() != kExtension) continue;
    std::error_code gone;
    const auto changed = fs::last_write_time(file->path(), gone);
    if (found && changed < newest) continue;
    for (json& each : objects_of(file->path())) {
      if (!is_named(each, event)) continue;
      found = std::move(each);
      newest = changed;
    }
  }
  return found;
}

Marks::Marks(const fs::path& folder, std::string scope)
    : path_(file_of_marks(folder)), scope_(std::move(scope)) {}

void Marks::add(const fs::path& folder, const json& event, bool normal) {
  const fs::path path = file_of_marks(folder);
  const UniqueFd file = opened_to_append(path);
  json mark = {{"event", event.value("id", "")}, {"normal", normal}};
  for (const char* key : {"scope", "severity", "text"}) mark[key] = event.value(key, "");
  // In one write, so that two commands do not mix their lines.
  if (!write_all(file.get(), line_of(mark))) fail(path);
}

/// The last mark of an event counts.
void Marks::load() {
  std::error_code none;
  const auto changed = fs::last_write_time(path_, none);
  const std::uintmax_t bytes = none ? 0 : fs::file_size(path_, none);
  if (bytes == bytes_ && changed == changed_) return;
  bytes_ = bytes;
  changed_ = changed;
  std::map<std::string, json> marks;
  for (json& mark : objects_of(path_)) {
    if (mark.value("scope", "") != scope_) continue;
    const std::string event = mark.value("event", "");
    marks[event] = std::move(mark);
  }
  lines_ = {};
  event_of_.clear();
  for (const auto& [event, mark] : marks) {
    if (!mark.value("normal", false)) continue;
    const std::string text = mark.value("text", "").substr(0, KnownLines::kMostText);
    lines_.learn(text, severity_named(mark.value("severity", "")));
    event_of_.emplace(text, event);
  }
}

bool Marks::empty() {
  load();
  return event_of_.empty();
}

std::string Marks::like(std::string_view line, int severity) {
  if (empty()) return "";
  const auto nearest = lines_.nearest(line);
  const bool is_like =
      nearest.line != nullptr && nearest.distance < kLike && severity <= nearest.line->severity;
  return is_like ? event_of_.find(nearest.line->text)->second : "";
}

}  // namespace unroll
