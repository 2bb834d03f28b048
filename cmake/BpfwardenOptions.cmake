# SPDX-License-Identifier: Apache-2.0
# Compiler settings that every target of ours shares.

option(BPFWARDEN_BUILD_TESTS "Build the tests and benchmarks" ON)
option(BPFWARDEN_FUZZ "Build the libFuzzer targets (needs clang++-19)" OFF)
option(BPFWARDEN_COVERAGE "Instrument for gcov" OFF)
set(BPFWARDEN_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize= (address,undefined or thread)")

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBELF REQUIRED IMPORTED_TARGET libelf)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(LIBCAP REQUIRED IMPORTED_TARGET libcap)
pkg_check_modules(LIBACL REQUIRED IMPORTED_TARGET libacl)
# What tests compare filters with; no program of ours uses it.
if(BPFWARDEN_BUILD_TESTS)
  pkg_check_modules(LIBSECCOMP REQUIRED IMPORTED_TARGET libseccomp)
endif()
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(LIBSYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

# Debian 12 itself has libbpf 1.1, which knows no tokens. The static library of backports is linked in,
# so that the installed programs do not depend on that suite.
find_path(LIBBPF_INCLUDE_DIR bpf/libbpf.h REQUIRED)
find_library(LIBBPF_STATIC libbpf.a REQUIRED)
file(STRINGS "${LIBBPF_INCLUDE_DIR}/bpf/libbpf_version.h" libbpf_version REGEX "LIBBPF_(MAJOR|MINOR)_VERSION")
string(REGEX REPLACE ".*MAJOR_VERSION ([0-9]+).*MINOR_VERSION ([0-9]+).*" "\\1.\\2" libbpf_version "${libbpf_version}")
if(libbpf_version VERSION_LESS 1.4)
  message(FATAL_ERROR "libbpf ${libbpf_version} found, 1.4 or newer is needed for BPF tokens: run `make deps`")
endif()
# A library of its own, so that what it needs comes after it on every link line.
add_library(libbpf_static STATIC IMPORTED GLOBAL)
set_target_properties(libbpf_static PROPERTIES IMPORTED_LOCATION "${LIBBPF_STATIC}")
target_include_directories(libbpf_static SYSTEM INTERFACE "${LIBBPF_INCLUDE_DIR}")
target_link_libraries(libbpf_static INTERFACE PkgConfig::LIBELF PkgConfig::ZLIB)

add_library(bpfwarden_options INTERFACE)
target_compile_options(bpfwarden_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Woverloaded-virtual
  -Wnon-virtual-dtor -Wnull-dereference -Wformat=2 -Werror=return-type
  -fstack-protector-strong -fno-strict-aliasing)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these falsely: inside the standard library, and for std::optional.
  target_compile_options(bpfwarden_options INTERFACE -Wno-null-dereference -Wno-restrict -Wno-maybe-uninitialized
    # A designated initializer leaves the other members at their defaults on purpose.
    -Wno-missing-field-initializers)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's stable_partition and stable_sort use what it deprecates itself.
  target_compile_options(bpfwarden_options INTERFACE -Wno-deprecated-declarations
    # As above.
    -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
endif()
option(BPFWARDEN_WERROR "Warnings are errors" ON)
if(BPFWARDEN_WERROR)
  target_compile_options(bpfwarden_options INTERFACE -Werror)
endif()
if(BPFWARDEN_SANITIZE)
  target_compile_options(bpfwarden_options INTERFACE -fsanitize=${BPFWARDEN_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(bpfwarden_options INTERFACE -fsanitize=${BPFWARDEN_SANITIZE})
else()
  target_link_options(bpfwarden_options INTERFACE -Wl,-z,relro,-z,now)
  target_compile_definitions(bpfwarden_options INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2> _GLIBCXX_ASSERTIONS)
endif()
if(BPFWARDEN_COVERAGE)
  target_compile_options(bpfwarden_options INTERFACE --coverage)
  target_link_options(bpfwarden_options INTERFACE --coverage)
endif()
