# What `cmake --install` puts where. client/ and daemon/ install their own: man pages, completions, unrolld.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# <prefix>/lib also where other libraries go elsewhere: the programs look for it beside their bin/.
set(UNROLL_PLUGIN_INSTALL_DIRECTORY lib/unroll/plugins)
set(UNROLL_CMAKE_INSTALL_DIRECTORY ${CMAKE_INSTALL_LIBDIR}/cmake/unroll)

# LibTorch stays where it is.
set_target_properties(unroll unrolld PROPERTIES INSTALL_RPATH ${TORCH_LIBRARY_DIR})
install(TARGETS unroll RUNTIME)
install(TARGETS unroll_plugin_check RUNTIME DESTINATION libexec/unroll)
install(TARGETS unroll_plugin_score unroll_plugin_anomaly unroll_plugin_summarize unroll_plugin_embed
        LIBRARY DESTINATION ${UNROLL_PLUGIN_INSTALL_DIRECTORY})
# A plugin's worker, and the sandbox for one in Python.
install(TARGETS unroll_plugin_worker RUNTIME DESTINATION libexec/unroll)
install(TARGETS unroll_sandbox LIBRARY DESTINATION lib/unroll)

# For authors of plugins: find_package(unroll), then unroll::plugin.
set_target_properties(unroll_plugin_headers PROPERTIES EXPORT_NAME plugin)
target_compile_features(unroll_plugin_headers INTERFACE cxx_std_20)
install(TARGETS unroll_plugin_headers EXPORT unroll-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/plugins/include/unroll DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT unroll-targets NAMESPACE unroll:: DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/unroll-config.cmake.in ${PROJECT_BINARY_DIR}/cmake/unroll-config.cmake
  INSTALL_DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY} PATH_VARS UNROLL_PLUGIN_INSTALL_DIRECTORY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/unroll-config-version.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/cmake/unroll-config.cmake ${PROJECT_BINARY_DIR}/cmake/unroll-config-version.cmake
        DESTINATION ${UNROLL_CMAKE_INSTALL_DIRECTORY})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/unroll-small DESTINATION share/unroll/models)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/plugins/python/unroll_plugin DESTINATION share/unroll/python PATTERN __pycache__ EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN __pycache__ EXCLUDE)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The units are written for /usr and /etc. The prefix is known only when something is installed; a configuration that
# is there already is somebody's.
install(CODE "set(UNROLL_SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")\nset(UNROLL_WORK_DIR \"${PROJECT_BINARY_DIR}/systemd\")")
install(CODE [[
  set(etc "${CMAKE_INSTALL_PREFIX}/etc")
  if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set(etc /etc)
  endif()
  foreach(unit unrolld.service unrolld.socket user/unrolld.service)
    file(READ "${UNROLL_SOURCE_DIR}/systemd/${unit}" text)
    string(REPLACE "/usr/bin/" "${CMAKE_INSTALL_PREFIX}/bin/" text "${text}")
    string(REPLACE "/etc/unroll/" "${etc}/unroll/" text "${text}")
    file(WRITE "${UNROLL_WORK_DIR}/${unit}" "${text}")
  endforeach()
  file(INSTALL "${UNROLL_WORK_DIR}/unrolld.service" "${UNROLL_WORK_DIR}/unrolld.socket"
       DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  file(INSTALL "${UNROLL_WORK_DIR}/user/unrolld.service" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/user")
  foreach(kind sysusers tmpfiles)
    file(INSTALL "${UNROLL_SOURCE_DIR}/systemd/unroll.${kind}" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/${kind}.d"
         RENAME unroll.conf)
  endforeach()
  if(NOT EXISTS "$ENV{DESTDIR}${etc}/unroll/unrolld.json")
    file(INSTALL "${UNROLL_SOURCE_DIR}/config/unrolld.json" DESTINATION "${etc}/unroll")
  endif()
]])
