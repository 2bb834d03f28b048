# SPDX-License-Identifier: Apache-2.0
# What `make install` puts where.
install(TARGETS bpfwarden RUNTIME DESTINATION "${CMAKE_INSTALL_SBINDIR}")
file(GLOB man_pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/man/*.[1-8]")
foreach(page IN LISTS man_pages)
  string(REGEX REPLACE ".*\\.([1-8])$" "\\1" section "${page}")
  install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()
# Where each shell looks by itself, under the name it looks for.
install(FILES completions/bpfwarden.bash DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME bpfwarden)
install(FILES completions/_bpfwarden DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
install(FILES completions/bpfwarden.fish DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
install(FILES README.md CHANGELOG.md SECURITY.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
