#include "client/commands/eval_figures.h"

#include "client/cli/text.h"

namespace unroll {

nlohmann::ordered_json figures_of(const EvalResult& result) {
  return {{"bits_per_byte", result.bits_per_byte},
          {"tokens", result.tokens},
          {"bytes", result.bytes},
          {"nats", result.nats},
          {"tokens_per_second", result.tokens_per_second}};
}

std::string describe(const EvalResult& result) {
  return with_thousands(result.bytes) + " bytes, " + with_thousands(result.tokens) +
         " tokens: " + fixed(result.bits_per_byte, 4) + " bits per byte, " +
         fixed(result.tokens_per_second, 0) + " tokens/s";
}

}  // namespace unroll
