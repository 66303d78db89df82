#include "tests/client/fixture.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <ATen/ATen.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "model/checkpoint.h"
#include "model/pretrained/config.h"
#include "model/safetensors.h"

namespace unroll::test {
namespace {

namespace fs = std::filesystem;

constexpr int kPatienceSeconds = 60;

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code_of(status);
}

/// Becomes the program; call only in the child of a fork.
[[noreturn]] void become(const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment) {
  for (const auto& [name, value] : environment) {
    if (value.empty()) {
      ::unsetenv(name.c_str());
    } else {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
  std::vector<char*> list;
  for (const std::string& argument : arguments) list.push_back(const_cast<char*>(argument.c_str()));
  list.push_back(nullptr);
  ::execv(list[0], list.data());
  ::_exit(127);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read, write;
};

std::string read_all(int descriptor) {
  std::string bytes;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;  // a terminal whose other side is closed returns an error at its end
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

void feed(UniqueFd descriptor, const std::string& input) {
  std::string_view rest = input;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor.get(), rest.data(), rest.size());
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

bool listens(const std::string& socket) {
  const UniqueFd descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return ::connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

void copy_vocabulary(const fs::path& folder) {
  fs::copy_file(fs::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model", folder / "tokenizer.model",
                fs::copy_options::overwrite_existing);
}

}  // namespace

fs::path program(const std::string& name) {
  return fs::path(UNROLL_BINARY_DIR) / "bin" / name;
}

void write_tiny_model(const fs::path& folder, std::uint64_t seed) {
  ModelConfig config;
  config.num_tokens = 8192;
  config.dim = 16;
  config.depth = 2;
  config.dim_head = 8;
  config.heads = 2;
  config.block_width = 32;
  config.max_seq_len = 64;
  config.recurrent_layers = config.read_recurrent_layers = {1};
  config.num_state_vectors = 8;
  const at::Generator random = at::detail::createCPUGenerator(seed);
  TensorMap parameters;
  for (const auto& [name, shape] : expected_parameters(config)) {
    // Vectors are mostly scales: near one. Matrices are small, so that activations stay small.
    parameters[name] =
        shape.size() < 2 ? at::rand(shape, random) * 0.5 + 0.5 : at::randn(shape, random) * 0.2;
  }
  save_checkpoint(folder, config, parameters, "fp32");
  copy_vocabulary(folder);
}

void write_tiny_pretrained(const fs::path& folder, std::uint64_t seed) {
  const nlohmann::json config = {
      {"model_type", "llama"},
      {"vocab_size", 8192},
      {"hidden_size", 16},
      {"intermediate_size", 32},
      {"num_hidden_layers", 2},
      {"num_attention_heads", 2},
      {"num_key_value_heads", 1},
      {"head_dim", 8},
      {"max_position_embeddings", 1024},
      {"rms_norm_eps", 1e-5},
      {"rope_theta", 10000.0},
      {"tie_word_embeddings", true},
      {"bos_token_id", 1},
      {"eos_token_id", 2},
      {"unroll", {{"block_width", 32}, {"memory_blocks", 8}, {"attention_sinks", 4}}}};
  fs::create_directories(folder);
  write_file(folder / "config.json", config.dump());
  const at::Generator random = at::detail::createCPUGenerator(seed);
  TensorMap weights;
  for (const auto& [name, shape] : expected_tensors(parse_pretrained_config(config)))
    weights[name] = shape.size() < 2 ? at::rand(shape, random) * 0.5 + 0.5 : at::randn(shape, random) * 0.3;
  write_safetensors(folder / "model.safetensors", weights);
  copy_vocabulary(folder);
}

Finished run(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  ::signal(SIGPIPE, SIG_IGN);  // the program may end without reading its input
  Pipe in, out, err;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.read.get(), STDIN_FILENO);
    ::dup2(out.write.get(), STDOUT_FILENO);
    ::dup2(err.write.get(), STDERR_FILENO);
    become(arguments, surroundings.environment);
  }
  in.read.reset();
  out.write.reset();
  err.write.reset();
  Finished finished;
  std::thread input([&] { feed(std::move(in.write), surroundings.input); });
  std::thread errors([&] { finished.err = read_all(err.read.get()); });
  finished.out = read_all(out.read.get());
  input.join();
  errors.join();
  finished.exit_code = wait_for(pid);
  return finished;
}

Finished run_on_terminal(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  winsize size{};
  size.ws_col = 100;
  size.ws_row = 40;
  int master = -1;
  const pid_t pid = ::forkpty(&master, nullptr, nullptr, &size);
  if (pid == 0) become(arguments, surroundings.environment);
  const UniqueFd terminal(master);
  Finished finished;
  finished.out = read_all(terminal.get());
  finished.exit_code = wait_for(pid);
  return finished;
}

Process::Process(const std::vector<std::string>& arguments, const fs::path& log,
                 const std::map<std::string, std::string>& environment)
    : pid_(::fork()) {
  if (pid_ != 0) return;
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  become(arguments, environment);
}

Process::~Process() {
  stop(SIGKILL);
}

bool Process::running() {
  int status = 0;
  if (!exit_code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) exit_code_ = exit_code_of(status);
  return !exit_code_;
}

int Process::stop(int signal) {
  if (running()) {
    ::kill(pid_, signal);
    exit_code_ = wait_for(pid_);
  }
  return *exit_code_;
}

Daemon::Daemon(const fs::path& folder, const fs::path& model, const fs::path& config)
    : folder_(folder),
      process_({program("unrolld").string(), "--socket", (folder / "s").string(), "--model", model.string(),
                "--journal", (folder / "journal").string(), "--config",
                config.empty() ? UNROLL_SOURCE_DIR "/config/unrolld.json" : config.string()},
               folder / "log") {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  while (!listens(socket())) {
    if (!process_.running() || std::chrono::steady_clock::now() > give_up) {
      throw std::runtime_error("unrolld did not come up: " + read_file(folder / "log"));
    }
    ::poll(nullptr, 0, 20);  // Pause between two tries to connect; nothing depends on its length.
  }
}

}  // namespace unroll::test
