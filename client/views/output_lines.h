// Plugins' outputs unchanged, one object per line.
#pragma once

#include <string>

#include "client/views/view.h"

namespace unroll {

/// {"file":...,"plugin":...,"data":...}; without "file" if it is empty.
inline void write_output_line(ResultWriter& writer, const std::string& file, const std::string& plugin,
                              const nlohmann::json& data) {
  nlohmann::ordered_json line;
  if (!file.empty()) line["file"] = file;
  line["plugin"] = plugin;
  line["data"] = data;
  writer.write(to_line(line));
  writer.end_line();
}

}  // namespace unroll
