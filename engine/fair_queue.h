// Stride scheduling (Waldspurger & Weihl 1995) of blocks, first among owners, then among an owner's
// documents. A pass is the virtual time at which the next block is due; each block advances it by a stride,
// which is the work that its model has with it. Owners share the time equally, however many documents they
// have and whichever models read them; an owner's documents share by weight; no document starves. Not
// thread-safe.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <set>

#include "engine/document.h"

namespace unroll {

class FairQueue {
 public:
  /// Whether next() has nothing to give.
  bool empty() const {
    return std::ranges::all_of(owners_, [](const auto& entry) { return !entry.second.is_ready(); });
  }
  /// The documents of these owners stay queued and are not given, those of all others are again. An owner
  /// accumulates no credit in that time.
  void block(const std::set<std::uint32_t>& owners) {
    for (auto& [id, owner] : owners_) {
      const bool blocked = owners.contains(id);
      if (owner.blocked && !blocked) owner.pass = std::max(owner.pass, now_);
      owner.blocked = blocked;
    }
  }
  bool is_blocked(const OpenDocument& document) const {
    const auto owner = owners_.find(document.status.owner);
    return owner != owners_.end() && owner->second.blocked;
  }
  /// Queues a document that has a block. Idle documents accumulate no credit. Returns false if it was queued.
  bool add(OpenDocument& document) {
    Owner& owner = owner_of(document);
    const auto same = owner.ready.find(document.revision.get());
    if (same != owner.ready.end() && same->second.contains(&document)) return false;
    owner.pass = std::max(owner.pass, now_);
    document.pass = std::max(document.pass, owner.now);
    return owner.ready[document.revision.get()].insert(&document).second;
  }
  /// Removes and returns the document with the smallest pass. Given a `revision`, it is one of those; null if
  /// there is none.
  OpenDocument* next(const Revision* revision = nullptr) {
    Owner* first = nullptr;
    for (auto& [id, owner] : owners_) {
      const bool has = owner.is_ready() && (revision == nullptr || owner.ready.contains(revision));
      if (has && (first == nullptr || owner.pass < first->pass)) first = &owner;
    }
    if (first == nullptr) return nullptr;
    auto* document = *(revision == nullptr ? first->first() : first->ready.at(revision)).begin();
    first->remove(*document);
    return document;
  }
  void remove(OpenDocument& document) { owner_of(document).remove(document); }
  /// Charges it for a block. Each step of priority multiplies its share of its owner's time by 1.25.
  void charge(OpenDocument& document) {
    Owner& owner = owner_of(document);
    const auto& model = document.revision->model->info();
    const double work = static_cast<double>(std::max<std::int64_t>(model.parameters, 1)) *
                        static_cast<double>(model.block_width);
    // A launch also takes documents whose turn comes later: virtual time is the pass of the first that is
    // due.
    now_ = std::max(now_, std::min(owner.pass, first_pass()));
    owner.now = std::max(owner.now, std::min(document.pass, owner.first_pass()));
    owner.pass += work;
    document.pass += work * std::pow(1.25, -document.status.priority);
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();
  struct ByPass {
    bool operator()(const OpenDocument* a, const OpenDocument* b) const {
      return a->pass != b->pass ? a->pass < b->pass : a->number < b->number;
    }
  };
  using Ready = std::set<OpenDocument*, ByPass>;
  struct Owner {
    double pass = 0;
    double now = 0;  ///< Virtual time among its documents: the pass of the last block.
    std::map<const Revision*, Ready> ready;  ///< By what reads them; none is empty.
    bool blocked = false;

    bool is_ready() const { return !blocked && !ready.empty(); }

    /// The documents of the revision whose first one is due first.
    Ready& first() {
      return std::ranges::min_element(ready, ByPass(),
                                      [](const auto& entry) { return *entry.second.begin(); })
          ->second;
    }
    double first_pass() { return ready.empty() ? kNever : (*first().begin())->pass; }
    void remove(OpenDocument& document) {
      const auto same = ready.find(document.revision.get());
      if (same == ready.end()) return;
      same->second.erase(&document);
      if (same->second.empty()) ready.erase(same);
    }
  };
  Owner& owner_of(const OpenDocument& document) { return owners_[document.status.owner]; }
  double first_pass() const {
    double first = kNever;
    for (const auto& [id, owner] : owners_) {
      if (owner.is_ready()) first = std::min(first, owner.pass);
    }
    return first;
  }

  std::map<std::uint32_t, Owner> owners_;  ///< All owners so far, since passes persist.
  double now_ = 0;                         ///< Virtual time among the owners.
};

}  // namespace unroll
