#include "client/logs/log_events.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "client/logs/line_words.h"

namespace unroll {
namespace {

constexpr std::size_t kLeastKept = 2000;
constexpr double kAlike = 3;              // scores that differ by a larger factor are not one event
constexpr std::uint64_t kLongest = 1000;  // lines that follow each other
constexpr std::size_t kMostText = 300;    // bytes of a neighbour

bool are_alike(double one, double other) {
  return std::max(one, other) <= kAlike * std::min(one, other);
}

std::uint64_t words_of(const LogEvent& line) {
  auto words = line_words(line.text);
  // A text without words is like no other.
  if (words.empty()) words = {std::to_string(line.log), std::to_string(line.line)};
  if (!line.odd_number.empty()) words.emplace_back("odd number");
  return line_key(words);
}

}  // namespace

LogEvents::LogEvents(std::size_t wanted) : most_(std::max(kLeastKept, 10 * wanted)) {}

void LogEvents::add(LogEvent line) {
  const std::uint64_t key = words_of(line);
  const auto known = by_words_.find(key);
  const bool here = is_open_ && open_log_ == line.log;
  const std::uint64_t at = line.line, record = line.record == 0 ? at : line.record;
  const std::size_t log = line.log;
  if (here && line.record != 0 && line.record == open_record_) {
    merge(events_[open_event_], line, true);
  } else if (known != by_words_.end()) {
    const bool counts = repeat(known->second, line);
    // What comes next belongs to the event only where it came first.
    is_open_ = here && counts && known->second.event == open_event_ && at == open_line_ + 1;
    if (!is_open_) return;
    events_[open_event_].last_line = at;
  } else if (here && join(line)) {
    by_words_[key] = {open_event_, 1};
  } else {
    open_event_ = events_.size();
    by_words_[key] = {open_event_, 1};
    add_alone(std::move(line));
  }
  is_open_ = true;
  open_log_ = log;
  open_line_ = at;
  open_record_ = record;
  if (events_.size() >= 2 * most_) prune();
}

void LogEvents::add_alone(LogEvent event) {
  event.order = size_++;
  event.first_line = event.last_line = event.line;
  events_.push_back(std::move(event));
}

/// A line whose words came before. False if it does not count: the event is far more unusual.
bool LogEvents::repeat(Words& words, LogEvent& line) {
  LogEvent& event = events_[words.event];
  const bool alike = are_alike(line.score, event.score);
  if (!alike && line.score < event.score) return false;
  words.count = alike ? words.count + 1 : 1;
  const bool alert = event.alert || line.alert;
  std::uint64_t other = line.line;
  if (line.score > event.score) {
    other = event.line;
    line.repeats = std::move(event.repeats);
    if (!alike) line.repeats.clear();
    // It stands for the event; where that began stays, unless what came before was nothing beside it.
    line.first_line = alike ? event.first_line : line.line;
    line.last_line = alike ? event.last_line : line.line;
    line.count = alike ? event.count : 1;
    line.order = event.order;
    line.neighbours = std::move(event.neighbours);
    if (!alike) line.neighbours.clear();
    event = std::move(line);
  }
  event.alert = alert;
  event.count = std::max(event.count, words.count);
  if (alike && event.repeats.size() < LogEvent::kMostListed) event.repeats.push_back(other);
  return true;
}

/// Makes the line part of the event before it, if it follows.
bool LogEvents::join(LogEvent& line) {
  LogEvent& event = events_[open_event_];
  const bool follows = line.line > open_line_ && line.line <= open_line_ + 1;
  if (!follows || !are_alike(line.score, event.score) || line.line - event.first_line >= kLongest)
    return false;
  merge(event, line, false);
  return true;
}

/// `of_record`: it is a line of the same record, which the record's first line stands for.
void LogEvents::merge(LogEvent& event, LogEvent& line, bool of_record) {
  const std::uint64_t first = event.first_line, last = std::max(event.last_line, line.line);
  const bool alert = event.alert || line.alert;
  if (of_record) {
    event.score = std::max(event.score, line.score);
  } else if (line.score > event.score) {
    std::swap(event, line);
    event.neighbours = std::move(line.neighbours);
    event.repeats = std::move(line.repeats);
    event.count = line.count;
    event.order = line.order;
  }
  event.first_line = first;
  event.last_line = last;
  event.alert = alert;
  if (!line.is_frame && event.neighbours.size() < LogEvent::kMostListed)
    event.neighbours.push_back({line.line, line.score, line.text.substr(0, kMostText)});
}

/// Keeps the better half.
void LogEvents::prune() {
  std::vector<double> scores;
  for (const LogEvent& event : events_) scores.push_back(event.score);
  std::nth_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(most_), scores.end(),
                   std::greater<>());
  floor_ = scores[most_];
  std::vector<std::size_t> moved(events_.size(), SIZE_MAX);
  std::vector<LogEvent> kept;
  for (std::size_t i = 0; i < events_.size(); ++i) {
    if (events_[i].score < floor_ || (events_[i].score == floor_ && kept.size() >= most_)) continue;
    moved[i] = kept.size();
    kept.push_back(std::move(events_[i]));
  }
  events_ = std::move(kept);
  for (auto& [key, words] : by_words_) words.event = moved[words.event];
  std::erase_if(by_words_, [](const auto& entry) { return entry.second.event == SIZE_MAX; });
  is_open_ = is_open_ && moved[open_event_] != SIZE_MAX;
  open_event_ = is_open_ ? moved[open_event_] : 0;
}

std::vector<const LogEvent*> LogEvents::best(std::size_t most) const {
  std::vector<const LogEvent*> best;
  for (const LogEvent& event : events_) best.push_back(&event);
  std::sort(best.begin(), best.end(), [](const LogEvent* a, const LogEvent* b) {
    return a->score != b->score ? a->score > b->score : a->order < b->order;
  });
  best.resize(std::min(best.size(), most));
  return best;
}

void LogEvents::show_records(std::size_t log, const std::unordered_map<std::uint64_t, std::string>& shown) {
  for (LogEvent& event : events_) {
    const auto record = shown.find(event.record == 0 ? event.line : event.record);
    if (event.log == log && record != shown.end()) event.shown = record->second;
  }
}

nlohmann::ordered_json event_object(const LogEvent& event) {
  nlohmann::ordered_json object = event.object;
  object["score"] = event.score;
  if (event.alert) object["alert"] = true;
  object["count"] = event.count;
  if (!event.repeats.empty()) object["repeats"] = event.repeats;
  if (event.first_line != event.last_line) {
    object["first_line"] = event.first_line;
    object["last_line"] = event.last_line;
  }
  if (event.neighbours.empty()) return object;
  auto& neighbours = object["neighbours"] = nlohmann::ordered_json::array();
  for (const auto& line : event.neighbours)
    neighbours.push_back({{"line", line.line}, {"score", line.score}, {"text", line.text}});
  return object;
}

}  // namespace unroll
