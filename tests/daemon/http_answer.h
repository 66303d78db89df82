// A response of HTTP, parsed to the last byte of its framing.
#pragma once

#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace unroll::test {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> fields;
  std::string body;  ///< Its chunks joined.
};

inline std::string join_chunks(std::string_view text) {
  std::string body;
  for (;;) {
    const auto end = text.find("\r\n");
    if (end == std::string_view::npos || end == 0) throw std::runtime_error("no size of a chunk");
    const auto size = std::stoul(std::string(text.substr(0, end)), nullptr, 16);
    text.remove_prefix(end + 2);
    if (text.size() < size + 2 || text.substr(size, 2) != "\r\n") throw std::runtime_error("a chunk is cut");
    body += text.substr(0, size);
    text.remove_prefix(size + 2);
    if (size > 0) continue;
    if (!text.empty()) throw std::runtime_error("bytes after the last chunk");
    return body;
  }
}

inline HttpAnswer parse_answer(std::string text) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (text.starts_with(kContinue)) text.erase(0, kContinue.size());
  const auto head_end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.") || head_end == std::string::npos) {
    throw std::runtime_error("no answer: " + text.substr(0, 200));
  }
  HttpAnswer answer;
  answer.status = std::stoi(text.substr(9, 3));
  std::istringstream head(text.substr(0, head_end + 2));
  std::string line;
  for (std::getline(head, line); std::getline(head, line);) {
    const auto colon = line.find(": ");
    if (colon == std::string::npos || line.back() != '\r') throw std::runtime_error("no field: " + line);
    answer.fields[line.substr(0, colon)] = line.substr(colon + 2, line.size() - colon - 3);
  }
  answer.body = text.substr(head_end + 4);
  if (answer.fields.contains("Transfer-Encoding")) answer.body = join_chunks(answer.body);
  if (answer.fields.contains("Content-Length") &&
      std::to_string(answer.body.size()) != answer.fields["Content-Length"]) {
    throw std::runtime_error("not as long as it says");
  }
  return answer;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace unroll::test
