// A simulated peer with one document: sends it in pieces, receives outputs through a connection that may
// break, returns and continues. It knows the right outputs, and throws Violation if it gets anything else.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "engine/engine_core.h"
#include "tests/simulation/edges.h"
#include "tests/simulation/simulator.h"

namespace unroll::simulation {

/// Something that must never happen.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Client {
 public:
  static constexpr std::uint32_t kOwners = 2;

  /// `seed`: the model's.
  Client(const Library::Text& text, std::size_t seed, std::shared_ptr<const Revision> model, Edges& edges)
      : before_(text.before),
        text_(text.bytes),
        flushed_(chance(edges.random, 0.2)),
        expected_(flushed_ ? text.outputs[seed].alone : text.outputs[seed].both),
        model_(std::move(model)),
        edges_(edges),
        random_(edges.random) {}

  bool finished() const { return state_ == State::kFinished; }
  bool connected() const { return state_ == State::kSending || state_ == State::kListening; }
  /// Does one of the things that a client may do now, if there is any.
  void act(EngineCore& core);
  /// The connection breaks; `core`: if there is still an engine to notice.
  void disconnect(EngineCore* core);
  void cancel(EngineCore& core);
  /// Another connection of the same client attaches to the document.
  void attach(EngineCore& core);
  std::uint64_t resumes() const { return resumes_; }
  std::string describe() const;

 private:
  enum class State { kAway, kSending, kListening, kFinished };
  struct Connection;

  /// Calls the engine, whose memory may run out: then returns false, and the call had no effect.
  template <class Call>
  bool attempt(Call call);
  void expect_trouble(const Error& error) const;
  void come(EngineCore& core);
  void open(EngineCore& core);
  bool has_snapshot(EngineCore& core);
  void resume(EngineCore& core);
  static bool is_being_read(EngineCore& core, const DocumentId& id);
  void send(EngineCore& core);
  void hear(EngineCore& core);
  void catch_up(EngineCore& core, std::uint64_t end);
  void take(const Output& output);
  void ended(const DocumentStatus& status);
  void begin_anew();
  DocumentRequest request() const;
  [[noreturn]] void violation(const std::string& what) const;

  const std::string& before_;
  const std::string& text_;
  const bool flushed_;  ///< Asks for blocks to be read before they are full.
  const std::vector<std::string>& expected_;
  const std::shared_ptr<const Revision> model_;
  Edges& edges_;
  Random& random_;
  State state_ = State::kAway;
  std::shared_ptr<Connection> connection_;
  std::optional<DocumentId> id_;
  std::optional<DocumentId> snapshot_of_;  ///< The document of which it wants its snapshot.
  /// The engine reported that the document is in the journal; before that, a crash may lose it.
  std::shared_ptr<bool> accepted_ = std::make_shared<bool>(false);
  std::string refused_;  ///< Why the last try to open or resume the document failed.
  std::uint32_t owner_ = static_cast<std::uint32_t>(pick(random_, kOwners));
  const std::string snapshot_ = "snapshot " + std::to_string(random_());
  std::uint64_t sent_ = 0;       ///< On this connection, and before its resume point.
  std::uint64_t ever_sent_ = 0;  ///< On any connection: a commit that seemed to fail may show after a crash.
  std::uint64_t safe_ = 0;       ///< Bytes that the engine has reported as committed.
  std::uint64_t heard_ = 0;      ///< Outputs received.
  std::uint64_t resumes_ = 0;
};

}  // namespace unroll::simulation
