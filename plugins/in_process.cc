#include "plugins/in_process.h"

#include <exception>
#include <utility>

#include "plugins/json_border.h"
#include "plugins/vocabulary.h"

namespace unroll {
namespace {

constexpr std::size_t kMaxErrorBytes = 4096;

class InProcessInstance final : public PluginInstance {
 public:
  InProcessInstance(std::shared_ptr<const PluginLibrary> library, const PluginLibrary::Plugin& plugin,
                    std::string_view options, EmitFunction emit, PluginLogFunction log,
                    std::shared_ptr<const PluginVocabulary> vocabulary)
      : library_(std::move(library)),
        plugin_(plugin),
        emit_(std::move(emit)),
        log_(std::move(log)),
        vocabulary_(std::move(vocabulary)) {
    host_.size = sizeof host_;
    host_.data = this;
    host_.emit = &on_emit;
    host_.error = &on_error;
    host_.log = &on_log;
    host_.extension = &on_extension;
    host_.write = &on_write;
    try {
      call("create",
           [&] { return plugin_.table.create(&host_, options.data(), options.size(), &instance_); });
    } catch (...) {
      destroy();  // create may have succeeded and done something that is not allowed
      throw;
    }
  }
  ~InProcessInstance() override { destroy(); }
  InProcessInstance(const InProcessInstance&) = delete;
  InProcessInstance& operator=(const InProcessInstance&) = delete;

  const PluginInfo& info() const override { return plugin_.info; }

  void begin_process(const unroll_block& block) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "process");
    stage_ = Stage::kRunning;
    const unroll_block own = own_view(block);
    begin("process", [&] { return plugin_.table.process(instance_, &own); });
  }

  void begin_finish(const unroll_document_end& given) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "finish");
    stage_ = Stage::kFinished;
    unroll_document_end end = given;
    end.size = sizeof end;
    if ((plugin_.info.wants & UNROLL_WANT_WORD_END) == 0) end.word_end = 0;
    begin("finish", [&] { return plugin_.table.finish(instance_, &end); });
  }

  bool wait(std::chrono::milliseconds) override { return true; }

  void end() override {
    try {
      for (auto& json : std::exchange(outputs_, {})) emit_(std::move(json));
    } catch (...) {
      stage_ = Stage::kFailed;
      throw;
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  std::vector<std::byte> save() override {
    expect(stage_ != Stage::kFailed, "save");
    std::vector<std::byte> state;
    if (plugin_.table.save == nullptr) return state;
    saving_ = &state;
    call("save", [&] { return plugin_.table.save(instance_); });
    return state;
  }

  void load(std::span<const std::byte> state) override {
    expect(stage_ == Stage::kFresh, "load");
    if (plugin_.table.load == nullptr) {
      if (state.empty()) return;
      throw error(UNROLL_ERROR_STATE, "a state of " + std::to_string(state.size()) +
                                          " bytes is to be loaded, but this version of it keeps none");
    }
    call("load", [&] { return plugin_.table.load(instance_, state.data(), state.size()); });
  }

  void fork(const unroll_fork_point& point) override {
    expect(stage_ == Stage::kFresh || stage_ == Stage::kRunning, "fork");
    if (!plugin_.info.forks) throw cannot_fork(plugin_.info);
    stage_ = Stage::kRunning;
    if (plugin_.fork == nullptr) return;  // it keeps nothing
    unroll_fork_point own = point;
    own.size = sizeof own;
    if ((plugin_.info.wants & UNROLL_WANT_TEXT) == 0) {
      own.head = nullptr;
      own.head_bytes = 0;
    }
    call("fork", [&] { return plugin_.fork(instance_, &own); });
  }

 private:
  using Stage = InstanceStage;

  PluginError error(unroll_status status, const std::string& text) const {
    return {status, "plugin " + plugin_.info.name + ": " + text};
  }
  void expect(bool right, const char* function) const { expect_order(right, plugin_.info, function, stage_); }

  void destroy() noexcept {
    if (!std::exchange(created_, false)) return;
    try {
      plugin_.table.destroy(instance_);
    } catch (...) {
      log_line(3, "an exception left its function destroy");
    }
  }

  /// Makes the call at once and keeps its result for end().
  template <class F>
  void begin(const char* function, F body) {
    emitted_bytes_ = 0;
    may_emit_ = true;
    try {
      call(function, body);
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  /// Calls the library and converts every failure to an exception. A failed instance stays failed.
  template <class F>
  void call(const char* function, F body) {
    error_text_.clear();
    fault_.clear();
    unroll_status status = UNROLL_OK;
    try {
      status = body();
      if (status == UNROLL_OK) created_ = true;
    } catch (const std::exception& e) {
      set_fault("an exception left its function " + std::string(function) + ": " +
                printable(e.what(), kMaxErrorBytes));
    } catch (...) {
      set_fault("an exception left its function " + std::string(function));
    }
    may_emit_ = false;
    saving_ = nullptr;
    if (status != UNROLL_OK || !fault_.empty() || own_failure_) stage_ = Stage::kFailed;
    if (own_failure_) std::rethrow_exception(std::exchange(own_failure_, nullptr));
    if (!fault_.empty()) throw error(UNROLL_ERROR_INTERNAL, fault_);
    if (status != UNROLL_OK) throw error(status, error_text_.empty() ? status_text(status) : error_text_);
  }
  void set_fault(const std::string& text) {
    if (fault_.empty()) fault_ = text;
  }

  /// The block with only the fields that this plugin wants, independent of other plugins' wants.
  unroll_block own_view(const unroll_block& block) {
    unroll_block own = block;
    own.size = sizeof own;
    const auto wants = [this](std::uint32_t what) { return (plugin_.info.wants & what) != 0; };
    if (!wants(UNROLL_WANT_ENTROPY)) own.entropy = nullptr;
    if (!wants(UNROLL_WANT_HIDDEN)) own.hidden = nullptr;
    if (!wants(UNROLL_WANT_WORD_END)) own.word_end = nullptr;
    if (!wants(UNROLL_WANT_RANK)) own.ranks = nullptr;
    if (!wants(UNROLL_WANT_TEXT)) {
      own.text = nullptr;
      own.text_bytes = 0;
    }
    narrow_top_k(own, wants(UNROLL_WANT_TOP_K) ? plugin_.info.top_k : 0);
    return own;
  }
  void narrow_top_k(unroll_block& block, int top_k) {
    if (top_k == 0 || block.top_ids == nullptr) {
      block.top_k = 0;
      block.top_ids = nullptr;
      block.top_logprobs = nullptr;
    } else if (block.top_k > top_k) {
      top_ids_.clear();
      top_logprobs_.clear();
      for (std::size_t i = 0; i < block.length; ++i) {
        const auto row = i * static_cast<std::size_t>(block.top_k);
        top_ids_.insert(top_ids_.end(), block.top_ids + row, block.top_ids + row + top_k);
        top_logprobs_.insert(top_logprobs_.end(), block.top_logprobs + row, block.top_logprobs + row + top_k);
      }
      block.top_k = top_k;
      block.top_ids = top_ids_.data();
      block.top_logprobs = top_logprobs_.data();
    }
  }

  // The host's functions, called by the plugin. They must not throw through its frames.
  static InProcessInstance& self(const unroll_host* host) {
    return *static_cast<InProcessInstance*>(host->data);
  }

  static unroll_status on_emit(const unroll_host* host, const char* json, std::size_t bytes) noexcept {
    auto& me = self(host);
    try {
      if (!me.may_emit_) {
        me.set_fault("it emitted an output outside of process and finish");
      } else if (bytes > kMaxEmittedBytes - me.emitted_bytes_) {
        me.set_fault("it emitted more than the " + std::to_string(kMaxEmittedBytes) +
                     " bytes that one call may");
      } else if (!me.fault_.empty()) {
        return UNROLL_ERROR_INTERNAL;  // it has failed already
      } else if (auto why = output_fault({json, json == nullptr ? 0 : bytes}); !why.empty()) {
        me.set_fault("it emitted " + why);
      } else {
        me.outputs_.push_back(without_line_ends({json, bytes}));
        me.emitted_bytes_ += bytes;
        return UNROLL_OK;
      }
    } catch (...) {
      me.own_failure_ = std::current_exception();
    }
    return UNROLL_ERROR_INTERNAL;
  }
  static void on_error(const unroll_host* host, const char* text, std::size_t bytes) noexcept {
    if (text == nullptr) return;
    try {
      self(host).error_text_ = printable({text, bytes}, kMaxErrorBytes);
    } catch (...) {  // out of memory: the status alone must do
    }
  }
  static void on_log(const unroll_host* host, std::int32_t level, const char* text,
                     std::size_t bytes) noexcept {
    if (text == nullptr) return;
    try {
      self(host).log_line(level, printable({text, bytes}, kMaxErrorBytes));
    } catch (...) {  // do not fail the document for a log line
    }
  }
  static unroll_status on_write(const unroll_host* host, const void* data, std::size_t bytes) noexcept {
    auto& me = self(host);
    try {
      if (me.saving_ == nullptr) {
        me.set_fault("it wrote state outside of save");
      } else if (data == nullptr && bytes > 0) {
        me.set_fault("it wrote a state of " + std::to_string(bytes) + " bytes at NULL");
      } else if (bytes > kMaxStateBytes - me.saving_->size()) {
        me.set_fault("its state has more than the " + std::to_string(kMaxStateBytes) + " bytes allowed");
      } else {
        const auto* begin = static_cast<const std::byte*>(data);
        if (bytes > 0) me.saving_->insert(me.saving_->end(), begin, begin + bytes);
        return UNROLL_OK;
      }
    } catch (...) {
      me.own_failure_ = std::current_exception();
    }
    return UNROLL_ERROR_INTERNAL;
  }
  static const void* on_extension(const unroll_host* host, const char* name) noexcept {
    static constexpr unroll_vocabulary kVocabulary{sizeof(unroll_vocabulary), &on_count, &on_token};
    const bool known = name != nullptr && std::string_view(name) == UNROLL_EXTENSION_VOCABULARY;
    return known && self(host).vocabulary_ ? &kVocabulary : nullptr;
  }
  static std::int32_t on_count(const unroll_host* host) noexcept { return self(host).vocabulary_->count(); }
  static const char* on_token(const unroll_host* host, std::int32_t id, std::size_t* bytes) noexcept {
    const auto token = self(host).vocabulary_->token(id);
    if (bytes != nullptr) *bytes = token.size();
    return token.data();
  }
  void log_line(int level, std::string_view text) const {
    if (log_) log_(level, plugin_.info.name, text);
  }

  std::shared_ptr<const PluginLibrary> library_;
  const PluginLibrary::Plugin& plugin_;  // library_'s
  EmitFunction emit_;
  PluginLogFunction log_;
  std::shared_ptr<const PluginVocabulary> vocabulary_;  // null if there is none
  unroll_host host_{};
  void* instance_ = nullptr;
  bool created_ = false;
  Stage stage_ = Stage::kFresh;
  bool may_emit_ = false;
  std::vector<std::byte>* saving_ = nullptr;
  std::string error_text_;            // from host->error
  std::string fault_;                 // a violation that the host detected, whatever status is returned
  std::exception_ptr own_failure_;    // thrown by a host function while the plugin called it
  std::vector<std::string> outputs_;  // of the current call
  std::size_t emitted_bytes_ = 0;
  std::exception_ptr failure_;  // of the current call
  std::vector<std::int32_t> top_ids_;
  std::vector<float> top_logprobs_;
};

}  // namespace

void expect_order(bool right, const PluginInfo& info, const char* function, InstanceStage stage) {
  if (right) return;
  throw PluginError(UNROLL_ERROR_INTERNAL, "plugin " + info.name + ": " + function +
                                               " was called out of order (after " +
                                               (stage == InstanceStage::kFailed     ? "a failure)"
                                                : stage == InstanceStage::kFinished ? "finish)"
                                                                                    : "process)"));
}

PluginError cannot_fork(const PluginInfo& info) {
  return {UNROLL_ERROR_INTERNAL,
          "plugin " + info.name + ": it cannot go on after a snapshot: it keeps a state and has no `fork` (" +
              UNROLL_EXTENSION_FORK + "); update the plugin, or read the document without it"};
}

std::string status_text(unroll_status status) {
  switch (status) {
    case UNROLL_ERROR_OPTIONS:
      return "its options are not understood";
    case UNROLL_ERROR_STATE:
      return "the saved state is not one of its own";
    case UNROLL_ERROR_INTERNAL:
      return "it failed";
    default:
      return "it returned status " + std::to_string(status);
  }
}

std::unique_ptr<PluginInstance> create_in_process(std::shared_ptr<const PluginLibrary> library,
                                                  const PluginLibrary::Plugin& plugin,
                                                  std::string_view options, EmitFunction emit,
                                                  PluginLogFunction log,
                                                  std::shared_ptr<const PluginVocabulary> vocabulary) {
  return std::make_unique<InProcessInstance>(std::move(library), plugin, options, std::move(emit),
                                             std::move(log), std::move(vocabulary));
}

}  // namespace unroll
