// SPDX-License-Identifier: Apache-2.0
// An instruction stream made independent of the process it comes from: with other fds written in, and in the one form
// that all loads of the same program share.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "bytecode/reading.hpp"

namespace bpfwarden::bytecode {

// The fd that stands for it in the process that will load the program.
using NewMapFd = std::function<Result<int>(const MapReference&)>;
using NewBtfFd = std::function<Result<int>(const KernelSymbol&)>;  // of a module: its btf_fd is not 0

// Writes other fds in. `reading` is what read() said of the same stream. Afterwards every map is named by fd, also
// those that were named by index, so the load needs no fd_array for them; it does for kfuncs of modules, whose indices
// stay as they are. Each function is called once a reference, in order. A program with a symbol of a module is refused
// if there is no new_btf. After an error some fds are written and some not: throw the stream away.
Result<> rewrite(std::span<bpf_insn> code, const Reading& reading, const NewMapFd& new_map,
                 const NewBtfFd& new_btf = {});

// The form whose SHA-256 is the program's digest: a copy in which the numbers that differ from load to load are
// replaced by the order in which they first appear, and nothing else is changed:
//   - map fds and indices into fd_array (first half of a 64-bit load of a map): 0 for the first map, 1 for the second
//     and so on; the load by index is written as the load by fd. So the digest does not tell the two apart, and it is
//     the same before and after rewrite(), if that gives different maps different fds and the same map the same fd;
//   - BTF fds of kernel symbols (second half): 0 stays (vmlinux), 1 for the first module and so on;
//   - indices into fd_array of kfuncs (offset of the call): 0 stays (vmlinux), 1 for the first module and so on.
// It keeps which references mean the same map and which do not (a program with two of its maps exchanged is another
// program), offsets into map values, BTF ids of kfuncs and symbols (they differ from kernel to kernel, as CO-RE field
// offsets do) and plain constants, the addresses of ksyms without a type among them (they differ from boot to boot).
// What the maps are and what is in them is not in it (.rodata is a map), nor are core_relos, which the kernel applies
// later (5.17): whoever goes by the digest looks at the maps and refuses core_relos.
std::vector<bpf_insn> canonical(std::span<const bpf_insn> code);

}  // namespace bpfwarden::bytecode
