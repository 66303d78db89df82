#include "training/data.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "tokenizer/tokenizer.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kChunkBytes = 1 << 20;

TokenDocument tokenize_file(const fs::path& file, const std::string& name,
                            const std::shared_ptr<const Vocabulary>& vocabulary) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  StreamingTokenizer tokenizer(vocabulary);
  std::vector<Token> tokens;
  TokenDocument document{name, {}};
  const auto keep = [&] {
    for (const auto& token : tokens) document.tokens.push_back(static_cast<std::uint16_t>(token.id));
    tokens.clear();
  };
  std::string chunk(kChunkBytes, '\0');
  while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0) {
    tokenizer.append(std::string_view(chunk).substr(0, static_cast<std::size_t>(in.gcount())), tokens);
    keep();
  }
  tokenizer.finish(tokens);
  keep();
  return document;
}

std::vector<fs::path> files_below(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw std::runtime_error("no files to train on below " + directory.string());
  return files;
}

bool read_cache(const fs::path& cache, const nlohmann::json& key, std::vector<TokenDocument>& documents) {
  std::ifstream in(cache, std::ios::binary);
  std::string header;
  if (!in || !std::getline(in, header)) return false;
  const auto json = nlohmann::json::parse(header, nullptr, false);
  if (!json.is_object() || json.value("key", nlohmann::json()) != key) return false;
  for (const auto& [name, count] :
       json["documents"].get<std::vector<std::pair<std::string, std::size_t>>>()) {
    documents.push_back({name, std::vector<std::uint16_t>(count)});
    in.read(reinterpret_cast<char*>(documents.back().tokens.data()), static_cast<std::streamsize>(count * 2));
  }
  if (in) return true;
  documents.clear();
  return false;
}

void write_cache(const fs::path& cache, const nlohmann::json& key,
                 const std::vector<TokenDocument>& documents) {
  fs::create_directories(cache.parent_path());
  std::ofstream out(cache, std::ios::binary | std::ios::trunc);
  auto names = nlohmann::json::array();
  for (const auto& document : documents) names.push_back({document.name, document.tokens.size()});
  out << nlohmann::json{{"key", key}, {"documents", names}}.dump() << '\n';
  for (const auto& document : documents) {
    out.write(reinterpret_cast<const char*>(document.tokens.data()),
              static_cast<std::streamsize>(document.tokens.size() * 2));
  }
  if (!out.flush()) throw std::runtime_error("cannot write " + cache.string());
}

}  // namespace

std::vector<TokenDocument> load_documents(const fs::path& directory, const fs::path& vocabulary,
                                          const fs::path& cache) {
  const auto files = files_below(directory);
  auto listing = nlohmann::json::array();
  for (const auto& file : files) listing.push_back({file.string(), fs::file_size(file)});
  std::ifstream model(vocabulary, std::ios::binary);
  const std::string model_bytes{std::istreambuf_iterator<char>(model), {}};
  const nlohmann::json key{{"files", std::hash<std::string>{}(listing.dump())},
                           {"vocabulary", std::hash<std::string>{}(model_bytes)}};
  std::vector<TokenDocument> documents;
  if (read_cache(cache, key, documents)) return documents;
  const auto loaded = Vocabulary::load(vocabulary);
  if (loaded->size() > 65536)
    throw std::runtime_error("training takes vocabularies of at most 65,536 pieces");
  for (const auto& file : files) {
    documents.push_back(tokenize_file(file, fs::relative(file, directory).string(), loaded));
  }
  write_cache(cache, key, documents);
  return documents;
}

Lanes::Lanes(const std::vector<TokenDocument>& documents, const Repeats& repeats, int lanes,
             std::int64_t block_width, std::int64_t piece_blocks, std::int64_t ignore_index,
             std::uint64_t seed)
    : lanes_(static_cast<std::size_t>(lanes)),
      block_width_(block_width),
      ignore_index_(ignore_index),
      seed_(seed) {
  const auto piece_tokens = static_cast<std::size_t>(piece_blocks * block_width);
  for (const auto& document : documents) {
    const auto base = fs::path(document.name).filename().string();
    int times = 1;
    for (const auto& [prefix, count] : repeats) {
      if (base.starts_with(prefix)) times = count;
    }
    for (std::size_t begin = 0; begin < document.tokens.size(); begin += piece_tokens) {
      const auto end = std::min(begin + piece_tokens, document.tokens.size());
      for (int i = 0; i < times; ++i) pieces_.push_back({&document, begin, end});
    }
  }
  if (pieces_.empty()) throw std::runtime_error("there is nothing to train on: every document is empty");
  shuffle();
}

void Lanes::shuffle() {
  order_.resize(pieces_.size());
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::mt19937_64 random(seed_ + epoch_);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random() % i]);
  next_in_order_ = 0;
}

std::size_t Lanes::take_piece() {
  if (next_in_order_ == order_.size()) {
    ++epoch_;
    shuffle();
  }
  return order_[next_in_order_++];
}

LaneBlock Lanes::next() {
  constexpr std::int64_t kBeginOfDocument = 1;
  LaneBlock block;
  const auto size = lanes_.size() * static_cast<std::size_t>(block_width_);
  block.inputs.assign(size, 0);
  block.targets.assign(size, ignore_index_);
  for (std::size_t row = 0; row < lanes_.size(); ++row) {
    auto& lane = lanes_[row];
    if (!lane.active) {
      lane = {take_piece(), 0, true};
      lane.position = pieces_[lane.piece].begin;
    }
    const auto& piece = pieces_[lane.piece];
    const auto& tokens = piece.document->tokens;
    block.begins.push_back(lane.position == piece.begin);
    auto index = row * static_cast<std::size_t>(block_width_);
    const auto end = std::min(piece.end, lane.position + static_cast<std::size_t>(block_width_));
    for (; lane.position < end; ++lane.position, ++index) {
      // A piece from a document's middle begins with the token before it, a document with <s>.
      block.inputs[index] = lane.position == 0 ? kBeginOfDocument : tokens[lane.position - 1];
      block.targets[index] = tokens[lane.position];
    }
    lane.active = lane.position < piece.end;
  }
  return block;
}

nlohmann::json Lanes::position() const {
  auto lanes = nlohmann::json::array();
  for (const auto& lane : lanes_) lanes.push_back({lane.piece, lane.position, lane.active});
  return {{"epoch", epoch_}, {"next", next_in_order_}, {"pieces", pieces_.size()}, {"lanes", lanes}};
}

void Lanes::restore(const nlohmann::json& position) {
  if (position.at("pieces").get<std::size_t>() != pieces_.size() ||
      position.at("lanes").size() != lanes_.size()) {
    throw std::runtime_error(
        "the checkpoint was made with other data or another number of lanes; train into a new folder");
  }
  epoch_ = position.at("epoch");
  shuffle();
  next_in_order_ = position.at("next");
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto& lane = position.at("lanes")[i];
    lanes_[i] = {lane[0], lane[1], lane[2]};
  }
}

}  // namespace unroll
