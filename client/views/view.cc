#include "client/views/view.h"

#include "client/cli/command_error.h"
#include "client/cli/text.h"

namespace unroll {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& problem) {
  throw CommandError("a plugin's output " + problem + "; install plugin and client from the same version");
}

const json& value_of(const json& output, const char* key) {
  if (!output.is_object()) refuse("is not a JSON object");
  const auto found = output.find(key);
  if (found == output.end()) refuse(std::string("has no '") + key + "'");
  return *found;
}

}  // namespace

nlohmann::ordered_json in_order(const json& object, std::initializer_list<const char*> keys) {
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  for (const char* key : keys) {
    if (const auto found = object.find(key); found != object.end()) result[key] = *found;
  }
  for (const auto& [key, value] : object.items()) {
    if (!result.contains(key)) result[key] = value;
  }
  return result;
}

std::string to_line(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string type_of(const json& output) {
  return text_of(output, "type");
}

double number(const json& output, const char* key) {
  const json& value = value_of(output, key);
  if (value.is_null()) return 0;
  if (!value.is_number()) refuse(std::string("has '") + key + "' that is not a number");
  return value.get<double>();
}

std::string figure(const json& output, const char* key, int digits) {
  const auto found = output.find(key);
  return found != output.end() && found->is_null() ? "-" : fixed(number(output, key), digits);
}

std::uint64_t whole(const json& output, const char* key) {
  const json& value = value_of(output, key);
  if (!value.is_number_unsigned()) refuse(std::string("has '") + key + "' that is not a whole number");
  return value.get<std::uint64_t>();
}

std::string text_of(const json& output, const char* key) {
  const json& value = value_of(output, key);
  if (!value.is_string()) refuse(std::string("has '") + key + "' that is not a string");
  return value.get<std::string>();
}

std::string vocabulary_note(const json& document, const Terminal& terminal) {
  constexpr std::uint64_t kLeastBytes = 40;
  constexpr double kFewBytes = 2.5;  // a token has 3.5 to 5 of prose in a language that the model knows
  const auto bytes = whole(document, "bytes"), tokens = whole(document, "tokens");
  if (bytes < kLeastBytes || static_cast<double>(bytes) >= kFewBytes * static_cast<double>(tokens)) return {};
  return dim(terminal,
             "Tokens have " + fixed(static_cast<double>(bytes) / static_cast<double>(tokens), 1) +
                 " bytes: the model's vocabulary lacks this text's words (another language, numbers, "
                 "code), so the figures are high. For another language, use a model that knows it "
                 "(--model).") +
         "\n";
}

}  // namespace unroll
