// SPDX-License-Identifier: Apache-2.0
// Classic BPF programs as text, and as the files that other programs take.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bytecode/classic.hpp"

namespace bpfwarden::bytecode {

// "nr", "arch", "ip low", "args[2] high".
std::string word_name(std::uint32_t offset);

// What to say beside an instruction; none if it is empty. What constants mean is known in other places.
using Remark = std::function<std::string(std::size_t at)>;

// One instruction as the kernel's own assembler writes it ("jeq #0x3b, 4, 0"), with jumps to instruction numbers.
std::string assembly(Classic program, std::size_t at);
// A line for each, with its number.
std::string as_assembly(Classic program, const Remark& remark = {});
// `struct sock_filter NAME[] = {…};`
std::string as_c(Classic program, std::string_view name = "filter", const Remark& remark = {});
// [{"code":…,"jt":…,"jf":…,"k":…},…]
std::string as_json(Classic program);
// A graph of its blocks, for graphviz.
std::string as_dot(Classic program, const Remark& remark = {});

// struct sock_filter after struct sock_filter, little-endian: what bwrap, crun and minijail take.
std::string write_raw(Classic program);
Result<std::vector<sock_filter>> read_raw(std::string_view bytes);

}  // namespace bpfwarden::bytecode
