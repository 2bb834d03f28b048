// SPDX-License-Identifier: Apache-2.0
// Whole files: small ones of /proc, /sys and cgroupfs, and others up to a limit.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace bpfwarden::kernel {

// EFBIG if there are more bytes than that.
Result<std::string> read_file(const std::string& path, std::size_t most = std::string::npos);
Result<std::string> read_file_at(FdRef directory, const char* name);
// One write(2) of the whole text: the kernel's control files take it in one piece or not at all.
Result<> write_file_at(FdRef directory, const char* name, std::string_view text);

// A text that a person wrote. The identity is the same for two paths of one file.
struct TextFile {
    std::string identity, text;
};
// "-" is standard input. bad_input for what is no regular file, or longer than `most`; `noun` says what it should be:
// "grant". Opening a FIFO does not wait for a writer.
Result<TextFile> read_text_file(const std::string& path, std::size_t most, std::string_view noun);

// Whether the kernel calls this fd so: "anon_inode:bpf-map", "anon_inode:[perf_event]". Its own names have no slash
// before them, as the path of every file has.
bool kernel_calls_it(FdRef fd, std::string_view name);

}  // namespace bpfwarden::kernel
