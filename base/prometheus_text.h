// Metrics in Prometheus's text format, version 0.0.4.
#pragma once

#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace unroll {

/// Collects metrics as text. Prometheus naming: a unit at the end, `_total` for counters.
class PrometheusText {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  PrometheusText() { text_.precision(12); }

  void gauge(std::string_view name, std::string_view help, auto value) {
    head(name, "gauge", help);
    sample(name, value);
  }
  void counter(std::string_view name, std::string_view help, auto value) {
    head(name, "counter", help);
    sample(name, value);
  }
  /// Once per metric, before its samples.
  void head(std::string_view name, std::string_view type, std::string_view help) {
    text_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
  }
  void sample(std::string_view name, auto value, std::initializer_list<Label> labels = {}) {
    text_ << name;
    char before = '{';
    for (const auto& [label, of] : labels) {
      text_ << std::exchange(before, ',') << label << "=\"" << escaped(of) << '"';
    }
    text_ << (labels.size() > 0 ? "} " : " ") << value << '\n';
  }
  std::string text() const { return text_.str(); }

 private:
  static std::string escaped(std::string_view value) {
    std::string result;
    for (const char c : value) {
      if (c == '\\' || c == '"') result += '\\';
      c == '\n' ? result += "\\n" : result += c;
    }
    return result;
  }

  std::ostringstream text_;
};

}  // namespace unroll
