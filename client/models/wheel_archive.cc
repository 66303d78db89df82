#include "client/models/wheel_archive.h"

#include <memory>
#include <stdexcept>

#include <archive.h>
#include <archive_entry.h>

#include "base/atomic_file.h"

namespace unroll {
namespace {

constexpr std::size_t kBlock = 1 << 20;

struct Free {
  void operator()(archive* reader) const { ::archive_read_free(reader); }
};

}  // namespace

void extract_member(const std::filesystem::path& file, const std::string& member,
                    const std::filesystem::path& target) {
  const std::unique_ptr<archive, Free> reader(::archive_read_new());
  const auto fail = [&](const std::string& problem) {
    throw std::runtime_error(file.string() + ": cannot be unpacked: " + problem);
  };
  const auto reason = [&] {
    const char* text = ::archive_error_string(reader.get());
    return std::string(text ? text : "damaged");
  };
  ::archive_read_support_format_zip(reader.get());
  if (::archive_read_open_filename(reader.get(), file.c_str(), kBlock) != ARCHIVE_OK) fail(reason());
  for (archive_entry* entry = nullptr;;) {
    const int result = ::archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) fail("it has no " + member);
    if (result != ARCHIVE_OK) fail(reason());
    const char* name = ::archive_entry_pathname(entry);
    if (name && name == member) break;
  }
  AtomicFile out(target);
  std::string buffer(kBlock, '\0');
  for (;;) {
    const auto size = ::archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (size < 0) fail(reason());
    if (size == 0) break;
    out.write(buffer.data(), static_cast<std::size_t>(size));
  }
  out.commit();
}

}  // namespace unroll
