#include "plugins/builtin/records/json_fields.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

namespace unroll::records {
namespace {

constexpr std::size_t kMostDepth = 2;     // of objects whose fields are read
constexpr std::size_t kMostNesting = 64;  // a log has no deeper objects; more would be an attack
constexpr std::size_t kMostFields = 256;

class Collector : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Collector(std::vector<JsonField>& fields) : fields_(fields) {}

  bool null() override { return scalar("null", false); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false", false); }
  bool number_integer(number_integer_t value) override { return scalar(std::to_string(value), false); }
  bool number_unsigned(number_unsigned_t value) override {
    if (is_outer_array() && value < 256) bytes_ += static_cast<char>(value);
    return scalar(std::to_string(value), false);
  }
  bool number_float(number_float_t, const string_t& text) override { return scalar(text, false); }
  bool string(string_t& value) override {
    // Of several values, the first.
    if (is_outer_array() && bytes_.empty() && !std::exchange(has_value_, true))
      return add(names_[0], value, true);
    return scalar(std::move(value), true);
  }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override { return enter(false); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override {
    if (names_.size() == 1) {
      bytes_.clear();
      has_value_ = false;
    }
    return enter(true);
  }
  bool end_array() override {
    if (is_outer_array() && !bytes_.empty()) add(names_[0], std::exchange(bytes_, {}), true);
    return leave();
  }
  bool key(string_t& name) override {
    if (names_.size() <= kMostDepth) names_.back() = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool enter(bool array) {
    arrays_ += array ? 1 : 0;
    names_.emplace_back();
    is_array_.push_back(array);
    return names_.size() <= kMostNesting;
  }
  bool leave() {
    arrays_ -= is_array_.back() ? 1 : 0;
    names_.pop_back();
    is_array_.pop_back();
    return true;
  }
  bool scalar(std::string value, bool is_text) {
    if (names_.empty()) return false;  // not an object
    if (arrays_ > 0 || names_.size() > kMostDepth) return true;
    return add(names_.size() == 2 ? names_[0] + "." + names_[1] : names_[0], std::move(value), is_text);
  }
  bool add(std::string key, std::string value, bool is_text) {
    fields_.push_back({std::move(key), std::move(value), is_text});
    return fields_.size() < kMostFields;
  }
  /// Whether what comes is an element of an array that a field of the outermost object has.
  bool is_outer_array() const { return arrays_ == 1 && names_.size() == 2 && is_array_.back(); }

  std::vector<JsonField>& fields_;
  std::vector<std::string> names_;
  std::vector<bool> is_array_;
  int arrays_ = 0;
  std::string bytes_;       // of an array of numbers
  bool has_value_ = false;  // of an array of texts, one was taken
};

}  // namespace

std::vector<JsonField> json_fields(std::string_view text) {
  std::vector<JsonField> fields;
  if (text.empty() || text.front() != '{') return fields;
  Collector collector(fields);
  nlohmann::json::sax_parse(text, &collector, nlohmann::json::input_format_t::json, false);
  return fields;
}

}  // namespace unroll::records
