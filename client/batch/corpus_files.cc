// Which files a corpus's patterns name, and what their results are called.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <glob.h>

#include "base/ascii.h"
#include "client/batch/corpus.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReadable =
    "unroll batch --input reads JSON Lines (.jsonl, .ndjson, .json) and WARC files (.warc, .wet), plain or "
    "as "
    ".gz, .bz2, .xz or .zst, and Parquet files (.parquet)";

std::vector<fs::path> matches(const std::string& pattern) {
  glob_t found{};
  const int failed = ::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found);
  std::vector<fs::path> paths;
  for (std::size_t i = 0; failed == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return paths;
}

/// A pattern that matches this path alone.
std::string literal(const fs::path& path) {
  std::string pattern;
  for (const char c : path.string()) {
    if (std::string_view("*?[]{}\\~").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// The folder and those below it, without hidden ones and links, as shells do.
std::vector<fs::path> folders_from(const fs::path& top) {
  std::vector<fs::path> folders = {top};
  std::error_code failed;
  fs::recursive_directory_iterator entries(top, failed);
  for (; !failed && entries != fs::recursive_directory_iterator(); entries.increment(failed)) {
    if (!entries->is_directory(failed) || entries->is_symlink(failed)) continue;
    if (entries->path().filename().string().starts_with('.')) {
      entries.disable_recursion_pending();
    } else {
      folders.push_back(entries->path());
    }
  }
  if (failed) throw CommandError("cannot list the folders in " + top.string() + ": " + failed.message());
  return folders;
}

/// As the shell's; a part "**" stands for any number of folders.
std::vector<fs::path> expand(const std::string& pattern) {
  constexpr std::string_view kAnyFolders = "**/";
  const bool first = pattern.starts_with(kAnyFolders);
  const auto slash = first ? 0 : pattern.find("/**/");
  if (slash == std::string::npos) return matches(pattern);
  const auto before = pattern.substr(0, slash);
  const auto after = pattern.substr(slash + (first ? 0 : 1) + kAnyFolders.size());
  std::vector<fs::path> files;
  for (const auto& top : before.empty() ? std::vector<fs::path>{first ? "." : "/"} : matches(before)) {
    std::error_code failed;
    if (!fs::is_directory(top, failed)) continue;
    for (const auto& folder : folders_from(top)) {
      for (auto& file : expand(literal(folder / "") + after)) files.push_back(std::move(file));
    }
  }
  return files;
}

/// Sets the format and the name of the result: "a.jsonl.gz" -> "a.jsonl".
void look_at_name(CorpusFile& file, const std::string& output_format) {
  constexpr std::array<std::string_view, 5> kCompressed = {".gz", ".bz2", ".xz", ".zst", ".zstd"};
  static const std::map<std::string, CorpusFormat> kFormats = {
      {".jsonl", CorpusFormat::kJsonLines}, {".ndjson", CorpusFormat::kJsonLines},
      {".json", CorpusFormat::kJsonLines},  {".parquet", CorpusFormat::kParquet},
      {".warc", CorpusFormat::kWarc},       {".wet", CorpusFormat::kWarc}};
  auto name = file.path.filename();
  if (std::ranges::count(kCompressed, ascii::lower(name.extension().string())) > 0) name = name.stem();
  const auto format = kFormats.find(ascii::lower(name.extension().string()));
  const bool is_known =
      format != kFormats.end() && (format->second != CorpusFormat::kParquet || name == file.path.filename());
  if (!is_known) throw CommandError(file.path.string() + " has an unknown type; " + std::string(kReadable));
  file.format = format->second;
  file.result = name.replace_extension("." + output_format);
}

/// By their absolute paths, so that none is there twice.
using Places = std::map<fs::path, CorpusFile>;

fs::path common_folder(const Places& places) {
  auto folder = places.begin()->first.parent_path();
  for (const auto& [place, file] : places) {
    const auto other = place.parent_path();
    fs::path common;
    for (auto a = folder.begin(), b = other.begin(); a != folder.end() && b != other.end() && *a == *b;
         ++a, ++b)
      common /= *a;
    folder = std::move(common);
  }
  return folder;
}

}  // namespace

std::vector<CorpusFile> list_corpus_files(const std::vector<std::string>& patterns,
                                          const std::string& output_format) {
  Places places;
  for (const auto& pattern : patterns) {
    auto paths = expand(pattern);
    if (paths.empty()) throw CommandError("no file matches '" + pattern + "'; check the path of --input");
    for (auto& path : paths) {
      std::error_code failed;
      if (fs::is_directory(path, failed))
        throw CommandError(path.string() + " is a folder; name files in it: --input '" +
                           (path / "*.jsonl").string() + "'");
      const auto size = fs::file_size(path, failed);
      if (failed) throw CommandError("cannot read " + path.string() + ": " + failed.message());
      auto place = fs::absolute(path).lexically_normal();
      places.emplace(std::move(place), CorpusFile{.path = std::move(path), .result = {}, .size = size});
    }
  }
  const auto folder = common_folder(places);
  std::map<fs::path, fs::path> results;
  std::vector<CorpusFile> files;
  for (auto& [place, file] : places) {
    look_at_name(file, output_format);
    file.result = place.lexically_relative(folder).parent_path() / file.result;
    const auto [other, is_new] = results.emplace(file.result, file.path);
    if (!is_new)
      throw CommandError(other->second.string() + " and " + file.path.string() +
                         " would have the same result, " + file.result.string() +
                         "; read them in two runs with different --out");
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace unroll
