// Any bytes from a plugin's worker, in pieces and at once: an error, or the same frames, which can be encoded
// again; a block that a frame describes lies inside the arena, and an output fits on one line.
#include "plugins/json_border.h"
#include "plugins/library.h"
#include "plugins/worker/arena.h"
#include "plugins/worker/wire.h"
#include "tests/fuzz/input.h"

using namespace unroll;

namespace {

/// The frames before the first error.
std::vector<wire::Frame> frames_of(std::string_view bytes, std::size_t piece) {
  std::vector<wire::Frame> frames;
  wire::FrameReader reader;
  try {
    while (!bytes.empty()) {
      const auto part = bytes.substr(0, piece);
      bytes.remove_prefix(part.size());
      reader.append(part);
      while (auto frame = reader.next()) frames.push_back(std::move(*frame));
    }
  } catch (const wire::Error& error) {
    fuzz::require(nlohmann::json::accept(nlohmann::json(error.what()).dump()), "an error can be shown");
  }
  return frames;
}

/// Reads each array's first and last byte.
template <class T>
void touch(const T* array, std::size_t count) {
  if (array == nullptr || count == 0) return;
  const auto* bytes = reinterpret_cast<const char*>(array);
  const volatile char first = bytes[0], last = bytes[count * sizeof(T) - 1];
  static_cast<void>(first), static_cast<void>(last);
}

void read_block(const wire::Frame& frame) {
  static const SharedMemory arena(4096);
  try {
    const ArenaBlock placed(frame, arena);
    const auto& block = placed.view();
    const auto top = block.length * static_cast<std::size_t>(block.top_k);
    touch(block.tokens, block.length);
    touch(block.offsets, block.length + 1);
    touch(block.logprobs, block.length);
    touch(block.entropy, block.length);
    touch(block.text, block.text_bytes);
    touch(block.top_ids, top);
    touch(block.top_logprobs, top);
    if (block.hidden == nullptr) return;
    const auto count = static_cast<std::size_t>(block.hidden->shape[0] * block.hidden->shape[1]);
    touch(static_cast<const float*>(block.hidden->data), count);
  } catch (const wire::Error&) {
  } catch (const nlohmann::json::exception&) {  // both ends take it for a wire::Error
  }
}

void read_output(std::string_view json) {
  if (!output_fault(json).empty()) return;
  const auto line = without_line_ends(json);
  fuzz::require(line.find_first_of("\r\n") == std::string::npos, "an output is one line");
  fuzz::require(nlohmann::json::parse(line) == nlohmann::json::parse(json), "an output keeps its value");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = std::size_t{1} + input.byte();
  const auto bytes = input.rest();
  const auto whole = frames_of(bytes, bytes.size()), pieces = frames_of(bytes, piece);
  fuzz::require(whole.size() == pieces.size(), "pieces give the frames of the whole");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    const auto& frame = whole[i];
    fuzz::require(frame.head == pieces[i].head && frame.data == pieces[i].data,
                  "pieces give the same frames");
    const auto again = frames_of(wire::encode(frame.head, frame.data), bytes.size() + wire::kHeaderBytes);
    fuzz::require(again.size() == 1 && again[0].head == frame.head && again[0].data == frame.data,
                  "a frame can be encoded again");
    if (frame.type == "process") read_block(frame);
    read_output(frame.data);
    fuzz::require(printable(frame.data, 64).size() <= 3 * 64, "a text for people is cut");
  }
  return 0;
}
