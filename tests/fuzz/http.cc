// Any bytes on an HTTP connection: the answer is nothing, or whole responses.
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "daemon/http_session.h"
#include "tests/fuzz/daemon_peer.h"

using namespace unroll;
namespace http = boost::beast::http;

namespace {

/// Removes one response from the front and returns its status.
unsigned take_response(std::string_view& rest) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(boost::none);
  boost::system::error_code error;
  const auto used = parser.put(boost::asio::buffer(rest), error);
  fuzz::require(!error || error == http::error::need_more, "what comes back is HTTP");
  rest.remove_prefix(used);
  if (!parser.is_done()) parser.put_eof(error);
  fuzz::require(parser.is_done() && !error, "a response is whole");
  return parser.get().result_int();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = std::size_t{1} + input.byte() * 16;
  const std::string answers = fuzz::answers_to<HttpSession>(input.rest(), piece);
  for (std::string_view rest = answers; !rest.empty();) take_response(rest);
  return 0;
}
