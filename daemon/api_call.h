// One request of openai_api.h: reads its texts as documents, some at a time, and passes on the pieces of its
// result while it reads, so that it holds a bounded part of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/context.h"
#include "daemon/openai_api.h"
#include "daemon/text_reading.h"

namespace unroll {

/// For the I/O thread only.
class ApiCall : public std::enable_shared_from_this<ApiCall> {
 public:
  struct Callbacks {
    std::function<bool()> has_room;                      ///< For the next piece.
    std::function<void(const std::string& text)> piece;  ///< Of the result, as ApiRequest describes it.
    /// The last call: why there is no result, or null after the last piece.
    std::function<void(std::exception_ptr failure)> done;
  };

  ApiCall(ServerContext& context, std::uint32_t owner, Callbacks callbacks);
  /// `body` is parsed on another thread.
  void start(std::string path, std::string body);
  /// has_room() may have changed.
  void pump();
  /// Nobody waits for the result any more: cancels the documents. No callback follows.
  void abandon(const Error& reason);

 private:
  struct Text {
    std::string text;      ///< To be read, or to be read next: all of it, or what `snapshot` lacks.
    std::string snapshot;  ///< Name of the one of the first reading's end, from which others go on; or empty.
    std::shared_ptr<TextReading> reading;
    std::vector<std::string> outputs;  ///< Of the first reading, which are not in `pieces` yet.
    std::string pieces;                ///< Of the result, until those of the texts before are passed on.
    std::string last_output;           ///< If the next token is predicted.
    std::uint64_t tokens = 0;
    bool at_work = false;      ///< Another thread makes pieces.
    bool ended = false;        ///< A reading has, and not all was made of it.
    bool read_before = false;  ///< The first reading has.
    bool complete = false;     ///< Only rest() is missing.
  };

  /// Runs `work` on another thread, and then `next` here, unless it was abandoned. What `work` throws fails
  /// the call.
  void elsewhere(std::function<void()> work, std::function<void()> next);
  void find_model();
  void begin_result();
  void charge(std::size_t bytes);
  void open_more();
  void open(std::size_t index);
  bool has_room(std::size_t index) const;
  void take_output(std::size_t index, const std::string& output);
  void take_end(std::size_t index, const std::exception_ptr& failure, const DocumentStatus& status);
  void make_pieces(std::size_t index);
  void end_reading(std::size_t index);
  void end_text(Text& text);
  void make_rest();
  void add_piece(std::size_t index, const std::string& piece);
  void end_result();
  void fail(std::exception_ptr why);
  void cancel_documents(const Error& reason);
  void remove_snapshot(Text& text);

  ServerContext& context_;
  const std::uint32_t owner_;
  Callbacks callbacks_;  ///< Empty after the end.
  std::unique_ptr<ApiRequest> request_;
  std::shared_ptr<const Revision> revision_;
  std::vector<Text> texts_;
  const Subscription::QueuedBytes queued_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::shared_ptr<void> charge_;           ///< For what the request keeps of the texts.
  std::size_t front_ = 0;                  ///< Pieces of this text are passed on.
  std::size_t next_ = 0, being_read_ = 0;  ///< Texts.
  std::size_t held_ = 0;                   ///< Bytes of outputs and pieces.
  bool begun_ = false;                     ///< begin() was passed on.
  bool resting_ = false;                   ///< Another thread makes the front's rest().
};

}  // namespace unroll
