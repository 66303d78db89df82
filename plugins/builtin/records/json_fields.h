// The fields of a record that is a JSON object, also of one that was cut off.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace unroll::records {

struct JsonField {
  std::string key;    ///< With the names of the objects around it, as "log.level".
  std::string value;  ///< A string's content; a number, true, false or null as text.
  bool is_text = false;
};

/// The scalars of the outermost object and of objects directly in it, in order. Of an array, if the outermost
/// object has it: the first text, or the text of which it has the bytes (journald's form of what is not
/// UTF-8). Empty if the text does not begin with an object; what was read until then if it is cut off or
/// damaged.
std::vector<JsonField> json_fields(std::string_view text);

/// The first field with one of these names; null if there is none.
template <class Names>
const JsonField* find_field(const std::vector<JsonField>& fields, const Names& names) {
  for (const std::string_view name : names) {
    for (const JsonField& field : fields) {
      if (field.key == name) return &field;
    }
  }
  return nullptr;
}

}  // namespace unroll::records
