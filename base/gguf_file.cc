#include "base/gguf_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "base/mapped_file.h"
#include "base/strict_json.h"

namespace unroll {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so is this code");

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kMaxEntries = 1 << 16;  // of keys, and of tensors; models have hundreds
constexpr std::uint64_t kMaxNameBytes = 65535;  // the specification's limit for keys
constexpr std::uint32_t kMaxDimensions = 4;     // as in ggml
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxAlignment = 1 << 20;
constexpr const char* kAlignmentKey = "general.alignment";
constexpr const char* kDamaged = "; the file is damaged, cut or not GGUF: fetch or export it again";

// Types of metadata values (gguf_metadata_value_type) and the bytes of one.
enum ValueType : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
  kValueTypes
};
constexpr std::array<std::uint64_t, kValueTypes> kValueBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// All types that ggml has numbered, so that errors can name those that cannot be decoded.
constexpr std::array kTypes{
    GgufType{0, "F32", 1, 4},         GgufType{1, "F16", 1, 2},         GgufType{2, "Q4_0", 32, 18},
    GgufType{3, "Q4_1", 32, 20},      GgufType{6, "Q5_0", 32, 22},      GgufType{7, "Q5_1", 32, 24},
    GgufType{8, "Q8_0", 32, 34},      GgufType{9, "Q8_1", 32, 40},      GgufType{10, "Q2_K", 256, 84},
    GgufType{11, "Q3_K", 256, 110},   GgufType{12, "Q4_K", 256, 144},   GgufType{13, "Q5_K", 256, 176},
    GgufType{14, "Q6_K", 256, 210},   GgufType{15, "Q8_K", 256, 292},   GgufType{16, "IQ2_XXS", 256, 66},
    GgufType{17, "IQ2_XS", 256, 74},  GgufType{18, "IQ3_XXS", 256, 98}, GgufType{19, "IQ1_S", 256, 50},
    GgufType{20, "IQ4_NL", 32, 18},   GgufType{21, "IQ3_S", 256, 110},  GgufType{22, "IQ2_S", 256, 82},
    GgufType{23, "IQ4_XS", 256, 136}, GgufType{24, "I8", 1, 1},         GgufType{25, "I16", 1, 2},
    GgufType{26, "I32", 1, 4},        GgufType{27, "I64", 1, 8},        GgufType{28, "F64", 1, 8},
    GgufType{29, "IQ1_M", 256, 56},   GgufType{30, "BF16", 1, 2},       GgufType{34, "TQ1_0", 256, 54},
    GgufType{35, "TQ2_0", 256, 66},   GgufType{39, "MXFP4", 32, 17},    GgufType{40, "NVFP4", 64, 36},
    GgufType{41, "Q1_0", 128, 18},
};

template <typename T>
T read(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Calls `with` with the number at `bytes`, in its own type; false if the type is not a number.
template <typename With>
bool with_number(std::uint32_t type, const char* bytes, With with) {
  switch (type) {
    case kUint8:
      return with(read<std::uint8_t>(bytes)), true;
    case kInt8:
      return with(read<std::int8_t>(bytes)), true;
    case kUint16:
      return with(read<std::uint16_t>(bytes)), true;
    case kInt16:
      return with(read<std::int16_t>(bytes)), true;
    case kUint32:
      return with(read<std::uint32_t>(bytes)), true;
    case kInt32:
      return with(read<std::int32_t>(bytes)), true;
    case kUint64:
      return with(read<std::uint64_t>(bytes)), true;
    case kInt64:
      return with(read<std::int64_t>(bytes)), true;
    case kFloat32:
      return with(read<float>(bytes)), true;
    case kFloat64:
      return with(read<double>(bytes)), true;
    default:
      return false;
  }
}

bool to_integer(std::uint32_t type, const char* bytes, std::int64_t& result) {
  bool integer = false;
  with_number(type, bytes, [&](auto value) {
    if constexpr (std::is_integral_v<decltype(value)>) {
      integer = std::in_range<std::int64_t>(value);
      if (integer) result = static_cast<std::int64_t>(+value);
    }
  });
  return integer;
}

std::uint64_t padding(std::uint64_t position, std::uint64_t alignment) {
  return (alignment - position % alignment) % alignment;
}

}  // namespace

/// Reads the file from its beginning and checks that each item lies within the file.
class GgufFile::Parser {
 public:
  explicit Parser(GgufFile& file) : file_(file), data_(file.map_->data()), size_(file.map_->size()) {}

  void parse() {
    check_version();
    const auto tensors = count("tensors"), keys = count("metadata keys");
    for (std::uint64_t i = 0; i < keys; ++i) parse_value();
    std::vector<Extent> extents;
    for (std::uint64_t i = 0; i < tensors; ++i) extents.push_back(parse_tensor());
    place(extents);
  }

 private:
  struct Extent {
    std::uint64_t offset, bytes;  // offset: in the data
  };

  [[noreturn]] void fail(const std::string& problem) const { file_.fail(problem + kDamaged); }

  const char* take(std::uint64_t bytes, const char* what) {
    if (bytes > size_ - position_)
      fail("ends at byte " + std::to_string(size_) + ", within " + what + " at byte " +
           std::to_string(position_));
    const char* taken = data_ + position_;
    position_ += bytes;
    return taken;
  }
  template <typename T>
  T number(const char* what) {
    return read<T>(take(sizeof(T), what));
  }
  std::string_view string(const char* what) {
    const auto length = number<std::uint64_t>(what);
    return {take(length, what), length};
  }
  std::string_view name(const char* what) {
    const auto result = string(what);
    if (result.size() > kMaxNameBytes)
      fail("has " + std::string(what) + " of " + std::to_string(result.size()) + " bytes, more than the " +
           std::to_string(kMaxNameBytes) + " allowed");
    return result;
  }

  void check_version() {
    if (size_ < kMagic.size() || std::string_view(data_, kMagic.size()) != kMagic)
      fail("does not begin with \"GGUF\"");
    position_ = kMagic.size();
    const auto version = number<std::uint32_t>("the version");
    if (version == 2 || version == 3) return;
    if ((version & 0xFFFF) == 0)
      file_.fail("is a big-endian GGUF file; convert it to little-endian, or fetch one that is");
    file_.fail("is GGUF version " + std::to_string(version) +
               "; this program reads versions 2 and 3: convert it");
  }

  std::uint64_t count(const char* what) {
    const auto result = number<std::uint64_t>("the header");
    if (result > kMaxEntries)
      fail("says that it has " + std::to_string(result) + " " + what + ", more than the " +
           std::to_string(kMaxEntries) + " allowed");
    return result;
  }

  void parse_value() {
    const auto key = name("a metadata key");
    Value value{number<std::uint32_t>("a metadata value"), false, 1, {}};
    if (value.type == kArray) {
      value.array = true;
      value.type = number<std::uint32_t>("a metadata array");
      value.count = number<std::uint64_t>("a metadata array");
    }
    if (value.type >= kValueTypes || value.type == kArray)
      fail("has the unknown value type " + std::to_string(value.type) + " in the metadata key " + shown(key));
    const auto begin = position_;
    if (value.type == kString) {
      for (std::uint64_t i = 0; i < value.count; ++i) string("a metadata string");
    } else {
      if (value.count > size_ / kValueBytes[value.type])
        fail("says that the metadata key " + shown(key) + " has " + std::to_string(value.count) + " values");
      take(value.count * kValueBytes[value.type], "a metadata value");
    }
    value.bytes = {data_ + begin, position_ - begin};
    if (!file_.values_.emplace(key, value).second) fail("has the metadata key " + shown(key) + " twice");
  }

  /// What is wrong with a tensor, after its name.
  [[noreturn]] void fail_tensor(std::string_view name, const std::string& problem) const {
    fail("tensor " + shown(name) + " " + problem);
  }

  Extent parse_tensor() {
    GgufTensor tensor;
    tensor.name = name("a tensor's name");
    const auto dimensions = number<std::uint32_t>("a tensor's shape");
    if (dimensions > kMaxDimensions)
      fail_tensor(tensor.name, "has " + std::to_string(dimensions) + " dimensions, more than 4");
    std::uint64_t values = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto dimension = number<std::uint64_t>("a tensor's shape");
      // No file is as large as 2^56 bytes, so the products below do not overflow.
      if (dimension == 0 || __builtin_mul_overflow(values, dimension, &values) || values >> 56)
        fail_tensor(tensor.name, "has an impossible shape");
      tensor.shape.insert(tensor.shape.begin(), static_cast<std::int64_t>(dimension));
    }
    const auto id = number<std::uint32_t>("a tensor's type");
    const auto type = std::ranges::find(kTypes, id, &GgufType::id);
    if (type == kTypes.end()) fail_tensor(tensor.name, "has the unknown type " + std::to_string(id));
    tensor.type = &*type;
    const auto row = tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back());
    if (row % type->block_values != 0)
      fail_tensor(tensor.name, "has rows of " + std::to_string(row) + " numbers, which blocks of " +
                                   std::string(type->name) + " do not divide");
    const auto bytes = values / type->block_values * type->block_bytes;
    const auto offset = number<std::uint64_t>("a tensor's offset");
    if (!file_.places_.emplace(tensor.name, file_.tensors_.size()).second)
      fail_tensor(tensor.name, "occurs twice");
    file_.tensors_.push_back(std::move(tensor));
    return {offset, bytes};
  }

  std::uint64_t alignment() const {
    const auto given = file_.integer(kAlignmentKey);
    if (!given) return kDefaultAlignment;
    const auto result = static_cast<std::uint64_t>(*given);
    if (!std::has_single_bit(result) || result > kMaxAlignment)
      fail("has the " + std::string(kAlignmentKey) + " " + std::to_string(*given) +
           ", which is not a power of two from 1 to " + std::to_string(kMaxAlignment));
    return result;
  }

  /// Sets every tensor's data; refuses tensors that overlap.
  void place(const std::vector<Extent>& extents) {
    const auto alignment = this->alignment();
    const auto begin = position_ + padding(position_, alignment);
    const auto size = size_ - std::min(size_, begin);
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const auto [offset, bytes] = extents[i];
      auto& tensor = file_.tensors_[i];
      if (offset % alignment != 0)
        fail_tensor(tensor.name, "begins at byte " + std::to_string(offset) +
                                     " of the data, not a multiple of " + std::to_string(alignment));
      if (offset > size || bytes > size - offset)
        fail_tensor(tensor.name, "takes " + std::to_string(bytes) + " bytes from byte " +
                                     std::to_string(offset) + " of data that has " + std::to_string(size));
      tensor.data = {reinterpret_cast<const std::byte*>(data_) + begin + offset, bytes};
    }
    std::vector<const GgufTensor*> ordered;
    for (const auto& tensor : file_.tensors_) ordered.push_back(&tensor);
    std::ranges::sort(ordered, {}, [](const GgufTensor* tensor) { return tensor->data.data(); });
    for (std::size_t i = 1; i < ordered.size(); ++i) {
      const auto& before = *ordered[i - 1];
      if (before.data.data() + before.data.size() > ordered[i]->data.data())
        fail_tensor(ordered[i]->name, "overlaps tensor " + shown(before.name));
    }
  }

  GgufFile& file_;
  const char* data_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
};

GgufFile::GgufFile(const std::filesystem::path& file)
    : path_(file), map_(std::make_unique<MappedFile>(file)) {
  Parser(*this).parse();
}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

void GgufFile::fail(const std::string& problem) const {
  throw std::runtime_error(path_.string() + ": " + problem);
}

void GgufFile::wrong_kind(std::string_view key, const char* wanted) const {
  fail("the metadata key " + shown(key) + " is not " + wanted + "; export the file again");
}

const GgufFile::Value* GgufFile::find(std::string_view key, bool array) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return nullptr;
  if (found->second.array != array) wrong_kind(key, array ? "an array" : "a single value");
  return &found->second;
}

std::optional<std::int64_t> GgufFile::integer(std::string_view key) const {
  const auto* value = find(key, false);
  if (!value) return std::nullopt;
  std::int64_t result = 0;
  if (!to_integer(value->type, value->bytes.data(), result)) wrong_kind(key, "an integer below 2^63");
  return result;
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const auto* value = find(key, false);
  if (!value) return std::nullopt;
  double result = 0;
  if (!with_number(value->type, value->bytes.data(),
                   [&](auto number) { result = static_cast<double>(number); }))
    wrong_kind(key, "a number");
  return result;
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const auto* value = find(key, false);
  if (!value) return std::nullopt;
  if (value->type != kBool) wrong_kind(key, "true or false");
  return value->bytes[0] != 0;
}

std::optional<std::string_view> GgufFile::string(std::string_view key) const {
  const auto* value = find(key, false);
  if (!value) return std::nullopt;
  if (value->type != kString) wrong_kind(key, "a string");
  const auto bytes = value->bytes.subspan(sizeof(std::uint64_t));
  return std::string_view(bytes.data(), bytes.size());
}

std::optional<std::vector<std::string_view>> GgufFile::strings(std::string_view key) const {
  const auto* value = find(key, true);
  if (!value) return std::nullopt;
  if (value->type != kString) wrong_kind(key, "an array of strings");
  std::vector<std::string_view> result;
  result.reserve(value->count);
  for (auto rest = value->bytes; !rest.empty();) {
    const auto length = read<std::uint64_t>(rest.data());
    rest = rest.subspan(sizeof length);
    result.emplace_back(rest.data(), length);
    rest = rest.subspan(length);
  }
  return result;
}

std::optional<std::vector<std::int64_t>> GgufFile::integers(std::string_view key) const {
  const auto* value = find(key, true);
  if (!value) return std::nullopt;
  std::vector<std::int64_t> result(value->count);
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!to_integer(value->type, value->bytes.data() + i * kValueBytes[value->type], result[i]))
      wrong_kind(key, "an array of integers below 2^63");
  }
  return result;
}

std::optional<std::vector<float>> GgufFile::numbers(std::string_view key) const {
  const auto* value = find(key, true);
  if (!value) return std::nullopt;
  std::vector<float> result(value->count);
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!with_number(value->type, value->bytes.data() + i * kValueBytes[value->type],
                     [&](auto number) { result[i] = static_cast<float>(number); }))
      wrong_kind(key, "an array of numbers");
  }
  return result;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &tensors_[found->second];
}

std::optional<std::filesystem::path> find_gguf(const std::filesystem::path& model) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (fs::is_regular_file(model, failed)) return model;
  if (!fs::is_directory(model, failed)) return std::nullopt;
  for (const auto* name : {"model.safetensors", "model.safetensors.index.json"}) {
    if (fs::exists(model / name, failed)) return std::nullopt;
  }
  std::optional<fs::path> found;
  for (const auto& entry : fs::directory_iterator(model, failed)) {
    if (entry.path().extension() != ".gguf") continue;
    if (found)
      throw std::runtime_error(model.string() +
                               ": holds several GGUF files; name the one to read, for example " +
                               std::min(*found, entry.path()).string());
    found = entry.path();
  }
  return found;
}

}  // namespace unroll
