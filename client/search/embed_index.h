// A document's vectors as files for other programs (.npy, safetensors, raw numbers) and for
// `unroll embed --query`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "client/views/view.h"

namespace unroll {

/// The vectors of one document. Takes 4 bytes per number in memory and grows with the document: 3 KB for each
/// segment with the model that comes with unroll.
struct EmbedIndex {
  std::string model;  ///< The checkpoint; only vectors of the same checkpoint can be compared.
  std::string file;   ///< The document: an absolute path or another name.
  std::size_t dim = 0;
  std::vector<float> segments;        ///< [segments, dim], each of unit length.
  std::vector<std::int64_t> offsets;  ///< [segments, 2] bytes of the document.
  std::vector<float> document;        ///< [dim]

  std::size_t size() const { return offsets.size() / 2; }
};

/// Collects outputs of the embed plugin.
class EmbedIndexView : public View {
 public:
  explicit EmbedIndexView(EmbedIndex& index) : index_(index) {}
  void output(const nlohmann::json& data) override;

 private:
  EmbedIndex& index_;
};

/// `format`: npy ([segments, dim]), f32 (the same numbers without a header) or safetensors (all fields). The
/// file is written atomically. Throws std::runtime_error, which names it.
void write_embed_index(const EmbedIndex& index, const std::string& format, const std::filesystem::path& file);

/// Reads what write_embed_index() wrote as safetensors. Throws CommandError, which names the file.
EmbedIndex read_embed_index(const std::filesystem::path& file);

struct EmbedHit {
  std::size_t index = 0, segment = 0;
  double score = 0;  ///< Cosine similarity to the query.
};

/// The `count` segments nearest to the vector, best first; ties keep their order.
std::vector<EmbedHit> nearest_segments(const std::vector<EmbedIndex>& indexes,
                                       const std::vector<float>& query, std::size_t count);

}  // namespace unroll
