// SPDX-License-Identifier: Apache-2.0
// A process that root must not be able to change by way of its files.
#pragma once

#include "base/result.hpp"

namespace bpfwarden::kernel {

// Code and data of this process are from now on in its own memory alone, and stay there: what is written to a library's
// file, to the disk below it or to swap reaches it no more. Of what is mapped so far: files that are mapped later are
// what they are then. Costs memory as large as what is mapped, which other processes no longer share.
// Makes code writable for a moment: not under MemoryDenyWriteExecute= and its kin.
Result<> keep_own_memory();

// From now on this thread, and what it makes, gets no code besides: no memory becomes executable, whatever it is of
// (EPERM).
Result<> refuse_new_code();

}  // namespace bpfwarden::kernel
