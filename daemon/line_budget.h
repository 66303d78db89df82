// Limits the memory for incomplete lines: a connection with a long line takes a share of its user's budget.
// If there is none, nothing is read from the connection until one is free.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace unroll {

class Connection;

/// For the I/O thread only.
class LineBudget : public std::enable_shared_from_this<LineBudget> {
 public:
  explicit LineBudget(std::size_t shares_per_owner) : shares_(shares_per_owner) {}

  /// A share, which is returned on destruction.
  class Share {
   public:
    Share() = default;
    Share(std::shared_ptr<LineBudget> budget, std::uint32_t owner)
        : budget_(std::move(budget)), owner_(owner) {}
    Share(Share&& other) noexcept : budget_(std::move(other.budget_)), owner_(other.owner_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(owner_, other.owner_);
      other.reset();
      return *this;
    }
    ~Share() { reset(); }
    void reset() {
      if (budget_) std::exchange(budget_, nullptr)->give_back(owner_);
    }
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    std::shared_ptr<LineBudget> budget_;
    std::uint32_t owner_ = 0;
  };

  /// Empty if no share is free; Connection::signal() is then called when to try again.
  Share ask(std::uint32_t owner, const std::shared_ptr<Connection>& connection);

 private:
  struct Owner {
    std::size_t taken = 0;
    std::map<const Connection*, std::weak_ptr<Connection>> waiting;
  };
  void give_back(std::uint32_t owner);

  const std::size_t shares_;
  std::map<std::uint32_t, Owner> owners_;  ///< Users with a share.
};

}  // namespace unroll
