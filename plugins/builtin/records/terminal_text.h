// What a terminal shows of a line: without escape sequences (colours, titles, links), without control
// characters, and after a carriage return, or a sequence that erases the line, only what follows it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace unroll::records {

/// Decides byte by byte. One object for one stream of bytes.
class TerminalText {
 public:
  enum class Effect : std::uint8_t {
    kShown,     ///< The byte is text.
    kHidden,    ///< The byte belongs to an escape sequence or is a control character.
    kRestarts,  ///< The byte is text, and a carriage return before it discards the line so far.
    kErases,    ///< A backspace: it removes the last character.
  };
  /// Takes the next byte, which is not a newline.
  Effect take(char c);
  /// A newline: ends a sequence that was cut off, and a carriage return before it means nothing.
  void end_line() { *this = TerminalText(); }

  void visit(auto& archive) { archive(state_, returned_); }

 private:
  enum class State : std::uint8_t {
    kText,
    kEscape,
    kIntermediate,
    kControl,
    kString,
    kStringEscape,
    // ESC [ 1 and ESC [ 2; kControl: ESC [ and none or other parameters. Last, for saved states.
    kControl1,
    kControl2,
    kControlNone
  };
  Effect take_text(char c);
  Effect take_control(char c);

  State state_ = State::kText;
  bool returned_ = false;  ///< After a carriage return.
};

/// Removes the last UTF-8 character.
void erase_character(std::string& text);

/// What a terminal shows of one line.
std::string terminal_text(std::string_view line);

}  // namespace unroll::records
