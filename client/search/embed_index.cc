#include "client/commands/embed_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/atomic_file.h"
#include "client/cli/command_error.h"
#include "model/safetensors_file.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::string_view kVectors = "F32", kOffsets = "I64";
constexpr const char* kFormat = "unroll embed 2";

static_assert(std::endian::native == std::endian::little, "the files' numbers are little-endian");

std::vector<float> vector_of(const json& output) {
  const auto found = output.find("vector");
  if (found == output.end() || !found->is_array()) {
    throw CommandError(
        "the embed plugin's output has no vector; install plugin and client from the same version");
  }
  return found->get<std::vector<float>>();
}

std::string_view bytes_of(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

/// NumPy's format, version 1.0: the header is a Python dictionary, padded to a multiple of 64 bytes.
std::string npy_head(std::size_t rows, std::size_t columns) {
  std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                           ", " + std::to_string(columns) + "), }";
  constexpr std::size_t kBefore = 10, kAlignment = 64;
  dictionary.append(kAlignment - 1 - (kBefore + dictionary.size()) % kAlignment, ' ');
  dictionary += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(dictionary.size() & 0xFF);
  head += static_cast<char>(dictionary.size() >> 8);
  return head + dictionary;
}

template <typename Number>
StoredTensor stored(std::string name, std::string_view dtype, const std::vector<Number>& numbers,
                    std::vector<std::int64_t> shape) {
  return {std::move(name), dtype, std::move(shape), numbers.data(), numbers.size() * sizeof(Number)};
}

template <typename Number>
std::vector<Number> numbers_of(const StoredTensor& tensor) {
  std::vector<Number> numbers(tensor.size / sizeof(Number));
  if (!numbers.empty()) std::memcpy(numbers.data(), tensor.data, tensor.size);
  return numbers;
}

bool is_matrix(const StoredTensor* tensor, std::string_view dtype) {
  return tensor && tensor->dtype == dtype && tensor->shape.size() == 2;
}

}  // namespace

void EmbedIndexView::output(const json& data) {
  std::vector<float> vector = vector_of(data);
  if (index_.dim == 0) index_.dim = vector.size();
  if (vector.size() != index_.dim) {
    throw CommandError(
        "the embed plugin's vectors differ in length; install plugin and client from the same version");
  }
  if (type_of(data) == "document") {
    index_.document = std::move(vector);
    return;
  }
  index_.segments.insert(index_.segments.end(), vector.begin(), vector.end());
  index_.offsets.push_back(static_cast<std::int64_t>(whole(data, "start")));
  index_.offsets.push_back(static_cast<std::int64_t>(whole(data, "end")));
}

void write_embed_index(const EmbedIndex& index, const std::string& format,
                       const std::filesystem::path& file) {
  const auto rows = static_cast<std::int64_t>(index.size()), columns = static_cast<std::int64_t>(index.dim);
  if (format == "safetensors") {
    write_stored_tensors(file,
                         {stored("segments", kVectors, index.segments, {rows, columns}),
                          stored("offsets", kOffsets, index.offsets, {rows, 2}),
                          stored("document", kVectors, index.document, {columns})},
                         {{"format", kFormat}, {"model", index.model}, {"file", index.file}});
    return;
  }
  AtomicFile out(file);
  if (format == "npy") out.write(npy_head(index.size(), index.dim));
  out.write(bytes_of(index.segments));
  out.commit();
}

EmbedIndex read_embed_index(const std::filesystem::path& file) {
  SafetensorsFile tensors = map_safetensors(file);
  auto& about = tensors.metadata;
  const auto *segments = tensors.find("segments"), *offsets = tensors.find("offsets"),
             *document = tensors.find("document");
  const bool ours = about["format"] == kFormat && is_matrix(segments, kVectors) &&
                    is_matrix(offsets, kOffsets) && offsets->shape[0] == segments->shape[0] &&
                    offsets->shape[1] == 2 && document && document->dtype == kVectors;
  if (!ours) {
    throw CommandError(file.string() +
                       " is not an index of this version; make it again with 'unroll embed FILE "
                       "--format safetensors --out " +
                       file.string() + "'");
  }
  EmbedIndex index;
  index.model = about["model"];
  index.file = about["file"];
  index.dim = static_cast<std::size_t>(segments->shape[1]);
  index.segments = numbers_of<float>(*segments);
  index.offsets = numbers_of<std::int64_t>(*offsets);
  index.document = numbers_of<float>(*document);
  return index;
}

std::vector<EmbedHit> nearest_segments(const std::vector<EmbedIndex>& indexes,
                                       const std::vector<float>& query, std::size_t count) {
  std::vector<EmbedHit> hits;
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    const EmbedIndex& index = indexes[i];
    for (std::size_t segment = 0; segment < index.size(); ++segment) {
      const float* row = index.segments.data() + segment * index.dim;
      hits.push_back({i, segment, std::inner_product(query.begin(), query.end(), row, 0.0)});
    }
  }
  const auto better = [](const EmbedHit& a, const EmbedHit& b) { return a.score > b.score; };
  std::stable_sort(hits.begin(), hits.end(), better);
  if (hits.size() > count) hits.resize(count);
  return hits;
}

}  // namespace unroll
