#include "plugins/builtin/records/terminal_text.h"

namespace unroll::records {
namespace {

constexpr char kEscape = '\x1b', kBell = '\a';

bool is_between(char c, char first, char last) {
  return c >= first && c <= last;
}

}  // namespace

// ECMA-48: ESC [ parameters final, ESC ] string BEL or ESC \ (also P, X, ^, _), ESC intermediates final.
TerminalText::Effect TerminalText::take(char c) {
  switch (state_) {
    case State::kText:
      return take_text(c);
    case State::kEscape:
      if (c == '[') {
        state_ = State::kControlNone;
      } else if (std::string_view("]PX^_").find(c) != std::string_view::npos) {
        state_ = State::kString;
      } else {
        state_ = is_between(c, 0x20, 0x2F) ? State::kIntermediate : State::kText;
      }
      return Effect::kHidden;
    case State::kIntermediate:
      if (!is_between(c, 0x20, 0x2F)) state_ = State::kText;
      return Effect::kHidden;
    case State::kControl:
    case State::kControl1:
    case State::kControl2:
    case State::kControlNone:
      return take_control(c);
    case State::kString:
      if (c == kEscape) state_ = State::kStringEscape;
      if (c == kBell) state_ = State::kText;
      return Effect::kHidden;
    case State::kStringEscape:
      // Another sequence ends a string that was not ended.
      state_ = c == '\\' ? State::kText : c == '[' ? State::kControlNone : State::kString;
      return Effect::kHidden;
  }
  return Effect::kShown;
}

/// Of ESC [ parameters final.
TerminalText::Effect TerminalText::take_control(char c) {
  if (is_between(c, 0x20, 0x3F)) {
    const bool first = state_ == State::kControlNone;
    state_ = first && c == '1' ? State::kControl1 : first && c == '2' ? State::kControl2 : State::kControl;
    return Effect::kHidden;
  }
  // Erases the line, or what is left of the cursor; or moves the cursor to the line's beginning.
  if (c == 'K' && (state_ == State::kControl1 || state_ == State::kControl2)) returned_ = true;
  if (c == 'G' && (state_ == State::kControl1 || state_ == State::kControlNone)) returned_ = true;
  state_ = State::kText;
  // A sequence that was cut off ends at the first byte that cannot belong to it.
  return is_between(c, 0x40, 0x7E) ? Effect::kHidden : take_text(c);
}

TerminalText::Effect TerminalText::take_text(char c) {
  if (c == kEscape) {
    state_ = State::kEscape;
    return Effect::kHidden;
  }
  if (c == '\r') {
    returned_ = true;
    return Effect::kHidden;
  }
  if (c == '\b') return Effect::kErases;
  if ((is_between(c, 0, 0x1F) && c != '\t') || c == 0x7F) return Effect::kHidden;
  if (!returned_) return Effect::kShown;
  returned_ = false;
  return Effect::kRestarts;
}

void erase_character(std::string& text) {
  while (!text.empty()) {
    const bool begins = (static_cast<unsigned char>(text.back()) & 0xC0) != 0x80;
    text.pop_back();
    if (begins) return;
  }
}

std::string terminal_text(std::string_view line) {
  TerminalText terminal;
  std::string text;
  for (const char c : line) {
    const auto effect = terminal.take(c);
    if (effect == TerminalText::Effect::kErases) erase_character(text);
    if (effect == TerminalText::Effect::kRestarts) text.clear();
    if (effect == TerminalText::Effect::kShown || effect == TerminalText::Effect::kRestarts)
      text.push_back(c);
  }
  return text;
}

}  // namespace unroll::records
