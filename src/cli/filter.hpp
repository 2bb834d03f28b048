// SPDX-License-Identifier: Apache-2.0
// What the verbs of `bpfwarden filter` share.
#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"
#include "filter/build.hpp"

namespace bpfwarden::cli {

Result<int> filter_build(const Args& args);
Result<int> filter_check(const Args& args);
Result<int> filter_dump(const Args& args);
Result<int> filter_explain(const Args& args);
Result<int> filter_diff(const Args& args);
Result<int> filter_stats(const Args& args);
Result<int> filter_test(const Args& args);
Result<int> filter_run(const Args& args);

// Options that say how a source is read, and how it is built.
std::vector<Option> source_options(const std::vector<Option>& more = {});
std::vector<Option> build_options(const std::vector<Option>& more = {});

Result<filter::Kernel> kernel_of(const Args& args);
// Reads a file; C is compiled first. Warnings go to stderr.
Result<filter::Source> open_source(const std::string& path, const Args& args);
Result<filter::Built> open_built(const std::string& path, const Args& args);
Result<filter::Built> build_source(const filter::Source& source, const Args& args);

// "openat", "257", "0x101", "-1".
Result<std::uint32_t> parse_number(filter::Abi abi, std::string_view text);
Result<filter::Abi> abi_of(const Args& args);
// "openat" or "257"; of x32 with its bit.
std::string number_text(filter::Abi abi, std::uint32_t number);
// The ABI that numbers of this architecture are of.
std::optional<filter::Abi> abi_of(std::uint32_t arch, std::uint32_t number);

}  // namespace bpfwarden::cli
