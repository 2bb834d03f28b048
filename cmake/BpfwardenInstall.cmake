# SPDX-License-Identifier: Apache-2.0
# What `make install` puts where.
install(TARGETS bpfwarden bpfwardend bpfwarden-guard RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}")
# Below the prefix, where systemd looks for /usr and /usr/local alike: `pkg-config --variable=systemdsystemunitdir systemd` names
# the same folder for /usr, and one outside of every other prefix.
set(BPFWARDEN_SYSTEMD_UNIT_DIR "lib/systemd/system" CACHE STRING "Where systemd's units go, below the prefix")
install(CODE "set(BPFWARDEN_SBINDIR \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
  foreach(unit bpfwardend bpfwarden-guard bpfwarden-seal)
    configure_file(\"${PROJECT_SOURCE_DIR}/packaging/systemd/\${unit}.service.in\" \"${CMAKE_BINARY_DIR}/\${unit}.service\" @ONLY)
  endforeach()")
install(FILES "${CMAKE_BINARY_DIR}/bpfwardend.service" "${CMAKE_BINARY_DIR}/bpfwarden-guard.service" "${CMAKE_BINARY_DIR}/bpfwarden-seal.service"
  packaging/systemd/bpfwardend.socket DESTINATION "${BPFWARDEN_SYSTEMD_UNIT_DIR}")
install(FILES packaging/sysusers.d/bpfwarden.conf DESTINATION lib/sysusers.d)
install(FILES packaging/tmpfiles.d/bpfwarden.conf DESTINATION lib/tmpfiles.d)
# Nothing is confined by them before somebody names them.
install(FILES packaging/apparmor/abstractions/bpfwarden DESTINATION "${CMAKE_INSTALL_DATADIR}/bpfwarden/apparmor/abstractions")
install(FILES packaging/apparmor/bpfwarden-service DESTINATION "${CMAKE_INSTALL_DATADIR}/bpfwarden/apparmor")
# The library for programs. The preload library has no version: nothing is linked with it.
install(TARGETS bpfwarden_shared_client LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(TARGET bpfwarden_preload)
  install(TARGETS bpfwarden_preload LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endif()
install(FILES include/bpfwarden/bpfwarden.h include/bpfwarden/bpfwarden.hpp include/bpfwarden/filter.h include/bpfwarden/filter.hpp
  include/bpfwarden/seccomp_filter.h
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/bpfwarden")
# Its prefix is that of `cmake --install --prefix`, which is not known before.
install(CODE "set(BPFWARDEN_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
  set(BPFWARDEN_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
  set(BPFWARDEN_VERSION \"${PROJECT_VERSION}\")
  configure_file(\"${PROJECT_SOURCE_DIR}/src/client/bpfwarden.pc.in\" \"${CMAKE_BINARY_DIR}/bpfwarden.pc\" @ONLY)")
install(FILES "${CMAKE_BINARY_DIR}/bpfwarden.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(GLOB man_pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/man/*.[1-8]")
foreach(page IN LISTS man_pages)
  string(REGEX REPLACE ".*\\.([1-8])$" "\\1" section "${page}")
  install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()
# Where each shell looks by itself, under the name it looks for.
install(FILES completions/bpfwarden.bash DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME bpfwarden)
install(FILES completions/_bpfwarden DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
install(FILES completions/bpfwarden.fish DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
install(FILES README.md CHANGELOG.md SECURITY.md docs/audit.schema.json DESTINATION "${CMAKE_INSTALL_DOCDIR}")
