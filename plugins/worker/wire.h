// plugins/worker/: plugins in processes of their own. This header: the frames that host and worker exchange
// over a socket, for both ends. Neither end trusts the other: every length is checked before it is
// used.
//
// A frame is 16 bytes of header (magic, bytes of JSON, bytes of data; little-endian), a JSON object with
// "type", then raw data. plugins/python implements the worker's end for plugins in Python.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "plugins/in_process.h"
#include "plugins/worker/sandbox.h"

namespace unroll::wire {

inline constexpr std::uint32_t kMagic = 0x4c525055;  // "UPRL"
inline constexpr std::size_t kHeaderBytes = 16;
inline constexpr std::size_t kMaxJsonBytes = 16u << 20;
inline constexpr std::size_t kMaxDataBytes = kMaxStateBytes;  // states are the largest data
inline constexpr int kWorkerDescriptor = 3;                   // the socket in the worker

/// The other end sent an invalid frame; the text describes it.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Frame {
  std::string type;
  nlohmann::json head;
  std::string data;

  /// A field of `head`; throws Error if it is missing or of another type.
  std::uint64_t number(const char* key) const;
  const std::string& text(const char* key) const;
};

std::string encode(const nlohmann::json& head, std::string_view data = {});

/// Assembles frames from received bytes; buffers no more than was received.
class FrameReader {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  /// The next whole frame. Throws Error.
  std::optional<Frame> next();
  bool empty() const { return begin_ == bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;  // of the bytes that next() has not consumed
};

}  // namespace unroll::wire
