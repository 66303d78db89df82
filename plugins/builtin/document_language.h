// The language of a document, whose abbreviations tell where its sentences end: as given, or detected by CLD2
// in the first 4 KB.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/builtin/abbreviations.h"
#include "plugins/builtin/options.h"

namespace unroll::builtin {

class DocumentLanguage {
 public:
  /// `given`: a code of ISO 639-1 ("de"); empty: it is detected. Throws OptionsError.
  explicit DocumentLanguage(std::string given = {});
  /// Reads the option `language`.
  static DocumentLanguage from(Options& options) { return DocumentLanguage(options.text("language", 16)); }

  /// Text of the document in order, before it is divided. The more of it is known, the surer is the language,
  /// up to kSample bytes.
  void read(std::string_view text);
  /// Empty while it is not known.
  const std::string& code() const { return code_; }
  const std::string& given() const { return given_; }
  const Abbreviations& abbreviations();

  void visit(auto& archive) {
    archive(given_, code_, sample_, next_);
    words_.reset();
  }

 private:
  static constexpr std::uint64_t kSample = 4096, kLeast = 64;  // bytes

  void detect();

  std::string given_, code_;
  std::string sample_;           ///< The document's first bytes, until they suffice.
  std::uint64_t next_ = kLeast;  ///< Detected again when the sample has as many bytes; 0: no more.
  std::shared_ptr<const Abbreviations> words_;  ///< Of code_; null until they are asked for.
};

}  // namespace unroll::builtin
