# Where `cmake --install` puts files, and into which package. The components unroll, plugins, dev and model are
# packages; `system` (units and other files of a system's daemon) is part of the package unroll; `portable` is only in
# the archive. client/ and daemon/ install their own files: man pages, completions, unrolld.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# <prefix>/lib even if other libraries go elsewhere: the programs look for it beside their bin/.
set(UNROLL_PLUGIN_INSTALL_DIRECTORY lib/unroll/plugins)
set(UNROLL_PRIVATE_LIBRARY_DIRECTORY lib/unroll/lib)
# lib/ on every machine: the headers and their CMake files are the same on all.
set(UNROLL_CMAKE_INSTALL_DIRECTORY lib/cmake/unroll)

# An installed tree works wherever it is, and does not refer to the build machine's folders.
set(from_bin "$ORIGIN/../${UNROLL_PRIVATE_LIBRARY_DIRECTORY}")
set(from_libexec "$ORIGIN/../../${UNROLL_PRIVATE_LIBRARY_DIRECTORY}")
set_target_properties(unroll unrolld PROPERTIES INSTALL_RPATH ${from_bin})
set_target_properties(unroll_local unroll_extract unroll_fetch_program unroll_post unroll_plugin_check unroll_plugin_worker unroll_source_reader PROPERTIES INSTALL_RPATH ${from_libexec})
if(NOT UNROLL_BUNDLE_LIBTORCH)
  set_target_properties(unrolld unroll_local PROPERTIES INSTALL_RPATH ${TORCH_LIBRARY_DIR})
endif()
install(TARGETS unroll RUNTIME)
install(TARGETS unroll_local unroll_extract unroll_fetch_program unroll_post unroll_plugin_check unroll_plugin_worker unroll_source_reader RUNTIME DESTINATION libexec/unroll)
install(PROGRAMS client/parquet/unroll-parquet DESTINATION libexec/unroll)
install(TARGETS unroll_sandbox LIBRARY DESTINATION lib/unroll)  # for plugins in Python
install(DIRECTORY ${PROJECT_SOURCE_DIR}/plugins/python/unroll_plugin DESTINATION share/unroll/python PATTERN __pycache__ EXCLUDE)
set_target_properties(unroll_sandbox PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
set_target_properties(unroll_plugin_score unroll_plugin_summarize unroll_plugin_embed PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")  # ICU and CLD2, in the archive
set(plugins ${UNROLL_BUILTIN_PLUGINS})
list(TRANSFORM plugins PREPEND unroll_plugin_)
install(TARGETS ${plugins}
        LIBRARY DESTINATION ${UNROLL_PLUGIN_INSTALL_DIRECTORY} COMPONENT plugins)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/unroll-small DESTINATION share/unroll/models COMPONENT model)

# The shared libraries that the programs need: LibTorch's, and in the archive, which has no package manager, all except
# the C and C++ libraries.
function(unroll_install_libraries wanted)
  install(CODE "
    set(UNROLL_PROGRAMS \"$<TARGET_FILE:unroll>\" \"$<TARGET_FILE:unroll_local>\" \"$<TARGET_FILE:unroll_fetch_program>\" \"$<TARGET_FILE:unroll_post>\" \"$<TARGET_FILE:unroll_extract>\" \"$<TARGET_FILE:unrolld>\" \"$<TARGET_FILE:unroll_plugin_worker>\" \"$<TARGET_FILE:unroll_plugin_score>\")
    set(UNROLL_LIBTORCH \"${TORCH_LIBRARY_DIR}\")
    set(UNROLL_WANTED ${wanted})
    set(UNROLL_DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${UNROLL_PRIVATE_LIBRARY_DIRECTORY}\")
    set(UNROLL_STRIP \"${CMAKE_STRIP}\")
    include(\"${PROJECT_SOURCE_DIR}/cmake/install_libraries.cmake\")" ${ARGN})
endfunction()
if(UNROLL_BUNDLE_LIBTORCH)
  unroll_install_libraries(libtorch COMPONENT unroll)
endif()
unroll_install_libraries(system COMPONENT portable EXCLUDE_FROM_ALL)

# For authors of plugins: find_package(unroll), then unroll::plugin.
set_target_properties(unroll_plugin_headers PROPERTIES EXPORT_NAME plugin)
target_compile_features(unroll_plugin_headers INTERFACE cxx_std_20)
install(TARGETS unroll_plugin_headers EXPORT unroll-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/plugins/include/unroll DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(EXPORT unroll-targets NAMESPACE unroll:: DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY} COMPONENT dev)
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/unroll-config.cmake.in ${PROJECT_BINARY_DIR}/cmake/unroll-config.cmake
  INSTALL_DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY} PATH_VARS UNROLL_PLUGIN_INSTALL_DIRECTORY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/unroll-config-version.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/cmake/unroll-config.cmake ${PROJECT_BINARY_DIR}/cmake/unroll-config-version.cmake
        DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY} COMPONENT dev)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION share/doc/unroll)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION share/doc/unroll COMPONENT dev PATTERN __pycache__ EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION share/doc/unroll)
# For the administrator to copy: docs/service.md.
install(FILES ${PROJECT_SOURCE_DIR}/systemd/gpu.conf ${PROJECT_SOURCE_DIR}/systemd/follow.conf DESTINATION share/doc/unroll/systemd)
install(FILES ${PROJECT_SOURCE_DIR}/systemd/grafana/unroll.json DESTINATION share/doc/unroll/systemd/grafana)
install(FILES ${PROJECT_SOURCE_DIR}/systemd/prometheus/unroll.rules.yml DESTINATION share/doc/unroll/systemd/prometheus)

# The units are written for /usr and /etc. The prefix is known only during installation. An existing configuration is
# never overwritten.
install(CODE "set(UNROLL_SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")\nset(UNROLL_WORK_DIR \"${PROJECT_BINARY_DIR}/systemd\")"
        COMPONENT system)
install(CODE [[
  set(etc "${CMAKE_INSTALL_PREFIX}/etc")
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(etc /etc)
  endif()
  foreach(unit unrolld.service unrolld.socket unroll-follow@.service user/unrolld.service)
    file(READ "${UNROLL_SOURCE_DIR}/systemd/${unit}" text)
    string(REPLACE "/usr/bin/" "${CMAKE_INSTALL_PREFIX}/bin/" text "${text}")
    string(REPLACE "/etc/unroll/" "${etc}/unroll/" text "${text}")
    file(WRITE "${UNROLL_WORK_DIR}/${unit}" "${text}")
  endforeach()
  file(INSTALL "${UNROLL_WORK_DIR}/unrolld.service" "${UNROLL_WORK_DIR}/unrolld.socket" "${UNROLL_WORK_DIR}/unroll-follow@.service"
       DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  file(INSTALL "${UNROLL_WORK_DIR}/user/unrolld.service" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/user")
  foreach(kind sysusers tmpfiles)
    file(INSTALL "${UNROLL_SOURCE_DIR}/systemd/unroll.${kind}" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/${kind}.d"
         RENAME unroll.conf)
  endforeach()
  if(NOT EXISTS "$ENV{DESTDIR}${etc}/unroll/unrolld.json")
    file(INSTALL "${UNROLL_SOURCE_DIR}/config/unrolld.json" DESTINATION "${etc}/unroll")
  endif()
]] COMPONENT system)
