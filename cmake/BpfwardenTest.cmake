# SPDX-License-Identifier: Apache-2.0
# bpfwarden_test(NAME SUITE suite [USES folder…] [SOURCES file…])
# A GoogleTest program build/tests/SUITE/NAME from the given files (default NAME_test.cpp). tests/run finds what to run
# by looking there, so a new test needs no other registration.
#   unit: no privilege, no kernel feature.  root: needs root on this machine, cleans up after itself.
#   vm: needs a guest of tools/lab.         token: root tests that also run in every guest (as `root`).
if(BPFWARDEN_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
function(bpfwarden_test name)
  cmake_parse_arguments(arg "" "SUITE" "USES;SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    set(arg_SOURCES "${name}_test.cpp")
  endif()
  set(target "${arg_SUITE}_${name}")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE bpfwarden_options GTest::gmock GTest::gtest GTest::gtest_main ${arg_LINK})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  foreach(used IN LISTS arg_USES)
    target_link_libraries(${target} PRIVATE bpfwarden::${used})
  endforeach()
  bpfwarden_precompiled_test(${target})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME "${name}"
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests/${arg_SUITE}")
endfunction()
