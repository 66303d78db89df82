# unroll_instruction_sets(NAME SOURCE MACRO PREFIX [LIBRARY ...]): compiles loops for AVX-512 and for AVX2, as the
# object libraries NAME_AVX512 and NAME_AVX2. MACRO is defined as PREFIXAvx512 or PREFIXAvx2, the name that the source
# exports. LIBRARY: libraries whose headers the source includes, in addition to its own folder's.
function(unroll_instruction_sets name source macro prefix)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  foreach(set AVX512:x86-64-v4 AVX2:x86-64-v3)
    string(REGEX MATCH "([^:]+):(.+)" all ${set})
    set(library ${name}_${CMAKE_MATCH_1})
    set(architecture ${CMAKE_MATCH_2})
    string(REPLACE "AVX" "${prefix}Avx" table ${CMAKE_MATCH_1})
    add_library(${library} OBJECT ${source})
    unroll_part(${library} ${folder})
    target_link_libraries(${library} PRIVATE unroll_warnings ${ARGN})
    target_compile_definitions(${library} PRIVATE ${macro}=${table})
    target_compile_options(${library} PRIVATE -march=${architecture} -O3 -fopenmp-simd -fno-math-errno -fno-trapping-math
                           $<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)  # with a sanitizer, loops are not vectorized
  endforeach()
endfunction()
