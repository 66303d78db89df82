# unroll_instruction_sets(NAME SOURCE [LIBRARY ...]): compiles SOURCE once for each instruction set: for the least CPU of
# the architecture, and on x86-64 for AVX2 and AVX-512, too. model/cpu/instruction_set.h names the sets and chooses at run
# time; SOURCE sees its own as UNROLL_INSTRUCTION_SET. NAME_objects is set to the list of the object files. LIBRARY: libraries
# whose headers the source includes, in addition to its own folder's.
set(UNROLL_INSTRUCTION_SETS kPortable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(APPEND UNROLL_INSTRUCTION_SETS kAvx2:x86-64-v3 kAvx512:x86-64-v4)
endif()
function(unroll_instruction_sets name source)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  foreach(entry ${UNROLL_INSTRUCTION_SETS})
    string(REGEX MATCH "^k([^:]+):?(.*)$" all ${entry})
    set(set ${CMAKE_MATCH_1})
    set(architecture ${CMAKE_MATCH_2})
    set(library ${name}_${set})
    add_library(${library} OBJECT ${source})
    unroll_part(${library} ${folder})
    target_link_libraries(${library} PRIVATE unroll_warnings ${ARGN})
    target_compile_definitions(${library} PRIVATE UNROLL_INSTRUCTION_SET=k${set})
    if(architecture)
      target_compile_options(${library} PRIVATE -march=${architecture})
    endif()
    target_compile_options(${library} PRIVATE -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math
                           $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)  # with a sanitizer, loops are not vectorized
    list(APPEND objects $<TARGET_OBJECTS:${library}>)
  endforeach()
  set(${name}_objects ${objects} PARENT_SCOPE)
endfunction()
