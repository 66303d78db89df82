#include "client/follow/following.h"

#include <algorithm>
#include <array>
#include <climits>
#include <ctime>
#include <utility>

#include <unistd.h>

#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/note.h"
#include "client/cli/text.h"
#include "client/follow/follow_pump.h"
#include "client/follow/journald_pump.h"
#include "client/reading/after.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kKeepOutputs = 10'000;      // far more than are pending
constexpr std::chrono::seconds kBetweenRecords{1};  // each is a disk write
constexpr std::chrono::seconds kGone{3};            // longer than most rotations take
constexpr std::chrono::seconds kGoneUnjudged{60};   // if its last lines have no output
constexpr std::size_t kIdDigits = 10;               // so that names sort

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  ::gethostname(name.data(), name.size() - 1);
  return one_line(name.data());
}

/// RFC 3339.
std::string time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

/// Everything that identifies the document.
std::string key_of(const FollowOptions& options, const FollowSource& source) {
  const bool journal = source.file.empty();
  json key = {{"units", json::array()}, {"journal", journal}};
  if (!source.unit.empty()) key["units"].push_back(source.unit);
  if (!journal) key["file"] = fs::absolute(source.file).lexically_normal();
  if (journal && !options.journal_directory.empty())
    key["folder"] = fs::absolute(options.journal_directory).lexically_normal();
  if (!options.encoding.empty()) key["encoding"] = options.encoding;
  if (!options.after.empty()) key["after"] = options.after;
  for (const PluginRequest& plugin : options.plugins) key["plugins"].push_back({plugin.name, plugin.options});
  return key.dump();
}

}  // namespace

Following::Following(const FollowOptions& options, FollowSource source, bool names_source,
                     FollowShared& shared)
    : options_(options),
      source_(std::move(source)),
      names_source_(names_source),
      shared_(shared),
      memory_(FollowFiles::of(options.state, source_.name, key_of(options, source_)), source_.name),
      before_(memory_.state()),
      kept_(memory_.files().kept()),
      kept_before_(kept_.end()),
      filter_({options.threshold, options.alert_rate, options.ignore, options.state, source_.scope},
              before_.alerts),
      log_(memory_.files().events()),
      next_output_(before_.next_output),
      bytes_(before_.bytes) {
  request_.plugins = options.plugins;
  if (!before_.document.empty() && before_.pieces.empty()) request_.resume = before_.document;
  request_.from = before_.next_output;
  request_.flush_after = std::chrono::milliseconds(options.quiet_ms);
  request_.keep_outputs = kKeepOutputs;
}

void Following::run(Reader& reader) {
  shared_.outlets.add_source(source_.name);
  if (!before_.pieces.empty()) go_on_after_earlier_version();
  FollowViewOptions shown{options_.shared.format, source_.name, names_source_,
                          [this](json event, const std::string& text) { take(std::move(event), text); }};
  FollowView view(std::move(shown), kept_, filter_, shared_.outlets.lines(), before_.printed);
  try {
    if (!read(reader, view)) read(reader, view);
  } catch (const Stopped&) {
  }
  record(view);
}

/// False if the document cannot go on; then the next call begins a new one.
bool Following::read(Reader& reader, FollowView& view) {
  const bool begins = !request_.resume || !reader.has_document(*request_.resume);
  if (begins) request_.after = snapshot(reader);
  Source source = Source::pumped(source_.name, make_pump());
  try {
    reader.read(source, request_, events(view));
    return true;
  } catch (const DocumentLost&) {
    if (!request_.resume) throw;
  } catch (const Error& error) {  // other bytes than those that were read before
    if (!request_.resume || error.code != ErrorCode::kSource) throw;
  }
  note(source_.name +
       " no longer has bytes that the engine needs to continue the document; a new one begins");
  request_.resume.reset();
  return false;
}

/// What a new document goes on from. One source makes it; the others find it.
std::optional<std::string> Following::snapshot(Reader& reader) const {
  const std::lock_guard lock(shared_.snapshots);
  return snapshot_after(reader, options_.after, options_.plugins, log_opener(options_.encoding));
}

std::unique_ptr<FollowedPump> Following::make_pump() {
  if (!source_.file.empty())
    return std::make_unique<FollowPump>(
        FollowedFile{source_.file, options_.encoding, source_.at_end, drained_}, kept_, note);
  JournaldOptions journal{{}, options_.journal_directory};
  if (!source_.unit.empty()) journal.units.push_back(source_.unit);
  return std::make_unique<JournaldPump>(journal, source_.at_end, kept_, note);
}

/// Earlier versions kept no text.
void Following::go_on_after_earlier_version() {
  note(source_.name +
       " was followed by an earlier version of unroll; a new document begins at the same position");
  if (kept_.place().is_null()) kept_.add("", place_of_earlier_version());
}

/// Earlier versions recorded from which byte of a source on the document was read.
json Following::place_of_earlier_version() const {
  const json& piece = before_.pieces.back();
  if (source_.file.empty()) return {{"cursor", piece.at("cursor")}};
  const auto within = static_cast<std::int64_t>(before_.bytes) - piece.at("document").get<std::int64_t>();
  FilePlace place;
  piece.at("file").get_to(place.now.file);
  place.now.offset =
      piece.at("offset").get<std::uint64_t>() + static_cast<std::uint64_t>(std::max<std::int64_t>(within, 0));
  return place;
}

ReadEvents Following::events(FollowView& view) {
  ReadEvents events;
  events.opened = [&](const DocumentId& id) { opened(id); };
  events.output = [&](std::uint64_t sequence, const std::string& plugin, const json& data) {
    next_output_ = sequence;
    view.output(plugin, data);
    if (data.contains("end")) judged_ = data["end"];
    if (data.contains("line") && !data.contains("type")) shared_.outlets.count_line(source_.name);
    ++next_output_;
    changed_ = true;
    record_if_due(view);
  };
  events.progress = [&](const ReadProgress& now) { progress(now, view); };
  events.note = note;
  return events;
}

void Following::progress(const ReadProgress& progress, FollowView& view) {
  bytes_ = progress.bytes;
  view.flush();
  record_if_due(view);
  if (stop_signal() != 0 || shared_.stops || is_over()) throw Stopped();
}

/// Whether the source is a file that was removed, and all of it was judged.
bool Following::is_over() {
  std::error_code failed;
  if (!source_.of_pattern || !*drained_ || fs::exists(source_.file, failed)) {
    gone_since_.reset();
    return false;
  }
  if (!gone_since_) gone_since_ = Clock::now();
  return Clock::now() - *gone_since_ > (all_is_judged() ? kGone : kGoneUnjudged);
}

/// After the last line that was judged there is only its newline.
bool Following::all_is_judged() const {
  const std::string rest = kept_.text(judged_, kept_.end());
  return judged_ > 0 && std::count(rest.begin(), rest.end(), '\n') <= 1;
}

/// The event of output next_output_. After a crash, the same output gives the same id.
void Following::take(json event, const std::string& text) {
  std::string number = std::to_string(next_output_);
  number.insert(0, kIdDigits - std::min(kIdDigits, number.size()), '0');
  event["id"] = document_ + "-" + number;
  event["source"] = source_.name;
  log_.add({{"id", event["id"]},
            {"source", source_.name},
            {"scope", source_.scope},
            {"line", event["line"]},
            {"severity", event["severity"]},
            {"text", text}});
  event["host"] = host_name();
  event["seen"] = time_now();
  shared_.outlets.put(event);
}

void Following::opened(const DocumentId& id) {
  if (id == document_) return;  // resumed after the daemon returned
  document_ = id;
  if (id == before_.document) return;
  if (request_.resume) note("the document is no longer known; a new one begins at the same position");
  // The state first: after a kill between the two, lines are read twice instead of not at all.
  memory_.update([&](FollowState& state) {
    state.document = id;
    state.pieces = nullptr;
    state.next_output = state.bytes = 0;
  });
  if (!kept_.place().is_null()) kept_.begin_document_at(std::min(bytes_, kept_before_));
  next_output_ = bytes_ = 0;
}

void Following::record_if_due(FollowView& view) {
  if (changed_ && Clock::now() - recorded_ > kBetweenRecords) record(view);
}

void Following::record(FollowView& view) {
  recorded_ = Clock::now();
  const json printed = view.record();
  changed_ = false;
  memory_.update([&](FollowState& state) {
    if (!source_.file.empty()) state.file = fs::absolute(source_.file).lexically_normal();
    state.next_output = next_output_;
    state.bytes = bytes_;
    state.printed = printed;
    state.alerts = filter_.record();
  });
}

}  // namespace unroll
