// A document's vectors as other programs read them: .npy, safetensors, or bare numbers; and what
// `unroll embed --query` looks through.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "client/views/view.h"

namespace unroll {

/// Vectors of one document and what they are of. 4 bytes a number in memory, so that it grows with the
/// document: 3 KB for each segment of the model that comes with unroll.
struct EmbedIndex {
  std::string model;  ///< The checkpoint that made it; only vectors of one checkpoint can be compared.
  std::string file;   ///< The document: an absolute path, or what else it is called.
  std::size_t dim = 0;
  std::vector<float> segments;        ///< [segments, dim], each of unit length.
  std::vector<std::int64_t> offsets;  ///< [segments, 2] bytes of the document.
  std::vector<float> document;        ///< [dim]

  std::size_t size() const { return offsets.size() / 2; }
};

/// Takes outputs of the embed plugin.
class EmbedIndexView : public View {
 public:
  explicit EmbedIndexView(EmbedIndex& index) : index_(index) {}
  void output(const nlohmann::json& data) override;

 private:
  EmbedIndex& index_;
};

/// `format`: npy ([segments, dim]), f32 (the same numbers without a head) or safetensors (all of it). The
/// file is there whole or not at all. Throws std::runtime_error that names it.
void write_embed_index(const EmbedIndex& index, const std::string& format, const std::filesystem::path& file);

/// What write_embed_index() wrote as safetensors. Throws CommandError that names the file.
EmbedIndex read_embed_index(const std::filesystem::path& file);

struct EmbedHit {
  std::size_t index = 0, segment = 0;
  double score = 0;  ///< The cosine of the angle to the query.
};

/// The `count` segments nearest to the vector, best first; of equal ones the first.
std::vector<EmbedHit> nearest_segments(const std::vector<EmbedIndex>& indexes,
                                       const std::vector<float>& query, std::size_t count);

}  // namespace unroll
