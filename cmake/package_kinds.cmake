# Read by cpack for each kind of package: where things lie in it, and what it holds.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_COMPONENTS_ALL unroll system plugins dev model)
  # Here, where -D CPACK_PACKAGE_VERSION=... has been read.
  set(CPACK_DEBIAN_UNROLL_PACKAGE_DEPENDS
      "unroll-plugins (= ${CPACK_PACKAGE_VERSION}), systemd | systemd-standalone-sysusers | systemd-sysusers")
  # Not needed by who has a model of his own.
  set(CPACK_DEBIAN_UNROLL_PACKAGE_RECOMMENDS unroll-model)
else()
  set(CPACK_PACKAGING_INSTALL_PREFIX "")
  set(CPACK_COMPONENTS_ALL unroll portable plugins dev model)
  set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
  set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
  set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
  set(CPACK_PACKAGE_FILE_NAME unroll-${CPACK_PACKAGE_VERSION}-linux-x86_64)
endif()
