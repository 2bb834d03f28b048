// SPDX-License-Identifier: Apache-2.0
#include "policy/load.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::policy {

const Names& machine_names() {
    // Not reentrant, and need not be: nothing of ours has threads.
    static const Names names{[](const std::string& name) -> std::optional<std::uint32_t> {
                                 const auto* entry = ::getpwnam(name.c_str());
                                 return entry ? std::optional(entry->pw_uid) : std::nullopt;
                             },
                             [](const std::string& name) -> std::optional<std::uint32_t> {
                                 const auto* entry = ::getgrnam(name.c_str());
                                 return entry ? std::optional(entry->gr_gid) : std::nullopt;
                             }};
    return names;
}

std::string_view Loaded::line(const Position& at) const {
    const auto text = texts.find(at.file);
    if (text == texts.end() || !at.known()) return {};
    const auto lines = split(text->second, '\n');
    if (at.line > lines.size()) return {};
    auto line = lines[at.line - 1];
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

Result<Loaded> load(std::span<const std::string> files, const Names& names) {
    Loaded out;
    std::vector<std::string> identities;
    for (const auto& path : files) {
        if (path.find('\0') != std::string::npos || path.empty())
            return fail(Error(Code::usage, fmt::format("{} is no file name", quoted(path))));
        auto file = BW_TRY(kernel::read_text_file(path, largest_file, "policy"));
        if (std::ranges::find(identities, file.identity) != identities.end())
            return fail(Error(Code::usage, fmt::format("{} is given twice", quoted(path)))
                            .because("policies are put together, and this would be twice the same"));
        identities.push_back(std::move(file.identity));
        const std::string called = path == "-" ? "<stdin>" : path;
        if (auto policy = parse(file.text, called, names, out.diagnostics)) out.policies.push_back(std::move(*policy));
        out.texts.insert_or_assign(called, std::move(file.text));
    }
    return out;
}

}  // namespace bpfwarden::policy
