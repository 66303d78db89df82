#include "tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include <unicode/regex.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf16.h>

namespace unroll {
namespace {

/// In units of 10,000 steps. Real patterns need less than ten units for a whole segment.
constexpr std::int32_t kTimeLimit = 100;

void check(UErrorCode status, const std::string& what) {
  if (U_FAILURE(status)) throw std::runtime_error(what + " is not understood: " + u_errorName(status));
}

/// Assertions about what precedes a position.
bool looks_behind(std::string_view pattern) {
  bool in_set = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const auto rest = pattern.substr(i);
    if (rest.front() == '\\') {
      if (rest.size() > 1 && std::string_view("bBAGK").find(rest[1]) != std::string_view::npos) return true;
      ++i;
    } else if (in_set) {
      in_set = rest.front() != ']';
    } else if (rest.front() == '[') {
      in_set = true;
      if (rest.size() > 1 && rest[1] == '^') ++i;
    } else if (rest.front() == '^' || rest.starts_with("(?<=") || rest.starts_with("(?<!")) {
      return true;
    }
  }
  return false;
}

bool is_numeric(UChar32 character) {
  return (U_GET_GC_MASK(character) & U_GC_N_MASK) != 0;
}

}  // namespace

struct PreTokenizer::Compiled {
  std::unique_ptr<icu::RegexPattern> pattern;
  std::string name;  // for errors
};

PreTokenizer::PreTokenizer(std::vector<Cut> cuts) : cuts_(std::move(cuts)) {
  for (const auto& cut : cuts_) {
    auto& compiled = compiled_.emplace_back();
    if (cut.kind != Cut::kPattern) continue;
    compiled = std::make_unique<Compiled>();
    compiled->name = "the pattern " + cut.pattern;
    if (!cut.literal && looks_behind(cut.pattern))
      throw std::runtime_error(compiled->name + " looks behind a match, which is not supported");
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    // Lines as defined by Oniguruma, which the `tokenizers` package uses.
    const std::uint32_t flags = cut.literal ? UREGEX_LITERAL : UREGEX_MULTILINE | UREGEX_UNIX_LINES;
    compiled->pattern.reset(
        icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(cut.pattern), flags, where, status));
    check(status, compiled->name);
    const icu::UnicodeString nothing;
    const std::unique_ptr<icu::RegexMatcher> matcher(compiled->pattern->matcher(nothing, status));
    check(status, compiled->name);
    if (matcher->matches(status)) throw std::runtime_error(compiled->name + " matches nothing at all");
  }
}

PreTokenizer::~PreTokenizer() = default;

PreTokenizer::Words PreTokenizer::words() const {
  return Words(*this);
}

/// The state of one cut. The current piece of a pattern is [begin, end).
struct PreTokenizer::Words::Stage {
  const Cut* cut;
  std::unique_ptr<icu::RegexMatcher> matcher;
  icu::UnicodeString text;  // borrows the units; the matcher refers to it
  std::size_t begin = 0, end = 0;
  std::size_t match_end = 0;  // beyond `end`: a match begins at `end`
  bool is_match = false;
  std::size_t scanned = 0;  // without a pattern: there is no boundary between `end` at the last call and here

  void set_text(std::u16string_view units) {
    text.setTo(false, units.data(), static_cast<std::int32_t>(units.size()));
    if (matcher) matcher->reset(text);
    scanned = 0;
  }

  void restart(std::size_t at) {
    begin = end = match_end = at;
    is_match = false;
  }

  /// Finds the pattern's piece from `at` on in a text that ends at `limit`; `ended`: that is its true end.
  /// Returns false if the piece depends on later text.
  bool find_piece(std::size_t at, std::size_t limit, bool ended) {
    begin = at;
    if (match_end > at) {
      end = match_end;
      is_match = true;
      return true;
    }
    UErrorCode status = U_ZERO_ERROR;
    matcher->region(static_cast<std::int64_t>(at), static_cast<std::int64_t>(limit), status);
    is_match = false;
    while (!is_match && matcher->find(status)) {
      end = static_cast<std::size_t>(matcher->start64(status));
      match_end = static_cast<std::size_t>(matcher->end64(status));
      is_match = match_end > end;
    }
    // A match is abandoned after a fixed number of steps, so that the result does not depend on how the text
    // arrives.
    const bool gave_up = status == U_REGEX_TIME_OUT || status == U_REGEX_STACK_OVERFLOW;
    if (gave_up) {
      is_match = false;
    } else if (U_FAILURE(status)) {
      throw std::runtime_error(std::string("ICU: ") + u_errorName(status));
    }
    if (!ended && (gave_up || matcher->hitEnd())) {
      restart(at);
      return false;
    }
    if (!is_match) {
      end = match_end = limit;
    } else if (end == at) {
      end = match_end;
    } else {
      is_match = false;  // the text before the match comes first
    }
    return true;
  }

  /// Whether the cut is between two characters.
  bool is_boundary(UChar32 before, UChar32 after) const {
    switch (cut->kind) {
      case Cut::kDigit:
        return is_numeric(before) || is_numeric(after);
      case Cut::kDigits:
        return is_numeric(before) != is_numeric(after);
      default:
        return !cut->joined->contains(static_cast<char32_t>(before), static_cast<char32_t>(after));
    }
  }

  /// The first boundary after `at` and before `limit`. Depends only on the two characters next to it.
  std::optional<std::size_t> find_boundary(std::size_t at, std::size_t limit) {
    if (scanned <= at) scanned = static_cast<std::size_t>(text.moveIndex32(static_cast<std::int32_t>(at), 1));
    for (; scanned < limit; scanned += static_cast<std::size_t>(U16_LENGTH(char_at(scanned)))) {
      if (is_boundary(char_at(scanned - 1), char_at(scanned))) return scanned;
    }
    return std::nullopt;
  }
  UChar32 char_at(std::size_t unit) const { return text.char32At(static_cast<std::int32_t>(unit)); }
};

PreTokenizer::Words::Words(const PreTokenizer& patterns) {
  for (std::size_t i = 0; i < patterns.cuts_.size(); ++i) {
    auto& stage = *stages_.emplace_back(std::make_unique<Stage>());
    stage.cut = &patterns.cuts_[i];
    const auto* compiled = patterns.compiled_[i].get();
    if (!compiled) continue;
    UErrorCode status = U_ZERO_ERROR;
    stage.matcher.reset(compiled->pattern->matcher(status));
    stage.matcher->setTimeLimit(kTimeLimit, status);
    check(status, compiled->name);
  }
}
PreTokenizer::Words::Words(Words&&) noexcept = default;
PreTokenizer::Words::~Words() = default;

void PreTokenizer::Words::set_text(std::u16string_view units) {
  for (auto& stage : stages_) stage->set_text(units);
  restart(0);
}

void PreTokenizer::Words::restart(std::size_t unit) {
  at_ = unit;
  for (auto& stage : stages_) stage->restart(unit);
}

std::optional<std::size_t> PreTokenizer::Words::next(std::size_t limit, bool ended) {
  for (auto& stage : stages_) {
    if (stage->matcher) {
      if (stage->end <= at_ && !stage->find_piece(at_, limit, ended)) return std::nullopt;
      limit = stage->end;
      ended = true;
    } else if (const auto boundary = stage->find_boundary(at_, limit)) {
      limit = *boundary;
      ended = true;
    }
  }
  if (!ended || limit == at_) return std::nullopt;
  at_ = limit;
  return at_;
}

bool PreTokenizer::Words::can_restart() const {
  return std::ranges::none_of(
      stages_, [&](const auto& stage) { return stage->is_match && stage->begin < at_ && at_ < stage->end; });
}

}  // namespace unroll
