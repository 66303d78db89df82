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
  bool number_unsigned(number_unsigned_t value) override { return scalar(std::to_string(value), false); }
  bool number_float(number_float_t, const string_t& text) override { return scalar(text, false); }
  bool string(string_t& value) override { return scalar(std::move(value), true); }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override { return enter(false); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(true); }
  bool end_array() override { return leave(); }
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
    std::string key = names_.size() == 2 ? names_[0] + "." + names_[1] : names_[0];
    fields_.push_back({std::move(key), std::move(value), is_text});
    return fields_.size() < kMostFields;
  }

  std::vector<JsonField>& fields_;
  std::vector<std::string> names_;
  std::vector<bool> is_array_;
  int arrays_ = 0;
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
