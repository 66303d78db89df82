// Views: what a plugin's outputs look like to the user. Each writes as the outputs come, in constant memory,
// and knows the forms that scripts rely on.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "client/cli/result_writer.h"
#include "client/sources/source.h"

namespace unroll {

/// One thread. Borrows the writer (and the source) that it was made with.
class View {
 public:
  virtual ~View() = default;
  /// The next output. Throws CommandError where it is not what the plugin is documented to emit.
  virtual void output(const nlohmann::json& data) = 0;
};

/// text: figures and the most surprising passages. json: one object. ndjson: an output a line.
std::unique_ptr<View> make_score_view(const std::string& format, ResultWriter& writer);
/// For people: a line for each passage (or token), with its text; then as text of make_score_view().
std::unique_ptr<View> make_passage_table(ResultWriter& writer, Source& source);
/// A page that stands alone: each token in the colour of its surprisal. Needs granularity "token".
std::unique_ptr<View> make_heat_map(ResultWriter& writer, Source& source);
/// text: the oddest lines. json: one object with all lines and the oddest. ndjson: {line, start, end, score},
/// alert where it is one, a line.
std::unique_ptr<View> make_anomaly_view(const std::string& format, ResultWriter& writer);
/// Whether the plugin anomaly marked the line as an alert.
bool is_alert(const nlohmann::json& line);
std::unique_ptr<View> make_summary_view(const std::string& format, ResultWriter& writer);
/// A summary's sentences for a terminal, each behind the byte that it begins at.
std::string summary_rows(const Terminal& terminal, const nlohmann::json& sentences);
/// json: one object with all segments. ndjson: an output a line.
std::unique_ptr<View> make_embed_view(const std::string& format, ResultWriter& writer);

// --- What the views share

/// The object with the named keys first (those that it has), then the rest in order of name: the daemon may
/// order keys in another way than the plugin did.
nlohmann::ordered_json in_order(const nlohmann::json& object, std::initializer_list<const char*> keys);
/// Compact; never fails.
std::string to_line(const nlohmann::ordered_json& json);
/// The type of an output. Throws CommandError.
std::string type_of(const nlohmann::json& output);
/// A number of an output; 0 where it is null (a document without bytes has no bits per byte).
double number(const nlohmann::json& output, const char* key);
/// The same as text, with so many digits; a dash for null, which an empty document's figures are.
std::string figure(const nlohmann::json& output, const char* key, int digits);
std::uint64_t whole(const nlohmann::json& output, const char* key);
std::string text_of(const nlohmann::json& output, const char* key);

}  // namespace unroll
