// SPDX-License-Identifier: Apache-2.0
// libbpfwarden.so is the static library of this folder, whole; a library needs a source file of its own.
#include "bpfwarden/bpfwarden.h"
