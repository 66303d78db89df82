#include "daemon/http_tokens.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nettle/memops.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/unique_fd.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFileBytes = std::size_t{1} << 20;
constexpr std::size_t kMostNameBytes = 64;
constexpr std::size_t kFewestTokenBytes = 16, kMostTokenBytes = 512;
constexpr std::string_view kNameCharacters = "._@-";
constexpr std::string_view kTokenCharacters = "-._~+/=";
constexpr std::string_view kScheme = "bearer ";
constexpr std::string_view kSpace = " \t\r";

[[noreturn]] void refuse(const fs::path& file, const std::string& what) {
  throw Error(ErrorCode::kInvalidParams, "http.tokens '" + file.string() + "': " + what);
}

bool consists_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(
      text, [&](char c) { return ascii::is_alnum(c) || others.find(c) != std::string_view::npos; });
}

HttpTokens::Digest digest_of(std::string_view text) {
  Sha256 sha256;
  sha256.add(text);
  HttpTokens::Digest digest{};
  std::ranges::copy(sha256.digest(), digest.begin());
  return digest;
}

bool same(const HttpTokens::Digest& a, const HttpTokens::Digest& b) {
  return ::nettle_memeql_sec(a.data(), b.data(), a.size()) != 0;
}

std::uint32_t owner_of(std::string_view name) {
  const auto digest = digest_of(name);
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(digest.at(i));
  return std::min(value | kFirstTokenOwner, kUnknownOwner - 1);
}

std::string read_private(const fs::path& file) {
  const UniqueFd descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!descriptor || ::fstat(descriptor.get(), &info) != 0)
    refuse(file, "cannot be read: " + std::generic_category().message(errno));
  if (!S_ISREG(info.st_mode)) refuse(file, "is not a regular file");
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    refuse(file,
           "belongs to user " + std::to_string(info.st_uid) + "; give it to the daemon's user, or root");
  if ((info.st_mode & 077U) != 0) refuse(file, "others may open it; run 'chmod 600' on it");
  std::string text(kMostFileBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(descriptor.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(file, "cannot be read: " + std::generic_category().message(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMostFileBytes) refuse(file, "has more than 1 MiB");
  text.resize(size);
  return text;
}

/// Takes the first word of `text`.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const auto word = text.substr(0, text.find_first_of(kSpace));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

std::shared_ptr<const HttpTokens> HttpTokens::load(const fs::path& file) {
  const auto text = read_private(file);
  auto tokens = std::make_shared<HttpTokens>();
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++number;
    const auto name = take_word(line), token = take_word(line);
    if (name.empty() || name.starts_with('#')) continue;
    const auto refuse_line = [&](const std::string& what) {
      refuse(file, "line " + std::to_string(number) + ": " + what);
    };
    if (token.empty() || !take_word(line).empty()) refuse_line("write NAME TOKEN, with a space between");
    if (name.size() > kMostNameBytes || !consists_of(name, kNameCharacters))
      refuse_line("a name has at most 64 letters, digits and . _ @ -");
    if (token.size() < kFewestTokenBytes || token.size() > kMostTokenBytes ||
        !consists_of(token, kTokenCharacters)) {
      refuse_line(
          "a token has 16 to 512 letters, digits and - . _ ~ + / =; make one with 'openssl rand -hex 32'");
    }
    try {
      tokens->add(std::string(name), token);
    } catch (const Error& error) {
      refuse_line(error.what());
    }
  }
  if (tokens->entries_.empty()) refuse(file, "has no token; write a line NAME TOKEN");
  return tokens;
}

void HttpTokens::add(std::string name, std::string_view token) {
  const Grant grant{owner_of(name), digest_of(token)};
  bool is_new = true;
  for (const auto& entry : entries_) {
    if (same(entry.grant.digest, grant.digest))
      throw Error(ErrorCode::kInvalidParams, "the token was given before, to " + entry.name);
    if (entry.grant.owner != grant.owner) continue;
    if (entry.name != name)
      throw Error(ErrorCode::kInvalidParams, "'" + name + "' and '" + entry.name +
                                                 "' would be the same user by chance; choose another name");
    is_new = false;
  }
  if (is_new) spdlog::info("http.tokens: {} is user {}", name, grant.owner);
  entries_.push_back({std::move(name), grant});
}

std::optional<HttpTokens::Grant> HttpTokens::find(std::string_view authorization) const {
  if (ascii::lower(authorization.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  authorization.remove_prefix(kScheme.size());
  const auto token = take_word(authorization);
  const auto digest = digest_of(token);
  std::optional<Grant> found;
  for (const auto& entry : entries_) {
    if (same(entry.grant.digest, digest)) found = entry.grant;
  }
  return found;
}

bool HttpTokens::has(const Grant& grant) const {
  return std::ranges::any_of(entries_,
                             [&](const Entry& entry) { return same(entry.grant.digest, grant.digest); });
}

}  // namespace unroll
