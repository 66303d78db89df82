// One request of openai_api.h: reads its texts as documents, some at a time, and makes its result.
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
  /// The result as JSON text, or why there is none. Called once, on the I/O thread.
  using Done = std::function<void(std::exception_ptr failure, std::string result)>;

  ApiCall(ServerContext& context, std::uint32_t owner, Done done);
  /// `body` is parsed on another thread.
  void start(std::string path, std::string body);
  /// Nobody waits for the result any more: cancels the documents, and does not call `done`.
  void abandon(const Error& reason);

 private:
  struct Text {
    std::string text;  ///< Until it is opened for the last time.
    std::shared_ptr<TextReading> reading;
    std::vector<std::string> outputs;  ///< Of the first reading.
    std::uint64_t tokens = 0;
    std::string last_output;             ///< If the next token is predicted.
    std::optional<std::string> written;  ///< To append for another reading.
    bool read_before = false;
  };

  /// Runs `work` on another thread, and then `next` here, unless it was abandoned. What `work` throws fails
  /// the call.
  void elsewhere(std::function<void()> work, std::function<void()> next);
  void find_model();
  void open_more();
  void open(std::size_t index);
  void make_result();
  void fail(std::exception_ptr why);
  void take_output(std::size_t index, const std::string& output);
  void take_end(std::size_t index, const std::exception_ptr& failure, const DocumentStatus& status);
  void write(std::size_t index);
  void cancel_documents(const Error& reason);
  void charge(std::size_t bytes);

  ServerContext& context_;
  const std::uint32_t owner_;
  Done done_;  ///< Null once it was called, or the call was abandoned.
  std::unique_ptr<ApiRequest> request_;
  std::shared_ptr<const Revision> revision_;
  std::vector<Text> texts_;
  const Subscription::QueuedBytes queued_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t next_ = 0, at_work_ = 0;
  std::vector<std::shared_ptr<void>> charges_;  ///< For the outputs, until the result is made.
  std::size_t uncharged_ = 0;
};

}  // namespace unroll
