# SPDX-License-Identifier: Apache-2.0
# The headers that nearly every file includes, parsed once for all libraries and once for all tests: it takes a third off a
# build. Every file still includes what it uses: only the dev preset has this, and all others compile without it.
option(BPFWARDEN_PRECOMPILE "Precompile the headers that nearly every file includes" OFF)

set(bpfwarden_common_headers <algorithm> <array> <cstdint> <functional> <map> <memory> <optional> <set> <span> <string>
    <string_view> <utility> <variant> <vector> <fmt/format.h>)

# Other targets take them from the first one, whose compiler options are theirs.
function(bpfwarden_precompiled target first)
  if(NOT BPFWARDEN_PRECOMPILE)
    return()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 sees faults in std::string that are none, and keeps quiet about them only as long as it reads a system header.
    target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  if(target STREQUAL first)
    target_precompile_headers(${target} PRIVATE ${bpfwarden_common_headers} ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${first})
  endif()
endfunction()

# A program has other options than a library (-fPIE), and a test two more headers.
function(bpfwarden_precompiled_test target)
  if(BPFWARDEN_PRECOMPILE AND NOT TARGET bpfwarden_test_headers)
    file(WRITE "${CMAKE_BINARY_DIR}/test_headers.cpp" "")
    add_library(bpfwarden_test_headers OBJECT "${CMAKE_BINARY_DIR}/test_headers.cpp")
    set_target_properties(bpfwarden_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(bpfwarden_test_headers PRIVATE -fPIE)
    target_link_libraries(bpfwarden_test_headers PRIVATE bpfwarden_options fmt::fmt GTest::gmock GTest::gtest)
    bpfwarden_precompiled(bpfwarden_test_headers bpfwarden_test_headers <fstream> <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_link_libraries(${target} PRIVATE fmt::fmt)
  bpfwarden_precompiled(${target} bpfwarden_test_headers)
endfunction()
