// Stride scheduling (Waldspurger & Weihl 1995) of blocks, first among owners, then among an owner's
// documents. A pass is the virtual time at which the next block is due; each block advances it by a stride.
// Owners share the throughput equally, however many documents they have; an owner's documents share by
// weight; no document starves. Not thread-safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

#include "engine/document.h"

namespace unroll {

class FairQueue {
 public:
  bool empty() const {
    return std::ranges::all_of(owners_, [](const auto& entry) { return entry.second.ready.empty(); });
  }
  /// Queues a document that has a block. Idle documents accumulate no credit. Returns false if it was queued.
  bool add(OpenDocument& document) {
    Owner& owner = owner_of(document);
    if (owner.ready.contains(&document)) return false;
    owner.pass = std::max(owner.pass, now_);
    document.pass = std::max(document.pass, owner.now);
    return owner.ready.insert(&document).second;
  }
  /// Removes and returns the document with the smallest pass.
  OpenDocument& next() {
    Owner* first = nullptr;
    for (auto& [id, owner] : owners_) {
      if (!owner.ready.empty() && (first == nullptr || owner.pass < first->pass)) first = &owner;
    }
    return *first->ready.extract(first->ready.begin()).value();
  }
  void remove(OpenDocument& document) { owner_of(document).ready.erase(&document); }
  /// Charges it for a block. Each step of priority multiplies its share of its owner's throughput by 1.25.
  void charge(OpenDocument& document) {
    Owner& owner = owner_of(document);
    now_ = std::max(now_, owner.pass);
    owner.pass += 1;
    owner.now = std::max(owner.now, document.pass);
    document.pass += std::pow(1.25, -document.status.priority);
  }

 private:
  struct ByPass {
    bool operator()(const OpenDocument* a, const OpenDocument* b) const {
      return a->pass != b->pass ? a->pass < b->pass : a->number < b->number;
    }
  };
  struct Owner {
    double pass = 0;
    double now = 0;  ///< Virtual time among its documents: the pass of the last block.
    std::set<OpenDocument*, ByPass> ready;
  };
  Owner& owner_of(const OpenDocument& document) { return owners_[document.status.owner]; }

  std::map<std::uint32_t, Owner> owners_;  ///< All owners so far, since passes persist.
  double now_ = 0;                         ///< Virtual time among the owners.
};

}  // namespace unroll
