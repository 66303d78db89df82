// A snapshot's file with other numbers in its header, other bytes in its states, or any header, and a correct
// checksum: an Error, or a snapshot from which a document goes on to its end, or fails.
#include <array>

#include "base/sha256.h"
#include "tests/engine/hash_model.h"
#include "tests/fuzz/daemon_peer.h"

using namespace unroll;
using nlohmann::json;

namespace {

constexpr std::size_t kHeadBytes = 24, kDigestBytes = 32;
constexpr std::array kNumbers = {"/bytes",
                                 "/created",
                                 "/plugin_begin",
                                 "/begins/0/bytes",
                                 "/point/segment_begin",
                                 "/point/block_begin",
                                 "/point/blocks",
                                 "/point/bytes",
                                 "/point/tokens",
                                 "/point/sequence",
                                 "/tail_bytes",
                                 "/model_bytes",
                                 "/states/0/bytes",
                                 "/states/1/bytes"};

Engine& engine() {
  static Engine engine({std::make_shared<HashModel>(), fuzz::vocabulary(), fuzz::plugins()}, EngineOptions());
  return engine;
}

DocumentRequest request(std::size_t bytes) {
  DocumentRequest request;
  request.plugins = {{"score", {{"granularity", "line"}}}, {"anomaly", json::object()}};
  request.text = some_text(bytes);
  return request;
}

void read(DocumentRequest request) {
  engine().open(std::move(request), nullptr);
  while (engine().stats().open_documents > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

/// Of a document that goes on from another one, a few tokens after its begin.
std::string well_formed() {
  auto first = request(1000);
  first.snapshot = SnapshotRequest{"first", {}};
  read(std::move(first));
  auto second = request(10);
  second.from = "first";
  second.snapshot = SnapshotRequest{"second", {}};
  read(std::move(second));
  return engine().export_snapshot(0, "second");
}

std::string file_of(const std::string& header, std::string_view states, std::string_view good) {
  std::string file(good.substr(0, kHeadBytes - 4));
  for (std::size_t i = 0; i < 4; ++i) file += static_cast<char>(header.size() >> (8 * i));
  file += header;
  file += states;
  Sha256 digest;
  digest.add(file);
  for (const auto byte : digest.digest()) file += static_cast<char>(byte);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto good = well_formed();
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i)
    length |= std::size_t{static_cast<std::uint8_t>(good[kHeadBytes - 4 + i])} << (8 * i);
  auto header = json::parse(good.substr(kHeadBytes, length));
  auto states = good.substr(kHeadBytes + length, good.size() - kHeadBytes - length - kDigestBytes);
  auto text = header.dump();
  fuzz::Input input(data, size);
  bool is_changed = !input.empty();
  while (!input.empty()) {
    const auto kind = input.byte() % 3;
    if (kind == 0) {
      const json::json_pointer place(kNumbers[input.byte() % kNumbers.size()]);
      header[place] = input.number<std::uint64_t>();
      text = header.dump();
    } else if (kind == 1) {
      const auto place = input.number<std::uint32_t>() % states.size();
      states[place] = static_cast<char>(input.byte());
    } else {
      text = input.rest();
    }
  }
  try {
    engine().import_snapshot(0, file_of(text, states, good), {"third", {}});
    auto third = request(500);
    third.from = "third";
    read(std::move(third));
  } catch (const Error&) {
    fuzz::require(is_changed, "what was exported can be imported");
  }
  return 0;
}
