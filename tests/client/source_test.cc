// Sources of a document's bytes: compressed files, pumps, and their failures.
#include "client/sources/source.h"

#include <random>

#include <fcntl.h>

#include "base/write_all.h"
#include "client/cli/command_error.h"
#include "client/reading/document_bytes.h"
#include "client/reading/reader.h"
#include "tests/client/end_to_end.h"

namespace unroll::test {
namespace {

using testing::HasSubstr;

std::string read_to_end(Source& source) {
  std::string all;
  for (std::string bytes = source.read(5000); !bytes.empty(); bytes = source.read(5000)) all += bytes;
  return all;
}

/// Gives these bytes, then fails.
class FailingPump : public Pump {
 public:
  explicit FailingPump(std::string bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t begin(std::uint64_t) override { return 0; }
  void run(int pipe, int) override {
    write_all(pipe, bytes_);
    throw CommandError("the pump failed");
  }

 private:
  std::string bytes_;
};

/// Produces zeros without end.
class EndlessPump : public Pump {
 public:
  std::uint64_t begin(std::uint64_t) override { return 0; }
  void run(int pipe, int) override {
    while (write_all(pipe, std::string(4096, '\0'))) {
    }
  }
};

struct Program {
  std::string name;
  std::vector<std::string> compress;
  std::size_t magic = 6;  ///< Bytes that determine the format.
};

class Compressed : public testing::TestWithParam<Program> {
 protected:
  std::string compressed(const std::string& text) {
    const Finished finished = run(GetParam().compress, {text, {}});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished.out;
  }
  /// The document's content, or the error.
  std::string read(const std::string& bytes) {
    const std::string file = (folder_ / "x").string();
    write_file(file, bytes);
    Source source = Source::open(file);
    EXPECT_FALSE(source.can_be_handed_over());
    return read_to_end(source);
  }
  TemporaryFolder folder_;
};

std::string noise(std::size_t size) {
  std::mt19937 random(1);
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random());
  return bytes;
}

TEST_P(Compressed, ReadsAsWhatIsInIt) {
  // More than the buffers hold, and several members.
  const std::string text = noise(300'000) + prose(3000);
  EXPECT_EQ(read(compressed(text)), text);
  EXPECT_EQ(read(compressed("one\n") + compressed("") + compressed("two")), "one\ntwo");
  EXPECT_EQ(read(compressed("")), "");
}

TEST_P(Compressed, DamagedOrCutOffIsNeverAWholeDocument) {
  const std::string text = noise(300) + prose(20), whole = compressed(text);
  std::mt19937 random(2);
  for (int i = 0; i < 150; ++i) {
    std::string damaged = whole;
    // The first bytes determine the format: with others it is another document.
    damaged[GetParam().magic + random() % (damaged.size() - GetParam().magic)] ^=
        static_cast<char>(1u << random() % 8);
    try {
      EXPECT_EQ(read(damaged), text);  // some bits have no effect: a time, a name
    } catch (const CommandError& error) {
      EXPECT_THAT(error.what(), HasSubstr((folder_ / "x").string()));
    }
  }
  for (std::size_t size = GetParam().magic; size < whole.size(); size += 1 + random() % 9) {
    EXPECT_THROW(read(whole.substr(0, size)), CommandError) << size;
    EXPECT_THROW(read(whole + whole.substr(0, size)), CommandError) << size;
  }
  EXPECT_THROW(read(whole + "what is this"), CommandError);
}

INSTANTIATE_TEST_SUITE_P(Programs, Compressed,
                         testing::Values(Program{"gzip", {"/bin/gzip", "-c"}},
                                         Program{"xz", {"/usr/bin/xz", "-c"}},
                                         Program{"zstd", {"/usr/bin/zstd", "-qc", "--check"}},
                                         Program{"bzip2", {"/bin/bzip2", "-c"}, 10}),
                         [](const auto& info) { return info.param.name; });

/// As archives of forums are made; and as pzstd begins a file, with a frame to skip.
TEST(ZstdSource, MayHaveWideWindowsAndFramesToSkip) {
  const TemporaryFolder folder;
  const auto text = prose(300);
  const std::string skipped("\x53\x2a\x4d\x18\x04\0\0\0skip", 12);
  for (const auto& begin : {std::string(), skipped}) {
    const auto packed = run({"/usr/bin/zstd", "-qc", "--long=28"}, {text, {}});
    ASSERT_EQ(packed.exit_code, 0) << packed.err;
    write_file(folder / "x", begin + packed.out);
    Source source = Source::open((folder / "x").string());
    EXPECT_EQ(read_to_end(source), text);
  }
}

TEST(PumpedSource, ErrorComesBehindTheBytes) {
  Source source = Source::pumped("it", std::make_unique<FailingPump>("some bytes"));
  EXPECT_EQ(source.begin(0), 0u);
  EXPECT_EQ(source.read(100), "some bytes");
  EXPECT_THROW(source.read(100), CommandError);
}

TEST(PumpedSource, EndlessOneStopsWithItsReader) {
  Source source = Source::pumped("it", std::make_unique<EndlessPump>());
  source.begin(0);
  EXPECT_EQ(source.read(10), std::string(10, '\0'));
}  // would hang here

TEST(DocumentBytes, GoBackALittleAndSkipForward) {
  const TemporaryFolder folder;
  const std::string text = noise(10'000), file = (folder / "x").string();
  write_file(file, run({"/bin/gzip", "-c"}, {text, {}}).out);
  Source source = Source::open(file);
  DocumentBytes bytes(source, 1000);
  bytes.go_to(3000);  // a gzip file cannot be read from the middle
  std::string read;
  for (auto next = bytes.next(700); next; next = bytes.next(700)) read += *next;
  EXPECT_EQ(read, text.substr(3000));
  EXPECT_FALSE(bytes.next(700)) << "the end stays";
  bytes.go_to(9500);
  EXPECT_EQ(bytes.next(10'000), text.substr(9500));
  EXPECT_FALSE(bytes.next(700));
  EXPECT_THROW(bytes.go_to(1000), CommandError);
}

TEST(DocumentBytes, ShorterThanWhatWasReadBeforeIsAnError) {
  Source source = Source::pumped("it", std::make_unique<FailingPump>("short"));
  DocumentBytes bytes(source, 0);
  bytes.go_to(100);
  EXPECT_EQ(bytes.next(10), "") << "not the end";
  EXPECT_THROW(bytes.next(10), CommandError);
}

TEST(BoundedFile, GrowthIsNotReadAndShrinkingIsAnError) {
  const TemporaryFolder folder;
  const std::string file = (folder / "x").string();
  write_file(file, "0123456789");
  const auto open = [&] {
    return Source::of_file("x", UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC)), 10);
  };
  Source grown = open();
  Source shrunk = open();
  write_file(file, "0123456789 and more");
  EXPECT_EQ(read_to_end(grown), "0123456789");
  write_file(file, "01234");
  EXPECT_EQ(shrunk.begin(2), 2u);
  EXPECT_EQ(shrunk.read(100), "234");
  EXPECT_THROW(shrunk.read(100), CommandError);
}

/// A reader's errors and resumption, with the daemon and in this process.
class Readers : public WithDaemon {
 protected:
  static std::unique_ptr<Reader> embedded_reader(const std::string& journal = "") {
    SharedOptions options;
    options.model = model();
    options.embedded = true;
    options.embedded_reader = make_embedded_reader;
    return make_reader(options, journal);
  }
  static std::unique_ptr<Reader> daemon_reader() {
    SharedOptions options;
    options.socket = daemon_->socket();
    return make_reader(options);
  }
  struct Told {
    DocumentId document;
    std::vector<std::string> outputs;  ///< From `first` on.
    std::optional<std::uint64_t> first;
  };
  /// Each output once and in order, or the test fails.
  static void read(Reader& reader, Source source, Told& told, const ReadRequest& request) {
    ReadEvents events;
    events.opened = [&](const DocumentId& id) { told.document = id; };
    events.output = [&](std::uint64_t sequence, const std::string&, const nlohmann::json& data) {
      if (!told.first) told.first = sequence;
      EXPECT_EQ(sequence, *told.first + told.outputs.size());
      told.outputs.push_back(data.dump());
    };
    reader.read(source, request, events);
  }
  static ReadRequest request() {
    ReadRequest request;
    request.plugins = {{"score", {{"granularity", "line"}}}};
    return request;
  }

  /// A document whose pump fails is resumed with the complete one.
  static void expect_failed_pump_resumes(Reader& reader) {
    Told whole;
    read(reader, Source::open(path("book.txt")), whole, request());

    Told failed;
    const std::string text = prose(12);
    Source pumped = Source::pumped("it", std::make_unique<FailingPump>(text.substr(0, text.size() / 2)));
    try {
      read(reader, std::move(pumped), failed, request());
      ADD_FAILURE() << "looks like the document's end";
    } catch (const std::exception& error) {
      EXPECT_THAT(error.what(), HasSubstr("the pump failed"));
    }
    ReadRequest again = request();
    again.resume = failed.document;
    Told resumed;
    read(reader, Source::open(path("book.txt")), resumed, again);
    EXPECT_EQ(resumed.document, failed.document);
    EXPECT_EQ(resumed.outputs, whole.outputs);

    // It is done now: its outputs are delivered again, from any number on.
    again.from = 5;
    Told later;
    read(reader, Source::open(path("book.txt")), later, again);
    EXPECT_EQ(later.first, 5u);
    EXPECT_EQ(later.outputs, std::vector(whole.outputs.begin() + 5, whole.outputs.end()));

    again.resume = "0123456789abcdef0123456789abcdef";
    Told anew;
    read(reader, Source::open(path("book.txt")), anew, again);
    EXPECT_NE(anew.document, *again.resume);
    EXPECT_EQ(anew.outputs, whole.outputs) << "one that is not known is begun anew, and told from its first";
  }
};

TEST_F(Readers, FailedPumpFailsItsDocumentWhichGoesOn) {
  expect_failed_pump_resumes(*daemon_reader());
  expect_failed_pump_resumes(*embedded_reader(path("own-journal")));
}

TEST_F(Readers, AnotherOneSharesTheEngine) {
  const auto first = embedded_reader();
  const auto second = first->another();
  EXPECT_EQ(second->model(), first->model());
  Told told;
  read(*second, Source::open(path("a.log")), told, request());
  EXPECT_FALSE(told.outputs.empty());
  EXPECT_EQ(daemon_reader()->model(), first->model());
}

}  // namespace
}  // namespace unroll::test
