// SPDX-License-Identifier: Apache-2.0
// The --json documents of `bpfwarden grant`, one a verb. The only file of them that sees nlohmann-json.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "grant/check.hpp"
#include "grant/diff.hpp"
#include "grant/load.hpp"

namespace bpfwarden::cli {

struct ProgramDigest {
    std::string name, section, type;  // section and type are empty for bare instructions
    std::size_t instructions = 0;
    std::string sha256;
};
void print_digest_json(const std::string& object, const std::string& kernel, std::span<const ProgramDigest> programs);

// A file that was asked about: read, or an Error.
struct CheckedFile {
    std::string asked;
    Result<grant::Checked> checked;
};
void print_check_json(std::span<const CheckedFile> files);  // bpfwarden.grant.check/1
void print_show_json(const grant::Resolved& grant);         // bpfwarden.grant.show/1
void print_explain_json(const grant::Resolved& grant, const grant::Operation& operation,
                        const grant::Verdict& verdict);  // bpfwarden.grant.explain/1
void print_diff_json(const grant::Resolved& was, const grant::Resolved& is, const grant::Diff& diff);  // …diff/1

struct ListedGrant {
    grant::Installed installed;
    bool valid = false;
    std::string description;
    std::string problem;  // the first, if not valid
};
void print_list_json(std::span<const ListedGrant> grants);  // bpfwarden.grant.list/1
void print_init_json(const std::string& name, const std::string& text, const std::optional<std::string>& output,
                     bool written);  // bpfwarden.grant.init/1

}  // namespace bpfwarden::cli
