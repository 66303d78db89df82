// What `unroll follow` follows, and how.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/options.h"
#include "client/follow/deliverer.h"
#include "client/logs/ignore_rules.h"
#include "client/reading/reader.h"

namespace unroll {

/// A file, a unit's entries in systemd's journal, or the whole journal: one document.
struct FollowSource {
  std::string name;            ///< For people, and in events.
  std::string scope;           ///< What the user named: the file, the pattern, the unit.
  std::filesystem::path file;  ///< Empty: the journal.
  std::string unit;            ///< Of the journal; empty: all.
  bool of_pattern = false;     ///< It ends when its file is gone.
  bool at_end = false;         ///< The first time, skip what is there.

  /// A file without a folder in its name is in the working folder.
  static FollowSource of_file(const std::string& path);
  static FollowSource of_unit(const std::string& unit);
  static FollowSource of_journal();
};

struct FollowOptions {
  SharedOptions shared;
  std::vector<std::string> files;  ///< Paths and patterns.
  std::vector<std::string> units;
  bool whole_journal = false;
  std::filesystem::path journal_directory;
  bool from_end = false;
  std::string encoding, after;
  std::vector<PluginRequest> plugins;
  std::filesystem::path state;  ///< The folder.
  int quiet_ms = 1000;
  double threshold = 5;
  std::optional<double> alert_rate;
  std::shared_ptr<const IgnoreRules> ignore;
  std::vector<DeliveryTarget> targets;
  std::filesystem::path metrics_file;

  bool reads_journal() const { return whole_journal || !units.empty(); }
};

/// Whether it is a pattern: with *, ? or [.
bool is_pattern(const std::string& path);
/// The files that match now, without earlier generations of each other and of `followed`.
std::vector<std::filesystem::path> matches_of(const std::string& pattern,
                                              const std::vector<std::filesystem::path>& followed);

}  // namespace unroll
