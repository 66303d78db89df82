// Zip archives for tests, made by libarchive.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

namespace unroll::test {

/// The archive of these members, in this order.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string bytes(std::size_t{1} << 20, '\0');
  std::size_t used = 0;
  for (const auto& [name, content] : members)
    bytes.resize(bytes.size() + 2 * (name.size() + content.size()) + 4096);
  archive* writer = ::archive_write_new();
  ::archive_write_set_format_zip(writer);
  ::archive_write_open_memory(writer, bytes.data(), bytes.size(), &used);
  for (const auto& [name, content] : members) {
    archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, name.c_str());
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, 0644);
    ::archive_write_header(writer, entry);
    ::archive_write_data(writer, content.data(), content.size());
    ::archive_entry_free(entry);
  }
  ::archive_write_close(writer);
  ::archive_write_free(writer);
  bytes.resize(used);
  return bytes;
}

}  // namespace unroll::test
