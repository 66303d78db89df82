// Vectors of documents as files for other programs (.npy, safetensors, raw numbers) and for
// `unroll embed --query`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/search/search_terms.h"
#include "client/views/view.h"

namespace unroll {

struct EmbeddedDocument {
  std::string file;      ///< An absolute path or another name.
  std::string hash;      ///< Of the file's content; empty: not known.
  std::string language;  ///< As the plugin found it; its stems are in the index.
  std::size_t segments = 0;
};

/// The vectors and words of documents. Takes 4 bytes per number in memory and grows with the documents: 5 KB
/// for each segment with the model that comes with unroll.
struct EmbedIndex {
  std::string model;    ///< The checkpoint; only vectors of the same checkpoint can be compared.
  std::string options;  ///< How documents were read and divided: others cannot be updated.
  std::size_t dim = 0;
  std::vector<EmbeddedDocument> documents;
  std::vector<float> segments;  ///< [segments, dim], each of unit length; those of the first document first.
  std::vector<std::int64_t> offsets;   ///< [segments, 2] bytes of the document.
  std::vector<float> vectors;          ///< [documents, dim]
  std::vector<TermCount> terms;        ///< Of the first segment, in order, then of the next.
  std::vector<std::size_t> term_ends;  ///< [segments] into `terms`.

  std::size_t size() const { return offsets.size() / 2; }
  std::span<const TermCount> terms_of(std::size_t segment) const;
  const EmbeddedDocument& document_of(std::size_t segment) const;
  /// Appends a document of an index of the same model.
  void append(const EmbedIndex& other, std::size_t document);
};

/// Collects outputs of the embed plugin for one document into an index.
class EmbedIndexView : public View {
 public:
  /// `file`, `hash`: of the document.
  EmbedIndexView(EmbedIndex& index, std::string file, std::string hash) : index_(index) {
    index_.documents.push_back({std::move(file), std::move(hash), "", 0});
  }
  void output(const nlohmann::json& data) override;

 private:
  EmbedIndex& index_;
};
/// Adds the words of an index's only document, whose text is in `source`, after keep_text().
void add_terms(EmbedIndex& index, const Source& source);

/// `format`: npy ([segments, dim]), f32 (the same numbers without a header) or safetensors (all fields). The
/// file is written atomically. Throws std::runtime_error, which names it.
void write_embed_index(const EmbedIndex& index, const std::string& format, const std::filesystem::path& file);

/// Reads what write_embed_index() wrote as safetensors. Throws CommandError, which names the file.
EmbedIndex read_embed_index(const std::filesystem::path& file);

}  // namespace unroll
