// The plugin interface for C++20, over <unroll/plugin.h>: a class with process() and finish() is a plugin.
// Header only; needs only the standard library. plugin.h describes lifetimes, threads and units. A complete
// plugin, which emits the number of tokens of each block:
//
// clang-format off
//
//   #include <unroll/plugin.hpp>
//   using namespace unroll::plugin;
//
//   struct Widths {
//     static constexpr About kAbout{.name = "widths", .description = "How wide blocks are"};
//     void process(const Block& block, Host host) { host.emit(std::to_string(block.size())); }
//     void finish(const End&, Host) {}
//   };
//   UNROLL_PLUGINS(Widths);  // once in the library
//
// Optional members of a class:
//
//   Widths(Host host, std::string_view options);  // options: a JSON object as text. Or (Host), or none.
//   std::string save() const;                     // both or neither: without them
//   void load(std::span<const std::byte> state);  // nothing is kept from one block to the next
//   void fork(const Fork&);                       // goes on with a new document: UNROLL_EXTENSION_FORK
//   static constexpr const char* kOptionsSchema;  // JSON Schema of its options, for `unroll plugin list`
//
// clang-format on
//
// process() and finish() may omit their second argument if the constructor stores the host.
//
// An exception that leaves one of these functions becomes a status and a text at the C interface: Error keeps
// its own status, anything else is UNROLL_ERROR_INTERNAL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include <unroll/plugin.h>

namespace unroll::plugin {

/// The document fails with this text, which should tell the user what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text, unroll_status status = UNROLL_ERROR_INTERNAL)
      : std::runtime_error(text), status(status) {}
  unroll_status status;
};

/// Invalid options: name the key, its value, and what is allowed.
class OptionsError : public Error {
 public:
  explicit OptionsError(const std::string& text) : Error(text, UNROLL_ERROR_OPTIONS) {}
};

/// load() received bytes that save() did not write.
class StateError : public Error {
 public:
  explicit StateError(const std::string& text) : Error(text, UNROLL_ERROR_STATE) {}
};

/// A plugin's name, and what it wants of each block. Strings have static lifetime.
struct About {
  const char* name;
  const char* version = "";
  const char* description = "";
  std::uint32_t wants = 0;  ///< UNROLL_WANT_*
  std::int32_t top_k = 0;   ///< With UNROLL_WANT_TOP_K, 1 to 64.
};

/// The bytes of the token ids in a block. Valid as long as the host.
class Vocabulary {
 public:
  Vocabulary(const unroll_host* host, const unroll_vocabulary* table) : host_(host), table_(table) {}
  /// Ids are 0 up to size().
  std::size_t size() const { return static_cast<std::size_t>(table_->count(host_)); }
  /// The bytes of the token: any bytes; empty if there is no such id.
  std::string_view token(std::int32_t id) const {
    std::size_t bytes = 0;
    const char* data = table_->token(host_, id, &bytes);
    return data == nullptr ? std::string_view() : std::string_view(data, bytes);
  }

 private:
  const unroll_host* host_;
  const unroll_vocabulary* table_;
};

/// The host of one instance. Cheap to copy; call it only from inside one of your functions.
class Host {
 public:
  explicit Host(const unroll_host* host) : host_(host) {}
  /// Emits one output: JSON text. Only from process() and finish(). Throws Error if the host refuses it.
  void emit(std::string_view json) const {
    if (host_->emit(host_, json.data(), json.size()) != UNROLL_OK) {
      throw Error("the host refused an output; it must be one JSON value in UTF-8");
    }
  }
  /// Level 0 debug, 1 info, 2 warning, 3 error. Never the document's text.
  void log(std::int32_t level, std::string_view text) const {
    host_->log(host_, level, text.data(), text.size());
  }
  const void* extension(const char* name) const { return host_->extension(host_, name); }
  /// Nothing if this host has none.
  std::optional<Vocabulary> vocabulary() const {
    const auto* table = static_cast<const unroll_vocabulary*>(extension(UNROLL_EXTENSION_VOCABULARY));
    if (table == nullptr || table->size < sizeof(unroll_vocabulary)) return std::nullopt;
    return Vocabulary(host_, table);
  }

 private:
  const unroll_host* host_;
};

/// Rows of floats, borrowed.
class Matrix {
 public:
  Matrix(const float* data, std::size_t rows, std::size_t columns, std::size_t stride)
      : data_(data), rows_(rows), columns_(columns), stride_(stride) {}
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::span<const float> row(std::size_t i) const { return {data_ + i * stride_, columns_}; }

 private:
  const float* data_;
  std::size_t rows_, columns_, stride_;
};

/// A block of the document, borrowed until process() returns. Asking for a field that the plugin does not
/// want throws.
class Block {
 public:
  explicit Block(const unroll_block& raw) : raw_(&raw) {}
  const unroll_block& raw() const { return *raw_; }
  std::uint64_t index() const { return raw_->index; }  ///< Index of this block in the document, from 0.
  std::uint64_t first_token() const {
    return raw_->first_token;
  }                                                  ///< Index in the document of this block's first token.
  std::size_t size() const { return raw_->length; }  ///< Tokens.

  std::span<const std::int32_t> tokens() const { return {raw_->tokens, size()}; }
  /// [size + 1] bytes: token i is offsets[i] up to offsets[i + 1] of the document.
  std::span<const std::uint64_t> offsets() const { return {raw_->offsets, size() + 1}; }
  /// [size] nats, 0 or less.
  std::span<const float> logprobs() const { return {raw_->logprobs, size()}; }
  /// [size] nats.
  std::span<const float> entropy() const {
    return {wanted(raw_->entropy, "entropy", "UNROLL_WANT_ENTROPY"), size()};
  }
  /// The block's bytes; any values.
  std::string_view text() const { return {wanted(raw_->text, "text", "UNROLL_WANT_TEXT"), raw_->text_bytes}; }
  /// The bytes of token i.
  std::string_view text(std::size_t i) const {
    const auto at = offsets();
    return text().substr(at[i] - at[0], at[i + 1] - at[i]);
  }
  /// [size, dim] floats in CPU memory. (For a tensor elsewhere or of another type, use raw().hidden.)
  Matrix hidden() const {
    const unroll_tensor& t = *wanted(raw_->hidden, "hidden", "UNROLL_WANT_HIDDEN");
    constexpr std::int32_t kCpu = 1;
    constexpr std::uint8_t kFloat = 2;
    const bool plain =
        t.device_type == kCpu && t.dtype_code == kFloat && t.dtype_bits == 32 && t.dtype_lanes == 1;
    if (!plain || t.ndim != 2 || (t.strides != nullptr && t.strides[1] != 1)) {
      throw Error(
          "hidden states are not rows of 32-bit floats in the CPU's memory; read raw().hidden instead");
    }
    const auto* data = reinterpret_cast<const float*>(static_cast<const char*>(t.data) + t.byte_offset);
    const auto stride = t.strides != nullptr ? t.strides[0] : t.shape[1];
    return {data, static_cast<std::size_t>(t.shape[0]), static_cast<std::size_t>(t.shape[1]),
            static_cast<std::size_t>(stride)};
  }
  std::size_t top_k() const { return static_cast<std::size_t>(raw_->top_k); }
  /// [top_k] alternatives to token i, most probable first, and their log-probabilities in nats.
  std::span<const std::int32_t> top_ids(std::size_t i) const {
    return {wanted(raw_->top_ids, "top_ids", "UNROLL_WANT_TOP_K") + i * top_k(), top_k()};
  }
  std::span<const float> top_logprobs(std::size_t i) const {
    return {wanted(raw_->top_logprobs, "top_logprobs", "UNROLL_WANT_TOP_K") + i * top_k(), top_k()};
  }
  /// [size] nats: log of the probability that a word ends before token i.
  std::span<const float> word_end() const {
    return {later(&unroll_block::word_end, "word_end", "UNROLL_WANT_WORD_END"), size()};
  }
  /// [size]: 1 is the most probable token.
  std::span<const std::int32_t> ranks() const {
    return {later(&unroll_block::ranks, "ranks", "UNROLL_WANT_RANK"), size()};
  }

 private:
  /// A field that hosts of earlier versions lack.
  template <class T>
  const T* later(const T* unroll_block::*field, const char* name, const char* want) const {
    const auto end = reinterpret_cast<const char*>(&(raw_->*field) + 1) - reinterpret_cast<const char*>(raw_);
    return wanted(raw_->size < static_cast<std::size_t>(end) ? nullptr : raw_->*field, name, want);
  }
  template <class T>
  static const T* wanted(const T* array, const char* name, const char* want) {
    if (array == nullptr) {
      throw Error(std::string("the block has no ") + name + "; set " + want + " in the plugin's `wants`");
    }
    return array;
  }

  const unroll_block* raw_;
};

/// The end of a document, with its totals.
struct End {
  std::uint64_t tokens = 0;
  std::uint64_t bytes = 0;
  float word_end = 0;  ///< With UNROLL_WANT_WORD_END: nats, after the last token.
};

/// The document before has ended, and a new one begins.
struct Fork {
  std::uint64_t tokens = 0;  ///< Of the document before, in the blocks that came.
  std::uint64_t bytes = 0;   ///< Of the document before.
  std::string_view head;     ///< With UNROLL_WANT_TEXT: its bytes of the token that comes next.
};

namespace detail {

template <class P>
concept Saves = requires(P& p, std::span<const std::byte> state) {
  p.save();
  p.load(state);
};

/// The functions of the C table for class P.
template <class P>
struct Adapter {
  struct Instance {
    Instance(const unroll_host* raw, std::string_view options)
        : host(raw), plugin(make(Host(raw), options)) {}
    static P make(Host host, std::string_view options) {
      if constexpr (std::is_constructible_v<P, Host, std::string_view>) {
        return P(host, options);
      } else if constexpr (std::is_constructible_v<P, Host>) {
        return P(host);
      } else {
        return P();
      }
    }
    const unroll_host* host;
    P plugin;
  };

  template <class F>
  static unroll_status guarded(const unroll_host* host, F&& body) noexcept {
    const auto fail = [host](unroll_status status, std::string_view text) {
      host->error(host, text.data(), text.size());
      return status;
    };
    try {
      body();
      return UNROLL_OK;
    } catch (const Error& e) {
      return fail(e.status == UNROLL_OK ? UNROLL_ERROR_INTERNAL : e.status, e.what());
    } catch (const std::exception& e) {
      return fail(UNROLL_ERROR_INTERNAL, e.what());
    } catch (...) {
      return fail(UNROLL_ERROR_INTERNAL, "an exception that is not a std::exception");
    }
  }

  static unroll_status create(const unroll_host* host, const char* options, std::size_t bytes,
                              void** instance) {
    return guarded(host, [&] {
      *instance = std::make_unique<Instance>(host, std::string_view(options, bytes)).release();
    });
  }
  static unroll_status process(void* instance, const unroll_block* block) {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, [&] {
      if constexpr (requires(P & p, const Block& b, Host h) { p.process(b, h); }) {
        self.plugin.process(Block(*block), Host(self.host));
      } else {
        self.plugin.process(Block(*block));
      }
    });
  }
  static unroll_status finish(void* instance, const unroll_document_end* end) {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, [&] {
      const End whole{end->tokens, end->bytes, end->size < sizeof *end ? 0 : end->word_end};
      if constexpr (requires(P & p, const End& e, Host h) { p.finish(e, h); }) {
        self.plugin.finish(whole, Host(self.host));
      } else {
        self.plugin.finish(whole);
      }
    });
  }
  static unroll_status save(void* instance) {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, [&] {
      const auto state = self.plugin.save();  // std::string, std::vector<std::byte>, ...
      const auto bytes = std::as_bytes(std::span(state));
      if (self.host->write(self.host, bytes.data(), bytes.size()) != UNROLL_OK) {
        throw Error("the host did not take the state");
      }
    });
  }
  static unroll_status load(void* instance, const void* data, std::size_t bytes) {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host,
                   [&] { self.plugin.load(std::span(static_cast<const std::byte*>(data), bytes)); });
  }
  static void destroy(void* instance) { std::unique_ptr<Instance>(static_cast<Instance*>(instance)).reset(); }

  static unroll_status fork(void* instance, const unroll_fork_point* point) {
    auto& self = *static_cast<Instance*>(instance);
    return guarded(self.host, [&] {
      const std::string_view head(point->head == nullptr ? "" : point->head, point->head_bytes);
      self.plugin.fork(Fork{point->tokens, point->bytes, head});
    });
  }

  static const void* extension([[maybe_unused]] const char* name) {
    if constexpr (requires(P & p, const Fork& f) { p.fork(f); }) {
      static constexpr unroll_fork kFork{sizeof(unroll_fork), &fork};
      if (name == std::string_view(UNROLL_EXTENSION_FORK)) return &kFork;
    }
    if constexpr (requires { P::kOptionsSchema; }) {
      static constexpr unroll_options kOptions{sizeof(unroll_options), P::kOptionsSchema};
      if (name == std::string_view(UNROLL_EXTENSION_OPTIONS)) return &kOptions;
    }
    return nullptr;
  }

  static constexpr unroll_plugin table() {
    unroll_plugin t{};
    t.size = sizeof(unroll_plugin);
    t.name = P::kAbout.name;
    t.version = P::kAbout.version;
    t.description = P::kAbout.description;
    t.wants = P::kAbout.wants;
    t.top_k = P::kAbout.top_k;
    t.create = &create;
    t.process = &process;
    t.finish = &finish;
    if constexpr (Saves<P>) {
      t.save = &save;
      t.load = &load;
    } else {
      static_assert(
          !requires(P & p) { p.save(); }, "a plugin with save() needs load(std::span<const std::byte>)");
    }
    t.destroy = &destroy;
    t.extension = &extension;
    return t;
  }
  static constexpr unroll_plugin kTable = table();
};

template <class... P>
struct Library {
  static constexpr const unroll_plugin* kPlugins[] = {&Adapter<P>::kTable...};
  static constexpr unroll_plugin_library kEntry = {sizeof(unroll_plugin_library), UNROLL_ABI_VERSION,
                                                   sizeof...(P), kPlugins};
};

}  // namespace detail
}  // namespace unroll::plugin

/// Exports the named classes as the library's plugins.
#define UNROLL_PLUGINS(...) \
  const unroll_plugin_library unroll_plugin_entry = ::unroll::plugin::detail::Library<__VA_ARGS__>::kEntry
