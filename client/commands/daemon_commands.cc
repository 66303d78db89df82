// documents, cancel, attach, status, reload: commands that need a daemon.
#include <iostream>
#include <memory>

#include "client/cli/command_error.h"
#include "client/cli/command_line.h"
#include "client/cli/text.h"
#include "client/reading/connection.h"
#include "client/reading/document_events.h"
#include "client/views/output_lines.h"

namespace unroll {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct DaemonOptions {
  SharedOptions shared;
  std::vector<std::string> documents;
  std::string document;
  std::uint64_t from = 0;
};

/// {"a":{"b":1}} as "a.b  1", for people.
void write_table(ResultWriter& writer, const json& value, const std::string& name) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items())
      write_table(writer, inner, name.empty() ? key : name + '.' + key);
  } else if (value.is_array()) {
    for (const json& inner : value) {
      const bool named = inner.is_object() && inner.contains("name") && inner["name"].is_string();
      writer.write(left(name, 28) + "  " +
                   one_line(named ? inner["name"].get<std::string>() : to_line(inner)) + "\n");
    }
  } else {
    writer.write(left(name, 28) + "  " +
                 one_line(value.is_string() ? value.get<std::string>() : to_line(value)) + "\n");
  }
}

int status(const DaemonOptions& options) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  const json info = daemon.call(method::kInfo, json::object());
  const json stats = daemon.call(method::kStats, json::object());
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(
        to_line(ordered_json{{"socket", daemon.socket().string()}, {"info", info}, {"stats", stats}}));
    writer.end_line();
  } else {
    writer.write("A daemon listens on " + daemon.socket().string() + ".\n\n");
    write_table(writer, info, "");
    writer.write("\n");
    write_table(writer, stats, "");
  }
  writer.flush();
  return 0;
}

std::string share_of(const DocumentStatus& status) {
  if (!status.total_bytes || *status.total_bytes == 0) return "";
  return fixed(100.0 * static_cast<double>(status.bytes) / static_cast<double>(*status.total_bytes), 0) +
         " %";
}

void write_document(ResultWriter& writer, const DocumentStatus& status) {
  const char* phase = status.phase == DocumentPhase::kDone     ? "done"
                      : status.phase == DocumentPhase::kFailed ? "failed"
                                                               : "open";
  writer.write(left(status.id, 32) + "  " + left(phase, 6) + right(share_of(status), 7) +
               right(readable_bytes(static_cast<double>(status.bytes)), 12) +
               right(with_thousands(status.tokens), 14) + "  " + one_line(status.name));
  if (!status.error.empty()) writer.write(": " + one_line(status.error));
  writer.end_line();
}

int documents(const DaemonOptions& options) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  const json answer = daemon.call(method::kList, json::object());
  const json& list = answer.at("documents");
  ResultWriter writer(options.shared.out);
  if (options.shared.format == "json") {
    writer.write(to_line(answer) + "\n");
  } else if (options.shared.format == "ndjson") {
    for (const json& document : list) writer.write(to_line(document) + "\n");
  } else {
    writer.write(dim(writer.terminal(), left("document", 32) + "  phase " + right("read", 7) +
                                            right("bytes", 12) + right("tokens", 14) + "  name") +
                 "\n");
    for (const json& document : list) write_document(writer, status_from_json(document));
  }
  writer.flush();
  return 0;
}

/// As DaemonConnection::call(); errors name the command that lists documents instead of the method.
void call_for(DaemonConnection& daemon, std::string_view method, const std::string& document, json params) {
  params["document"] = document;
  try {
    daemon.call(method, params);
  } catch (const Error& error) {
    if (error.code != ErrorCode::kDocumentUnknown) throw;
    throw CommandError("the daemon has no document '" + one_line(document) +
                       "' of yours; 'unroll documents' lists them");
  }
}

int for_each(const DaemonOptions& options, std::string_view method, const char* done) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  for (const std::string& document : options.documents) {
    call_for(daemon, method, document, json::object());
    std::cout << done << ' ' << document << '\n';
  }
  return 0;
}

int reload(const DaemonOptions& options) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  const json answer = daemon.call(method::kReload, json::object());
  std::cout << "new documents are read with model "
            << one_line(answer.at("model").at("name").get<std::string>()) << '\n';
  return 0;
}

int attach(const DaemonOptions& options) {
  DaemonConnection daemon = require_daemon(options.shared.socket);
  ResultWriter writer(options.shared.out);
  call_for(daemon, method::kAttach, options.document, {{"from", options.from}});
  ReadEvents events;
  events.output = [&](std::uint64_t, const std::string& plugin, const json& data) {
    write_output_line(writer, "", plugin, data);
  };
  events.progress = [&](const ReadProgress&) { writer.flush(); };
  follow_document(daemon, options.document, options.from, events);
  writer.flush();
  return 0;
}

}  // namespace

void add_daemon_commands(CommandLine& line) {
  auto options = std::make_shared<DaemonOptions>();
  CLI::App* command =
      line.app().add_subcommand("documents", "List the daemon's documents: open, done and failed");
  add_format_flags(*command, options->shared, "text|json|ndjson");
  add_socket_flag(*command, options->shared);
  line.on(command, [options] { return documents(*options); });

  const auto add_for_each = [&](const char* name, const char* help, std::string_view method,
                                const char* done) {
    auto options = std::make_shared<DaemonOptions>();
    CLI::App* command = line.app().add_subcommand(name, help);
    command->add_option("DOCUMENT", options->documents, "Documents, as 'unroll documents' lists them")
        ->required()
        ->type_name("");
    add_socket_flag(*command, options->shared);
    line.on(command, [=] { return for_each(*options, method, done); });
  };
  add_for_each("cancel", "Cancel documents; their outputs so far are kept", method::kCancel, "cancelled");
  add_for_each("delete", "Delete documents that are not being read, with their outputs", method::kDelete,
               "deleted");

  options = std::make_shared<DaemonOptions>();
  command = line.app().add_subcommand(
      "attach", "Print a document's outputs from the first one, then new ones as they come");
  command->add_option("DOCUMENT", options->document, "Document, as 'unroll documents' lists it")
      ->required()
      ->type_name("");
  command->add_option("--from", options->from, "Number of the first output to print, counted from 0")
      ->type_name("N")
      ->capture_default_str();
  add_format_flags(*command, options->shared, "ndjson");
  add_socket_flag(*command, options->shared);
  line.on(command, [options] { return attach(*options); });

  options = std::make_shared<DaemonOptions>();
  command = line.app().add_subcommand("reload",
                                      "Make the daemon load its model and plugins again, for new documents");
  add_socket_flag(*command, options->shared);
  line.on(command, [options] { return reload(*options); });

  options = std::make_shared<DaemonOptions>();
  command = line.app().add_subcommand("status", "Show the daemon's model, plugins, limits and counters");
  add_format_flags(*command, options->shared, "text|json");
  add_socket_flag(*command, options->shared);
  line.on(command, [options] { return status(*options); });

  add_top_command(line);
}

}  // namespace unroll
