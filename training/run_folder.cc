#include "training/run_folder.h"

#include <fstream>
#include <stdexcept>

namespace unroll {
namespace fs = std::filesystem;

RunFolder::RunFolder(const fs::path& out, bool leads) : out_(out), leads_(leads) {
  if (!leads) return;
  fs::create_directories(trainer());
  const auto file = trainer() / "lock";
  if (!std::ofstream(file, std::ios::app)) throw std::runtime_error("cannot write " + file.string());
  lock_ = boost::interprocess::file_lock(file.c_str());
  if (!lock_.try_lock()) {
    throw std::runtime_error("another unroll train is running in " + out.string() +
                             "; wait for it, or give another folder with --out");
  }
  remove_half_written();
}

void RunFolder::remove_half_written() const {
  for (const auto& folder : {out_, trainer()}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const auto name = entry.path().filename().string();
      const bool ours =
          folder != out_ || name.starts_with(".model.safetensors.") || name.starts_with(".config.json.");
      if (ours && name.starts_with('.') && name.ends_with(".tmp")) fs::remove(entry.path());
    }
  }
}

TokenFile RunFolder::open_tokens(const fs::path& source, const fs::path& vocabulary, const std::string& name,
                                 const TrainCallbacks& callbacks) const {
  if (is_token_file(source)) return TokenFile(source, vocabulary);
  const auto file = trainer() / name;
  if (!leads_) return TokenFile(file, vocabulary);
  if (resumes() && is_token_file(file)) {
    TokenFile tokens(file, vocabulary);
    if (tokens.source() == fs::absolute(source).lexically_normal()) return tokens;
  }
  const auto done = prepare_tokens(source, vocabulary, file, callbacks.preparing);
  if (done.skipped > 0 && callbacks.note) {
    callbacks.note("skipped " + std::to_string(done.skipped) + " compressed files below " + source.string() +
                   "; decompress them to train on them");
  }
  return TokenFile(file, vocabulary);
}

}  // namespace unroll
