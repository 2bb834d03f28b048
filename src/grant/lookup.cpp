// SPDX-License-Identifier: Apache-2.0
#include "grant/lookup.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/facts.hpp"
#include "kernel/capability.hpp"

namespace bpfwarden::grant {

using kernel::NameKind;
using kernel::Names;

std::optional<NameKind> name_kind(Dimension dimension) {
    switch (dimension) {
        case Dimension::program_types:
            return NameKind::program_type;
        case Dimension::map_types:
            return NameKind::map_type;
        case Dimension::attach_types:
            return NameKind::attach_type;
        case Dimension::commands:
            return NameKind::command;
        case Dimension::helpers:
            return NameKind::helper;
        case Dimension::kfuncs:
        case Dimension::capabilities:
        case Dimension::verifier:
            return std::nullopt;
    }
    return std::nullopt;
}

std::vector<std::string_view> all_values(Dimension dimension) {
    std::vector<std::string_view> values;
    if (const auto kind = name_kind(dimension)) {
        for (const auto& one : Names::known().all(*kind)) values.push_back(one.name);
    } else if (dimension == Dimension::capabilities) {
        for (const auto& one : all_capability_facts()) values.push_back(one.name);
    } else if (dimension == Dimension::verifier) {
        for (const auto& one : all_verifier_features()) values.push_back(one.name);
    }
    return values;
}

// A C identifier in which globs may stand.
static bool is_kfunc(std::string_view name) {
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("_*?[]!-").find(c) != std::string_view::npos;
    });
}

static bool holds(Dimension dimension, std::string_view value) {
    const auto values = all_values(dimension);
    return std::ranges::find(values, value) != values.end();
}

std::optional<std::string> look_up(Dimension dimension, std::string_view name) {
    if (const auto kind = name_kind(dimension)) {
        const auto value = Names::known().value(*kind, name);
        if (!value) return std::nullopt;
        const auto proper = Names::known().name(*kind, *value);
        return proper ? std::optional<std::string>(*proper) : std::nullopt;
    }
    if (dimension == Dimension::kfuncs) return is_kfunc(name) ? std::optional<std::string>(name) : std::nullopt;
    std::string wanted = lower(name);
    if (dimension == Dimension::capabilities && wanted.starts_with("cap_")) wanted.erase(0, 4);
    if (!holds(dimension, wanted)) return std::nullopt;
    return wanted;
}

Unknown describe_unknown(Dimension dimension, std::string_view name) {
    Unknown out{fmt::format("{} is no {}", quoted(name), noun_of(dimension)), "", ""};
    if (dimension == Dimension::kfuncs) {
        out.why = "the name of a kernel function is made of letters, digits and \"_\", here also of globs";
        return out;
    }
    if (dimension == Dimension::capabilities && kernel::capability_number(name)) {
        out.what = fmt::format("a grant cannot hold the capability {}", quoted(name));
        out.why = fmt::format("no bpf() operation asks for it; a grant holds {}",
                              fmt::join(all_values(Dimension::capabilities), ", "));
        return out;
    }
    const auto values = all_values(dimension);
    if (const auto near = nearest(name, values)) out.hint = fmt::format("did you mean \"{}\"?", *near);
    for (const auto other : all_dimensions)
        if (other != dimension && other != Dimension::kfuncs && look_up(other, name)) {
            out.why = fmt::format("{} is {} {}: it belongs into {}", quoted(name),
                                  noun_of(other)[0] == 'a' ? "an" : "a", noun_of(other), key_of(other));
            out.hint.clear();
            return out;
        }
    out.why = name_kind(dimension) ? fmt::format("this release knows the {} {} of Linux 7.2, by the kernel's own names",
                                                 values.size(), plural(noun_of(dimension)))
                                   : fmt::format("there are {}", fmt::join(values, ", "));
    return out;
}

void explain_unknown(Dimension dimension, const Entry& entry, Diagnostics& diagnostics) {
    auto unknown = describe_unknown(dimension, entry.text);
    diagnostics.error(entry.at, std::move(unknown.what), std::move(unknown.why), std::move(unknown.hint));
}

}  // namespace bpfwarden::grant
