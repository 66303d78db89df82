// Views: format a plugin's outputs for the user. Each writes as outputs arrive, in constant memory. Scripts
// rely on the JSON formats.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"
#include "client/documents/document_text.h"
#include "client/sources/source.h"

namespace unroll {

/// Not thread-safe. Borrows the writer (and the source) given at construction.
class View {
 public:
  virtual ~View() = default;
  /// Takes the next output. Throws CommandError if it is not of the plugin's documented form.
  virtual void output(const nlohmann::json& data) = 0;
};

/// text: figures and the most surprising passages. json: one object. ndjson: one output per line.
std::unique_ptr<View> make_score_view(const std::string& format, ResultWriter& writer);
/// One line for each passage (or token), with its text; then the text of make_score_view().
std::unique_ptr<View> make_passage_table(ResultWriter& writer, Source& source);
/// A self-contained HTML page: each token is coloured by its surprisal. Takes the outputs of logprobs with
/// pieces, and of score. `chapters`: of the text.
std::unique_ptr<View> make_heat_map(ResultWriter& writer, Source& source, std::vector<Section> chapters);
/// Whether the plugin anomaly marked the line as an alert.
bool is_alert(const nlohmann::json& line);
std::unique_ptr<View> make_summary_view(const std::string& format, ResultWriter& writer);
/// A summary's sentences for a terminal, each preceded by its byte offset.
std::string summary_rows(const Terminal& terminal, const nlohmann::json& sentences);
/// json: one object with all segments. ndjson: one output per line.
std::unique_ptr<View> make_embed_view(const std::string& format, ResultWriter& writer);

// --- Helpers of the views

/// The object with the named keys first (if present), then the rest sorted by name: the daemon may have
/// reordered the plugin's keys.
nlohmann::ordered_json in_order(const nlohmann::json& object, std::initializer_list<const char*> keys);
/// Compact; never fails.
std::string to_line(const nlohmann::ordered_json& json);
/// The type of an output. Throws CommandError.
std::string type_of(const nlohmann::json& output);
/// A number of an output; 0 if it is null (an empty document has no bits per byte).
double number(const nlohmann::json& output, const char* key);
/// The same as text, with `digits` decimals; a dash for null.
std::string figure(const nlohmann::json& output, const char* key, int digits);
std::uint64_t whole(const nlohmann::json& output, const char* key);
std::string text_of(const nlohmann::json& output, const char* key);
/// A line for people if the model's vocabulary does not fit the document of these figures (bytes, tokens);
/// else empty.
std::string vocabulary_note(const nlohmann::json& document, const Terminal& terminal);

}  // namespace unroll
