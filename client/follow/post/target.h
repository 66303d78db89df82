// Where unroll-post delivers events.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace unroll {

struct Delivery {
  enum class Result {
    kDone,
    kTryAgain,
    kRefused  ///< This event will never be accepted.
  };
  Result result = Result::kDone;
  std::string why;  ///< For people; if it was not done.
};

/// Not thread-safe.
class Target {
 public:
  virtual ~Target() = default;
  virtual const std::string& name() const = 0;  ///< For people, without passwords.
  virtual Delivery deliver(const nlohmann::json& event) = 0;
};

/// `format`: "json" posts the event, "alertmanager" an alert for Alertmanager's API v2.
std::unique_ptr<Target> make_webhook(const std::string& url, const std::string& format);
/// Runs the command with /bin/sh; the event is in its environment and on its standard input.
std::unique_ptr<Target> make_command(const std::string& command);

}  // namespace unroll
