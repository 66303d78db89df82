// A snapshot as a file: the same numbers after it elsewhere, and no other bytes are taken.
#include "engine/snapshot_file.h"

#include <random>

#include "base/sha256.h"
#include "engine/engine_core.h"
#include "tests/engine/testing.h"

namespace unroll {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::uint32_t kOwner = 1000, kOther = 7;
constexpr std::size_t kHeadBytes = 24, kDigestBytes = 32;

/// An engine of its own.
class Machine {
 public:
  explicit Machine(EngineOptions options = {}, std::uint64_t seed = 0)
      : model_(std::make_shared<HashModel>(HashModel::Watch(), 64, seed)) {
    model_->change_info().checkpoint = "checkpoint " + std::to_string(seed);
    core_ = std::make_unique<EngineCore>(
        Revision{model_, vocabulary(), registry(), "model " + std::to_string(seed)}, std::move(options));
  }
  EngineCore* operator->() { return core_.get(); }
  std::vector<Output> read(std::string_view text, DocumentRequest request) {
    const auto recorder = std::make_shared<Recorder>();
    request.text = text;
    const auto id = core_->open(std::move(request), recorder).id;
    while (core_->has_work()) core_->round();
    core_->commit_all();
    EXPECT_EQ(core_->status(id).phase, DocumentPhase::kDone) << core_->status(id).error;
    return recorder->outputs();
  }
  std::string file_of(std::string_view text, DocumentRequest request) {
    request.snapshot = SnapshotRequest{"a", {}};
    read(text, request);
    return core_->export_snapshot(request.owner, "a");
  }

 private:
  std::shared_ptr<HashModel> model_;
  std::unique_ptr<EngineCore> core_;
};

DocumentRequest request_of(std::uint32_t owner, std::optional<std::string> from = {}) {
  DocumentRequest request;
  request.owner = owner;
  request.plugins = {{"score", {{"granularity", "token"}}}, {"anomaly", json::object()}};
  request.from = std::move(from);
  return request;
}

void expect_same(const std::vector<Output>& a, const std::vector<Output>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].plugin, b[i].plugin);
    EXPECT_EQ(a[i].json, b[i].json);
  }
}

std::string random_text(std::mt19937& random) {
  auto text = some_text(random() % 500, random());
  for (auto& byte : text) {
    if (random() % 10 == 0) byte = static_cast<char>(random());
    if (random() % 25 == 0) byte = '\n';
  }
  return text;
}

ErrorCode refused(Machine& machine, const std::string& file) {
  return error_of([&] { machine->import_snapshot(kOwner, file, {"b", {}}, nullptr); }).code;
}

/// With this header and a correct checksum.
std::string with_header(const std::string& file, const std::function<void(json&)>& change) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i)
    length |= std::size_t{static_cast<std::uint8_t>(file[kHeadBytes - 4 + i])} << (8 * i);
  auto header = json::parse(file.substr(kHeadBytes, length));
  change(header);
  const auto text = header.dump();
  auto changed = file.substr(0, kHeadBytes - 4);
  for (std::size_t i = 0; i < 4; ++i) changed += static_cast<char>(text.size() >> (8 * i));
  changed += text;
  changed += file.substr(kHeadBytes + length, file.size() - kHeadBytes - length - kDigestBytes);
  Sha256 digest;
  digest.add(changed);
  for (const auto byte : digest.digest()) changed += static_cast<char>(byte);
  return changed;
}

TEST(SnapshotFile, AnotherMachineGoesOnFromItAsTheFirstDoes) {
  std::mt19937 random{9};
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    Machine here, there;
    const auto before = random_text(random), text = random_text(random);
    const auto file = here.file_of(before, request_of(kOwner));
    EXPECT_EQ(file, here->export_snapshot(kOwner, "a"));
    const auto info = there->import_snapshot(kOther, file, {"", std::chrono::seconds(100)}, nullptr);
    EXPECT_EQ(info.name, "a");
    EXPECT_EQ(info.owner, kOther);
    EXPECT_EQ(info.bytes, before.size());
    EXPECT_EQ(info.sha256, here->find_snapshot(kOwner, "a").sha256);
    EXPECT_TRUE(info.expires.has_value());
    EXPECT_EQ(there->export_snapshot(kOther, "a"), file);
    expect_same(there.read(text, request_of(kOther, "a")), here.read(text, request_of(kOwner, "a")));
    // A snapshot of what went on from it, in the middle of a block.
    auto next = request_of(kOther, "a");
    next.snapshot = SnapshotRequest{"c", {}};
    there.read(text.substr(0, 20), next);
    Machine third;
    third->import_snapshot(kOwner, there->export_snapshot(kOther, "c"), {"c", {}}, nullptr);
    expect_same(third.read(text, request_of(kOwner, "c")), there.read(text, request_of(kOther, "c")));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(SnapshotFile, AnyChangedBitIsRefused) {
  Machine machine;
  const auto file = machine.file_of(some_text(500), request_of(kOwner));
  std::mt19937 random{4};
  for (std::size_t i = 0; i < 3000; ++i) {
    auto changed = file;
    auto& byte = changed[i < 1000 ? i * file.size() / 1000 : random() % file.size()];
    byte = static_cast<char>(byte ^ (1 << random() % 8));
    EXPECT_EQ(refused(machine, changed), ErrorCode::kInvalidParams);
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{15}, std::size_t{24}, file.size() - 1})
    EXPECT_EQ(refused(machine, file.substr(0, length)), ErrorCode::kInvalidParams) << length;
  EXPECT_EQ(refused(machine, file + "x"), ErrorCode::kInvalidParams);
  EXPECT_THAT(machine->snapshots(kOwner), SizeIs(1));
}

TEST(SnapshotFile, ContradictingNumbersAreRefusedEvenWithACorrectChecksum) {
  Machine machine;
  const auto file = machine.file_of(some_text(500), request_of(kOwner));
  EXPECT_EQ(with_header(file, [](json&) {}), file);
  for (const char* place : {"/bytes", "/plugin_begin", "/point/segment_begin", "/point/block_begin",
                            "/point/bytes", "/tail_bytes", "/model_bytes", "/states/0/bytes"}) {
    for (const auto number : {std::uint64_t{1'000'000}, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
      const auto changed =
          with_header(file, [&](json& header) { header[json::json_pointer(place)] = number; });
      EXPECT_EQ(refused(machine, changed), ErrorCode::kInvalidParams) << place << number;
    }
  }
  EXPECT_EQ(refused(machine, with_header(file, [](json& header) { header["sha256"] = "00"; })),
            ErrorCode::kInvalidParams);
  EXPECT_EQ(refused(machine, with_header(file, [](json& header) { header.erase("point"); })),
            ErrorCode::kInvalidParams);
  EXPECT_EQ(
      refused(machine,
              with_header(file,
                          [](json& header) {
                            header["begins"] = json::array({json{{"bytes", 1}, {"plugins", json::array()}}});
                          })),
      ErrorCode::kInvalidParams);
}

TEST(SnapshotFile, AnotherVersionAndAnotherCheckpointAreNamed) {
  Machine machine, other({}, 1);
  auto file = machine.file_of(some_text(500), request_of(kOwner));
  const auto error = error_of([&] { other->import_snapshot(kOwner, file, {"b", {}}, nullptr); });
  EXPECT_EQ(error.code, ErrorCode::kModel);
  EXPECT_THAT(error.what(),
              testing::AllOf(HasSubstr("'model 0', checkpoint 0"), HasSubstr("'model 1' (checkpoint 1)")));
  file[16] = 2;
  EXPECT_THAT(error_of([&] {
                machine->import_snapshot(kOwner, file, {"b", {}}, nullptr);
              }).what(),
              HasSubstr("it has version 2, and this program reads version 1"));
  EXPECT_THAT(error_of([&] {
                machine->import_snapshot(kOwner, "some text", {"b", {}}, nullptr);
              }).what(),
              HasSubstr("it is no file of a snapshot"));
}

TEST(SnapshotFile, AUserHasALimitedNumber) {
  EngineOptions options;
  options.max_snapshots_per_owner = 1;
  Machine machine(options);
  const auto file = machine.file_of("one", request_of(kOwner));
  machine.file_of("two", request_of(kOwner));  // of the same name
  const auto too_many = error_of([&] { machine->import_snapshot(kOwner, file, {"b", {}}, nullptr); });
  EXPECT_EQ(too_many.code, ErrorCode::kLimit);
  EXPECT_THAT(too_many.what(), HasSubstr("limits.snapshots_per_user is 1"));
  auto request = request_of(kOwner);
  request.snapshot = SnapshotRequest{"b", {}};
  EXPECT_EQ(error_of([&] { machine->open(request, nullptr); }).code, ErrorCode::kLimit);
  machine->import_snapshot(kOther, file, {"b", {}}, nullptr);
  machine->import_snapshot(kOwner, file, {"a", {}}, nullptr);
  EXPECT_EQ(machine->find_snapshot(kOwner, "a").bytes, 3u);
  // One that was asked for when there was room.
  const auto document = machine->open(request_of(kOwner), nullptr).id;
  machine->remove_snapshot(kOwner, "a");
  std::exception_ptr failure;
  bool answered = false;
  machine->snapshot(document, {"c", {}}, [&](std::exception_ptr why, const SnapshotInfo&) {
    failure = why;
    answered = true;
  });
  machine->import_snapshot(kOwner, file, {"a", {}}, nullptr);
  while (machine->has_work()) machine->round();
  machine->commit_all();
  EXPECT_TRUE(answered);
  EXPECT_EQ(error_of([&] { std::rethrow_exception(failure); }).code, ErrorCode::kLimit);
  EXPECT_EQ(machine->status(document).phase, DocumentPhase::kOpen) << "the document is not affected";
}

}  // namespace
}  // namespace unroll
