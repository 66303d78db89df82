// Rows of tables for other programs: comma- or tab-separated, quoted as RFC 4180 says.
#pragma once

#include <string>
#include <string_view>

namespace unroll {

/// One line, built field by field. A field is quoted if it holds the separator, a quotation mark or a line
/// end.
class TableRow {
 public:
  /// ',' or '\t'.
  explicit TableRow(char separator) : separator_(separator) {}
  TableRow& add(std::string_view field) {
    if (begun_) line_ += separator_;
    begun_ = true;
    if (field.find_first_of("\"\r\n") == std::string_view::npos &&
        field.find(separator_) == std::string_view::npos) {
      line_ += field;
      return *this;
    }
    line_ += '"';
    for (const char c : field) line_ += c == '"' ? std::string("\"\"") : std::string(1, c);
    line_ += '"';
    return *this;
  }
  const std::string& text() const { return line_; }

 private:
  char separator_;
  bool begun_ = false;
  std::string line_;
};

}  // namespace unroll
