#include "client/follow/follow_all.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/descriptor_limit.h"
#include "base/stop_signals.h"
#include "client/cli/command_error.h"
#include "client/cli/note.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kBeat{200};
constexpr std::chrono::seconds kBetweenLooks{1};  // for files that match a pattern
constexpr std::chrono::seconds kBeforeAgain{30};  // after a source failed
constexpr std::chrono::hours kBetweenForgetting{1};
constexpr std::size_t kMostSources = 500;  // each has two threads and a dozen descriptors

/// What identifies the group of sources, which share a journal of documents and a spool.
std::string key_of(const FollowOptions& options) {
  nlohmann::json key = {{"units", options.units}, {"journal", options.whole_journal}};
  for (const std::string& file : options.files)
    key["files"].push_back(fs::absolute(file).lexically_normal().string());
  return key.dump();
}

}  // namespace

bool FollowAll::has_several() const {
  return options_.files.size() + options_.units.size() + (options_.whole_journal ? 1 : 0) > 1 ||
         std::any_of(options_.files.begin(), options_.files.end(), is_pattern);
}

void FollowAll::run() {
  add_named();
  if (has_several()) {
    raise_descriptor_limit();
    memory_.emplace(FollowFiles::of(options_.state, "several", key_of(options_)), "this list of logs");
  }
  const FollowFiles files = memory_ ? memory_->files() : running_.begin()->second->following->files();
  // Before any program or thread is started, because it may begin this program anew.
  reader_ = make_reader(options_.shared, files.journal());
  shared_.outlets.open(files.spool(), options_.targets, options_.metrics_file);
  try {
    for (auto& [name, running] : running_) start(*running);
    add_matches(true);
    for (auto looked = Clock::now(); stop_signal() == 0; std::this_thread::sleep_for(kBeat)) {
      shared_.outlets.beat();
      forget_if_due();
      if (Clock::now() - looked > kBetweenLooks) {
        add_matches(false);
        looked = Clock::now();
      }
      for (auto& [name, running] : running_) look_after(*running);
      std::erase_if(running_, [](const auto& each) { return each.second->is_over(); });
      if (running_.empty() && !has_several()) break;
    }
  } catch (...) {
    stop_all();
    throw;
  }
  stop_all();
  shared_.outlets.finish();
  for (auto& [name, running] : running_) {
    if (running->error && !has_several()) std::rethrow_exception(running->error);
  }
}

FollowAll::Running& FollowAll::add(FollowSource source, bool at_start) {
  source.at_end = options_.from_end && at_start;
  auto& running = running_[source.name];
  running = std::make_unique<Running>();
  running->source = std::move(source);
  return *running;
}

/// Locks the state of each at once: the command fails at its start if another process follows one of them.
void FollowAll::add_named() {
  for (const std::string& file : options_.files) {
    if (!is_pattern(file)) take_state(add(FollowSource::of_file(file), true));
  }
  for (const std::string& unit : options_.units) take_state(add(FollowSource::of_unit(unit), true));
  if (options_.whole_journal) take_state(add(FollowSource::of_journal(), true));
}

/// `at_start`: the files were there when the process began.
void FollowAll::add_matches(bool at_start) {
  for (const std::string& pattern : options_.files) {
    if (!is_pattern(pattern)) continue;
    std::vector<fs::path> followed;
    for (const auto& [name, running] : running_) followed.push_back(running->source.file);
    for (const fs::path& file : matches_of(pattern, followed)) {
      if (running_.contains(file.string())) continue;
      if (running_.size() == kMostSources) {
        if (!std::exchange(told_of_too_many_, true))
          note("more than " + std::to_string(kMostSources) + " logs match; " + file.string() +
               " and others are not followed; follow them with another process");
        return;
      }
      FollowSource source = FollowSource::of_file(file);
      source.scope = fs::absolute(pattern).lexically_normal();
      source.of_pattern = true;
      start(add(std::move(source), at_start));
    }
  }
}

void FollowAll::take_state(Running& running) {
  running.following = std::make_unique<Following>(options_, running.source, has_several(), shared_);
}

void FollowAll::start(Running& running) {
  running.error = nullptr;
  running.ended = false;
  std::shared_ptr<Reader> reader = reader_->another();
  running.thread = std::thread([this, &running, reader = std::move(reader)] {
    try {
      if (!running.following) take_state(running);
      running.following->run(*reader);
    } catch (...) {
      running.error = std::current_exception();
    }
    running.ended = true;
  });
}

/// One that ended in good order is joined, one that failed is tried again.
void FollowAll::look_after(Running& running) {
  if (!running.thread.joinable()) {
    if (running.error && Clock::now() > running.again) start(running);
    return;
  }
  if (!running.ended) return;
  running.thread.join();
  running.following.reset();
  if (!running.error || stop_signal() != 0) return;
  running.again = Clock::now() + kBeforeAgain;
  if (!has_several() || all_failed()) std::rethrow_exception(running.error);
  try {
    std::rethrow_exception(running.error);
  } catch (const std::exception& error) {
    note(running.source.name + ": " + error.what() + "; it is tried again in " +
         std::to_string(kBeforeAgain.count()) + " s");
  }
}

void FollowAll::forget_if_due() {
  if (Clock::now() < forgets_at_) return;
  forgets_at_ = Clock::now() + kBetweenForgetting;
  for (const fs::path& file : forget_gone_files(options_.state))
    note(file.string() + " is gone for a week; what was kept of it is removed");
}

bool FollowAll::all_failed() const {
  return std::all_of(running_.begin(), running_.end(),
                     [](const auto& each) { return each.second->has_failed(); });
}

void FollowAll::stop_all() {
  shared_.stops = true;
  for (auto& [name, running] : running_) {
    if (running->thread.joinable()) running->thread.join();
  }
}

}  // namespace unroll
