#include "daemon/fair_pool.h"

#include <utility>

namespace unroll {

FairPool::FairPool(std::size_t threads, std::size_t most_per_owner) : most_per_owner_(most_per_owner) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

FairPool::~FairPool() {
  join();
}

void FairPool::post(std::uint32_t owner, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    owners_[owner].waiting.push_back(std::move(job));
  }
  changed_.notify_one();
}

void FairPool::join() {
  std::map<std::uint32_t, Owner> dropped;  // destroyed without the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& [owner, jobs] : owners_) dropped[owner].waiting.swap(jobs.waiting);
  }
  changed_.notify_all();
  for (std::thread& thread : std::exchange(threads_, {})) thread.join();
}

/// The next owner, after the last one served, with a waiting job and fewer than its maximum running.
bool FairPool::take_locked(std::uint32_t& owner, Job& job) {
  auto entry = owners_.upper_bound(last_);
  for (std::size_t tried = 0; tried < owners_.size(); ++tried, ++entry) {
    if (entry == owners_.end()) entry = owners_.begin();
    Owner& jobs = entry->second;
    if (jobs.waiting.empty() || jobs.at_work >= most_per_owner_) continue;
    job = std::move(jobs.waiting.front());
    jobs.waiting.pop_front();
    ++jobs.at_work;
    last_ = owner = entry->first;
    return true;
  }
  return false;
}

void FairPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::uint32_t owner = 0;
    Job job;
    while (!take_locked(owner, job)) {
      if (stopping_) return;
      changed_.wait(lock);
    }
    lock.unlock();
    job();
    job = nullptr;  // destroying what it holds may be slow
    lock.lock();
    Owner& jobs = owners_.at(owner);
    if (--jobs.at_work == 0 && jobs.waiting.empty()) owners_.erase(owner);
    changed_.notify_one();  // this owner may run another job
  }
}

}  // namespace unroll
