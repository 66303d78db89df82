// Opens a document for commands that read prose: what is not plain text is converted first.
// docs/documents.md.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "client/documents/document_text.h"
#include "client/documents/source_lines.h"
#include "client/sources/source.h"

namespace CLI {
class App;
}

namespace unroll {

struct DocumentOptions {
  bool raw = false;          ///< The file's bytes, whatever they are.
  bool keep_layout = false;  ///< As in formats::Options.
  bool unwrap = false;
  bool continues = false;  ///< It goes on from another document: plain text is read byte for byte.
  std::string encoding;
};

/// --keep-layout, --unwrap, --encoding, --raw.
void add_document_flags(CLI::App& command, DocumentOptions& options);

/// --language, for commands that look for ends of sentences. Empty: the plugin detects it.
void add_language_flag(CLI::App& command, std::string& language);

struct OpenedDocument {
  Source source;
  TextMap map;                         ///< Empty if the document is read as it is.
  std::string format;                  ///< Empty if it is read as it is.
  std::unique_ptr<SourceLines> lines;  ///< Of the file, if the text is in its lines: plain text, HTML.
};

/// As Source::open(). Prints on standard error what was guessed, joined and dropped. Throws CommandError if
/// the document is not text, is damaged, or exceeds a limit.
OpenedDocument open_document(const std::string& argument, const DocumentOptions& options);

/// The text of a document whose text() is possible, whatever its format. Throws CommandError, which begins
/// with the source's name.
DocumentText convert_document(const Source& source, const DocumentOptions& options);

/// Adds to a plugin's output, and to the passages in it, the section and the place in the source. `line`
/// becomes that of the source.
nlohmann::json with_places(const nlohmann::json& output, const OpenedDocument& document);

}  // namespace unroll
