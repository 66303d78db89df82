// Whose turn it is: stride scheduling (Waldspurger & Weihl 1995), first among the owners of documents, then
// among the documents of the one. A pass is the virtual time at which the next block is due; each block moves
// it on by a stride, so that over time owners share the turns alike, whatever they have open, their documents
// share theirs by weight, and none waits for ever. One thread.
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
  /// It may have a block now. One that was away gets no turns in arrears. False: it was in line already.
  bool add(OpenDocument& document) {
    Owner& owner = owner_of(document);
    if (owner.ready.contains(&document)) return false;
    owner.pass = std::max(owner.pass, now_);
    document.pass = std::max(document.pass, owner.now);
    return owner.ready.insert(&document).second;
  }
  /// Takes out the one whose turn is due the longest.
  OpenDocument& next() {
    Owner* first = nullptr;
    for (auto& [id, owner] : owners_) {
      if (!owner.ready.empty() && (first == nullptr || owner.pass < first->pass)) first = &owner;
    }
    return *first->ready.extract(first->ready.begin()).value();
  }
  void remove(OpenDocument& document) { owner_of(document).ready.erase(&document); }
  /// It has had its turn. Each step of priority makes its share of its owner's 1.25 times as large.
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
    double now = 0;  ///< Virtual time among its documents: the pass of the last turn.
    std::set<OpenDocument*, ByPass> ready;
  };
  Owner& owner_of(const OpenDocument& document) { return owners_[document.status.owner]; }

  std::map<std::uint32_t, Owner> owners_;  ///< All that ever had a document: their passes go on.
  double now_ = 0;                         ///< Virtual time among the owners.
};

}  // namespace unroll
