# Each part's folder has an include root of its own, build/include/PART, which holds only a link to the folder. A target
# gets the roots of the targets that it links and no others, so an include of any other part does not compile.
#   unroll_part(TARGET FOLDER): FOLDER's headers, as "FOLDER/header.h", for TARGET and for targets that link it.
function(unroll_part target folder)
  set(root ${PROJECT_BINARY_DIR}/include/${folder})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL INTERFACE_LIBRARY)
    target_include_directories(${target} INTERFACE ${root})
  else()
    target_include_directories(${target} PUBLIC ${root})
  endif()
endfunction()

# Shared by tests: "tests/temporary_folder.h".
add_library(unroll_test_headers INTERFACE)
unroll_part(unroll_test_headers tests)
