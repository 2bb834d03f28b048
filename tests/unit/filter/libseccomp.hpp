// SPDX-License-Identifier: Apache-2.0
// A profile's filter as container runtimes make it with libseccomp: what ours are compared with. Reads the JSON itself.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <expected>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "filter/profile.hpp"

namespace bpfwarden::filter::libseccomp {

using nlohmann::json;

inline std::uint32_t token(Abi abi) {
    switch (abi) {
        case Abi::x86_64:
            return SCMP_ARCH_X86_64;
        case Abi::x32:
            return SCMP_ARCH_X32;
        case Abi::i386:
            return SCMP_ARCH_X86;
        case Abi::aarch64:
            return SCMP_ARCH_AARCH64;
    }
    return 0;
}

inline std::uint32_t action(const std::string& name, const json& entry, const char* number) {
    const auto with = [&](std::uint32_t value) {
        return value |
               (entry.contains(number) && !entry[number].is_null() ? entry[number].get<std::uint32_t>() : EPERM);
    };
    if (name == "SCMP_ACT_ERRNO") return with(SCMP_ACT_ERRNO(0));
    if (name == "SCMP_ACT_TRACE") return with(SCMP_ACT_TRACE(0));
    if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
    if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
    if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
    if (name == "SCMP_ACT_NOTIFY") return SCMP_ACT_NOTIFY;
    if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
    return SCMP_ACT_KILL_THREAD;
}

inline scmp_arg_cmp condition(const json& arg) {
    static const std::pair<const char*, scmp_compare> operators[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                                                                     {"SCMP_CMP_LT", SCMP_CMP_LT},
                                                                     {"SCMP_CMP_LE", SCMP_CMP_LE},
                                                                     {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                                                                     {"SCMP_CMP_GE", SCMP_CMP_GE},
                                                                     {"SCMP_CMP_GT", SCMP_CMP_GT},
                                                                     {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
    scmp_arg_cmp made{};
    made.arg = arg["index"].get<unsigned>();
    for (const auto& [name, op] : operators)
        if (arg["op"] == name) made.op = op;
    made.datum_a = arg["value"].get<std::uint64_t>();
    made.datum_b = arg.value("valueTwo", std::uint64_t{0});
    return made;
}

inline bool chosen(const json& entry, const ProfileOptions& options) {
    const auto list = [&](const char* side, const char* key) {
        return entry.contains(side) && entry[side].contains(key) ? entry[side][key] : json::array();
    };
    const auto has = [&](const json& name) {
        return std::ranges::count(options.capabilities, name.get<std::string>()) > 0;
    };
    const auto native = [&](const json& name) { return parse_abi(name.get<std::string>()) == options.native; };
    const auto in = list("includes", "arches"), out = list("excludes", "arches");
    const auto caps = list("includes", "caps"), no_caps = list("excludes", "caps");
    return (in.empty() || std::any_of(in.begin(), in.end(), native)) && std::none_of(out.begin(), out.end(), native) &&
           std::all_of(caps.begin(), caps.end(), has) && std::none_of(no_caps.begin(), no_caps.end(), has);
}

struct Made {
    std::vector<sock_filter> program;
    std::string pseudo_code;
};

inline std::string exported(int (*write)(const scmp_filter_ctx, int), const scmp_filter_ctx filter) {
    const int file = ::memfd_create("filter", MFD_CLOEXEC);
    std::string bytes;
    if (file >= 0 && write(filter, file) == 0) {
        bytes.resize(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)));
        if (::pread(file, bytes.data(), bytes.size(), 0) < 0) bytes.clear();
    }
    ::close(file);
    return bytes;
}

struct Rule {
    std::uint32_t what = 0;
    std::string name;
    std::vector<scmp_arg_cmp> conditions;
};

// What a runtime tells libseccomp.
struct Rules {
    std::uint32_t by_default = 0;
    std::vector<Rule> rules;
};

inline Rules rules_of(const std::string& text, const ProfileOptions& options) {
    const json profile = json::parse(text);
    Rules made{action(profile["defaultAction"], profile, "defaultErrnoRet"), {}};
    for (const auto& entry : profile.value("syscalls", json::array())) {
        if (!chosen(entry, options)) continue;
        const std::uint32_t what = action(entry["action"], entry, "errnoRet");
        if (what == made.by_default) continue;
        std::vector<scmp_arg_cmp> conditions;
        std::set<unsigned> arguments;
        if (entry.contains("args") && !entry["args"].is_null())
            for (const auto& arg : entry["args"]) {
                conditions.push_back(condition(arg));
                arguments.insert(conditions.back().arg);
            }
        for (const auto& name : entry["names"]) {
            if (arguments.size() == conditions.size())
                made.rules.push_back({what, name, conditions});
            else
                for (const auto& one : conditions) made.rules.push_back({what, name, {one}});
        }
    }
    return made;
}

using Filter = std::unique_ptr<void, void (*)(void*)>;

// Or the errno with which libseccomp refuses a rule. `level`: its optimization, 2 is a tree. `exact`: calls behind
// socketcall and ipc are not added there.
inline std::expected<Filter, int> filter_of(const Rules& rules, std::uint32_t bad_arch, const std::vector<Abi>& abis,
                                            int level, bool exact = false) {
    Filter filter(seccomp_init(rules.by_default), seccomp_release);
    if (!filter) return std::unexpected(EINVAL);
    seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, bad_arch);
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, static_cast<std::uint32_t>(level));
    for (const Abi abi : abis) {
        const int error = seccomp_arch_add(filter.get(), token(abi));
        if (error != 0 && error != -EEXIST) return std::unexpected(-error);
    }
    if (std::ranges::find(abis, *native_abi()) == abis.end()) seccomp_arch_remove(filter.get(), seccomp_arch_native());
    for (const auto& rule : rules.rules) {
        const int call = seccomp_syscall_resolve_name(rule.name.c_str());
        if (call == __NR_SCMP_ERROR) continue;
        const int error = (exact ? seccomp_rule_add_exact_array : seccomp_rule_add_array)(
            filter.get(), rule.what, call, static_cast<unsigned>(rule.conditions.size()), rule.conditions.data());
        if (error != 0) return std::unexpected(-error);
    }
    return filter;
}

inline std::vector<sock_filter> program_of(const Filter& filter) {
    const auto bytes = exported(seccomp_export_bpf, filter.get());
    std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
    std::memcpy(program.data(), bytes.data(), program.size() * sizeof(sock_filter));
    return program;
}

inline std::expected<Made, int> build(const std::string& text, const ProfileOptions& options,
                                      const std::vector<Abi>& abis, int level, bool exact = false) {
    const auto filter = filter_of(rules_of(text, options), options.bad_arch, abis, level, exact);
    if (!filter) return std::unexpected(filter.error());
    Made made{program_of(*filter), {}};
    seccomp_attr_set(filter->get(), SCMP_FLTATR_CTL_OPTIMIZE, 1);
    made.pseudo_code = exported(seccomp_export_pfc, filter->get());
    return made;
}

// Of some profiles it never does (2.5.4), so a child tries first, with as much of the processor's time.
inline bool build_ends(const std::string& text, const ProfileOptions& options, const std::vector<Abi>& abis, int level,
                       rlim_t seconds) {
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit most{.rlim_cur = seconds, .rlim_max = seconds};
        if (::setrlimit(RLIMIT_CPU, &most) == 0) (void)build(text, options, abis, level);
        ::_exit(0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status);
}

}  // namespace bpfwarden::filter::libseccomp
