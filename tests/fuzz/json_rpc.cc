// Any bytes on a JSON-RPC connection: each line that is returned is of the protocol, and the connection ends.
#include "daemon/rpc_session.h"
#include "tests/fuzz/daemon_peer.h"

using namespace unroll;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t piece = std::size_t{1} + input.byte() * 16;
  const std::string answers = fuzz::answers_to<RpcSession>(input.rest(), piece);
  fuzz::require(answers.empty() || answers.back() == '\n', "the last line is whole");
  for (std::string_view rest = answers; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    parse_message(line);  // throws if it is not of the protocol
  }
  return 0;
}
