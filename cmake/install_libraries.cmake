# Run by cmake/install.cmake during installation: finds, as the loader would, the shared libraries that UNROLL_PROGRAMS
# need, and copies to UNROLL_DESTINATION those from the folder UNROLL_LIBTORCH (if UNROLL_WANTED is "libtorch") or the
# others (if it is "system").
file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${UNROLL_PROGRAMS} RESOLVED_DEPENDENCIES_VAR libraries
     PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\\+\\+)\\.so\\.")
set(folder "$ENV{DESTDIR}${UNROLL_DESTINATION}")
foreach(library IN LISTS libraries)
  cmake_path(IS_PREFIX UNROLL_LIBTORCH "${library}" NORMALIZE from_libtorch)
  if((from_libtorch AND UNROLL_WANTED STREQUAL "system") OR (NOT from_libtorch AND UNROLL_WANTED STREQUAL "libtorch"))
    continue()
  endif()
  # Under the name that the programs ask for, not that of the link's target.
  cmake_path(GET library FILENAME name)
  file(REAL_PATH "${library}" file)
  file(INSTALL "${file}" DESTINATION "${UNROLL_DESTINATION}" RENAME "${name}"
       PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  # The wheel's libraries look for NVIDIA's in folders beside them, which do not exist here.
  if(from_libtorch AND NOT name MATCHES "^lib(cudart|cupti)")
    file(RPATH_SET FILE "${folder}/${name}" NEW_RPATH "$ORIGIN")
    if(CMAKE_INSTALL_DO_STRIP)
      execute_process(COMMAND "${UNROLL_STRIP}" --strip-unneeded "${folder}/${name}" COMMAND_ERROR_IS_FATAL ANY)
    endif()
  endif()
endforeach()
