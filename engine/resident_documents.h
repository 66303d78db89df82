// The documents whose state and plugins are in memory, in order of use, and the memory charged to them. Not
// thread-safe.
//
// An entry belongs to its document: OpenDocument owns a Place, which removes the entry and its charge when it
// is destroyed or reset. So the list cannot contain a destroyed document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "engine/usage.h"

namespace unroll {

struct OpenDocument;

class ResidentDocuments {
  struct Entry {
    OpenDocument* document;
    std::uint32_t owner;
    std::size_t bytes;
  };
  using Entries = std::list<Entry>;

 public:
  /// `usage` is charged for resident documents. It must outlive this object, and this object all
  /// places.
  explicit ResidentDocuments(UsageByOwner& usage) : usage_(usage) {}
  ResidentDocuments(const ResidentDocuments&) = delete;
  ResidentDocuments& operator=(const ResidentDocuments&) = delete;

  class Place {
   public:
    Place() = default;
    ~Place() { reset(); }
    Place(Place&& other) noexcept : list_(std::exchange(other.list_, nullptr)), entry_(other.entry_) {}
    Place& operator=(Place&& other) noexcept {
      reset();
      list_ = std::exchange(other.list_, nullptr);
      entry_ = other.entry_;
      return *this;
    }
    explicit operator bool() const { return list_ != nullptr; }
    /// The memory charged to it.
    std::size_t bytes() const { return list_ == nullptr ? 0 : entry_->bytes; }
    void reset() noexcept {
      if (auto* list = std::exchange(list_, nullptr)) list->remove(entry_);
    }

   private:
    friend class ResidentDocuments;
    Place(ResidentDocuments& list, Entries::iterator entry) : list_(&list), entry_(entry) {}
    ResidentDocuments* list_ = nullptr;
    Entries::iterator entry_;
  };

  /// A place for a document that became resident, as the most recently used one.
  Place add(OpenDocument& document, std::uint32_t owner) {
    return {*this, entries_.insert(entries_.end(), {&document, owner, 0})};
  }
  /// Marks it as most recently used.
  void use(Place& place) { entries_.splice(entries_.end(), entries_, place.entry_); }
  /// Sets its memory to `bytes`. No effect for a document without a place.
  void charge(Place& place, std::size_t bytes) {
    if (place) charge(*place.entry_, bytes);
  }
  std::size_t size() const { return entries_.size(); }

  /// The documents to evict until every owner and the total are below their limits by a margin: the least
  /// recently used first, if `can_go(document)`.
  template <class Predicate>
  std::vector<OpenDocument*> to_evict(Predicate can_go) const {
    std::vector<OpenDocument*> result;
    std::uint64_t freed = 0;
    std::map<std::uint32_t, std::uint64_t> freed_of;
    for (const auto& entry : entries_) {
      const auto excess = usage_.excess(entry.owner);
      auto& own = freed_of[entry.owner];
      if (entry.bytes == 0 || (excess.all <= freed && excess.own <= own) || !can_go(*entry.document))
        continue;
      result.push_back(entry.document);
      freed += entry.bytes;
      own += entry.bytes;
    }
    return result;
  }

 private:
  void charge(Entry& entry, std::size_t bytes) {
    usage_.add_resident(entry.owner,
                        static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(entry.bytes));
    entry.bytes = bytes;
  }
  void remove(Entries::iterator entry) noexcept {
    charge(*entry, 0);
    entries_.erase(entry);
  }

  UsageByOwner& usage_;
  Entries entries_;
};

}  // namespace unroll
