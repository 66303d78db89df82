#include "client/logs/line_context.h"

#include <utility>

namespace unroll {

void LineContext::add(nlohmann::ordered_json object, const std::string& text, bool odd) {
  if (lines_ == 0) return emit_(object);
  for (Waiting& each : waiting_) {
    if (each.after.size() < each.wanted) each.after.push_back(text);
  }
  Waiting waiting{std::move(object), odd ? lines_ : 0, {}};
  if (odd) waiting.object["context"]["before"] = before_;
  waiting_.push_back(std::move(waiting));
  before_.push_back(text);
  if (before_.size() > lines_) before_.pop_front();
  emit_waiting(lines_);
}

void LineContext::flush() {
  emit_waiting(0);
}

void LineContext::emit_waiting(std::size_t keep) {
  while (waiting_.size() > keep) {
    Waiting& first = waiting_.front();
    if (first.wanted > 0) first.object["context"]["after"] = first.after;
    emit_(first.object);
    waiting_.pop_front();
  }
}

}  // namespace unroll
