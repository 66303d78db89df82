# Read by cpack for each kind of package: its layout and its content.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_COMPONENTS_ALL unroll system plugins dev model)
  # Set here, because -D CPACK_PACKAGE_VERSION=... has been read.
  set(CPACK_DEBIAN_UNROLL_PACKAGE_DEPENDS
      "unroll-plugins (= ${CPACK_PACKAGE_VERSION}), systemd | systemd-standalone-sysusers | systemd-sysusers")
  # Optional: users may have another model, and need pdftotext only for PDFs.
  set(CPACK_DEBIAN_UNROLL_PACKAGE_RECOMMENDS "unroll-model, poppler-utils")
  set(CPACK_DEBIAN_UNROLL_PACKAGE_SUGGESTS "python3")  # for Parquet files, with pyarrow
else()
  set(CPACK_PACKAGING_INSTALL_PREFIX "")
  set(CPACK_COMPONENTS_ALL unroll portable plugins dev model)
  set(CPACK_ARCHIVE_COMPONENT_INSTALL ON)
  set(CPACK_COMPONENT_INCLUDE_TOPLEVEL_DIRECTORY ON)
  set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
  set(CPACK_PACKAGE_FILE_NAME unroll-${CPACK_PACKAGE_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
endif()
