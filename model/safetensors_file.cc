#include "model/safetensors_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "base/strict_json.h"
#include "model/safetensors_types.h"

namespace unroll {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so is this code");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as the official library
constexpr std::size_t kMaxDimensions = 16;
constexpr std::size_t kAlignment = 8;  // of the data's start in files that we write
constexpr std::string_view kMetadata = "__metadata__";
constexpr const char* kDamaged = "; the file is damaged or not safetensors: fetch or export it again";

/// One entry of the header, checked by itself; offsets count from the start of the data.
struct Entry {
  std::string name;
  const SafetensorsType* dtype = nullptr;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes
};

[[noreturn]] void fail(const std::string& name, const std::string& problem) {
  throw std::runtime_error("tensor " + shown(name) + " " + problem + kDamaged);
}

const nlohmann::json& member(const std::string& name, const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) fail(name, std::string("has no \"") + key + "\"");
  return *found;
}

std::uint64_t natural(const std::string& name, const char* key, const nlohmann::json& json) {
  if (!json.is_number_unsigned() || json.get<std::uint64_t>() > INT64_MAX)
    fail(name,
         "has " + shown(json) + " in \"" + key + "\"; only whole numbers from 0 to 2^63 - 1 are allowed");
  return json.get<std::uint64_t>();
}

/// Dimensions of 0 count as 1, so that strides cannot overflow either.
bool fits(const std::vector<std::int64_t>& shape, std::uint64_t size) {
  std::int64_t product = static_cast<std::int64_t>(size);
  for (const auto dimension : shape) {
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(dimension, 1), &product)) return false;
  }
  return true;
}

Entry parse_entry(const std::string& name, const nlohmann::json& json) {
  if (!json.is_object()) fail(name, "is not described by a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      fail(name, "has the unknown property " + shown(key));
  }
  Entry entry;
  entry.name = name;

  const auto& dtype = member(name, json, "dtype");
  const auto known =
      std::ranges::find_if(kSafetensorsTypes, [&](const auto& each) { return dtype == each.name; });
  if (known == kSafetensorsTypes.end())
    fail(name, "has the type " + shown(dtype) +
                   ", which is none of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
  entry.dtype = &*known;

  const auto& shape = member(name, json, "shape");
  if (!shape.is_array() || shape.size() > kMaxDimensions)
    fail(name, "has a \"shape\" that is not a list of at most 16 sizes");
  std::uint64_t bytes = entry.dtype->bytes;
  for (const auto& dimension : shape)
    entry.shape.push_back(static_cast<std::int64_t>(natural(name, "shape", dimension)));
  if (!fits(entry.shape, entry.dtype->bytes)) fail(name, "has a shape whose size overflows: " + shown(shape));
  for (const auto dimension : entry.shape) bytes *= static_cast<std::uint64_t>(dimension);

  const auto& offsets = member(name, json, "data_offsets");
  if (!offsets.is_array() || offsets.size() != 2) fail(name, "has \"data_offsets\" that are not two numbers");
  entry.begin = natural(name, "data_offsets", offsets[0]);
  entry.end = natural(name, "data_offsets", offsets[1]);
  if (entry.begin > entry.end) fail(name, "ends before it begins: " + shown(offsets));
  if (entry.end - entry.begin != bytes)
    fail(name, "of shape " + shown(shape) + " and type " + shown(dtype) + " takes " + std::to_string(bytes) +
                   " bytes, its \"data_offsets\" " + shown(offsets) + " give " +
                   std::to_string(entry.end - entry.begin));
  return entry;
}

/// The data must be covered exactly, so that no byte of it is read twice or hides something else.
void check_coverage(std::vector<Entry>& entries, std::uint64_t data_size) {
  std::ranges::sort(entries, [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t position = 0;
  for (const auto& entry : entries) {
    if (entry.end > data_size)
      fail(entry.name, "ends at byte " + std::to_string(entry.end) + " of data that has " +
                           std::to_string(data_size) + " (a cut file?)");
    if (entry.begin < position) fail(entry.name, "overlaps the tensor before it");
    if (entry.begin > position)
      fail(entry.name, "leaves a hole of " + std::to_string(entry.begin - position) + " bytes before it");
    position = entry.end;
  }
  if (position != data_size)
    throw std::runtime_error("has " + std::to_string(data_size - position) + " bytes after its last tensor" +
                             kDamaged);
}

std::string_view find_header(const MappedFile& map) {
  if (map.size() < kLengthBytes)
    throw std::runtime_error("has " + std::to_string(map.size()) + " bytes, too few for a header" + kDamaged);
  std::uint64_t length = 0;
  std::memcpy(&length, map.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    throw std::runtime_error("says that its header has " + std::to_string(length) + " bytes, more than the " +
                             std::to_string(kMaxHeaderBytes) + " allowed" + kDamaged);
  if (length > map.size() - kLengthBytes)
    throw std::runtime_error("says that its header has " + std::to_string(length) + " bytes, but has only " +
                             std::to_string(map.size() - kLengthBytes) + " after the length" + kDamaged);
  return {map.data() + kLengthBytes, length};
}

nlohmann::json parse_header(std::string_view header) {
  try {
    auto json = parse_strict_json(header, {.depth = 3, .values_in_array = kMaxDimensions + 1});
    if (!json.is_object() || header.front() != '{') throw std::runtime_error("not a JSON object");
    return json;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(std::string("the header: ") + error.what() + kDamaged);
  }
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& json) {
  if (!json.is_object())
    throw std::runtime_error(std::string("__metadata__ is not a JSON object") + kDamaged);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string())
      throw std::runtime_error("__metadata__ holds " + shown(key) + ", which is not a string" + kDamaged);
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Bytes that no bool has would be undefined behaviour.
void check_bools(const Entry& entry, const char* data) {
  if (entry.dtype->name == "BOOL" &&
      std::any_of(data, data + (entry.end - entry.begin), [](char byte) { return byte != 0 && byte != 1; })) {
    fail(entry.name, "of type BOOL holds bytes other than 0 and 1");
  }
}

SafetensorsFile read(const std::shared_ptr<MappedFile>& map) {
  const auto header = find_header(*map);
  const auto json = parse_header(header);
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadata) {
      file.metadata = parse_metadata(value);
    } else {
      entries.push_back(parse_entry(name, value));
    }
  }
  const auto data_start = kLengthBytes + header.size();
  check_coverage(entries, map->size() - data_start);
  for (auto& entry : entries) {
    const char* data = map->data() + data_start + entry.begin;
    check_bools(entry, data);
    file.tensors.push_back({std::move(entry.name), entry.dtype->name, std::move(entry.shape), data,
                            static_cast<std::size_t>(entry.end - entry.begin)});
  }
  file.map = map;
  return file;
}

void lay_out(std::vector<StoredTensor>& tensors) {
  for (const auto& tensor : tensors) {
    if (tensor.name == kMetadata) throw std::runtime_error("a tensor cannot be named __metadata__");
  }
  std::ranges::stable_sort(tensors, {}, [](const StoredTensor& tensor) {
    return std::ranges::find(kSafetensorsTypes, tensor.dtype, &SafetensorsType::name);
  });
}

std::string make_header(const std::vector<StoredTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  if (!metadata.empty()) json[kMetadata] = metadata;
  std::uint64_t position = 0;
  for (const auto& tensor : tensors) {
    const auto end = position + tensor.size;
    json[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {position, end}}};
    position = end;
  }
  auto header = json.dump();
  header.append((kAlignment - header.size() % kAlignment) % kAlignment, ' ');
  if (header.size() > kMaxHeaderBytes) throw std::runtime_error("too many tensors for one file");
  return header;
}

}  // namespace

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &StoredTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

SafetensorsFile map_safetensors(const std::filesystem::path& file) {
  const auto map = std::make_shared<MappedFile>(file);
  try {
    return read(map);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(file.string() + ": " + error.what());
  }
}

void write_stored_tensors(const std::filesystem::path& file, std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata) {
  std::string header;
  try {
    lay_out(tensors);
    header = make_header(tensors, metadata);
  } catch (const std::exception& error) {
    throw std::runtime_error(file.string() + ": cannot be written: " + error.what());
  }
  AtomicFile out(file);
  const std::uint64_t length = header.size();
  out.write(&length, sizeof length);
  out.write(header);
  for (const auto& tensor : tensors) out.write(tensor.data, tensor.size);
  out.commit();
}

}  // namespace unroll
