// Limits of reading a document that is not trusted. Those of archives are in formats/archive.cc.
#pragma once

#include <cstdint>

namespace unroll {

inline constexpr std::uint64_t kMostMemoryBytes = std::uint64_t{1536} << 20;
inline constexpr std::uint64_t kMostSeconds = 120;                           ///< Of the processor.
inline constexpr int kMostWaitingSeconds = 900;                              ///< Of the clock.
inline constexpr std::uint64_t kMostSourceBytes = std::uint64_t{1} << 30;    ///< After decompression.
inline constexpr std::uint64_t kMostLayoutBytes = std::uint64_t{512} << 20;  ///< What pdftotext prints.
inline constexpr std::uint64_t kMostResultBytes = std::uint64_t{1} << 30;

}  // namespace unroll
