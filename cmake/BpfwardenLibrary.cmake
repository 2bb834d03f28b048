# SPDX-License-Identifier: Apache-2.0
# bpfwarden_library(FOLDER [USES folder…] [LINK target…])
# One static library for one folder of src/: every .cpp in it, named bpfwarden::FOLDER.
# Includes are written from src/ ("base/result.hpp"), so a layer is visible in every #include line.
function(bpfwarden_library folder)
  cmake_parse_arguments(arg "" "" "USES;LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp")
  add_library(bpfwarden_${folder} STATIC ${sources})
  add_library(bpfwarden::${folder} ALIAS bpfwarden_${folder})
  target_include_directories(bpfwarden_${folder} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(bpfwarden_${folder} PRIVATE bpfwarden_options PUBLIC fmt::fmt)
  foreach(used IN LISTS arg_USES)
    target_link_libraries(bpfwarden_${folder} PUBLIC bpfwarden::${used})
  endforeach()
  target_link_libraries(bpfwarden_${folder} PRIVATE ${arg_LINK})
  bpfwarden_precompiled(bpfwarden_${folder} bpfwarden_base)
endfunction()
