#include "client/follow/follow_source.h"

#include <algorithm>

#include <glob.h>

#include "client/follow/file_generations.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

}  // namespace

FollowSource FollowSource::of_file(const std::string& path) {
  FollowSource source;
  source.name = path;
  source.file = path;
  source.scope = fs::absolute(path).lexically_normal();
  return source;
}

FollowSource FollowSource::of_unit(const std::string& unit) {
  FollowSource source;
  source.name = "journal of " + unit;
  source.unit = unit;
  source.scope = source.name;
  return source;
}

FollowSource FollowSource::of_journal() {
  FollowSource source;
  source.name = source.scope = "journal";
  return source;
}

bool is_pattern(const std::string& path) {
  return path.find_first_of("*?[") != std::string::npos && !fs::exists(path);
}

std::vector<fs::path> matches_of(const std::string& pattern, const std::vector<fs::path>& followed) {
  glob_t found{};
  const int failed = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<fs::path> matches;
  for (std::size_t i = 0; failed == 0 && i < found.gl_pathc; ++i) {
    if (generation_at(found.gl_pathv[i])) matches.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  std::vector<fs::path> files;
  for (const fs::path& match : matches) {
    const auto is_older = [&](const fs::path& of) { return is_generation(match, of); };
    if (!is_compressed_name(match) && std::none_of(matches.begin(), matches.end(), is_older) &&
        std::none_of(followed.begin(), followed.end(), is_older))
      files.push_back(match);
  }
  return files;
}

}  // namespace unroll
