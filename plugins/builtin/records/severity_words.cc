// severity_of_words() of levels.h.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "plugins/builtin/records/characters.h"
#include "plugins/builtin/records/levels.h"

namespace unroll::records {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kFatal[] = {"fatal", "panic", "panick", "critical", "emergency"};
constexpr std::string_view kError[] = {
    "error",         "err",           "fail",     "exception",  "traceback", "segfault", "denied",
    "refused",       "invalid",       "corrupt",  "abort",      "unable",    "cannot",   "timeout",
    "unreachable",   "lost",          "illegal",  "violation",  "crash",     "missing",  "killed",
    "unrecoverable", "uncorrectable", "overflow", "unexpected", "reject",    "dropped",  "unauthorized"};
constexpr std::string_view kWarning[] = {"warn"};
constexpr std::string_view kSuffixes[] = {"", "s", "es", "ed", "ing", "ings", "ure", "ures", "ion", "ly"};
constexpr std::string_view kNegations[] = {"no", "without", "zero", "never", "non", "any", "free"};
// These negate the next word, or the one after a filler: "is not an error", but not "file not found error".
constexpr std::string_view kNots[] = {"not",   "didn",  "isn", "wasn", "aren",
                                      "weren", "doesn", "don", "won",  "hasn"};
constexpr std::string_view kFillers[] = {"t", "a", "an", "any", "the", "be", "been", "considered", "really"};
constexpr std::string_view kAuxiliaries[] = {"have", "has", "are", "is", "were", "was", "been"};
// What has a number: "disk 0 failed" is not a count.
constexpr std::string_view kNumbered[] = {
    "disk",    "drive",   "device", "worker",    "cpu",       "gpu",     "core",      "thread",
    "node",    "shard",   "slot",   "port",      "partition", "channel", "bank",      "lane",
    "replica", "rank",    "task",   "job",       "stage",     "attempt", "retry",     "session",
    "id",      "process", "queue",  "volume",    "instance",  "pool",    "interface", "raid",
    "fan",     "sensor",  "psu",    "unit",      "bus",       "zone",    "socket",    "controller",
    "step",    "phase",   "epoch",  "iteration", "container", "pod",     "executor",  "block",
    "segment", "broker",  "server", "client",    "host",      "member",  "machine",   "link",
    "adapter", "engine",  "cell",   "row",       "column",    "dimm",    "rail",      "chunk",
    "page",    "sector",  "vdev",   "processor", "peer",      "backend", "group",     "index"};
constexpr std::string_view kNamed[] = {"error", "failure", "exception", "timeout", "panic"};
// What follows "error" in the name of a thing that is not an error.
constexpr std::string_view kOfNames[] = {
    "budget",     "rate",     "rates",     "log",       "logs",       "page",      "pages",
    "handler",    "handlers", "handling",  "count",     "counts",     "reporting", "reports",
    "correction", "level",    "levels",    "threshold", "thresholds", "tracking",  "detection",
    "free",       "recovery", "tolerance", "injection", "detector",   "domain",    "policy"};
// After these, what may happen: "checking for errors", "retries on failure".
constexpr std::string_view kPossible[] = {"errors", "failures", "exceptions"};
constexpr std::string_view kPossibleOn[] = {"error", "failure", "errors", "failures"};
// Keys whose value says how many, or what went wrong.
constexpr std::string_view kCounted[] = {"error",  "errors",  "err",      "fail",      "fails",
                                         "failed", "failure", "failures", "exception", "fatal",
                                         "panic",  "lost",    "dropped",  "rejected",  "crashed"};
constexpr std::string_view kNothing[] = {"nil", "null", "none", "false", "no", "ok", "n", "<nil"};

bool is_among(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A stem with one of the suffixes.
bool is_form_of(std::string_view word, Names stems) {
  return std::any_of(stems.begin(), stems.end(), [&](auto stem) {
    return word.starts_with(stem) && is_among(word.substr(stem.size()), kSuffixes);
  });
}

struct Word {
  std::size_t begin = 0, end = 0;
  std::string text;  // in lower case
};

class Words {
 public:
  explicit Words(std::string_view line) : line_(line) {
    for (std::size_t i = 0; i < line.size();) {
      std::size_t end = i;
      while (end < line.size() && is_letter(line[end])) ++end;
      if (end > i) words_.push_back({i, end, ascii::lower(line.substr(i, end - i))});
      i = end > i ? end : i + 1;
    }
  }

  int worst() const {
    int worst = 0;
    for (std::size_t i = 0; i < words_.size() && worst < kWorstSeverity; ++i) {
      const int severity = severity_of(words_[i]);
      if (severity > worst && counts(i)) worst = severity;
    }
    return worst;
  }

 private:
  /// The class of an exception (ValueError, java.io.IOException) is a name that says what happened.
  bool is_exception(const Word& word) const {
    const bool ends = word.text.size() > 5 && is_upper(line_[word.begin]) &&
                      (word.text.ends_with("error") || word.text.ends_with("exception"));
    const bool capital = ends && is_upper(line_[word.end - (word.text.ends_with("error") ? 5 : 9)]);
    return capital && (word.end == line_.size() || line_[word.end] == ':');
  }
  int severity_of(const Word& word) const {
    if (is_form_of(word.text, kFatal)) return 3;
    if (is_form_of(word.text, kError) || is_exception(word)) return 2;
    return is_form_of(word.text, kWarning) ? 1 : 0;
  }
  bool counts(std::size_t i) const {
    const Word& word = words_[i];
    if (is_exception(word)) return true;
    return !is_in_name(word) && !is_of_option(word) && !is_negated(i) && !is_possible(i) &&
           !is_nothing(word) && !names_a_thing(i);
  }

  char at(std::size_t i) const { return i < line_.size() ? line_[i] : ' '; }

  /// Part of a path, an option, an identifier or a host.
  bool is_in_name(const Word& word) const {
    const char before = word.begin == 0 ? ' ' : line_[word.begin - 1], after = at(word.end);
    constexpr std::string_view kBefore = "_/.-@$%\\&", kAfter = "_/@(\\";
    if (is_digit(before) || kBefore.find(before) != std::string_view::npos) return true;
    if (is_digit(after) || kAfter.find(after) != std::string_view::npos) return true;
    if (after == '\'' && is_letter(at(word.end + 1))) return true;
    if (line_.substr(word.end).starts_with("::") || line_.substr(0, word.begin).ends_with("::")) return true;
    return (after == '.' || after == '-') && is_alnum(at(word.end + 1));
  }

  /// "no failed jobs", "did not fail", "isn't an error", "0 errors"
  bool is_negated(std::size_t i) const {
    bool only_fillers = true;
    for (std::size_t back = 1; back <= 3 && back <= i; ++back) {
      const Word& before = words_[i - back];
      const auto between = line_.substr(before.end, words_[i].begin - before.end);
      if (between.find_first_of(".,;:!?()[]{}=\"|") != std::string_view::npos) break;
      if (back < 3 && is_among(before.text, kNegations)) return true;
      if (only_fillers && is_among(before.text, kNots)) return true;
      only_fillers = only_fillers && is_among(before.text, kFillers);
    }
    return is_after_zero(words_[i]);
  }

  /// Removes the last word, up to a blank, and returns it.
  static std::string_view take_last(std::string_view& text) {
    text = without_trailing_blanks(text);
    const auto word = text.substr(text.find_last_of(" \t") + 1);
    text.remove_suffix(word.size());
    return word;
  }
  /// 0, 0%, 0.00%, (0, 0/12
  static bool is_zero(std::string_view word) {
    word.remove_prefix(std::min(word.find_first_not_of("([{|,;"), word.size()));
    word = word.substr(0, word.find('/'));
    if (word.ends_with('%')) word.remove_suffix(1);
    return word.starts_with('0') && word.find_first_not_of("0.") == std::string_view::npos;
  }

  /// "0 errors", "0 tests failed", "0 of 12 jobs have failed"; not "disk 0 failed".
  bool is_after_zero(const Word& word) const {
    auto before = line_.substr(0, word.begin);
    auto last = take_last(before);
    while (is_among(ascii::lower(last), kAuxiliaries)) last = take_last(before);
    const bool has_noun = last.ends_with('s') && std::all_of(last.begin(), last.end(), is_letter);
    if (has_noun) last = take_last(before);
    if (!last.empty() && all_digits(last) && !is_zero(last)) {
      if (take_last(before) != "of") return false;
      last = take_last(before);
    }
    if (!is_zero(last)) return false;
    return word.text.ends_with('s') || !is_among(ascii::lower(take_last(before)), kNumbered);
  }

  /// "checking for errors", "retries on failure"
  bool is_possible(std::size_t i) const {
    if (i == 0 || words_[i - 1].end + 1 != words_[i].begin) return false;
    const auto& before = words_[i - 1].text;
    return (before == "for" && is_among(words_[i].text, kPossible)) ||
           ((before == "on" || before == "upon") && is_among(words_[i].text, kPossibleOn));
  }

  /// "--log-level=error", "--log-level error": an option's value.
  bool is_of_option(const Word& word) const {
    auto before = line_.substr(0, word.begin);
    const bool assigned = before.ends_with('=');
    if (assigned) before.remove_suffix(1);
    const auto option = take_last(before);
    if (!option.starts_with('-') || option.size() < 3) return false;
    return assigned || option.find("level") != std::string_view::npos;
  }

  /// The value after ':', '=' or '(' at that place, or after blanks.
  std::string value_at(std::size_t i) const {
    while (i < line_.size() && is_blank(line_[i])) ++i;
    std::size_t end = i;
    while (end < line_.size() && (is_alnum(line_[end]) || line_[end] == '<' || line_[end] == '.')) ++end;
    if (end == i && (line_.substr(i).starts_with("[]") || line_.substr(i).starts_with("{}"))) return "none";
    return ascii::lower(line_.substr(i, end - i));
  }
  static bool is_only_zeros(std::string_view value) {
    return value.starts_with('0') && value.find_first_not_of("0.") == std::string_view::npos;
  }

  /// "errors: 0", "failed=0", "err=<nil>", "timeout=30s": a count of zero, nothing, or a setting.
  bool is_nothing(const Word& word) const {
    std::size_t i = word.end;
    while (i < line_.size() && (is_blank(line_[i]) || line_[i] == '"')) ++i;
    const bool is_key = at(i) == '=' || at(i) == ':' || at(i) == '(';
    const bool assigned = at(i) == '=' || (at(i) == ':' && at(word.end) == '"');
    if (is_key) ++i;
    const std::string value = value_at(i);
    while (i < line_.size() && is_blank(line_[i])) ++i;
    if (assigned && !is_among(word.text, kCounted)) return true;
    if (word.text == "timeout" && !value.empty() && is_digit(value[0])) return true;
    if (assigned && (value.empty() && (at(i) != '"' || at(i + 1) == '"'))) return true;
    if (is_only_zeros(value)) return true;
    return is_key ? is_among(value, kNothing) : counts_zero_things(word);
  }

  /// "failed requests: 0", "error code 0"
  bool counts_zero_things(const Word& word) const {
    std::size_t i = word.end + 1;
    while (is_letter(at(i))) ++i;
    const auto noun = ascii::lower(line_.substr(std::min(word.end + 1, line_.size()), i - word.end - 1));
    if (at(word.end) != ' ' || noun.empty()) return false;
    const bool is_key = at(i) == ':' || at(i) == '=';
    return (is_key || noun == "code") && is_only_zeros(value_at(is_key ? i + 1 : i));
  }

  /// "error budget", "error rate": the word is part of a thing's name.
  bool names_a_thing(std::size_t i) const {
    if (i + 1 >= words_.size() || words_[i + 1].begin != words_[i].end + 1) return false;
    return is_among(words_[i].text, kNamed) && is_among(words_[i + 1].text, kOfNames);
  }

  std::string_view line_;
  std::vector<Word> words_;
};

}  // namespace

int severity_of_words(std::string_view line) {
  return Words(line).worst();
}

}  // namespace unroll::records
