// Clients that make, go on from, replace, move and delete snapshots while the daemon is killed repeatedly at
// any time. UNROLL_TEST_KILLS sets the number of kills, UNROLL_TEST_SEED their times.
#include <atomic>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include <sqlite3.h>

#include "base/sha256.h"
#include "tests/daemon/snapshot_case.h"

namespace unroll::test {
namespace {

constexpr auto kAfter = "and then the größer whale\nis here\n";  // what is read after each

unsigned setting(const char* name, unsigned usual) {
  const char* value = std::getenv(name);
  return value == nullptr ? usual : static_cast<unsigned>(std::stoul(value));
}

const json kPlugins = json::array({{{"name", "score"}, {"options", {{"granularity", "token"}}}}});

/// A document that snapshots are made of.
struct Text {
  std::string bytes, sha256;
  Tokens after;  ///< Of kAfter, from reading both as one document.
};
using Texts = std::vector<Text>;

/// Which text's snapshot has a name; nullopt: none. More than one if the daemon's answer did not come, or if
/// the snapshot expires.
using Possible = std::set<std::optional<std::size_t>>;

/// One client with names of its own. It knows what each of them must be after a kill.
class Client {
 public:
  Client(const Texts& texts, std::string socket, const std::string& name, unsigned seed)
      : texts_(texts), socket_(std::move(socket)), random_(seed) {
    for (const auto* number : {"1", "2", "3"}) names_[name + number] = {std::nullopt};
  }

  /// Until the daemon is killed. Throws if something is not as it must be.
  void work(const std::atomic<bool>& is_killed) {
    try {
      Peer peer(socket_), holder(socket_);
      for (;;) step(peer, holder);
    } catch (const std::runtime_error&) {  // the connection ended
      if (!is_killed) throw;
    }
  }

  /// After a kill: each snapshot is there, whole, or it is not.
  void check() {
    Peer peer(socket_);
    for (auto& [name, possible] : names_) {
      const auto found = look(peer, name);
      require(possible.contains(found),
              "snapshot " + name + " is " + described({found}) + ", not " + described(possible));
      std::erase_if(possible, [&](const auto& text) { return text && text != found; });
      if (!found) continue;
      go_on(peer, name, possible);
      const auto file = take(peer, name);
      if (!file) continue;  // it expired
      require(put(peer, *file, "moved").contains("result"), "its file is refused");
      go_on(peer, "moved", {found});
      peer.call("snapshot.delete", {{"name", "moved"}});
    }
    for (const auto& [id, text] : open_) finish(peer, id, text);
    open_.clear();
  }
  void remove_all() {
    Peer peer(socket_);
    for (const auto& [name, possible] : names_) peer.call("snapshot.delete", {{"name", name}});
  }
  std::size_t steps() const { return steps_; }

 private:
  static void require(bool holds, const std::string& what) {
    if (!holds) throw std::logic_error(what);
  }
  static std::string described(const Possible& possible) {
    std::string list;
    for (const auto& text : possible)
      list += (list.empty() ? "" : " or ") + (text ? "of text " + std::to_string(*text) : "none");
    return list;
  }
  static bool is_unknown(const json& answer) {
    return answer.contains("error") && answer["error"]["data"]["name"] == "snapshot_unknown";
  }
  std::size_t any(std::size_t count) { return random_() % count; }

  /// `holder`: the connection of documents that stay open.
  void step(Peer& peer, Peer& holder) {
    auto entry = std::next(names_.begin(), static_cast<std::ptrdiff_t>(any(names_.size())));
    auto& [name, possible] = *entry;
    const auto kind = any(7);
    if (kind == 0) {
      make(peer, name, possible, json::object());
    } else if (kind == 1) {
      make(peer, name, possible, {{"expires_s", 1}});
    } else if (kind == 2) {
      make_of_open_document(peer, name, possible);
    } else if (kind == 3) {
      const auto before = std::exchange(possible, {std::nullopt});
      possible.insert(before.begin(), before.end());
      const auto answer = peer.call("snapshot.delete", {{"name", name}});
      require(answer.contains("result") || before.contains(std::nullopt), answer.dump());
      possible = {std::nullopt};
    } else if (kind == 4) {
      go_on(peer, name, possible);
    } else if (kind == 5) {
      move(peer, name, possible);
    } else {
      leave_open(holder, name, possible);
    }
    ++steps_;
  }

  void make(Peer& peer, const std::string& name, Possible& possible, json more) {
    const auto text = any(texts_.size());
    const bool expires = more.contains("expires_s");
    possible.insert(text);
    if (expires) possible.insert(std::nullopt);
    more.update({{"text", texts_[text].bytes}, {"name", name}});
    const auto answer = peer.call("snapshot.create", more);
    if (expires && is_unknown(answer)) return;  // it has expired
    require(answer.contains("result"), answer.dump());
    require(answer["result"]["sha256"] == texts_[text].sha256, "of other bytes");
    possible = {text};
    if (expires) possible.insert(std::nullopt);
  }

  void make_of_open_document(Peer& peer, const std::string& name, Possible& possible) {
    const auto text = any(texts_.size());
    const auto& bytes = texts_[text].bytes;
    const auto middle = bytes.find('\n', bytes.size() / 2);
    const auto id =
        peer.call("document.open", {{"plugins", kPlugins}, {"stream", true}}).at("result").at("document");
    for (const auto& piece : {bytes.substr(0, middle), bytes.substr(middle)})
      peer.call("document.append", {{"document", id}, {"text", piece}});
    possible.insert(text);
    const auto answer = peer.call("snapshot.create", {{"document", id}, {"name", name}});
    require(answer.contains("result"), answer.dump());
    possible = {text};
    peer.call("document.cancel", {{"document", id}});
    end_of(peer, id);
  }

  /// Reads on from it.
  void go_on(Peer& peer, const std::string& name, const Possible& possible) {
    const auto answer = peer.call("document.open", {{"plugins", kPlugins}, {"text", kAfter}, {"from", name}});
    if (is_unknown(answer)) return require(possible.contains(std::nullopt), name + " is missing");
    const auto tokens = end_of(peer, answer.at("result").at("document"));
    require(std::ranges::any_of(possible,
                                [&](const auto& text) { return text && texts_[*text].after == tokens; }),
            "what is read after " + name + " is not what is read after its text");
  }

  /// By way of its file, to another name.
  void move(Peer& peer, const std::string& name, const Possible& possible) {
    const auto file = take(peer, name);
    if (!file) return require(possible.contains(std::nullopt), name + " cannot be exported");
    auto& [to, there] = *names_.begin();
    if (to == name) return;
    there.insert(possible.begin(), possible.end());
    const auto answer = put(peer, *file, to);
    require(answer.contains("result"), answer.dump());
    there = possible;
    there.erase(std::nullopt);
  }

  /// Opens a document that goes on from it, and that must be resumed after a kill, whatever becomes of the
  /// snapshot.
  void leave_open(Peer& peer, const std::string& name, const Possible& possible) {
    if (possible.size() != 1 || possible.contains(std::nullopt) || open_.size() > 20) return;
    const auto answer = peer.call("document.open", {{"plugins", kPlugins}, {"stream", true}, {"from", name}});
    open_.emplace_back(answer.at("result").at("document"), **possible.begin());
  }
  void finish(Peer& peer, const std::string& id, std::size_t text) {
    const auto opened = peer.call("document.open", {{"plugins", kPlugins}, {"stream", true}, {"resume", id}});
    require(opened.contains("result"), "a document that went on is lost: " + opened.dump());
    require(opened["result"]["resume_bytes"] == 0, "nothing of it was read");
    peer.call("document.append", {{"document", id}, {"text", kAfter}});
    peer.call("document.end", {{"document", id}});
    require(end_of(peer, id) == texts_[text].after, "a document that went on before the kill differs");
  }

  /// Its file; nullopt if it is not there.
  static std::optional<std::string> take(Peer& peer, const std::string& name) {
    const UniqueFd file = empty_file();
    const auto answer = peer.call("snapshot.export", {{"name", name}, {"fd", true}}, {file.get()});
    if (is_unknown(answer)) return std::nullopt;
    auto bytes = content_of(file.get());
    require(bytes.size() == answer.at("result").at("bytes"), "its file is whole");
    return bytes;
  }
  static json put(Peer& peer, const std::string& file, const std::string& name) {
    return peer.call("snapshot.import", {{"name", name}, {"base64", base64_encode(file)}});
  }

  std::optional<std::size_t> look(Peer& peer, const std::string& name) const {
    const auto list = peer.call("snapshot.list", json::object())["result"]["snapshots"];
    const auto found = std::ranges::find_if(list, [&](const json& info) { return info["name"] == name; });
    if (found == list.end()) return std::nullopt;
    const auto text = std::ranges::find(texts_, (*found)["sha256"].get<std::string>(), &Text::sha256);
    return std::distance(texts_.begin(), text);
  }

  /// Its tokens. It is the only document of this client that sends something.
  static Tokens end_of(Peer& peer, const std::string& id) {
    std::vector<std::string> data;
    for (const auto& output : peer.read_document(id).outputs) data.push_back(output.substr(output.find('{')));
    return tokens_of(data);
  }

  const Texts& texts_;
  const std::string socket_;
  std::mt19937 random_;
  std::map<std::string, Possible> names_;
  std::vector<std::pair<std::string, std::size_t>> open_;  // and the text that they go on from
  std::size_t steps_ = 0;
};

class SnapshotKill : public SnapshotCase {
 protected:
  static Texts make_texts() {
    Texts texts;
    for (const std::size_t lines : {2, 10, 40, 90}) {
      Text text{some_text(lines), {}, {}};
      text.bytes.pop_back();  // the last line goes on
      Sha256 digest;
      digest.add(text.bytes);
      text.sha256 = digest_text(digest.digest());
      text.after = from(read(text.bytes + kAfter), text.bytes.size());
      texts.push_back(std::move(text));
    }
    return texts;
  }
  /// What a statement counts in the journal of a daemon that does not run.
  static std::int64_t count(const std::string& select) {
    sqlite3* database = nullptr;
    sqlite3_stmt* statement = nullptr;
    std::int64_t value = -1;
    if (sqlite3_open((*folder_ / "journal").c_str(), &database) == SQLITE_OK &&
        sqlite3_prepare_v2(database, select.c_str(), -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
      value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return value;
  }
  /// Every snapshot has all its parts, and every part has its snapshot.
  static void check_journal() {
    ASSERT_EQ(count("SELECT count(*) FROM snapshots WHERE NOT EXISTS (SELECT 1 FROM resume_points"
                    " WHERE number=-snapshots.number)"),
              0);
    ASSERT_EQ(count("SELECT count(*) FROM resume_points WHERE model_bytes>0 AND NOT EXISTS"
                    " (SELECT 1 FROM model_states WHERE number=resume_points.number)"),
              0);
    for (const std::string table : {"resume_points", "model_states", "plugin_states"}) {
      ASSERT_EQ(count("SELECT count(*) FROM " + table +
                      " WHERE number<0 AND -number NOT IN"
                      " (SELECT number FROM snapshots)"),
                0)
          << table;
    }
    ASSERT_EQ(count("SELECT count(*) FROM documents JOIN progress USING(number) WHERE phase<>1"
                    " AND snapshot NOT IN (SELECT number FROM snapshots)"),
              0)
        << "of documents that are not done";
    ASSERT_EQ(
        count("SELECT (SELECT coalesce(sum(bytes), 0) FROM owners)"
              " - (SELECT coalesce(sum(kept_bytes), 0) FROM snapshots)"
              " - (SELECT coalesce(sum(kept_bytes), 0) FROM progress)"
              " - (SELECT coalesce(sum(model_bytes + plugin_bytes), 0) FROM resume_points WHERE number>0)"),
        0);
  }
  static void delete_documents() {
    for (;;) {
      const json list = result("document.list", {{"limit", 1000}})["documents"];
      if (list.empty()) return;
      for (const auto& status : list) result("document.delete", {{"document", status["document"]}});
    }
  }
};

TEST_F(SnapshotKill, AtAnyMomentEachIsThereWholeOrNotAtAll) {
  const unsigned kills = setting("UNROLL_TEST_KILLS", 3);
  const unsigned seed = setting("UNROLL_TEST_SEED", 1);
  std::mt19937 random(seed);
  const auto texts = make_texts();
  std::vector<std::unique_ptr<Client>> clients;
  for (const auto* name : {"a", "b", "c"})
    clients.push_back(std::make_unique<Client>(texts, socket(), name, seed + clients.size()));
  for (unsigned killed = 0; killed < kills; ++killed) {
    SCOPED_TRACE(killed);
    std::atomic<bool> is_killed = false;
    std::vector<std::future<void>> working;
    for (const auto& client : clients) {
      working.push_back(std::async(std::launch::async, [&client, &is_killed] { client->work(is_killed); }));
    }
    ::poll(nullptr, 0, static_cast<int>(random() % 500));
    is_killed = true;
    process().stop(SIGKILL);
    for (auto& done : working) done.get();
    ASSERT_NO_FATAL_FAILURE(check_journal());
    start();
    for (const auto& client : clients) client->check();
  }
  for (const auto& client : clients) EXPECT_GT(client->steps(), kills) << "it had time to do something";
  delete_documents();
  for (const auto& client : clients) client->remove_all();
  EXPECT_TRUE(names().empty());
  process().stop(SIGTERM);
  check_journal();
  for (const std::string table : {"snapshots", "resume_points", "model_states", "plugin_states"})
    EXPECT_EQ(count("SELECT count(*) FROM " + table), 0) << table;
}

}  // namespace
}  // namespace unroll::test
