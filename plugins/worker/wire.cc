#include "plugins/worker/wire.h"

#include <bit>
#include <cstring>

#include "base/strict_json.h"
#include "plugins/library.h"

namespace unroll::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are copied in native byte order");

struct Header {
  std::uint32_t magic, json_bytes;
  std::uint64_t data_bytes;
};
static_assert(sizeof(Header) == kHeaderBytes);

constexpr std::size_t kShownBytes = 16;
constexpr int kMaxHeadDepth = 16;  // nesting of arrays and objects: dump() recurses over them

const nlohmann::json& field(const nlohmann::json& head, const char* key) {
  const auto it = head.find(key);
  if (it == head.end()) throw Error(std::string("a frame without \"") + key + "\"");
  return *it;
}

}  // namespace

std::uint64_t Frame::number(const char* key) const {
  const auto& value = field(head, key);
  if (!value.is_number_unsigned()) throw Error(std::string("a frame whose \"") + key + "\" is not a number");
  return value.get<std::uint64_t>();
}

const std::string& Frame::text(const char* key) const {
  const auto& value = field(head, key);
  if (!value.is_string()) throw Error(std::string("a frame whose \"") + key + "\" is not a string");
  return value.get_ref<const std::string&>();
}

std::string encode(const nlohmann::json& head, std::string_view data) {
  const auto json = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (json.size() > kMaxJsonBytes || data.size() > kMaxDataBytes) {
    throw Error("a frame of " + std::to_string(json.size()) + " and " + std::to_string(data.size()) +
                " bytes is too long");
  }
  const Header header{kMagic, static_cast<std::uint32_t>(json.size()), data.size()};
  std::string bytes;
  bytes.reserve(kHeaderBytes + json.size() + data.size());
  bytes.append(reinterpret_cast<const char*>(&header), kHeaderBytes).append(json).append(data);
  return bytes;
}

std::optional<Frame> FrameReader::next() {
  const auto rest = std::string_view(bytes_).substr(begin_);
  if (rest.empty()) return std::nullopt;
  // Invalid bytes are refused at the first one, before a whole header has arrived.
  constexpr std::string_view kMagicBytes = "UPRL";
  if (!kMagicBytes.starts_with(rest.substr(0, kMagicBytes.size()))) {
    throw Error("a frame that begins with \"" + printable(rest, kShownBytes) + "\" instead of UPRL");
  }
  if (rest.size() < kHeaderBytes) return std::nullopt;
  Header header;
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.json_bytes > kMaxJsonBytes || header.data_bytes > kMaxDataBytes) {
    throw Error("a frame that declares " + std::to_string(header.json_bytes) + " and " +
                std::to_string(header.data_bytes) + " bytes");
  }
  const std::size_t whole = kHeaderBytes + header.json_bytes + header.data_bytes;
  if (rest.size() < whole) return std::nullopt;
  Frame frame;
  try {
    frame.head = parse_strict_json(rest.substr(kHeaderBytes, header.json_bytes), {.depth = kMaxHeadDepth});
  } catch (const JsonError& error) {
    throw Error(std::string("a frame whose head is ") + error.what());
  }
  if (!frame.head.is_object()) throw Error("a frame whose head is not a JSON object");
  frame.type = frame.text("type");
  frame.data = rest.substr(kHeaderBytes + header.json_bytes, header.data_bytes);
  begin_ += whole;
  if (begin_ == bytes_.size()) {
    bytes_.clear();
    begin_ = 0;
  } else if (begin_ > bytes_.size() / 2) {
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  return frame;
}

}  // namespace unroll::wire
