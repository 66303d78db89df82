#include "daemon/import_snapshot.h"

#include <utility>

#include "daemon/on_io_thread.h"
#include "engine/snapshot_file.h"

namespace unroll {

void SnapshotUpload::add(Engine& engine, std::uint32_t owner, std::string_view more) {
  charges.push_back(engine.charge_buffered(owner, more.size()));
  bytes += more;
}

void import_snapshot(ServerContext& context, std::uint32_t owner, SnapshotUpload upload,
                     std::optional<std::chrono::seconds> expires, std::string model,
                     std::function<void(std::exception_ptr, const SnapshotInfo&)> done) {
  const auto answer = on_io_thread(context.io, std::move(done));
  const auto shared = std::make_shared<const SnapshotUpload>(std::move(upload));
  const auto read = [&context, owner, shared, expires, answer](const std::exception_ptr& failure,
                                                               const Models::RevisionPtr& revision) {
    if (failure) return answer(failure, {});
    context.journal_jobs.post(owner, [&engine = context.engine, owner, shared, expires, answer, revision] {
      try {
        answer(nullptr, engine.import_snapshot(owner, shared->bytes, {shared->name, expires}, revision));
      } catch (const std::exception&) {
        answer(std::current_exception(), {});
      }
    });
  };
  context.journal_jobs.post(owner, [&context, shared, model = std::move(model), answer, read]() mutable {
    try {
      if (model.empty()) {
        model = model_of_snapshot_file(shared->bytes);
        if (!context.models.has(model)) model.clear();
      }
    } catch (const std::exception&) {
      return answer(std::current_exception(), {});
    }
    context.models.ask(model, read);
  });
}

}  // namespace unroll
