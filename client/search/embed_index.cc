#include "client/search/embed_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/atomic_file.h"
#include "client/cli/command_error.h"
#include "model/safetensors_file.h"

namespace unroll {
namespace {

using nlohmann::json;

constexpr std::string_view kVectors = "F32", kOffsets = "I64", kTerms = "I32";
constexpr const char* kFormat = "unroll embed 3";

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

json about_documents(const EmbedIndex& index) {
  json documents = json::array();
  for (const EmbeddedDocument& each : index.documents)
    documents.push_back(
        {{"file", each.file}, {"hash", each.hash}, {"language", each.language}, {"segments", each.segments}});
  return documents;
}

/// False if they are not of the form that about_documents() writes.
bool read_documents(const std::string& text, EmbedIndex& index) {
  const json documents = json::parse(text, nullptr, false);
  if (!documents.is_array()) return false;
  std::size_t segments = 0;
  for (const json& each : documents) {
    if (!each.is_object() || !each.contains("segments") || !each["segments"].is_number_unsigned())
      return false;
    for (const char* key : {"file", "hash", "language"}) {
      if (!each.contains(key) || !each[key].is_string()) return false;
    }
    index.documents.push_back({each["file"], each["hash"], each["language"], each["segments"]});
    segments += index.documents.back().segments;
    if (segments > index.size()) return false;
  }
  return segments == index.size();
}

bool read_terms(const StoredTensor& terms, const StoredTensor& ends, EmbedIndex& index) {
  index.terms.resize(static_cast<std::size_t>(terms.shape[0]));
  if (!index.terms.empty()) std::memcpy(index.terms.data(), terms.data, terms.size);
  std::size_t before = 0;
  for (const std::int64_t end : numbers_of<std::int64_t>(ends)) {
    const auto at = static_cast<std::size_t>(end);
    if (end < 0 || at < before || at > index.terms.size()) return false;
    index.term_ends.push_back(before = at);
  }
  return index.term_ends.size() == index.size() && before == index.terms.size();
}

}  // namespace

void EmbedIndexView::output(const json& data) {
  std::vector<float> vector = vector_of(data);
  if (index_.dim == 0) index_.dim = vector.size();
  if (vector.size() != index_.dim) {
    throw CommandError(
        "the embed plugin's vectors differ in length; install plugin and client from the same version");
  }
  EmbeddedDocument& document = index_.documents.back();
  if (type_of(data) == "document") {
    index_.vectors.insert(index_.vectors.end(), vector.begin(), vector.end());
    document.language = data.value("language", "");
    return;
  }
  ++document.segments;
  index_.segments.insert(index_.segments.end(), vector.begin(), vector.end());
  index_.offsets.push_back(static_cast<std::int64_t>(whole(data, "start")));
  index_.offsets.push_back(static_cast<std::int64_t>(whole(data, "end")));
}

void add_terms(EmbedIndex& index, const Source& source) {
  for (std::size_t i = 0; i < index.size(); ++i) {
    const std::string text = source.text(static_cast<std::uint64_t>(index.offsets[2 * i]),
                                         static_cast<std::uint64_t>(index.offsets[2 * i + 1]));
    for (const TermCount& each : count_terms(search_terms(text, index.documents.front().language)))
      index.terms.push_back(each);
    index.term_ends.push_back(index.terms.size());
  }
}

std::span<const TermCount> EmbedIndex::terms_of(std::size_t segment) const {
  const std::size_t begin = segment == 0 ? 0 : term_ends[segment - 1];
  return std::span(terms).subspan(begin, term_ends[segment] - begin);
}

const EmbeddedDocument& EmbedIndex::document_of(std::size_t segment) const {
  std::size_t i = 0;
  while (segment >= documents[i].segments) segment -= documents[i++].segments;
  return documents[i];
}

void EmbedIndex::append(const EmbedIndex& other, std::size_t document) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < document; ++i) begin += other.documents[i].segments;
  const std::size_t end = begin + other.documents[document].segments;
  if (dim == 0) dim = other.dim;
  documents.push_back(other.documents[document]);
  const auto copy = [](const auto& from, auto& to, std::size_t first, std::size_t last) {
    const auto at = [&](std::size_t i) { return from.begin() + static_cast<std::ptrdiff_t>(i); };
    to.insert(to.end(), at(first), at(last));
  };
  copy(other.segments, segments, begin * dim, end * dim);
  copy(other.offsets, offsets, 2 * begin, 2 * end);
  copy(other.vectors, vectors, document * dim, (document + 1) * dim);
  for (std::size_t segment = begin; segment < end; ++segment) {
    const auto own = other.terms_of(segment);
    terms.insert(terms.end(), own.begin(), own.end());
    term_ends.push_back(terms.size());
  }
}

void write_embed_index(const EmbedIndex& index, const std::string& format,
                       const std::filesystem::path& file) {
  const auto rows = static_cast<std::int64_t>(index.size()), columns = static_cast<std::int64_t>(index.dim),
             count = static_cast<std::int64_t>(index.documents.size());
  if (format == "safetensors") {
    static_assert(sizeof(TermCount) == 2 * sizeof(std::uint32_t));
    const std::vector<std::int64_t> ends(index.term_ends.begin(), index.term_ends.end());
    write_stored_tensors(
        file,
        {stored("segments", kVectors, index.segments, {rows, columns}),
         stored("offsets", kOffsets, index.offsets, {rows, 2}),
         stored("documents", kVectors, index.vectors, {count, columns}),
         stored("terms", kTerms, index.terms, {static_cast<std::int64_t>(index.terms.size()), 2}),
         stored("term_ends", kOffsets, ends, {rows})},
        {{"format", kFormat},
         {"model", index.model},
         {"options", index.options},
         {"documents", about_documents(index).dump(-1, ' ', false, json::error_handler_t::replace)}});
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
             *documents = tensors.find("documents"), *terms = tensors.find("terms"),
             *ends = tensors.find("term_ends");
  bool ours = about["format"] == kFormat && is_matrix(segments, kVectors) && is_matrix(offsets, kOffsets) &&
              offsets->shape[0] == segments->shape[0] && offsets->shape[1] == 2 &&
              is_matrix(documents, kVectors) && documents->shape[1] == segments->shape[1] &&
              is_matrix(terms, kTerms) && terms->shape[1] == 2 && ends && ends->dtype == kOffsets;
  EmbedIndex index;
  if (ours) {
    index.model = about["model"];
    index.options = about["options"];
    index.dim = static_cast<std::size_t>(segments->shape[1]);
    index.segments = numbers_of<float>(*segments);
    index.offsets = numbers_of<std::int64_t>(*offsets);
    index.vectors = numbers_of<float>(*documents);
    ours = read_documents(about["documents"], index) && read_terms(*terms, *ends, index) &&
           static_cast<std::size_t>(documents->shape[0]) == index.documents.size();
  }
  if (!ours) {
    throw CommandError(file.string() +
                       " is not an index of this version; make it again with 'unroll embed FILE "
                       "--format safetensors --out " +
                       file.string() + "'");
  }
  return index;
}

}  // namespace unroll
