// Finds a file on a Python package index: the simple API as JSON (PEP 691) or HTML (PEP 503).
#pragma once

#include <string>

#include "client/models/http.h"

namespace unroll {

/// The address of `file` of the project `package` on the index at `index`. Throws std::runtime_error.
std::string find_on_index(Http& http, const std::string& index, const std::string& package,
                          const std::string& file);

/// The same, on a page that was already fetched; empty if it lacks the file.
std::string find_on_page(const HttpPage& page, const std::string& file);

}  // namespace unroll
