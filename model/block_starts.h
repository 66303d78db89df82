// Keeps what a network has computed of the blocks that may be read again, so that only what is new of them
// is computed: of documents that go on from one snapshot, and of a block that grows. Internal to model/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/block_model.h"
#include "model/network.h"

namespace unroll {

/// A block that was read, and the state before it.
struct ReadBlock {
  ModelStatePtr state;
  std::vector<std::int32_t> tokens;
  BlockStart start;             ///< All of its positions.
  at::Tensor hidden;            ///< [length, dim]
  std::vector<float> logprobs;  ///< [length] the network's, without the document cache.
};

/// The latest blocks that were read after different states. One thread.
class BlockStarts {
 public:
  struct Found {
    std::shared_ptr<const ReadBlock> block;  ///< Null: none.
    std::size_t known = 0;  ///< First tokens that the two have in common, not all of the wanted ones.
  };
  Found find(const BlockInput& wanted);
  void put(ReadBlock block);
  /// Forgets blocks whose state no document has any longer.
  void clean();

 private:
  /// Few: each may have the size of a document's state.
  static constexpr std::size_t kMost = 2;
  struct Entry {
    bool has_state;
    std::weak_ptr<const ModelState> state;
    std::shared_ptr<const ReadBlock> block;  ///< Without its state.
    bool is_after(const ModelStatePtr& other) const {
      return has_state == (other != nullptr) && state.lock() == other;
    }
  };
  std::list<Entry> entries_;  ///< The latest first.
};

}  // namespace unroll
