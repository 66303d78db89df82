#include "client/documents/open_document.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iostream>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/program_prefix.h"
#include "client/cli/command_error.h"
#include "client/cli/text.h"
#include "client/documents/gutenberg.h"
#include "client/documents/kind.h"
#include "client/documents/limits.h"
#include "client/documents/text_look.h"
#include "client/sources/decompress_pump.h"

namespace unroll {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw CommandError(system_message("cannot make a pipe", errno));
    read = UniqueFd(ends[0]);
    write = UniqueFd(ends[1]);
  }
  UniqueFd read, write;
};

/// unroll-extract, killed at the end.
class Extractor {
 public:
  Extractor(const Source& source, const DocumentOptions& options) : name_(source.name()) {
    const std::string program = (program_prefix() / "libexec/unroll/unroll-extract").string();
    std::vector<std::string> words = {program,
                                      "--name",
                                      source.name(),
                                      "--begin",
                                      std::to_string(source.base()),
                                      "--keep-layout",
                                      options.keep_layout ? "1" : "0",
                                      "--unwrap",
                                      options.unwrap ? "1" : "0",
                                      "--encoding",
                                      options.encoding};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, source.descriptor(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output_.write.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, errors_.write.get(), STDERR_FILENO);
    const int failed =
        ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
      throw CommandError(system_message("cannot run " + program, failed) + "; reinstall unroll");
    output_.write.reset();
    errors_.write.reset();
  }
  ~Extractor() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Extractor(const Extractor&) = delete;
  Extractor& operator=(const Extractor&) = delete;

  DocumentText result() {
    std::string text, errors;
    receive(text, errors);
    int status = 0;
    ::waitpid(process_, &status, 0);
    process_ = -1;
    if (WIFSIGNALED(status)) throw CommandError(name_ + " " + death(WTERMSIG(status)));
    if (status != 0) throw CommandError(name_ + " " + (errors.empty() ? "cannot be read" : one_line(errors)));
    try {
      return decode_document_text(text);
    } catch (const std::runtime_error& error) {
      throw CommandError(name_ + " cannot be read: " + error.what());
    }
  }

 private:
  static std::string death(int signal) {
    if (signal == SIGXCPU || signal == SIGKILL)
      return "takes more than " + std::to_string(kMostSeconds) +
             " s of processor time to read, which is the limit; it is damaged or made to do that, or split "
             "it";
    return "crashed its reader (signal " + std::to_string(signal) + "); it is damaged, or report it as a bug";
  }

  void receive(std::string& text, std::string& errors) {
    constexpr std::size_t kMostErrorBytes = 4096;
    const auto deadline = Clock::now() + std::chrono::seconds(kMostWaitingSeconds);
    std::array<pollfd, 2> waited = {pollfd{output_.read.get(), POLLIN, 0},
                                    pollfd{errors_.read.get(), POLLIN, 0}};
    std::string buffer(std::size_t{64} << 10, '\0');
    while (waited[0].fd >= 0 || waited[1].fd >= 0) {
      if (Clock::now() > deadline)
        throw CommandError(name_ + " takes more than " + std::to_string(kMostWaitingSeconds) +
                           " s to read; split it");
      if (::poll(waited.data(), waited.size(), 1000) < 0 && errno != EINTR)
        throw CommandError(system_message("cannot wait for the reader of " + name_, errno));
      for (pollfd& end : waited) {
        if (end.fd < 0 || end.revents == 0) continue;
        const ssize_t got = ::read(end.fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
          end.fd = -1;
          continue;
        }
        std::string& into = &end == waited.data() ? text : errors;
        into.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.size() > kMostResultBytes || errors.size() > kMostErrorBytes)
          throw CommandError(name_ + " holds more text than its reader may return; split it");
      }
    }
  }

  std::string name_;
  Pipe output_, errors_;
  pid_t process_ = -1;
};

/// The first bytes; nullopt if looking at them would take them away from the document.
std::optional<std::string> first_bytes(const std::string& argument, const Source& source) {
  if (source.is_file()) return source.text(0, kLookedAtBytes);
  if (source.is_compressed()) {
    Source probe = Source::open(argument);
    std::string bytes;
    while (bytes.size() < kLookedAtBytes) {
      const std::string more = probe.read(kLookedAtBytes - bytes.size());
      if (more.empty()) break;
      bytes += more;
    }
    return bytes;
  }
  if (!source.can_be_handed_over()) return std::nullopt;  // a terminal, a socket
  Pipe copy;
  ssize_t got = 0;
  do {
    got = ::tee(source.descriptor(), copy.write.get(), std::size_t{64} << 10, 0);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return std::nullopt;
  std::string bytes(static_cast<std::size_t>(got), '\0');
  got = ::read(copy.read.get(), bytes.data(), bytes.size());
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

/// Whether plain text must be converted. A pipe may be a log that never ends: its lines stay as they are.
bool converts_text(const Source& source, std::string_view begin, const DocumentOptions& options) {
  if (!options.encoding.empty() || options.unwrap) return true;
  if (options.continues) return false;
  const TextLook look = look_at_text(begin);
  if (!look.noise.empty())
    throw CommandError(
        source.name() + " is " + look.noise +
        ", not text; convert it to text first, name its encoding with --encoding, or give --raw");
  if (!look.unicode.empty() || !look.utf8) return true;
  const bool ends = source.is_file() || source.is_compressed();
  return ends && !options.keep_layout &&
         (look.line_ends == LineEnds::kCr || (look.line_ends == LineEnds::kCrLf && look.paragraphs) ||
          has_gutenberg_marks(begin) || wrapped_width(begin));
}

bool converts(const Source& source, std::string_view begin, const DocumentOptions& options) {
  if (begin.empty()) return false;
  const DocumentLook look = look_at_kind(begin, source.name());
  switch (look.kind) {
    case DocumentKind::kRefused:
      throw CommandError(source.name() + " is " + look.what + "; " + look.advice);
    case DocumentKind::kText:
      return converts_text(source, begin, options);
    default:
      return true;
  }
}

void print_notes(const std::string& name, const DocumentText& document) {
  if (document.notes.empty()) return;
  std::string line;
  for (const std::string& note : document.notes) line += (line.empty() ? "" : "; ") + note;
  std::cerr << "unroll: " << one_line(name + ": " + line) << '\n';
}

}  // namespace

void add_document_flags(CLI::App& command, DocumentOptions& options) {
  auto* keep = command.add_flag("--keep-layout", options.keep_layout,
                                "Keep line ends, hyphens, page numbers and boilerplate");
  auto* unwrap =
      command.add_flag("--unwrap", options.unwrap, "Join the lines of each paragraph of a plain text")
          ->excludes(keep);
  auto* encoding =
      command.add_option("--encoding", options.encoding, "The text's encoding, instead of a guess")
          ->type_name("NAME");
  command.add_flag("--raw", options.raw, "Read the file's bytes as they are, whatever it is")
      ->excludes(keep)
      ->excludes(unwrap)
      ->excludes(encoding);
}

DocumentText convert_document(const Source& source, const DocumentOptions& options) {
  return Extractor(source, options).result();
}

OpenedDocument open_document(const std::string& argument, const DocumentOptions& options) {
  OpenedDocument opened{Source::open(argument), {}, "", nullptr};
  if (options.raw) return opened;
  auto begin = first_bytes(argument, opened.source);
  if (!begin) return opened;
  if (!opened.source.is_file() && !opened.source.is_compressed() && compression_of(*begin)) {
    opened.source.keep_text(kMostSourceBytes);
    opened.source.decompress();
    opened.source.keep_text(kMostSourceBytes);
    begin = opened.source.text(0, kLookedAtBytes);
  }
  if (opened.source.total_bytes().value_or(0) > kMostTextBytes &&
      look_at_kind(*begin, argument).kind == DocumentKind::kText)
    return opened;
  if (!converts(opened.source, *begin, options)) return opened;
  opened.source.keep_text(kMostSourceBytes);
  DocumentText document = convert_document(opened.source, options);
  print_notes(opened.source.name(), document);
  if (document.text.empty())
    throw CommandError(opened.source.name() + " is " + document.format + " without text; name another file");
  Source text = Source::of_text(opened.source.name(), document.text);
  if (document.map.members.size() == 1 && document.map.members.front().empty())
    opened.lines = std::make_unique<SourceLines>(
        std::move(opened.source), look_at_text(*begin).line_ends == LineEnds::kCr ? '\r' : '\n');
  opened.source = std::move(text);
  opened.map = std::move(document.map);
  opened.format = std::move(document.format);
  return opened;
}

void add_language_flag(CLI::App& command, std::string& language) {
  command.add_option("--language", language, "The text's language, for ends of sentences; else detected")
      ->type_name("CODE")
      ->check(CLI::Validator(
          [](const std::string& code) {
            const bool letters = std::ranges::all_of(code, [](char c) { return c >= 'a' && c <= 'z'; });
            return letters && (code.size() == 2 || code.size() == 3)
                       ? std::string()
                       : "'" + code + "' is no code of ISO 639 in lower case, such as de or th";
          },
          ""));
}

json with_places(const json& output, const OpenedDocument& document) {
  const TextMap& map = document.map;
  json result = output;
  if (map.empty() || !output.is_object()) return result;
  for (auto& [key, value] : result.items()) {
    if (!value.is_array() || value.empty() || !value.front().is_object()) continue;
    for (json& each : value) each = with_places(each, document);
  }
  const auto start = result.find("start"), end = result.find("end");
  if (start == result.end() || end == result.end() || !start->is_number_unsigned() ||
      !end->is_number_unsigned())
    return result;
  const auto from = start->get<std::uint64_t>(), to = end->get<std::uint64_t>();
  if (const Section* section = map.section_at(from)) result["section"] = section->title;
  if (const auto place = map.place_of(from, to)) {
    if (!place->member.empty()) result["member"] = place->member;
    if (place->start) result["source_start"] = *place->start;
    if (place->start && document.lines && result.contains("line"))
      result["line"] = document.lines->line_at(*place->start);
    if (place->end) result["source_end"] = *place->end;
  }
  return result;
}

}  // namespace unroll
