// The interface of the pumps that make an endless document for `unroll follow`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/cli/command_error.h"
#include "client/follow/kept_text.h"
#include "client/sources/pump.h"

namespace unroll {

/// The document cannot go on, because bytes that were not committed are gone.
class DocumentLost : public CommandError {
 public:
  using CommandError::CommandError;
};

/// Keeps what it reads, and where. After a restart it sends what was kept again, then reads on. Not
/// thread-safe.
class FollowedPump : public Pump {
 public:
  /// `note`: called with messages for the user.
  using Note = std::function<void(const std::string& text)>;
  /// Borrows `kept`.
  FollowedPump(KeptText& kept, Note note) : kept_(kept), note_(std::move(note)) {}

  /// Throws DocumentLost.
  std::uint64_t begin(std::uint64_t from) final;
  void run(int pipe, int stop) final;

 protected:
  /// Opens the source at kept().place(), or at its beginning if that is null. False if the `missing` bytes
  /// that were read from there before cannot be read again.
  virtual bool open(std::uint64_t missing) = 0;
  /// Writes to the pipe until the reader is gone or `stop` is readable.
  virtual void follow(int pipe, int stop) = 0;

  KeptText& kept() { return kept_; }
  const KeptText& kept() const { return kept_; }
  void note(const std::string& text) const { note_(text); }
  /// Keeps the bytes, then sends them. False if the reader is gone.
  bool send(int pipe, std::string_view bytes, nlohmann::json place);

 private:
  KeptText& kept_;
  Note note_;
  std::string again_;  ///< What run() sends first.
};

}  // namespace unroll
