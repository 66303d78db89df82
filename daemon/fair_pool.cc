#include "daemon/fair_pool.h"

#include <iterator>
#include <system_error>
#include <utility>

#include "base/fair_share.h"

namespace unroll {

FairPool::FairPool(std::size_t most_threads, std::size_t most_per_owner)
    : most_threads_(most_threads), most_per_owner_(most_per_owner) {
  threads_.emplace_back([this] { work(); });
}

FairPool::~FairPool() {
  join();
}

void FairPool::post(std::uint32_t owner, Job job, Job refuse) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  Owner& jobs = owners_[owner];
  if (jobs.waiting.empty()) jobs.moved = Clock::now();
  jobs.waiting.push_back({std::move(job), std::move(refuse)});
  wake_locked();
}

/// Finds a thread for a job that can begin. That thread does the same when it has taken a job.
void FairPool::wake_locked() {
  if (stopping_ || next_locked() == owners_.end()) return;
  if (sleeping_ > 0) return changed_.notify_one();
  if (threads_.size() == most_threads_) return;
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // The system allows no more threads: the job waits for one of those that there are.
  }
}

void FairPool::refuse_stuck(std::chrono::milliseconds patience) {
  std::vector<Waiting> refused;
  {
    const std::lock_guard lock(mutex_);
    const auto since = Clock::now() - patience;
    for (auto entry = owners_.begin(); entry != owners_.end();) {
      Owner& jobs = entry->second;
      if (jobs.moved <= since) {
        std::erase_if(jobs.waiting, [&](Waiting& waiting) {
          if (!waiting.refuse) return false;
          refused.push_back(std::move(waiting));
          return true;
        });
      }
      entry = jobs.waiting.empty() && jobs.at_work == 0 ? owners_.erase(entry) : std::next(entry);
    }
  }
  for (const auto& waiting : refused) waiting.refuse();
}

void FairPool::join() {
  Owners dropped;  // destroyed without the lock
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [owner, jobs] : owners_) dropped[owner].waiting.swap(jobs.waiting);
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

/// The next user, after the last one served, with a job that can begin.
FairPool::Owners::iterator FairPool::next_locked() {
  if (at_work_ == most_threads_) return owners_.end();
  auto entry = owners_.upper_bound(last_);
  for (std::size_t tried = 0; tried < owners_.size(); ++tried, ++entry) {
    if (entry == owners_.end()) entry = owners_.begin();
    const Owner& jobs = entry->second;
    const auto then = jobs.at_work + 1;
    if (!jobs.waiting.empty() && then <= most_per_owner_ && is_fair_share(then, at_work_ + 1, most_threads_))
      return entry;
  }
  return owners_.end();
}

void FairPool::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto entry = next_locked();
    if (entry == owners_.end()) {
      ++sleeping_;
      changed_.wait(lock);
      --sleeping_;
      continue;
    }
    Owner& jobs = entry->second;  // stays while it has a job at work
    const auto owner = last_ = entry->first;
    Job job = std::move(jobs.waiting.front().job);
    jobs.waiting.pop_front();
    ++jobs.at_work, ++at_work_;
    jobs.moved = Clock::now();
    wake_locked();
    lock.unlock();
    job();
    job = nullptr;  // destroying what it holds may be slow
    lock.lock();
    --jobs.at_work, --at_work_;
    jobs.moved = Clock::now();
    if (jobs.at_work == 0 && jobs.waiting.empty()) owners_.erase(owner);
  }
}

}  // namespace unroll
