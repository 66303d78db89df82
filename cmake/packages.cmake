# `cpack`: Debian packages, and an archive to unpack anywhere. docs/packages.md describes their content.
set(CPACK_PACKAGE_VENDOR "The unroll authors")
# If you distribute packages, name yourself: -DCPACK_PACKAGE_CONTACT="Name <address>".
set(CPACK_PACKAGE_CONTACT "The unroll authors <unroll@localhost.localdomain>" CACHE STRING "Maintainer of the packages")
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_kinds.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_files.cmake)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_VERBATIM_VARIABLES ON)

set(debian ${PROJECT_SOURCE_DIR}/systemd/debian)
configure_file(${debian}/changelog.in ${PROJECT_BINARY_DIR}/debian/changelog @ONLY)
set(CPACK_UNROLL_DEBIAN_DIRECTORY ${debian})
set(CPACK_UNROLL_CHANGELOG ${PROJECT_BINARY_DIR}/debian/changelog)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_THREADS 0)  # all cores
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SECTION text)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SOURCE unroll)

set(CPACK_DEBIAN_UNROLL_PACKAGE_NAME unroll)
set(CPACK_DEBIAN_UNROLL_DESCRIPTION "reads documents longer than any context window
Reads books and logs that never end through a small block-recurrent language
model, in constant memory, and tells how surprising each part is.
.
This package holds the daemon unrolld, the command line unroll, and LibTorch's
libraries for the CPU, which only they use.")
set(CPACK_DEBIAN_UNROLL_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${TORCH_LIBRARY_DIR})
set(CPACK_DEBIAN_UNROLL_PACKAGE_SUGGESTS "python3-numpy")
set(CPACK_DEBIAN_UNROLL_PACKAGE_CONTROL_EXTRA
    ${debian}/postinst ${debian}/prerm ${debian}/postrm ${debian}/conffiles)

set(CPACK_DEBIAN_PLUGINS_PACKAGE_NAME unroll-plugins)
set(CPACK_DEBIAN_PLUGINS_DESCRIPTION "plugins of unroll: scores, odd log lines, summaries, vectors
What turns unroll's reading of a document into results: score, words,
anomaly, summarize, embed and logprobs.")
set(CPACK_DEBIAN_PLUGINS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_ENHANCES unroll)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME unroll-dev)
set(CPACK_DEBIAN_DEV_DESCRIPTION "headers to write plugins for unroll
The C interface, its C++ wrapper, CMake's find_package(unroll), and examples.
There is no library to link.")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_DEV_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "unroll, cmake, g++")

set(CPACK_DEBIAN_MODEL_PACKAGE_NAME unroll-model)
set(CPACK_DEBIAN_MODEL_DESCRIPTION "unroll-small, the language model that comes with unroll
English prose, technical text, source code and logs: nine million parameters,
with its vocabulary. unroll takes it where no other is named.")
set(CPACK_DEBIAN_MODEL_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_MODEL_PACKAGE_ENHANCES unroll)

include(CPack)
foreach(package unroll plugins dev model)
  cpack_add_component_group(${package})
  cpack_add_component(${package} GROUP ${package})
endforeach()
cpack_add_component(system GROUP unroll)
cpack_add_component(portable GROUP unroll)
