// Lanes: the rows of a batch. Each lane reads documents one after the other, and continues in the next batch.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "training/token_file.h"

namespace unroll {

/// Repetition of documents: {"log-", 3} shows those whose file names begin with "log-" three times per epoch.
using Repeats = std::vector<std::pair<std::string, int>>;

/// The tokens of one block: row i continues row i of the previous block, or begins a
/// document.
struct LaneBlock {
  std::vector<std::int64_t> inputs;   ///< [lanes, block_width]
  std::vector<std::int64_t> targets;  ///< [lanes, block_width]; ignore_index after a document's end
  std::vector<bool> begins;  ///< [lanes] a document begins here: reset the lane's memories and states
};

/// Shuffled pieces of documents in `lanes` parallel rows. What comes next depends on the arguments and on how
/// many blocks were taken, nothing else; position() and restore() carry it over a restart. A document's first
/// token is predicted from `first_input`.
class Lanes {
 public:
  Lanes(const std::vector<TokenDocument>& documents, const Repeats& repeats, int lanes,
        std::int64_t block_width, std::int64_t piece_blocks, std::int64_t ignore_index, std::uint64_t seed,
        std::int32_t first_input);
  LaneBlock next();
  std::int64_t pieces() const { return static_cast<std::int64_t>(pieces_.size()); }
  nlohmann::json position() const;
  void restore(const nlohmann::json& position);

 private:
  struct Piece {
    const TokenDocument* document;
    std::size_t begin, end;
  };
  struct Lane {
    std::size_t piece = 0, position = 0;
    bool active = false;
  };
  std::size_t take_piece();
  void shuffle();

  std::vector<Piece> pieces_;
  std::vector<std::size_t> order_;
  std::vector<Lane> lanes_;
  std::int64_t block_width_, ignore_index_;
  std::uint64_t seed_, epoch_ = 0;
  std::int32_t first_input_;
  std::size_t next_in_order_ = 0;
};

}  // namespace unroll
