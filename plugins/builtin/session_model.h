// How odd a session is, given those before it. A session is the lines of one request, process or block; its
// lines are represented by their shapes. The score has two parts, in nats: the least likely count of a shape,
// among sessions that begin with the same shape, and half the least likely step between consecutive lines.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "unroll/plugin.hpp"

#include "plugins/builtin/aging_table.h"
#include "plugins/builtin/line_shape.h"

namespace unroll::builtin {

struct Session {
  std::string key;
  std::uint64_t lines = 0, first_line = 0, last_line = 0;
  std::uint64_t start = 0, end = 0;  ///< Bytes: begin of its first line, end of its last.
  std::uint64_t first_shape = 0, last_shape = 0;
  double unlikeliest_step = 0;  ///< In nats.

  struct ShapeCount {
    std::uint64_t shape = 0;
    std::uint32_t count = 0;
    void visit(auto& archive) { archive(shape, count); }
  };
  static constexpr std::size_t kMostShapes = 24;  ///< Further shapes are not counted.
  std::vector<ShapeCount> shapes;

  void visit(auto& archive) {
    archive(key, lines, first_line, last_line, start, end, first_shape, last_shape, unlikeliest_step, shapes);
  }
};

class SessionModel {
 public:
  /// Adds the session's next line, which has this shape.
  void add(Session& session, std::uint64_t shape) {
    if (session.lines++ == 0) session.first_shape = shape;
    step(session, shape);
    const auto known = std::find_if(session.shapes.begin(), session.shapes.end(),
                                    [&](const auto& each) { return each.shape == shape; });
    if (known != session.shapes.end()) {
      known->count = std::min(known->count + 1, kMostCount);
    } else if (session.shapes.size() < Session::kMostShapes) {
      session.shapes.push_back({shape, 1});
    }
  }

  /// The score of a closed session; then adds it to the statistics. About 2 is usual, above 10 rare.
  double close(Session& session) {
    step(session, kEnd);
    const double odd = kStepWeight * session.unlikeliest_step + unlikeliest_count(session);
    const double confidence = sessions_ / (sessions_ + kColdSessions);
    learn(session);
    return confidence * odd;
  }

  void visit(auto& archive) {
    archive(sessions_, steps_known_, counts_, kinds_);
    if (sessions_ < 0 || steps_known_ < 0) throw plugin::StateError("the saved state is damaged");
  }

 private:
  static constexpr std::uint64_t kEnd = 0;
  static constexpr std::uint32_t kMostCount = 255, kMostCounted = 1'000'000'000;
  static constexpr double kMostStepsKnown = 1000;
  static constexpr double kColdSessions = 16;              // sessions until scores count half
  static constexpr double kStepWeight = 0.5;               // below 1 for lines in any order: docs/anomaly.md
  static constexpr double kStepPrior = 0.1, kPrior = 0.5;  // for each step, for each count

  struct Count {
    std::uint32_t count = 0;
    void visit(auto& archive) { archive(count); }
  };
  /// Statistics of the sessions that begin with one shape.
  struct Kind {
    std::uint32_t count = 0;
    std::vector<std::uint64_t> shapes;
    void visit(auto& archive) { archive(count, shapes); }
  };
  enum class What : char { kStep, kStepsFrom, kHas, kHasSoOften };

  static std::uint64_t hash_of(What what, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
    ShapeHash hash(static_cast<std::uint64_t>(what));
    for (const std::uint64_t part : {a, b, c}) {
      for (int shift = 0; shift < 64; shift += 8) hash.add(static_cast<char>(part >> shift));
    }
    return hash.value();
  }
  void count(std::uint64_t hash) {
    auto& n = counts_.touch(hash).count;
    n = std::min(n + 1, kMostCounted);
  }
  double count_of(std::uint64_t hash) const {
    const auto* known = counts_.find(hash);
    return known == nullptr ? 0.0 : known->count;
  }

  void step(Session& session, std::uint64_t to) {
    const auto this_step = hash_of(What::kStep, session.last_shape, to);
    const auto from = hash_of(What::kStepsFrom, session.last_shape);
    const double steps_from = count_of(from);
    const double share = (count_of(this_step) + kStepPrior) / (steps_from + kStepPrior * (steps_known_ + 2));
    session.unlikeliest_step = std::max(session.unlikeliest_step, -std::log(share));
    if (steps_from == 0) steps_known_ = std::min(steps_known_ + 1, kMostStepsKnown);
    count(this_step);
    count(from);
    session.last_shape = to;
  }

  double unlikeliest_count(const Session& session) const {
    const auto* kind = kinds_.find(session.first_shape);
    const double sessions = kind == nullptr ? 0.0 : kind->count;
    double unlikeliest = 0;
    const auto weigh = [&](double such) {
      unlikeliest = std::max(unlikeliest, -std::log((std::max(such, 0.0) + kPrior) / (sessions + 1)));
    };
    for (const auto& [shape, count] : session.shapes)
      weigh(count_of(hash_of(What::kHasSoOften, session.first_shape, shape, count)));
    if (kind == nullptr) return unlikeliest;
    for (const std::uint64_t shape : kind->shapes) {
      const bool has = std::any_of(session.shapes.begin(), session.shapes.end(),
                                   [&](const auto& each) { return each.shape == shape; });
      if (!has) weigh(sessions - count_of(hash_of(What::kHas, session.first_shape, shape)));
    }
    return unlikeliest;
  }

  void learn(const Session& session) {
    ++sessions_;
    Kind& kind = kinds_.touch(session.first_shape);
    kind.count = std::min(kind.count + 1, kMostCounted);
    for (const auto& [shape, times] : session.shapes) {
      const bool known = std::find(kind.shapes.begin(), kind.shapes.end(), shape) != kind.shapes.end();
      if (!known && kind.shapes.size() < Session::kMostShapes) kind.shapes.push_back(shape);
      count(hash_of(What::kHas, session.first_shape, shape));
      count(hash_of(What::kHasSoOften, session.first_shape, shape, times));
    }
  }

  double sessions_ = 0;
  double steps_known_ = 0;  // shapes from which a step has been seen
  AgingTable<Count, 8192> counts_;
  AgingTable<Kind, 256> kinds_;
};

}  // namespace unroll::builtin
