#include "client/follow/event_filter.h"

#include <utility>
#include <vector>

namespace unroll {
namespace {

/// Numbers that a visit() goes through, as a list.
struct NumbersOut {
  std::vector<double> numbers;
  void operator()(const auto&... values) { (numbers.push_back(static_cast<double>(values)), ...); }
};
struct NumbersIn {
  const std::vector<double>& numbers;
  std::size_t next = 0;
  template <typename... Values>
  void operator()(Values&... values) {
    ((values = next < numbers.size() ? static_cast<Values>(numbers[next++]) : Values()), ...);
  }
};

}  // namespace

EventFilter::EventFilter(EventFilterOptions options, const nlohmann::json& recorded)
    : options_(std::move(options)),
      marks_(options_.folder, options_.scope),
      alerts_(options_.alert_rate.value_or(0) / 1000) {
  if (!options_.alert_rate || !recorded.is_array()) return;
  const auto numbers = recorded.get<std::vector<double>>();
  NumbersIn archive{numbers};
  alerts_.visit(archive);
}

void EventFilter::silence(const Line& line, Verdict& verdict) {
  if (options_.ignore) verdict.ignored_by = options_.ignore->rule_for(line.text);
  if (verdict.ignored_by == 0) verdict.normal_by = marks_.like(line.text, line.severity);
}

EventFilter::Verdict EventFilter::take(double score, const std::function<Line()>& line) {
  Verdict verdict;
  const bool odd = options_.alert_rate ? score > 0 : score >= options_.threshold;
  const bool may_be_silent = (options_.ignore && !options_.ignore->empty()) || !marks_.empty();
  if (odd && may_be_silent) silence(line(), verdict);
  const bool silent = verdict.ignored_by > 0 || !verdict.normal_by.empty();
  verdict.is_event = options_.alert_rate ? alerts_.alerts(silent ? 0 : score) && !silent : odd && !silent;
  return verdict;
}

nlohmann::json EventFilter::record() {
  if (!options_.alert_rate) return {};
  NumbersOut archive;
  alerts_.visit(archive);
  return archive.numbers;
}

}  // namespace unroll
