// Which files a corpus's patterns name, and what their results are called.
#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <glob.h>

#include "client/batch/corpus.h"
#include "client/cli/command_error.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kReadable =
    "unroll batch --input reads JSON Lines (.jsonl, .ndjson) and WARC files (.warc, .wet), plain or as .gz, "
    ".xz or .zst, and Parquet files (.parquet)";

std::vector<fs::path> expand(const std::string& pattern) {
  glob_t found{};
  const int failed = ::glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &found);
  std::vector<fs::path> files;
  for (std::size_t i = 0; failed == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  if (files.empty()) throw CommandError("no file matches '" + pattern + "'; check the path of --input");
  return files;
}

/// Sets the format and the name of the result: "a.jsonl.gz" -> "a.jsonl".
void look_at_name(CorpusFile& file, const std::string& output_format) {
  constexpr std::array<std::string_view, 3> kCompressed = {".gz", ".xz", ".zst"};
  static const std::map<std::string, CorpusFormat> kFormats = {{".jsonl", CorpusFormat::kJsonLines},
                                                               {".ndjson", CorpusFormat::kJsonLines},
                                                               {".parquet", CorpusFormat::kParquet},
                                                               {".warc", CorpusFormat::kWarc},
                                                               {".wet", CorpusFormat::kWarc}};
  auto name = file.path.filename();
  if (std::ranges::count(kCompressed, name.extension().string()) > 0) name = name.stem();
  const auto format = kFormats.find(name.extension().string());
  const bool is_known =
      format != kFormats.end() && (format->second != CorpusFormat::kParquet || name == file.path.filename());
  if (!is_known) throw CommandError(file.path.string() + " has an unknown type; " + std::string(kReadable));
  file.format = format->second;
  file.result = name.replace_extension("." + output_format);
}

fs::path common_folder(const std::vector<CorpusFile>& files) {
  auto folder = fs::absolute(files.front().path).lexically_normal().parent_path();
  for (const auto& file : files) {
    const auto other = fs::absolute(file.path).lexically_normal().parent_path();
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
  std::vector<CorpusFile> files;
  for (const auto& pattern : patterns) {
    for (auto& path : expand(pattern)) {
      std::error_code failed;
      if (fs::is_directory(path, failed))
        throw CommandError(path.string() + " is a folder; name files in it: --input '" +
                           (path / "*.jsonl").string() + "'");
      const auto size = fs::file_size(path, failed);
      if (failed) throw CommandError("cannot read " + path.string() + ": " + failed.message());
      files.push_back({.path = std::move(path), .result = {}, .size = size});
    }
  }
  std::ranges::sort(files, {}, &CorpusFile::path);
  const auto same = [](const auto& a, const auto& b) { return a.path == b.path; };
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  const auto folder = common_folder(files);
  std::map<fs::path, fs::path> results;
  for (auto& file : files) {
    const auto below = fs::absolute(file.path).lexically_normal().lexically_relative(folder);
    look_at_name(file, output_format);
    file.result = below.parent_path() / file.result;
    const auto [other, is_new] = results.emplace(file.result, file.path);
    if (!is_new)
      throw CommandError(other->second.string() + " and " + file.path.string() +
                         " would have the same result, " + file.result.string() +
                         "; read them in two runs with different --out");
  }
  return files;
}

}  // namespace unroll
