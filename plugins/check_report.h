// The report of `unroll plugin check`: a line a check, then the verdict.
#pragma once

#include <ostream>
#include <string>
#include <utility>

namespace unroll::check {

class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}
  void subject(std::string name) { subject_ = std::move(name); }
  void ok(const std::string& check, const std::string& what) {
    ++checks_;
    line("ok", check, what);
  }
  void failed(const std::string& check, const std::string& why) {
    ++checks_;
    ++failures_;
    line("FAILED", check, why);
  }
  void note(const std::string& check, const std::string& what) {
    ++notes_;
    line("note", check, what);
  }
  bool verdict() {
    if (failures_ > 0) {
      out_ << "FAILED: " << failures_ << " of " << checks_ << " checks\n";
    } else {
      out_ << "PASSED: " << checks_ << " checks, " << notes_ << (notes_ == 1 ? " note\n" : " notes\n");
    }
    return failures_ == 0;
  }

 private:
  void line(const std::string& result, const std::string& check, const std::string& text) {
    constexpr std::size_t kResultWidth = 8;
    out_ << result << std::string(kResultWidth - result.size(), ' ') << subject_ << ": " << check << ": "
         << text << std::endl;  // flushed: the last line tells where a library crashed
  }

  std::ostream& out_;
  std::string subject_;
  int checks_ = 0, failures_ = 0, notes_ = 0;
};

}  // namespace unroll::check
