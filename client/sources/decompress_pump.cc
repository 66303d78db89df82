#include "client/sources/decompress_pump.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include <bzlib.h>
#include <lzma.h>
#include <poll.h>
#include <zlib.h>
#include <zstd.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"

namespace unroll {

/// A decompression library's stream.
class DecompressPump::Decoder {
 public:
  struct Step {
    std::size_t taken = 0, made = 0;
  };
  virtual ~Decoder() = default;
  /// Decompresses `input`; an empty input is the end. A step that neither consumes nor produces anything
  /// needs more input. Throws std::runtime_error if the bytes are damaged.
  virtual Step step(std::string_view input, std::vector<char>& output) = 0;
  /// Whether the file may end here.
  virtual bool complete() const = 0;
};

namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::uint64_t kXzMemory = std::uint64_t{256} << 20;  // xz -9 takes 65 MiB

/// zlib checks the checksum and length of each member.
class GzipDecoder : public DecompressPump::Decoder {
 public:
  GzipDecoder() {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~GzipDecoder() override { ::inflateEnd(&stream_); }

  Step step(std::string_view input, std::vector<char>& output) override {
    // Tape archives pad the last block with zeros.
    if (between_ && any_ && !input.empty() && input.front() == '\0')
      return {std::min(input.find_first_not_of('\0'), input.size()), 0};
    if (input.empty() && between_) return {};
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = static_cast<uInt>(output.size());
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    between_ = code == Z_STREAM_END;
    any_ = any_ || between_;
    if (between_) ::inflateReset(&stream_);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      throw std::runtime_error(stream_.msg == nullptr ? "not gzip" : stream_.msg);
    return {input.size() - stream_.avail_in, output.size() - stream_.avail_out};
  }
  bool complete() const override { return between_; }

 private:
  z_stream stream_{};
  bool between_ = false, any_ = false;  ///< After a member; at least one was read.
};

class XzDecoder : public DecompressPump::Decoder {
 public:
  XzDecoder() {
    if (::lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) throw std::bad_alloc();
  }
  ~XzDecoder() override { ::lzma_end(&stream_); }

  Step step(std::string_view input, std::vector<char>& output) override {
    if (complete_) return {};
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
    stream_.avail_in = input.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
    stream_.avail_out = output.size();
    const lzma_ret code = ::lzma_code(&stream_, input.empty() ? LZMA_FINISH : LZMA_RUN);
    complete_ = code == LZMA_STREAM_END;
    if (code == LZMA_MEMLIMIT_ERROR)
      throw std::runtime_error("it needs more than " + std::to_string(kXzMemory >> 20) +
                               " MiB to decompress");
    if (code != LZMA_OK && code != LZMA_STREAM_END && code != LZMA_BUF_ERROR)
      throw std::runtime_error("its data is invalid");
    return {input.size() - stream_.avail_in, output.size() - stream_.avail_out};
  }
  bool complete() const override { return complete_; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool complete_ = false;
};

class ZstdDecoder : public DecompressPump::Decoder {
 public:
  ZstdDecoder() : stream_(::ZSTD_createDStream(), &::ZSTD_freeDStream) {
    if (!stream_) throw std::bad_alloc();
    // Archives of texts are made with windows of up to 2 GiB (zstd --long=31). No more is used than the text
    // has.
    ::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax,
                             ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
  }

  Step step(std::string_view input, std::vector<char>& output) override {
    if (input.empty() && complete_) return {};
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    const std::size_t code = ::ZSTD_decompressStream(stream_.get(), &out, &in);
    if (::ZSTD_isError(code) != 0) throw std::runtime_error(::ZSTD_getErrorName(code));
    if (in.pos + out.pos > 0) complete_ = code == 0;
    return {in.pos, out.pos};
  }
  bool complete() const override { return complete_; }

 private:
  std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
  bool complete_ = false;
};

/// libbz2 checks the checksum of each block and stream.
class Bzip2Decoder : public DecompressPump::Decoder {
 public:
  Bzip2Decoder() { begin(); }
  ~Bzip2Decoder() override { ::BZ2_bzDecompressEnd(&stream_); }

  Step step(std::string_view input, std::vector<char>& output) override {
    if (input.empty() && complete_) return {};
    if (complete_) {  // another stream follows
      ::BZ2_bzDecompressEnd(&stream_);
      begin();
    }
    stream_.next_in = const_cast<char*>(input.data());
    stream_.avail_in = static_cast<unsigned>(input.size());
    stream_.next_out = output.data();
    stream_.avail_out = static_cast<unsigned>(output.size());
    const int code = ::BZ2_bzDecompress(&stream_);
    complete_ = code == BZ_STREAM_END;
    if (code != BZ_OK && code != BZ_STREAM_END) throw std::runtime_error("its data is invalid");
    return {input.size() - stream_.avail_in, output.size() - stream_.avail_out};
  }
  bool complete() const override { return complete_; }

 private:
  void begin() {
    stream_ = {};
    if (::BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
    complete_ = false;
  }

  bz_stream stream_{};
  bool complete_ = false;
};

std::unique_ptr<DecompressPump::Decoder> make_decoder(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<GzipDecoder>();
    case Compression::kXz:
      return std::make_unique<XzDecoder>();
    case Compression::kBzip2:
      return std::make_unique<Bzip2Decoder>();
    case Compression::kZstd:
      break;
  }
  return std::make_unique<ZstdDecoder>();
}

bool stops(int stop) {
  pollfd waited{stop, POLLIN, 0};
  return ::poll(&waited, 1, 0) > 0;
}

}  // namespace

std::optional<Compression> compression_of(int file, std::uint64_t offset) {
  std::array<char, 10> bytes{};
  const ssize_t got = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  return compression_of(std::string_view(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))));
}

std::optional<Compression> compression_of(std::string_view begin) {
  using namespace std::string_view_literals;
  if (begin.starts_with("\x1f\x8b\x08"sv)) return Compression::kGzip;
  if (begin.starts_with("\xfd"
                        "7zXZ\0"sv))
    return Compression::kXz;
  if (begin.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::kZstd;
  // A frame to skip, with which pzstd begins.
  if (begin.size() >= 4 && (begin[0] & 0xf0) == 0x50 && begin.substr(1, 3) == "\x2a\x4d\x18"sv)
    return Compression::kZstd;
  // "BZh", the size of blocks, and the mark of the first block or of the end.
  constexpr auto kBlock = "\x31\x41\x59\x26\x53\x59"sv, kEnd = "\x17\x72\x45\x38\x50\x90"sv;
  if (begin.starts_with("BZh") && begin.size() >= 10 &&
      (begin.substr(4, 6) == kBlock || begin.substr(4, 6) == kEnd))
    return Compression::kBzip2;
  return std::nullopt;
}

DecompressPump::DecompressPump(std::string name, UniqueFd file, std::uint64_t begin, std::uint64_t end,
                               Compression compression)
    : name_(std::move(name)),
      file_(std::move(file)),
      position_(begin),
      end_(end),
      decoder_(make_decoder(compression)) {
  ::lseek(file_.get(), static_cast<off_t>(begin), SEEK_SET);
}

DecompressPump::~DecompressPump() = default;

std::string DecompressPump::read_compressed() {
  std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(kChunkBytes, end_ - position_)), '\0');
  ssize_t got = 0;
  do {
    got = ::read(file_.get(), bytes.data(), bytes.size());  // moves the offset, which shows progress
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw CommandError(system_message("cannot read " + name_, errno));
  bytes.resize(static_cast<std::size_t>(got));
  position_ += bytes.size();
  return bytes;
}

void DecompressPump::run(int pipe, int stop) {
  std::vector<char> output(kChunkBytes);
  std::string bytes;
  std::string_view rest;
  while (!stops(stop)) {
    if (rest.empty()) rest = bytes = read_compressed();
    Decoder::Step step;
    try {
      step = decoder_->step(rest, output);
    } catch (const std::runtime_error& error) {
      throw CommandError(name_ + " is damaged (" + error.what() + " near byte " + std::to_string(position_) +
                         "); create or download it again");
    }
    const bool at_end = bytes.empty() && step.made == 0;
    if (at_end && decoder_->complete()) return;
    if (at_end)
      throw CommandError(name_ +
                         " is truncated: its compressed data is incomplete; create or download it again");
    rest.remove_prefix(step.taken);
    if (!write_all(pipe, {output.data(), step.made})) return;
  }
}

}  // namespace unroll
