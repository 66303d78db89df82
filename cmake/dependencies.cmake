# Every library that the project uses, with version and reason, in one place. scripts/setup.sh installs them.
#
# LibTorch 2.11        tensors, autograd, kernels. A user's own through CMAKE_PREFIX_PATH, else the PyPI wheel's.
# nlohmann_json 3.11   JSON in the protocol, in configurations and in checkpoints.
# SentencePiece 0.1.97 the vocabulary.                SQLite 3.40   the journal: durable, atomic commits.
# ICU 72               pretrained vocabularies: their regular expressions (lookahead, Unicode's classes, and whether more
#                      text could change a match) and normal form C. Documents in other encodings than UTF-8.
#                      Where sentences end; words of scripts without spaces.
# CLD2                 the language of a document (0.0.0-git20150806, as Debian has it; no other detector there takes
#                      plain text of 80 languages without a model file).
# Boost 1.74           Asio (sockets), Beast (HTTP).  spdlog 1.10   logging.
# jemalloc 5.3         malloc: glibc's keeps a megabyte for each open document's kilobytes, as blocks' large buffers
#                      come and go between small states that stay; and is slower.
# CLI11 2.1            command lines.                 libsystemd    readiness, watchdog, socket activation, journal.
# zlib, liblzma, libzstd, bzip2  documents that are compressed (libarchive, one interface to all, checks no gzip sums).
# Snowball 2.2 (libstemmer)  stems of words, by which unroll embed --query searches.
# libxml2 2.9          HTML and the XML in EPUB, DOCX, ODT, FictionBook.  md4c 0.4.8  Markdown.
# uchardet 0.0.7       guesses the encoding of text that does not declare it. These three only in unroll-extract, which also
#                      runs poppler's pdftotext, if it is installed, to read PDFs.
# Nettle 3.8           SHA-256 whose state can be saved: whether a resumed document's bytes are those of before.
# libcurl 7.88         HTTP with proxies, redirections and resumed transfers: `unroll model fetch`, `unroll follow --webhook`.
# libarchive 3.6       zip archives: Python wheels, in which models come; EPUB, DOCX, ODT.
# xxHash 0.8           XXH3: whether a file's content is another than before.
# GoogleTest 1.12      tests.                         Google Benchmark 1.7  benchmarks.

# find_package(Torch) wants a CUDA toolkit wherever the wheel was built with one, so the two libraries that we link
# are found by hand. libtorch_cuda is left to be loaded at run time.
find_path(TORCH_INCLUDE_DIR ATen/ATen.h PATH_SUFFIXES include REQUIRED)
find_path(TORCH_API_INCLUDE_DIR torch/torch.h
          HINTS ${TORCH_INCLUDE_DIR}/torch/csrc/api/include REQUIRED)
find_library(TORCH_CPU_LIBRARY torch_cpu HINTS ${TORCH_INCLUDE_DIR}/../lib REQUIRED)
find_library(TORCH_C10_LIBRARY c10 HINTS ${TORCH_INCLUDE_DIR}/../lib REQUIRED)
get_filename_component(TORCH_LIBRARY_DIR ${TORCH_CPU_LIBRARY} DIRECTORY)
add_library(unroll_torch INTERFACE)
target_include_directories(unroll_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIR} ${TORCH_API_INCLUDE_DIR})
target_link_libraries(unroll_torch INTERFACE ${TORCH_CPU_LIBRARY} ${TORCH_C10_LIBRARY})
# The wheel's own dependencies (cudart, cupti, gomp) lie beside it: -rpath-link lets the linker see them there, and
# DT_RPATH the loader. CMake names the folder, and another one when installing.
target_link_options(unroll_torch INTERFACE -Wl,-rpath-link,${TORCH_LIBRARY_DIR})

find_package(nlohmann_json 3.11 REQUIRED)
if(UNROLL_MODEL_ONLY)
  return()
endif()
find_package(Threads REQUIRED)
find_package(Boost 1.74 REQUIRED CONFIG)
find_package(spdlog 1.10 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece>=0.1.97)
pkg_check_modules(icu REQUIRED IMPORTED_TARGET icu-i18n>=72 icu-uc>=72)
pkg_check_modules(compression REQUIRED IMPORTED_TARGET zlib liblzma libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(nettle REQUIRED IMPORTED_TARGET nettle>=3.8)
find_package(CURL 7.88 REQUIRED)
find_package(LibArchive 3.6 REQUIRED)
find_package(BZip2 REQUIRED)
find_package(LibXml2 2.9 REQUIRED)
pkg_check_modules(uchardet REQUIRED IMPORTED_TARGET uchardet)
pkg_check_modules(md4c REQUIRED IMPORTED_TARGET md4c>=0.4.8)
find_path(CLD2_INCLUDE_DIR cld2/public/compact_lang_det.h REQUIRED)
find_library(CLD2_LIBRARY cld2 REQUIRED)
find_path(STEMMER_INCLUDE_DIR libstemmer.h REQUIRED)
find_library(STEMMER_LIBRARY stemmer REQUIRED)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp>=2.5)  # what a plugin's worker may ask of the kernel
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc>=5)
# For the two programs; sanitizers bring a malloc of their own.
add_library(unroll_allocator INTERFACE)
if(NOT UNROLL_SANITIZE)
  target_link_libraries(unroll_allocator INTERFACE PkgConfig::jemalloc)
endif()
if(UNROLL_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
if(UNROLL_BENCHMARKS)
  find_package(benchmark 1.7 REQUIRED)
endif()
