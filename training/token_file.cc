#include "training/token_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "base/atomic_file.h"
#include "base/hex.h"
#include "tokenizer/tokenizer.h"

namespace unroll {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kChunkBytes = 1 << 20;
constexpr std::string_view kMagic = "unrolltk";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 16, kTailBytes = 16;
constexpr std::int32_t kMaxPieces = 65536;

/// Magic numbers of compressed files (gzip, xz, zstd, bzip2) and of systemd's journal.
constexpr std::array<std::string_view, 5> kNotText{"\x1F\x8B",
                                                   "\xFD"
                                                   "7zXZ",
                                                   "\x28\xB5\x2F\xFD", "BZh", "LPKSHHRH"};

std::string hash_of_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return to_hex(::XXH3_64bits(bytes.data(), bytes.size()));
}

std::string beginning_of(const fs::path& file, std::size_t size) {
  std::string bytes(size, '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

bool is_text(const fs::path& file) {
  const auto beginning = beginning_of(file, 8);
  return std::ranges::none_of(kNotText, [&](std::string_view magic) { return beginning.starts_with(magic); });
}

std::vector<fs::path> files_of(const fs::path& source) {
  if (fs::is_regular_file(source)) return {source};
  if (!fs::is_directory(source))
    throw std::runtime_error(source.string() + " is neither a folder nor a file; give one with text to read");
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(source)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw std::runtime_error("there are no files below " + source.string());
  return files;
}

/// Writes tokens as they arrive and collects the index.
class Writer {
 public:
  Writer(const fs::path& out, std::string source, std::string vocabulary)
      : file_(out),
        index_{{"source", std::move(source)},
               {"vocabulary", std::move(vocabulary)},
               {"documents", nlohmann::json::array()}},
        hash_(::XXH3_createState(), &::XXH3_freeState) {
    ::XXH3_64bits_reset(hash_.get());
    file_.write(kMagic);
    const std::array<std::uint32_t, 2> version{kVersion, 0};
    file_.write(version.data(), sizeof(version));
  }

  void write(const std::vector<Token>& tokens) {
    ids_.clear();
    for (const auto& token : tokens) ids_.push_back(static_cast<std::uint16_t>(token.id));
    const auto size = ids_.size() * sizeof(std::uint16_t);
    ::XXH3_64bits_update(hash_.get(), ids_.data(), size);
    file_.write(ids_.data(), size);
    of_document_ += ids_.size();
  }

  void end_document(const std::string& name) {
    index_["documents"].push_back({name, of_document_});
    tokens_ += of_document_;
    of_document_ = 0;
  }

  void commit() {
    index_["tokens"] = tokens_;
    index_["hash"] = to_hex(::XXH3_64bits_digest(hash_.get()));
    // File names may be any bytes.
    const auto text = index_.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const std::array<std::uint64_t, 2> tail{text.size(), ::XXH3_64bits(text.data(), text.size())};
    file_.write(text);
    file_.write(tail.data(), sizeof(tail));
    file_.commit();
  }

 private:
  AtomicFile file_;
  nlohmann::json index_;
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash_;
  std::vector<std::uint16_t> ids_;
  std::uint64_t of_document_ = 0, tokens_ = 0;
};

[[noreturn]] void refuse(const fs::path& file, const std::string& problem) {
  throw std::runtime_error(file.string() + ": " + problem + "; create it again with unroll prepare");
}

}  // namespace

bool is_token_file(const fs::path& file) {
  return fs::is_regular_file(file) && beginning_of(file, kMagic.size()) == kMagic;
}

TokenFile::TokenFile(const fs::path& file, const fs::path& vocabulary) {
  namespace ip = boost::interprocess;
  if (!is_token_file(file)) refuse(file, "is not a file of prepared tokens");
  if (fs::file_size(file) < kHeadBytes + kTailBytes) refuse(file, "is cut short");
  try {
    const auto region =
        std::make_shared<ip::mapped_region>(ip::file_mapping(file.c_str(), ip::read_only), ip::read_only);
    bytes_ = {static_cast<const char*>(region->get_address()), region->get_size()};
    map_ = region;
  } catch (const ip::interprocess_exception& error) {
    throw std::runtime_error("cannot read " + file.string() + ": " + error.what());
  }
  read_index(file, vocabulary);
}

void TokenFile::read_index(const fs::path& file, const fs::path& vocabulary) {
  std::uint32_t version = 0;
  std::memcpy(&version, bytes_.data() + kMagic.size(), sizeof(version));
  if (version != kVersion) {
    refuse(file, "has version " + std::to_string(version) + " of the format; this program reads version " +
                     std::to_string(kVersion));
  }
  std::array<std::uint64_t, 2> tail{};
  std::memcpy(tail.data(), bytes_.data() + bytes_.size() - kTailBytes, kTailBytes);
  const auto [length, index_hash] = tail;
  const auto between = bytes_.size() - kHeadBytes - kTailBytes;
  const auto* const index = bytes_.data() + kHeadBytes + between - std::min(length, between);
  if (length > between || ::XXH3_64bits(index, length) != index_hash)
    refuse(file, "is damaged or cut short (its index is incomplete)");
  const auto json = nlohmann::json::parse(index, index + length);
  source_ = json.at("source");
  hash_ = json.at("hash");
  tokens_ = json.at("tokens");
  if (json.at("vocabulary") != hash_of_file(vocabulary))
    refuse(file, "was made with another vocabulary than " + vocabulary.string());
  const auto* data = bytes_.data() + kHeadBytes;
  const auto size = between - length;
  if (size != tokens_ * sizeof(std::uint16_t) || to_hex(::XXH3_64bits(data, size)) != hash_)
    refuse(file, "is damaged (the checksum of its tokens is wrong)");
  const auto* token = reinterpret_cast<const std::uint16_t*>(data);
  for (const auto& [name, count] :
       json.at("documents").get<std::vector<std::pair<std::string, std::size_t>>>()) {
    documents_.push_back({name, {token, count}});
    token += count;
  }
}

PrepareProgress prepare_tokens(const fs::path& source, const fs::path& vocabulary, const fs::path& out,
                               const std::function<void(const PrepareProgress&)>& progress) {
  const auto loaded = Vocabulary::load(vocabulary);
  if (loaded->size() > kMaxPieces)
    throw std::runtime_error(vocabulary.string() + ": training supports vocabularies of up to 65,536 pieces");
  const auto files = files_of(source);
  PrepareProgress done;
  for (const auto& file : files) done.total_bytes += fs::file_size(file);
  Writer writer(out, fs::absolute(source).lexically_normal().string(), hash_of_file(vocabulary));
  std::string chunk(kChunkBytes, '\0');
  std::vector<Token> tokens;
  const auto keep = [&] {
    writer.write(tokens);
    done.tokens += tokens.size();
    tokens.clear();
    if (progress) progress(done);
  };
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string() + "; make it readable or move it away");
    if (!is_text(file)) {
      ++done.skipped;
      continue;
    }
    StreamingTokenizer tokenizer(loaded);
    while (in.read(chunk.data(), static_cast<std::streamsize>(chunk.size())) || in.gcount() > 0) {
      const auto count = static_cast<std::size_t>(in.gcount());
      tokenizer.append(std::string_view(chunk).substr(0, count), tokens);
      done.bytes += count;
      keep();
    }
    tokenizer.finish(tokens);
    keep();
    writer.end_document(file == source ? file.filename().string() : fs::relative(file, source).string());
    ++done.documents;
  }
  writer.commit();
  return done;
}

}  // namespace unroll
