// unroll-plugin-worker: loads one plugin library and runs its instances for the host at the other end of
// descriptor 3. Started by worker_process.cc; sandbox.cc restricts it before it loads the
// library.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor_passing.h"
#include "plugins/in_process.h"
#include "plugins/library.h"
#include "plugins/vocabulary.h"
#include "plugins/worker/arena.h"
#include "plugins/worker/sandbox.h"
#include "plugins/worker/wire.h"

namespace unroll {
namespace {

// --- last output, from a signal handler: must not allocate

struct {
  char plugin[64] = "";
  const char* volatile function = "";
  const std::byte* volatile arena = nullptr;
  volatile std::size_t arena_bytes = 0;
  std::uint64_t memory_limit = 0;
} now;

void print(const char* text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

/// A plugin that leaks usually ends with a null pointer from malloc.
void print_memory() {
  const int file = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  char text[128] = "";
  if (file < 0 || ::read(file, text, sizeof text - 1) <= 0) return;
  char* end = text;
  ::strtoull(text, &end, 10);
  const auto held = ::strtoull(end, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (now.memory_limit != 0 && held > now.memory_limit / 10 * 8) print("; its memory is at its limit");
}

void last_words(int signal, siginfo_t* information, void*) {
  print("plugin ");
  print(now.plugin);
  const char* name = ::sigdescr_np(signal);
  print(": ");
  print(name == nullptr ? "signal" : name);
  print(" in its function ");
  print(now.function);
  const auto* at = static_cast<const std::byte*>(information->si_addr);
  const bool fault = signal == SIGSEGV || signal == SIGBUS;
  if (fault && now.arena != nullptr && at >= now.arena && at < now.arena + now.arena_bytes) {
    print("; it wrote to a block, which is borrowed and read-only");
  }
  print_memory();
  print("\n");
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(signal, &usual, nullptr);
  ::raise(signal);  // blocked here; delivered when this returns
}

void install_last_words() {
  static std::vector<std::byte> stack(64 * 1024);  // the normal stack may have overflowed
  const stack_t alternate{stack.data(), 0, stack.size()};
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = &last_words;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) ::sigaction(signal, &action, nullptr);
}

// --- the socket

class Socket {
 public:
  /// Queues a frame for the next flush(), because there can be thousands of outputs.
  void put(const nlohmann::json& head, std::string_view data = {}) {
    constexpr std::size_t kEnough = 256 * 1024;
    outgoing_ += wire::encode(head, data);
    if (outgoing_.size() > kEnough) flush();
  }
  void flush() {
    for (std::string_view rest = outgoing_; !rest.empty();) {
      const auto sent = ::send(wire::kWorkerDescriptor, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) ::_exit(0);  // the host is gone
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    outgoing_.clear();
  }
  /// Ends the process if the host has closed its end.
  wire::Frame next() {
    for (;;) {
      if (auto frame = reader_.next()) return std::move(*frame);
      receive();
    }
  }
  /// The descriptor that came with the frame from next().
  UniqueFd take_descriptor() {
    auto& descriptors = descriptors_.descriptors;
    if (descriptors.empty()) throw wire::Error("a frame without its descriptor");
    UniqueFd first = std::move(descriptors.front());
    descriptors.erase(descriptors.begin());
    return first;
  }

 private:
  void receive() {
    const auto received = receive_with_descriptors(wire::kWorkerDescriptor, bytes_, 0, descriptors_);
    if (received < 0 && errno == EINTR) return;
    if (received <= 0) ::_exit(0);
    reader_.append({bytes_.data(), static_cast<std::size_t>(received)});
  }

  std::vector<char> bytes_ = std::vector<char>(64 * 1024);
  wire::FrameReader reader_;
  ReceivedDescriptors descriptors_;
  std::string outgoing_;
};

// --- the worker

class Worker {
 public:
  Worker(Socket& socket, const std::filesystem::path& file)
      : socket_(socket), library_(std::make_shared<const PluginLibrary>(file)) {}

  void greet() {
    nlohmann::json plugins = nlohmann::json::array();
    for (const auto& [info, table, fork] : library_->plugins()) {
      plugins.push_back({{"name", info.name},
                         {"version", info.version},
                         {"description", info.description},
                         {"wants", info.wants},
                         {"top_k", info.top_k},
                         {"saves", table.save != nullptr},
                         {"forks", info.forks},
                         {"options", info.options}});
    }
    socket_.put({{"type", "hello"}, {"abi", UNROLL_ABI_VERSION}, {"plugins", std::move(plugins)}});
    socket_.flush();
  }

  void serve(const wire::Frame& frame) {
    if (frame.type == "vocabulary") {
      vocabulary_ =
          std::make_shared<const PluginVocabulary>(socket_.take_descriptor(), frame.number("count"));
    } else if (frame.type == "arena") {
      arena_.emplace(socket_.take_descriptor(), frame.number("bytes"));
      now.arena = arena_->data();
      now.arena_bytes = arena_->size();
    } else if (frame.type == "destroy") {
      const auto it = instances_.find(frame.number("instance"));
      if (it == instances_.end()) throw wire::Error("an unknown instance");
      note(it->second->info().name, "destroy");
      instances_.erase(it);
    } else if (frame.type == "create") {
      answer([&]() -> PluginInstance& { return create(frame); });
    } else if (frame.type == "load" || frame.type == "process" || frame.type == "finish" ||
               frame.type == "fork") {
      auto& instance = *instances_.at(frame.number("instance"));
      note(instance.info().name, frame.type == "load"      ? "load"
                                 : frame.type == "process" ? "process"
                                 : frame.type == "finish"  ? "finish"
                                                           : "fork");
      answer([&]() -> PluginInstance& { return call(instance, frame); });
    } else {
      throw wire::Error("a frame of the unknown type " + frame.type);
    }
  }

 private:
  static void note(const std::string& plugin, const char* function) {
    const auto length = std::min(plugin.size(), sizeof now.plugin - 1);
    std::memcpy(now.plugin, plugin.data(), length);
    now.plugin[length] = '\0';
    now.function = function;
  }

  /// Sends "done" with the instance's state or with the error.
  template <class F>
  void answer(F&& body) {
    try {
      PluginInstance& instance = body();
      now.function = "save";
      const auto state = instance.save();
      socket_.put({{"type", "done"}, {"status", 0}, {"error", ""}},
                  {reinterpret_cast<const char*>(state.data()), state.size()});
    } catch (const PluginError& error) {
      const std::string_view prefix = "plugin ", text = error.what();
      const auto colon = text.starts_with(prefix) ? text.find(": ") : std::string_view::npos;
      socket_.put({{"type", "done"},
                   {"status", error.status},
                   {"error", text.substr(colon == std::string_view::npos ? 0 : colon + 2)}});
    } catch (const std::bad_alloc&) {
      socket_.put({{"type", "done"}, {"status", UNROLL_ERROR_INTERNAL}, {"error", "it ran out of memory"}});
    }
    now.function = "none (between two calls)";
    socket_.flush();
  }

  PluginInstance& create(const wire::Frame& frame) {
    const auto& name = frame.text("plugin");
    const auto plugin = std::ranges::find_if(
        library_->plugins(), [&](const auto& candidate) { return candidate.info.name == name; });
    if (plugin == library_->plugins().end()) throw wire::Error("an unknown plugin: " + name);
    note(name, "create");
    auto instance = create_in_process(
        library_, *plugin, frame.text("options"),
        [this](const std::string& json) {
          socket_.put({{"type", "output"}}, json);
        },
        [this](int level, std::string_view, std::string_view text) {
          socket_.put({{"type", "log"}, {"level", std::clamp(level, 0, 3)}}, text);
          socket_.flush();  // at once, because the plugin may crash next
        },
        vocabulary_);
    return *(instances_[frame.number("instance")] = std::move(instance));
  }

  PluginInstance& call(PluginInstance& instance, const wire::Frame& frame) {
    if (frame.type == "load") {
      instance.load(std::as_bytes(std::span(frame.data)));
    } else if (frame.type == "fork") {
      instance.fork({sizeof(unroll_fork_point), frame.number("tokens"), frame.number("bytes"),
                     frame.data.data(), frame.data.size()});
    } else if (frame.type == "finish") {
      instance.finish(frame.number("tokens"), frame.number("bytes"), frame.head.at("word_end").get<float>());
    } else {
      if (!arena_) throw wire::Error("a block before its arena");
      const ArenaBlock block(frame, *arena_);
      instance.process(block.view());
    }
    return instance;
  }

  Socket& socket_;
  std::shared_ptr<const PluginLibrary> library_;
  std::shared_ptr<const PluginVocabulary> vocabulary_;
  std::optional<SharedMemory> arena_;
  std::map<std::uint64_t, std::unique_ptr<PluginInstance>> instances_;
};

int refuse(Socket& socket, const std::string& error) {
  socket.put({{"type", "refused"}, {"error", error}});
  socket.flush();
  return EXIT_FAILURE;
}

int run(int argc, char** argv) {
  if (argc != 6 || std::strcmp(argv[2], "--permissions") != 0 || std::strcmp(argv[4], "--memory") != 0) {
    print("unroll-plugin-worker is started by unroll and unrolld, not by hand\n");
    return EXIT_FAILURE;
  }
  Socket socket;
  const auto permissions = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  now.memory_limit = std::strtoull(argv[5], nullptr, 10);
  if (const int error = unroll_sandbox_enter(permissions, now.memory_limit)) {
    return refuse(socket, "plugin library " + std::string(argv[1]) +
                              ": its worker cannot enter its sandbox (" + std::strerror(error) +
                              "); a kernel with seccomp is needed");
  }
  install_last_words();
  now.function = "none (it is being loaded)";
  std::optional<Worker> worker;
  try {
    worker.emplace(socket, argv[1]);
  } catch (const PluginError& error) {
    return refuse(socket, error.what());
  }
  worker->greet();
  for (;;) worker->serve(socket.next());
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  try {
    return unroll::run(argc, argv);
  } catch (const std::exception& error) {
    unroll::print((std::string("unroll-plugin-worker: ") + error.what() + "\n").c_str());
    return EXIT_FAILURE;
  }
}
