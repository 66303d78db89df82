// Snapshots: made of documents, and gone on from.
#include <algorithm>

#include "base/utf8.h"
#include "engine/engine_core.h"
#include "engine/snapshot_file.h"

namespace unroll {
namespace {

constexpr std::size_t kMostNameBytes = 256;

Error unknown_snapshot(const std::string& name) {
  return {ErrorCode::kSnapshotUnknown, "no snapshot '" + name + "'; snapshot.list lists yours"};
}

void check_name(std::string_view name) {
  bool valid = !name.empty() && name.size() <= kMostNameBytes;
  for (auto rest = name; valid && !rest.empty();) {
    const auto length = utf8_character_length(rest);
    valid = length > 0;
    rest.remove_prefix(length);
  }
  if (valid) return;
  throw Error(ErrorCode::kInvalidParams,
              "a snapshot's name has 1 to " + std::to_string(kMostNameBytes) + " bytes of UTF-8");
}

void check_checkpoint(const SnapshotInfo& info, const Revision& revision) {
  const auto& checkpoint = revision.model->info().checkpoint;
  if (info.checkpoint == checkpoint) return;
  throw Error(ErrorCode::kModel, "snapshot '" + info.name + "' is of another checkpoint (model '" +
                                     info.model + "', " + info.checkpoint + ") than that of model '" +
                                     revision.name + "' (" + checkpoint +
                                     "); read on with the model that it was made with");
}

/// Whether the document's plugins can go on from it.
void check_plugins(const Snapshot& origin, const DocumentRequest& request, const PluginRegistry& plugins) {
  for (const auto& read : origin.info.plugins) {
    const auto asked = std::ranges::find(request.plugins, read.name, &PluginRequest::name);
    if (asked == request.plugins.end()) continue;
    if (asked->options != read.options) {
      throw Error(ErrorCode::kInvalidParams, "snapshot '" + origin.info.name + "' has plugin " + read.name +
                                                 " with other options (" + read.options.dump() +
                                                 "); give the same ones, or make another snapshot");
    }
    const auto* info = plugins.find(read.name);
    if (info != nullptr && !info->forks) {
      throw Error(ErrorCode::kPluginFailed,
                  "plugin " + read.name + " cannot go on from snapshot '" + origin.info.name +
                      "': it has no `fork`; update the plugin, or make a snapshot without it");
    }
  }
}

}  // namespace

std::shared_ptr<void> EngineCore::pin(std::int64_t number) {
  pins_.insert(number);
  return {nullptr, [this, number](void*) {
            const std::lock_guard lock(snapshots_mutex_);
            pins_.erase(pins_.find(number));
          }};
}

/// The snapshot stays in the journal while the document is not there.
Snapshot EngineCore::find_origin(OpenDocument& document, const DocumentRequest& request) {
  const auto& revision = *document.revision;
  std::optional<Snapshot> origin;
  {
    const std::lock_guard lock(snapshots_mutex_);
    origin = journal_.find_snapshot(request.owner, *request.from);
    if (!origin) throw unknown_snapshot(*request.from);
    document.pinned_origin = pin(origin->number);
  }
  check_checkpoint(origin->info, revision);
  check_plugins(*origin, request, *revision.plugins);
  document.opening->snapshot = origin->number;
  return *std::move(origin);
}

/// One copy for all documents, while one of them has it. It is charged to its owner.
ModelStatePtr EngineCore::state_of(const Snapshot& snapshot, const Revision& revision) {
  const std::lock_guard lock(snapshots_mutex_);
  std::erase_if(snapshot_states_, [](const auto& entry) { return entry.second.expired(); });
  auto& known = snapshot_states_[{snapshot.number, revision.model.get()}];
  latest_state_is_used_ = true;
  if (auto state = known.lock()) return latest_state_ = state;
  const auto saved = journal_.snapshot_state(snapshot.number);
  if (saved.empty()) return nullptr;
  ModelStatePtr restored;
  try {
    restored = revision.model->restore(saved);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel, "snapshot '" + snapshot.info.name + "': " + error.what());
  }
  const auto bytes = static_cast<std::int64_t>(restored->bytes());
  const auto owner = snapshot.info.owner;
  usage_->add_resident(owner, bytes);
  const auto* state = restored.get();
  const ModelStatePtr charged(
      state, [this, owner, bytes, restored = std::move(restored)](const ModelState*) mutable {
        usage_->add_resident(owner, -bytes);
        restored.reset();  // while pointers that do not hold it remain, so does this function
      });
  known = charged;
  return latest_state_ = charged;
}

/// `point`: the document's own, if it has one.
void EngineCore::go_on(OpenDocument& document, const Snapshot& origin, ResumePoint point, PrefixDigest read,
                       Opened& opened) {
  document.origin = origin.number;
  document.reader->set_origin(origin,
                              point.model_state.empty() ? state_of(origin, *document.revision) : nullptr);
  if (!point.stored) {
    point = origin.point;
    point.stored = false;
    point.sequence = 0;
  }
  document.reader->resume(point, std::move(read), document.status, *document.revision->model);
  opened.resume_bytes = std::max(point.segment_begin, origin.info.bytes) - origin.info.bytes;
}

/// Whether the owner may have one of this name. One that has it makes room for its successor.
void EngineCore::check_snapshot(std::uint32_t owner, const std::string& name) const {
  check_name(name);
  const auto limit = options.max_snapshots_per_owner;
  if (journal_.count_snapshots(owner, name) < limit) return;
  throw LimitError("you have too many snapshots", "limits.snapshots_per_user", limit,
                   "delete some (snapshot.delete, 'unroll snapshot delete')");
}

void EngineCore::want_end_snapshot(OpenDocument& document, const SnapshotRequest& request) const {
  check_snapshot(document.status.owner, request.name);
  document.wanted_snapshots.push_back({{}, request, {}, {}});
}

void EngineCore::snapshot(const DocumentId& id, SnapshotRequest request, SnapshotFunction done) {
  check_snapshot(status(id).owner, request.name);
  std::unique_lock lock(mutex_);
  const auto document = find_open(id);
  if (!document) {
    lock.unlock();
    throw not_open(id);
  }
  if (document->ended) {
    throw Error(ErrorCode::kDocumentState,
                "document " + id + " was ended; to have a snapshot of its end, open it with 'snapshot'");
  }
  document->wanted_snapshots.push_back({document->received, std::move(request), std::move(done), {}});
  touch_locked(document);
}

std::vector<SnapshotInfo> EngineCore::snapshots(std::uint32_t owner) const {
  return journal_.snapshots(owner);
}

void EngineCore::remove_snapshot(std::uint32_t owner, const std::string& name) {
  if (!journal_.unname_snapshot(owner, name)) throw unknown_snapshot(name);
  const std::lock_guard lock(snapshots_mutex_);
  journal_.forget_snapshots(pins_);
}

SnapshotInfo EngineCore::find_snapshot(std::uint32_t owner, const std::string& name) const {
  const auto found = journal_.find_snapshot(owner, name);
  if (!found) throw unknown_snapshot(name);
  return found->info;
}

std::string EngineCore::export_snapshot(std::uint32_t owner, const std::string& name) const {
  auto snapshot = journal_.find_snapshot(owner, name, true);
  if (!snapshot) throw unknown_snapshot(name);
  return write_snapshot_file(*snapshot);
}

SnapshotInfo EngineCore::import_snapshot(std::uint32_t owner, std::string_view file, SnapshotRequest request,
                                         std::shared_ptr<const Revision> revision) {
  if (!revision) revision = this->revision();
  auto snapshot = read_snapshot_file(file);
  auto& info = snapshot.info;
  if (!request.name.empty()) info.name = request.name;
  check_snapshot(owner, info.name);
  check_checkpoint(info, *revision);
  try {
    if (!snapshot.point.model_state.empty()) revision->model->restore(snapshot.point.model_state);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kModel, "snapshot '" + info.name + "': " + error.what());
  }
  if (takes_too_much_of_journal(owner)) throw too_much_in_journal("");
  info.owner = owner;
  info.model = revision->name;
  if (request.expires) info.expires = journal_.now() + request.expires->count();
  journal_.add_snapshot(snapshot);
  return find_snapshot(owner, info.name);
}

std::shared_ptr<void> EngineCore::charge_buffered(std::uint32_t owner, std::size_t bytes) {
  usage_->reserve_buffered(owner, bytes);
  return {nullptr, [usage = usage_, owner, bytes](void*) {
            usage->add_buffered(owner, -static_cast<std::int64_t>(bytes));
          }};
}

/// With mutex_ held. All bytes before it have been taken.
bool EngineCore::wants_snapshot_locked(const OpenDocument& document) {
  return std::ranges::any_of(document.wanted_snapshots, [&](const auto& wanted) {
    return wanted.at ? *wanted.at <= document.taken : document.ended && document.inbox.empty();
  });
}

/// They are committed with the document's next commit.
void EngineCore::make_snapshots(OpenDocument& document) {
  std::vector<WantedSnapshot> due;
  {
    const std::lock_guard lock(mutex_);
    if (!wants_snapshot_locked(document)) return;
    std::erase_if(document.wanted_snapshots, [&](auto& wanted) {
      const bool is_due = wanted.at ? *wanted.at <= document.taken : document.ended && document.inbox.empty();
      if (is_due) due.push_back(std::move(wanted));
      return is_due;
    });
  }
  Snapshot snapshot;
  try {
    if (!document.residence) restore(document);
    snapshot = document.reader->snapshot();
  } catch (...) {  // the document fails, too
    answer_snapshots(std::move(due), std::current_exception());
    throw;
  }
  auto& info = snapshot.info;
  info.owner = document.status.owner;
  info.model = document.revision->name;
  info.checkpoint = document.revision->model->info().checkpoint;
  info.created = journal_.now();
  bool someone_waits = false;
  for (auto& wanted : due) {
    try {
      check_snapshot(info.owner, wanted.request.name);
    } catch (const Error&) {
      if (!wanted.at) throw;  // the document was read for it
      answer_snapshots({std::move(wanted)}, std::current_exception());
      continue;
    }
    info.name = wanted.request.name;
    info.expires.reset();
    if (wanted.request.expires) info.expires = info.created + wanted.request.expires->count();
    wanted.made = std::make_shared<const Snapshot>(snapshot);
    someone_waits |= wanted.at.has_value();
    document.snapshots.push_back(std::move(wanted));
  }
  if (someone_waits) schedule_.add_read(document, true);
}

void EngineCore::answer_snapshots(std::vector<WantedSnapshot> snapshots, std::exception_ptr failure) {
  for (const auto& snapshot : snapshots) {
    if (snapshot.done) snapshot.done(failure, snapshot.made ? snapshot.made->info : SnapshotInfo());
  }
}

}  // namespace unroll
