#include "tests/simulation/simulator.h"

#include <iostream>

#include "engine/engine_core.h"
#include "tests/engine/hash_model.h"
#include "tests/simulation/client.h"
#include "tests/simulation/edges.h"
#include "tests/simulation/faulty_plugins.h"
#include "tests/simulation/simulated_disk.h"

namespace unroll::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kTexts = 64, kLongestText = 4000;
constexpr std::size_t kStateBytes = 100'000;
constexpr std::uint64_t kSteps = 3000;  // steps with faults; then everything must end within:
constexpr std::uint64_t kStepsToEnd = 200'000;

void read_blocks(DocumentReader& reading, HashModel& model) {
  while (reading.has_block(kTestBlock)) {
    const BlockInput input = reading.next_block(kTestBlock);
    reading.begin_block(std::move(model.run({&input, 1}).front()));
    do reading.end_call();
    while (reading.in_call());
  }
}

/// Reads a text without any faults.
std::vector<std::string> read_alone(const Library& library, const Library::Text& text, std::size_t seed,
                                    bool alone) {
  HashModel model({}, kStateBytes, seed);
  DocumentReader before(library.vocabulary, library.registry, Library::plugins(alone));
  DocumentReader reading(library.vocabulary, library.registry, Library::plugins(alone));
  if (!text.before.empty()) {
    before.take(text.before);
    read_blocks(before, model);
    auto snapshot = before.snapshot();
    const auto state = std::exchange(snapshot.point.model_state, {});
    reading.set_origin(snapshot, state.empty() ? nullptr : model.restore(state));
    snapshot.point.sequence = 0;
    reading.resume(snapshot.point, {}, {}, model);
  }
  reading.take(text.bytes);
  reading.end_input();
  read_blocks(reading, model);
  reading.begin_finish();
  reading.end_call();
  std::vector<std::string> outputs;
  for (const auto& output : reading.uncommitted()) outputs.push_back(output.plugin + " " + output.json);
  return outputs;
}

/// One run: the engine, the disk below it, the clients above it, and time.
class World {
 public:
  World(const Library& library, std::uint64_t seed, bool verbose)
      : library_(library), verbose_(verbose), random_(seed), disk_("simulated", random_), edges_(random_) {
    // SQLite's own random numbers, too.
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, static_cast<int>(seed), nullptr);
    const auto plugins = std::make_shared<FaultyPlugins>(library_.registry, edges_);
    for (std::size_t seed = 0; seed < kModels; ++seed) {
      auto model = std::make_shared<HashModel>([this](auto) { cross_model("block"); }, kStateBytes, seed);
      model->set_state_hook([this](const char* function) { cross_model(function); });
      model->change_info().parameters = 1 + static_cast<std::int64_t>(pick(random_, 20));
      models_.push_back(std::make_shared<const Revision>(
          Revision{std::move(model), library_.vocabulary, plugins, "model " + std::to_string(seed)}));
    }
    options_.journal = "journal";
    options_.journal_disk = disk_.name();
    options_.batch = 1 + pick(random_, 8);
    options_.commit_blocks = 1 + static_cast<int>(pick(random_, 20));
    options_.commit_interval = std::chrono::milliseconds(pick(random_, 4000));
    options_.input_buffer_bytes = 50 + pick(random_, 5000);
    options_.max_buffered_bytes = 1000 + pick(random_, 20'000);
    options_.max_memory_bytes = 300'000 + pick(random_, 1'000'000);
    options_.max_memory_bytes_per_owner = 300'000 + pick(random_, 1'000'000);
    options_.now = [this] { return now_; };
    options_.new_id = [this] { return "d" + std::to_string(++ids_); };
    for (auto count = 1 + pick(random_, 8); count > 0; --count) {
      const auto model = pick(random_, kModels);
      const auto& text = library_.text(random_());
      clients_.push_back(std::make_unique<Client>(text, model, models_[model], edges_));
    }
    report_.documents = clients_.size();
    start();
  }

  Report run() {
    try {
      while (report_.steps < kSteps && !all_finished()) step();
      note("calm");
      calm_ = true;
      disk_.faults = {};
      edges_.failing = edges_.memory = 0;
      while (!all_finished()) {
        if (report_.steps > kSteps + kStepsToEnd) throw Violation("the run does not end: " + unfinished());
        step();
      }
    } catch (const std::exception& error) {
      report_.failure = error.what();
    }
    collect();
    for (const auto& client : clients_) report_.resumes += client->resumes();
    report_.edge_failures = edges_.failures;
    report_.memory_faults = edges_.memory_faults;
    report_.trace = trace_ ^ random_();
    return report_;
  }

 private:
  void note(const std::string& what) {
    for (const char c : what) trace_ = (trace_ ^ static_cast<unsigned char>(c)) * 1099511628211u;
    if (verbose_) std::cout << report_.steps << ' ' << what << '\n';
  }

  void cross_model(const char* function) {
    edges_.cross(function, [](const std::string& text) { return std::runtime_error(text); });
  }

  bool all_finished() const {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->finished(); });
  }
  std::string unfinished() const {
    std::string text;
    if (core_) {
      const auto stats = core_->stats();
      const auto wake = core_->next_wake();
      text = std::to_string(stats.open_documents) + " documents are open, " +
             std::to_string(stats.waiting_documents) + " without bytes, " +
             std::to_string(stats.buffered_bytes) + " bytes buffered, " + std::to_string(stats.memory_bytes) +
             " of memory, the engine has " + (core_->has_work() ? "work" : "no work") +
             (!wake           ? ""
              : *wake <= now_ ? ", it is to wake"
                              : ", it is to wake later") +
             (stats.journal_blocked ? ", its disk is full" : "") + "; ";
    }
    for (const auto& client : clients_) {
      if (!client->finished()) return text + client->describe();
    }
    return text;
  }

  void step() {
    ++report_.steps;
    if (!core_) return start();
    const auto event = pick(random_, 1000);
    if (event < 450) return round();
    if (event < 950) return act();
    if (event < 985) return pass_time();
    if (calm_) return;
    if (event < 988) return break_connection();
    if (event < 989) return some_client().attach(*core_);
    if (event < 990) return some_client().cancel(*core_);
    if (event < 996) return change_faults();
    if (event < 998) return die(true);
    if (event < 999) return die(false);
  }

  void round() {
    const auto wake = core_->next_wake();
    if (!core_->has_work() && !(wake && *wake <= now_)) return;
    try {
      const MemoryFault fault(edges_.next_memory_fault());
      core_->round();
    } catch (const std::bad_alloc&) {
      return die(false);  // as std::terminate() would
    }
    const auto stats = core_->stats();
    note("round, " + std::to_string(stats.tokens) + " tokens, " + std::to_string(stats.commits) + " commits");
    // A block that is being shown has a state before and after it; one more document of each owner may be
    // shown one, or finish.
    const auto most =
        options_.max_memory_bytes + 2 * (options_.batch + Client::kOwners) * (kStateBytes + 10'000);
    if (stats.memory_bytes > most + stats.buffered_bytes) {
      throw Violation("open documents take " + std::to_string(stats.memory_bytes) +
                      " bytes of memory, the limit is " + std::to_string(options_.max_memory_bytes));
    }
  }

  Client& some_client() { return *clients_[pick(random_, clients_.size())]; }

  void act() {
    auto& client = some_client();
    client.act(*core_);
    note("client: " + client.describe());
  }

  /// Usually a little; sometimes to the time for which the engine waits.
  void pass_time() {
    const auto wake = core_->next_wake();
    if (wake && *wake > now_ && chance(random_, 0.5)) {
      now_ = *wake;
    } else {
      now_ += std::chrono::microseconds(pick(random_, 1u << pick(random_, 21)));
    }
    disk_.now =
        SimulatedDisk::kStart + std::chrono::floor<std::chrono::seconds>(now_.time_since_epoch()).count();
  }

  void break_connection() {
    ++report_.lost_connections;
    some_client().disconnect(core_.get());
  }

  void change_faults() {
    auto& faults = disk_.faults;
    edges_.memory = chance(random_, 0.3) ? 0.05 : 0;
    edges_.failing = chance(random_, 0.3) ? 0.1 : chance(random_, 0.5) ? 0.002 : 0;
    if (chance(random_, 0.6)) {
      faults = {};
      return note("the disk is well");
    }
    ++report_.faults;
    faults.full = chance(random_, 0.5);
    faults.write_error = chance(random_, 0.3) ? 0.05 : 0;
    faults.read_error = chance(random_, 0.2) ? 0.02 : 0;
    faults.sync_error = chance(random_, 0.3) ? 0.2 : 0;
    faults.cannot_open = chance(random_, 0.1);
    note("the disk is not well");
  }

  /// kill -9, or a power cut; later the daemon is started again.
  void die(bool power_cut) {
    note(power_cut ? "power cut" : "killed");
    ++(power_cut ? report_.power_cuts : report_.kills);
    collect();
    if (power_cut) {
      disk_.cut_power();
    } else {
      disk_.kill();
    }
    core_.reset();
    for (const auto& client : clients_) client->disconnect(nullptr);
  }

  void start() {
    try {
      core_ = std::make_unique<EngineCore>(*models_.front(), options_);
      note("started");
    } catch (const Error& error) {
      if (error.code != ErrorCode::kJournal || calm_) throw;
      disk_.kill();
      if (chance(random_, 0.5)) disk_.faults = {};
    }
  }

  void collect() {
    if (!core_) return;
    const auto stats = core_->stats();
    report_.evictions += stats.evictions;
    report_.commits += stats.commits;
  }

  const Library& library_;
  const bool verbose_;
  Random random_;
  SimulatedDisk disk_;
  Edges edges_;
  OpenDocument::TimePoint now_{std::chrono::hours(1)};
  std::uint64_t ids_ = 0;
  bool calm_ = false;
  std::uint64_t trace_ = 14695981039346656037u;
  Report report_;
  EngineOptions options_;
  std::vector<std::shared_ptr<const Revision>> models_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::unique_ptr<EngineCore> core_;
};

}  // namespace

Library::Library()
    : vocabulary(Vocabulary::load(std::filesystem::path(UNROLL_SOURCE_DIR) / "tests/tokenizer.model")),
      registry(std::make_shared<PluginRegistry>()) {
  for (const auto& problem : registry->load_directory(default_plugin_directory())) {
    throw std::runtime_error(problem);
  }
  Random random(1);
  for (std::size_t i = 0; i < kTexts; ++i) {
    Text text;
    text.bytes = some_text(pick(random, kLongestText), static_cast<std::uint32_t>(i));
    if (i % 3 == 0)
      text.before = some_text(1 + pick(random, kLongestText / 4), static_cast<std::uint32_t>(i) + 7);
    for (std::size_t seed = 0; seed < kModels; ++seed) {
      text.outputs[seed] = {read_alone(*this, text, seed, false), read_alone(*this, text, seed, true)};
    }
    texts_.push_back(std::move(text));
  }
}

std::vector<PluginRequest> Library::plugins(bool alone) {
  std::vector<PluginRequest> plugins = {{"score", {{"granularity", "line"}}}};
  if (!alone) {
    plugins.push_back({"anomaly", nlohmann::json::object()});
    plugins.push_back({"words", nlohmann::json::object()});  // asks for what follows the last token
  }
  return plugins;
}

Report& Report::operator+=(const Report& other) {
  steps += other.steps;
  documents += other.documents;
  power_cuts += other.power_cuts;
  kills += other.kills;
  faults += other.faults;
  edge_failures += other.edge_failures;
  memory_faults += other.memory_faults;
  lost_connections += other.lost_connections;
  resumes += other.resumes;
  evictions += other.evictions;
  commits += other.commits;
  trace ^= other.trace;
  if (failure.empty()) failure = other.failure;
  return *this;
}

Report simulate(const Library& library, std::uint64_t seed, bool verbose) {
  return World(library, seed, verbose).run();
}

}  // namespace unroll::simulation
