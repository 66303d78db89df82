#include "client/views/word_view.h"

#include <numbers>

#include "base/six_digits.h"
#include "client/cli/text.h"
#include "client/views/table_rows.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

double rounded(double value) {
  return std::stod(six_digits(value));
}
double bits(const json& output, const char* key) {
  return number(output, key) / std::numbers::ln2;
}

/// Calls row() for each word and figures() for each item.
class WordRows : public WordView {
 public:
  explicit WordRows(ResultWriter& writer) : writer_(writer) {}
  void begin_item(std::uint64_t item) override { item_ = item; }
  void output(const json& data) override {
    if (type_of(data) == "document") return figures(data);
    const auto words = data.find("words");
    if (words == data.end()) return;
    for (const json& word : *words) row(word);
  }

 protected:
  virtual void row(const json& word) = 0;
  virtual void figures(const json& document) = 0;
  std::uint64_t item() const { return item_; }
  ResultWriter& writer() { return writer_; }

 private:
  ResultWriter& writer_;
  std::uint64_t item_ = 1;
};

class WordTable : public WordRows {
 public:
  WordTable(char separator, ResultWriter& writer) : WordRows(writer), separator_(separator) {
    TableRow head(separator);
    for (const char* name :
         {"item", "word", "start", "end", "start_char", "end_char", "bits", "entropy", "rank", "tokens"})
      head.add(name);
    writer.write(head.text());
    writer.end_line();
  }

 private:
  void row(const json& word) override {
    TableRow row(separator_);
    row.add(std::to_string(item())).add(text_of(word, "word"));
    for (const char* key : {"start", "end", "start_char", "end_char"})
      row.add(std::to_string(whole(word, key)));
    for (const double value : {bits(word, "nats"), bits(word, "entropy")}) row.add(six_digits(value));
    for (const char* key : {"rank", "tokens"}) row.add(std::to_string(whole(word, key)));
    writer().write(row.text());
    writer().end_line();
  }
  void figures(const json&) override {}

  char separator_;
};

/// A word's or document's object: bits instead of nats.
ordered_json in_bits(const json& output, std::uint64_t item) {
  json changed = output;
  for (const auto& [from, to] : {std::pair{"nats", "bits"},
                                 {"word_nats", "word_bits"},
                                 {"separator_nats", "separator_bits"},
                                 {"end_nats", "end_bits"},
                                 {"entropy", "entropy"}}) {
    if (!output.contains(from)) continue;
    changed.erase(from);
    changed[to] = rounded(bits(output, from));
  }
  ordered_json ordered = {{"item", item}};
  ordered.update(in_order(changed, {"type", "word", "start", "end", "start_char", "end_char", "bits",
                                    "entropy", "rank", "tokens", "words", "bytes", "characters"}));
  return ordered;
}

class WordLines : public WordRows {
 public:
  using WordRows::WordRows;

 private:
  void row(const json& word) override {
    json typed = word;
    typed["type"] = "word";
    write(typed);
  }
  void figures(const json& document) override { write(document); }
  void write(const json& output) {
    writer().write(to_line(in_bits(output, item())));
    writer().end_line();
  }
};

/// One object, written as words arrive: {"passages":[...], "words":..., "tokens":..., ...}.
class WordObject : public WordRows {
 public:
  using WordRows::WordRows;

 private:
  void row(const json& word) override {
    writer().write(any_ ? ",\n" : "{\"passages\":[\n");
    any_ = true;
    ordered_json object = in_bits(word, item());
    object.erase("item");
    writer().write(to_line(object));
  }
  void figures(const json& document) override {
    ordered_json object = in_bits(document, item());
    object.erase("item");
    object.erase("type");
    if (!any_) writer().write("{\"passages\":[");
    writer().write("],\n" + to_line(object).substr(1));
    writer().end_line();
  }
  bool any_ = false;
};

class WordText : public WordRows {
 public:
  WordText(bool items, ResultWriter& writer) : WordRows(writer), items_(items) {
    writer.write(dim(writer.terminal(), std::string(items ? "    item" : "") +
                                            "     start       end     bits  entropy    rank  word") +
                 "\n");
  }

 private:
  static constexpr double kCalm = 1, kHot = 20;  // bits

  void row(const json& word) override {
    const Terminal& terminal = writer().terminal();
    const double surprise = bits(word, "nats");
    const std::string places = (items_ ? right(with_thousands(item()), 8) : "") +
                               right(with_thousands(whole(word, "start")), 10) +
                               right(with_thousands(whole(word, "end")), 10);
    const std::string after =
        right(fixed(bits(word, "entropy"), 2), 9) + right(with_thousands(whole(word, "rank")), 8);
    const std::size_t taken = columns(places) + columns(after) + 11;
    writer().write(
        places + heated(terminal, heat_of(surprise, kCalm, kHot), right(fixed(surprise, 2), 9)) + after +
        "  " +
        cut(one_line(text_of(word, "word")), std::max<std::size_t>(terminal.width, taken + 20) - taken) +
        "\n");
  }
  void figures(const json& document) override {
    if (items_) return;
    writer().write("\n" + with_thousands(whole(document, "words")) + " words, " +
                   with_thousands(whole(document, "bytes")) + " bytes: " +
                   bold(writer().terminal(), figure(document, "bits_per_word", 2) + " bits per word") + ", " +
                   figure(document, "bits_per_character", 3) + " per character, " +
                   figure(document, "bits_per_byte", 3) + " per byte\n" +
                   vocabulary_note(document, writer().terminal()));
  }
  bool items_;
};

}  // namespace

std::unique_ptr<WordView> make_word_view(const std::string& format, bool items, ResultWriter& writer) {
  if (format == "csv" || format == "parquet") return std::make_unique<WordTable>(',', writer);
  if (format == "tsv") return std::make_unique<WordTable>('\t', writer);
  if (format == "ndjson") return std::make_unique<WordLines>(writer);
  if (format == "json") return std::make_unique<WordObject>(writer);
  return std::make_unique<WordText>(items, writer);
}

}  // namespace unroll
