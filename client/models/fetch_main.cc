// `unroll-fetch NAME`: implements `unroll model fetch` in a separate program, so that no other command loads
// libcurl and libarchive.
#include <iostream>
#include <string>

#include "client/cli/command_error.h"
#include "client/cli/progress.h"
#include "client/cli/text.h"
#include "client/models/fetch.h"
#include "config/model_folders.h"

namespace unroll {
namespace {

void fetch(const std::string& name) {
  const auto* model = find_known_model(name);
  if (!model)
    throw CommandError("there is no model '" + name + "' to fetch; there are: " + known_model_names());
  const auto models = user_models_folder();
  if (models.empty()) throw CommandError("neither XDG_DATA_HOME nor HOME is set; set one: models go there");
  Progress progress(name);
  const auto folder =
      fetch_model(*model, models, read_pip_config(),
                  [&](std::uint64_t bytes, std::uint64_t total) { progress.transferred(bytes, total); });
  progress.hide();
  std::cout << name << " is in " << folder.string() << "; read with it by --model " << name << std::endl;
}

}  // namespace
}  // namespace unroll

int main(int argc, char** argv) {
  try {
    unroll::fetch(argc > 1 ? argv[1] : "");
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "unroll: " << unroll::one_line(error.what()) << '\n';
    return unroll::kExitFailed;
  }
}
