# SPDX-License-Identifier: Apache-2.0
# bpfwarden_bpf_object(NAME SOURCE file [OUTPUT_DIR dir] [INCLUDE dir…])  compiles one BPF C file with clang.
# bpfwarden_bpf_skeleton(NAME SOURCE file)                 the same, and a target NAME_skel giving "NAME.skel.h".
find_program(BPF_CLANG NAMES clang-19 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)
# The BPF target has no multiarch directory of its own; <asm/types.h> lives in the host's.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-multiarch OUTPUT_VARIABLE BPF_MULTIARCH
  OUTPUT_STRIP_TRAILING_WHITESPACE)

function(bpfwarden_bpf_object name)
  cmake_parse_arguments(arg "" "SOURCE;OUTPUT_DIR" "INCLUDE" ${ARGN})
  list(TRANSFORM arg_INCLUDE PREPEND -I)
  if(NOT arg_OUTPUT_DIR)
    set(arg_OUTPUT_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  get_filename_component(source "${arg_SOURCE}" ABSOLUTE)
  set(object "${arg_OUTPUT_DIR}/${name}.bpf.o")
  add_custom_command(OUTPUT "${object}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${arg_OUTPUT_DIR}"
    # The lines' file names go into our programs with the object: none of this machine's.
    COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -Wall -Werror -std=gnu11
      ${arg_INCLUDE} -idirafter /usr/include/${BPF_MULTIARCH} -MD -MF "${object}.d" -c "${source}" -o "${object}"
    # -g also leaves DWARF, ten times the size of the BTF that libbpf needs.
    COMMAND ${BPFTOOL} gen object "${object}.linked" "${object}"
    COMMAND ${CMAKE_COMMAND} -E rename "${object}.linked" "${object}"
    DEPENDS "${source}" DEPFILE "${object}.d" VERBATIM COMMENT "BPF ${name}")
  add_custom_target(${name}_bpf ALL DEPENDS "${object}")
  set_target_properties(${name}_bpf PROPERTIES BPF_OBJECT "${object}")
endfunction()

# bpfwarden_filter_object(NAME SOURCE file [CPU v1|v2|v3|v4] [DEFINES name…] [ALONE])  compiles a seccomp filter, as `filter build`
# does; ALONE: where <asm/types.h> is not found.
function(bpfwarden_filter_object name)
  cmake_parse_arguments(arg "ALONE" "SOURCE;CPU" "DEFINES" ${ARGN})
  set(multiarch -idirafter /usr/include/${BPF_MULTIARCH})
  if(arg_ALONE)
    set(multiarch "")
  endif()
  if(NOT arg_CPU)
    set(arg_CPU v4)
  endif()
  list(TRANSFORM arg_DEFINES PREPEND -D)
  get_filename_component(source "${arg_SOURCE}" ABSOLUTE)
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o")
  add_custom_command(OUTPUT "${object}"
    COMMAND ${BPF_CLANG} -target bpf -mcpu=${arg_CPU} -O2 -g -fno-jump-tables -fno-unroll-loops -Wall -Wextra -Werror -std=gnu11
      ${arg_DEFINES} -I "${PROJECT_SOURCE_DIR}/include" ${multiarch}
      -MD -MF "${object}.d" -c "${source}" -o "${object}"
    DEPENDS "${source}" DEPFILE "${object}.d" VERBATIM COMMENT "filter ${name}")
  add_custom_target(${name}_filter ALL DEPENDS "${object}")
endfunction()

function(bpfwarden_bpf_skeleton name)
  bpfwarden_bpf_object(${name} ${ARGN})
  get_target_property(object ${name}_bpf BPF_OBJECT)
  set(header "${CMAKE_CURRENT_BINARY_DIR}/skel/${name}.skel.h")
  add_custom_command(OUTPUT "${header}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/skel"
    COMMAND ${BPFTOOL} gen skeleton "${object}" name ${name} > "${header}"
    DEPENDS "${object}" ${name}_bpf VERBATIM COMMENT "BPF skeleton ${name}")
  add_custom_target(${name}_skel_header DEPENDS "${header}")
  add_library(${name}_skel INTERFACE)
  add_dependencies(${name}_skel ${name}_skel_header)
  # Generated code does not pass our warnings.
  target_include_directories(${name}_skel SYSTEM INTERFACE "${CMAKE_CURRENT_BINARY_DIR}/skel")
  target_link_libraries(${name}_skel INTERFACE libbpf_static)
endfunction()
