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
constexpr std::string_view kNegations[] = {"no",  "not", "without", "zero", "never",
                                           "non", "any", "didn",    "free"};
// What follows "error" in the name of a thing that is not an error.
constexpr std::string_view kOfNames[] = {"budget",    "rate",   "rates",     "log",        "logs",
                                         "page",      "pages",  "handler",   "handlers",   "handling",
                                         "count",     "counts", "reporting", "reports",    "correction",
                                         "level",     "levels", "threshold", "thresholds", "tracking",
                                         "detection", "free",   "recovery",  "tolerance",  "injection"};
// Keys whose value says how many, or what went wrong.
constexpr std::string_view kCounted[] = {"error",  "errors",  "err",      "fail",      "fails",
                                         "failed", "failure", "failures", "exception", "fatal",
                                         "panic",  "lost",    "dropped",  "rejected",  "crashed"};
constexpr std::string_view kNothing[] = {"0",  "nil", "null", "none", "false", "no",
                                         "ok", "n",   "<nil", "-",    "\"\"",  "''"};

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
    return !is_in_name(word) && !is_negated(i) && !is_nothing(word) && !names_a_thing(i);
  }

  char at(std::size_t i) const { return i < line_.size() ? line_[i] : ' '; }

  /// Part of a path, an option, an identifier or a host.
  bool is_in_name(const Word& word) const {
    const char before = word.begin == 0 ? ' ' : line_[word.begin - 1], after = at(word.end);
    constexpr std::string_view kBefore = "_/.-@$%\\&", kAfter = "_/@(\\";
    if (is_digit(before) || kBefore.find(before) != std::string_view::npos) return true;
    if (is_digit(after) || kAfter.find(after) != std::string_view::npos) return true;
    if (after == '\'' && is_letter(at(word.end + 1))) return true;
    return (after == '.' || after == '-') && is_alnum(at(word.end + 1));
  }

  /// "0 errors", "no failed jobs", "did not fail".
  bool is_negated(std::size_t i) const {
    for (std::size_t back = 1; back <= 2 && back <= i; ++back) {
      const Word& before = words_[i - back];
      const auto between = line_.substr(before.end, words_[i].begin - before.end);
      if (between.find_first_of(".,;:!?()[]{}=\"|") != std::string_view::npos) break;
      if (is_among(before.text, kNegations)) return true;
    }
    const auto before = without_trailing_blanks(line_.substr(0, words_[i].begin));
    if (before.empty() || before.back() != '0' || before.size() == words_[i].begin) return false;
    return before.size() == 1 || !(is_alnum(before[before.size() - 2]) || before[before.size() - 2] == '.');
  }

  /// "errors: 0", "failed=0", "err=<nil>", "timeout=30s": a count of zero, nothing, or a setting.
  bool is_nothing(const Word& word) const {
    std::size_t i = word.end;
    while (i < line_.size() && (is_blank(line_[i]) || line_[i] == '"')) ++i;
    const bool is_key = at(i) == '=' || at(i) == ':' || at(i) == '(';
    const bool assigned = at(i) == '=' || (at(i) == ':' && at(word.end) == '"');
    if (is_key) ++i;
    while (i < line_.size() && is_blank(line_[i])) ++i;
    std::size_t end = i;
    while (end < line_.size() && (is_alnum(line_[end]) || line_[end] == '<' || line_[end] == '.')) ++end;
    const std::string value = ascii::lower(line_.substr(i, end - i));
    if (assigned && !is_among(word.text, kCounted)) return true;
    if (word.text == "timeout" && !value.empty() && is_digit(value[0])) return true;
    if (assigned && (value.empty() && (at(i) != '"' || at(i + 1) == '"'))) return true;
    return is_key ? is_among(value, kNothing) : value == "0";
  }

  /// "error budget", "error rate": the word is part of a thing's name.
  bool names_a_thing(std::size_t i) const {
    if (i + 1 >= words_.size() || words_[i + 1].begin != words_[i].end + 1) return false;
    return words_[i].text == "error" && is_among(words_[i + 1].text, kOfNames);
  }

  std::string_view line_;
  std::vector<Word> words_;
};

}  // namespace

int severity_of_words(std::string_view line) {
  return Words(line).worst();
}

}  // namespace unroll::records
