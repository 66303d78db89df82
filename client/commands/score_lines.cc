#include "client/commands/score_lines.h"

#include <functional>
#include <numbers>

#include "base/ascii.h"
#include "client/cli/text.h"
#include "client/views/view.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// The lines of a source, without their ends, in constant memory.
class SourceLinesReader {
 public:
  explicit SourceLinesReader(Source& source) : source_(source) {}
  bool next(std::string& line) {
    constexpr std::size_t kChunk = std::size_t{64} << 10;
    std::size_t end = 0;
    // What follows a CR tells whether it is a line end of its own.
    const auto undecided = [&] {
      end = rest_.find_first_of("\r\n");
      return end == std::string::npos || (rest_[end] == '\r' && end + 1 == rest_.size());
    };
    while (undecided() && !ended_) {
      const std::string more = source_.read(kChunk);
      ended_ = more.empty();
      rest_ += more;
    }
    if (rest_.empty()) return false;
    line = rest_.substr(0, end);
    const bool two = end != std::string::npos && rest_.compare(end, 2, "\r\n") == 0;
    rest_.erase(0, end == std::string::npos ? end : end + (two ? 2 : 1));
    return true;
  }

 private:
  Source& source_;
  std::string rest_;
  bool ended_ = false;
};

void write_row(std::uint64_t item, const std::string& line, const json& document, ResultWriter& writer) {
  const double bits = number(document, "nats") / std::numbers::ln2;
  const std::size_t taken = 8 + 8 + 11 + 11 + 2;
  writer.write(right(with_thousands(item), 8) + right(with_thousands(whole(document, "tokens")), 8) +
               right(fixed(bits, 2), 11) + right(figure(document, "bits_per_byte", 3), 11) + "  " +
               cut(one_line(line), std::max<std::size_t>(writer.terminal().width, taken + 20) - taken) +
               "\n");
}

/// Calls output(item, line, data).
void read_each_line(Reader& reader, Source& source, const ReadRequest& request, ResultWriter& writer,
                    const std::function<void(std::uint64_t, const std::string&, const json&)>& output) {
  SourceLinesReader lines(source);
  std::uint64_t item = 0;
  for (std::string line; lines.next(line);) {
    ++item;
    if (ascii::is_blank(line)) continue;
    Source document = Source::of_text(source.name() + ", line " + std::to_string(item), line);
    ReadEvents events;
    events.output = [&](std::uint64_t, const std::string&, const json& data) { output(item, line, data); };
    reader.read(document, request, events);
    writer.flush();
  }
}

}  // namespace

void score_each_line(Reader& reader, Source& source, const ReadRequest& request, const std::string& format,
                     ResultWriter& writer) {
  if (format == "text") writer.write(dim(writer.terminal(), "    line  tokens       bits  bits/byte") + "\n");
  read_each_line(
      reader, source, request, writer, [&](std::uint64_t item, const std::string& line, const json& data) {
        if (format == "text") {
          if (type_of(data) == "document") write_row(item, line, data, writer);
          return;
        }
        ordered_json output = {{"item", item}};
        output.update(
            in_order(data, {"type", "start", "end", "start_char", "end_char", "tokens", "bytes", "nats"}));
        writer.write(to_line(output));
        writer.end_line();
      });
}

void score_words_of_each_line(Reader& reader, Source& source, const ReadRequest& request, WordView& view,
                              ResultWriter& writer) {
  read_each_line(reader, source, request, writer,
                 [&](std::uint64_t item, const std::string&, const json& data) {
                   view.begin_item(item);
                   view.output(data);
                 });
}
}  // namespace unroll
