// SPDX-License-Identifier: Apache-2.0
#include "kernel/names.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "kernel/btf.hpp"
#include "kernel/names_table.hpp"

namespace bpfwarden::kernel {

static std::size_t index(NameKind kind) { return static_cast<std::size_t>(kind); }

std::string_view describe(NameKind kind) {
    static constexpr std::string_view words[] = {"command", "map type", "program type", "attach type", "helper"};
    return words[index(kind)];
}

// What comes before the name in the kernel's enumerators, and where they are defined.
struct Origin {
    std::string_view enum_name, prefix;
    bool zero_is_unspecified;
};
static const Origin& origin(NameKind kind) {
    static constexpr Origin origins[] = {{"bpf_cmd", "bpf_", false},
                                         {"bpf_map_type", "bpf_map_type_", true},
                                         {"bpf_prog_type", "bpf_prog_type_", true},
                                         {"bpf_attach_type", "bpf_", false},
                                         {"bpf_func_id", "bpf_func_", true}};
    return origins[index(kind)];
}

// Collects (name, value) in any order, several names a value; the first name given for a value is its name.
class NamesBuilder {
  public:
    void add(NameKind kind, std::string_view name, std::uint32_t value) {
        if (value == 0 && origin(kind).zero_is_unspecified) return;
        auto& list = names_.lists_[index(kind)];
        const bool first = std::ranges::find(list, value, &NamedValue::value) == list.end();
        auto& into = first ? list : names_.aliases_[index(kind)];
        into.push_back({std::string(name), value});
    }
    Names finish() {
        for (auto& list : names_.lists_) std::ranges::sort(list, {}, &NamedValue::value);
        return std::move(names_);
    }

  private:
    Names names_;
};

template <std::size_t N>
static void add_all(NamesBuilder& to, NameKind kind, const std::string_view (&names)[N]) {
    for (std::uint32_t value = 0; value < N; ++value) to.add(kind, names[value], value);
}

template <std::size_t N>
static void add_aliases(NamesBuilder& to, NameKind kind, std::span<const std::string_view> names,
                        const table::Alias (&aliases)[N]) {
    for (const auto& alias : aliases) {
        const auto at = std::ranges::find(names, alias.same_as);
        to.add(kind, alias.name, static_cast<std::uint32_t>(at - names.begin()));
    }
}

const Names& Names::known() {
    static const Names names = [] {
        NamesBuilder builder;
        add_all(builder, NameKind::command, table::command_names);
        add_all(builder, NameKind::map_type, table::map_type_names);
        add_all(builder, NameKind::program_type, table::program_type_names);
        add_all(builder, NameKind::attach_type, table::attach_type_names);
        add_all(builder, NameKind::helper, table::helper_names);
        add_aliases(builder, NameKind::command, table::command_names, table::command_aliases);
        add_aliases(builder, NameKind::map_type, table::map_type_names, table::map_type_aliases);
        return builder.finish();
    }();
    return names;
}

Result<Names> Names::of_running_kernel() {
    const Btf btf = BW_TRY(Btf::of_vmlinux());
    std::vector<std::string_view> enums;
    for (const auto kind : all_name_kinds) enums.push_back(origin(kind).enum_name);
    const auto found = btf.enumerators(enums);
    NamesBuilder builder;
    for (const auto kind : all_name_kinds) {
        const auto& members = found[index(kind)];
        if (members.empty())
            return fail(Error(Code::unsupported,
                              "the kernel's type information has no enum " + std::string(origin(kind).enum_name)));
        // Values from __MAX_… on are flags that share the enum (BPF_COMMON_ATTRS, 7.0), not members of the list.
        std::uint64_t end = ~std::uint32_t{0};
        std::vector<NamedValue> own;
        for (const auto& member : members) {
            const std::string name = lower(member.name);
            if (name.starts_with("__"))
                end = std::min(end, member.value);
            else if (name.starts_with(origin(kind).prefix))
                own.push_back({name.substr(origin(kind).prefix.size()), static_cast<std::uint32_t>(member.value)});
        }
        std::erase_if(own, [&](const NamedValue& one) { return one.value >= end; });
        // A value with two names in the kernel goes by the one that known() prefers, so that both speak alike.
        std::ranges::stable_partition(
            own, [&](const NamedValue& one) { return known().name(kind, one.value) == std::string_view(one.name); });
        for (const auto& one : own) builder.add(kind, one.name, one.value);
    }
    return builder.finish();
}

std::optional<std::string_view> Names::name(NameKind kind, std::uint32_t value) const {
    const auto& list = lists_[index(kind)];
    const auto at = std::ranges::lower_bound(list, value, {}, &NamedValue::value);
    if (at == list.end() || at->value != value) return std::nullopt;
    return at->name;
}

std::optional<std::uint32_t> Names::value(NameKind kind, std::string_view name) const {
    const std::string wanted = lower(name);
    std::string_view bare = wanted;
    if (bare.starts_with(origin(kind).prefix))
        bare.remove_prefix(origin(kind).prefix.size());
    else if (kind == NameKind::helper && bare.starts_with("bpf_"))
        bare.remove_prefix(4);  // as a program calls it: bpf_map_lookup_elem()
    for (const auto* lists : {lists_, aliases_})
        for (const auto& one : lists[index(kind)])
            if (one.name == bare) return one.value;
    return std::nullopt;
}

std::span<const NamedValue> Names::all(NameKind kind) const { return lists_[index(kind)]; }

std::uint64_t Names::mask(NameKind kind) const {
    std::uint64_t mask = 0;
    for (const auto& one : all(kind))
        if (one.value < 64) mask |= std::uint64_t{1} << one.value;
    return mask;
}

}  // namespace bpfwarden::kernel
