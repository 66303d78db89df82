// Whose turn it is: stride scheduling (Waldspurger & Weihl 1995). A document's pass is the virtual time at
// which its next block is due; each block moves it on by its stride, so that over time documents share the
// turns by weight and none waits for ever. One thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/document.h"

namespace unroll {

class Turns {
 public:
  bool empty() const { return ready_.empty(); }
  /// It may have a block now. One that was away gets no turns in arrears. False: it was in line already.
  bool add(OpenDocument& document) {
    if (ready_.contains(&document)) return false;
    document.pass = std::max(document.pass, now_);
    return ready_.insert(&document).second;
  }
  /// Takes out the one whose turn is due the longest.
  OpenDocument& next() { return *ready_.extract(ready_.begin()).value(); }
  void remove(OpenDocument& document) { ready_.erase(&document); }
  /// It has had its turn. Each step of priority makes its share 1.25 times as large.
  void charge(OpenDocument& document) {
    now_ = std::max(now_, document.pass);
    document.pass += std::pow(1.25, -document.status.priority);
  }

 private:
  struct ByPass {
    bool operator()(const OpenDocument* a, const OpenDocument* b) const {
      return a->pass != b->pass ? a->pass < b->pass : a->number < b->number;
    }
  };
  std::set<OpenDocument*, ByPass> ready_;
  double now_ = 0;  ///< Virtual time: the pass of the last turn.
};

}  // namespace unroll
