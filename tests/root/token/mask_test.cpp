// SPDX-License-Identifier: Apache-2.0
// Every bit of every mask, for every type that the running kernel says it has: delegated, it does what root's own call
// does; not delegated, EPERM. Root's own result is the control: a type that root cannot make here either proves
// nothing.
#include <bpf/btf.h>
#include <gmock/gmock.h>

#include <map>

#include "attempts.hpp"
#include "kernel/names.hpp"
#include "sandbox.hpp"

namespace bpfwarden::test {
namespace {

using kernel::Delegation;
using kernel::NamedValue;
using kernel::NameKind;

constexpr std::uint64_t cmd_map_create = bit(0), cmd_prog_load = bit(5), cmd_btf_load = bit(18);

const kernel::Names& running() {
    static const auto names = kernel::Names::of_running_kernel();
    return names ? *names : kernel::Names::known();
}

// One instance per case, so cases run in forked children one after the other; a result per case.
struct Case {
    std::string name;
    Delegation with, without;
    std::function<int(int token)> attempt;  // token -1: as root, without one
};

// Runs all cases, and compares each with root's own result. Returns how many proved something.
void check_cases(const std::vector<Case>& cases) {
    std::vector<std::string> not_provable;
    for (const auto& one : cases) {
        const auto run = [&](Delegation delegation) {
            const auto result = inside(request(delegation), [&] {
                const int token = own_token();
                return std::vector{token < 0 ? -1000 + token : one.attempt(token)};
            });
            return result ? result->front() : -9999;
        };
        const int control = one.attempt(-1);
        if (control != 0) {
            not_provable.push_back(one.name + " (" + std::to_string(control) + ")");
            continue;
        }
        EXPECT_EQ(run(one.with), 0) << one.name << " delegated";
        EXPECT_EQ(run(one.without), -EPERM) << one.name << " not delegated";
    }
    EXPECT_GT(cases.size(), not_provable.size() * 3) << "too few cases proved anything";
    if (!not_provable.empty())
        std::printf("[   NOTE   ] root itself cannot make on this kernel: %s\n",
                    testing::PrintToString(not_provable).c_str());
}

TEST(Masks, EachMapType) {
    BW_NEED_TOKENS();
    std::vector<Case> cases;
    for (const auto& type : running().all(NameKind::map_type)) {
        // An inner map is an array: it must not be the bit under test.
        const std::uint64_t needed = type.name.ends_with("of_maps") ? bit(2) : 0;
        const Delegation with{cmd_map_create | cmd_btf_load, bit(type.value) | needed, 0, 0};
        Delegation without = everything;
        without.maps &= ~bit(type.value);
        cases.push_back(
            {type.name, with, without, [type](int token) { return try_map(type.name, type.value, token, token); }});
    }
    check_cases(cases);
}

// Types that take an attach type from a list of their own; all others take any number.
std::uint32_t natural_attach_type(std::string_view program_type) {
    static const std::map<std::string_view, std::string_view> natural = {{"cgroup_sock", "cgroup_inet_sock_create"},
                                                                         {"cgroup_sock_addr", "cgroup_inet4_bind"},
                                                                         {"cgroup_sockopt", "cgroup_getsockopt"},
                                                                         {"sk_lookup", "sk_lookup"},
                                                                         {"sk_reuseport", "sk_reuseport_select"},
                                                                         {"netfilter", "netfilter"},
                                                                         {"lsm", "lsm_mac"},
                                                                         {"tracing", "trace_fentry"}};
    const auto found = natural.find(program_type);
    return found == natural.end() ? 0 : kernel::Names::known().value(NameKind::attach_type, found->second).value_or(0);
}

std::uint32_t attach_btf_id(std::string_view program_type) {
    static btf* vmlinux = ::btf__load_vmlinux_btf();
    const char* function = program_type == "lsm"       ? "bpf_lsm_file_open"
                           : program_type == "tracing" ? "bpf_fentry_test1"
                                                       : nullptr;
    if (vmlinux == nullptr || function == nullptr) return 0;
    const int id = ::btf__find_by_name_kind(vmlinux, function, BTF_KIND_FUNC);
    return id > 0 ? static_cast<std::uint32_t>(id) : 0;
}

TEST(Masks, EachProgramType) {
    BW_NEED_TOKENS();
    std::vector<Case> cases;
    for (const auto& type : running().all(NameKind::program_type)) {
        const std::uint32_t attach = natural_attach_type(type.name);
        const std::uint32_t btf_id = attach_btf_id(type.name);
        Delegation without = everything;
        without.programs &= ~bit(type.value);
        cases.push_back({type.name, {cmd_prog_load, 0, bit(type.value), bit(attach)}, without, [=](int token) {
                             return try_program(type.value, attach, token, btf_id);
                         }});
    }
    check_cases(cases);
}

TEST(Masks, EachAttachType) {
    BW_NEED_TOKENS();
    // A classifier takes any expected attach type, and needs CAP_NET_ADMIN, so the token's word is what counts.
    constexpr std::uint32_t sched_cls = 3;
    std::vector<Case> cases;
    for (const auto& type : running().all(NameKind::attach_type)) {
        Delegation without = everything;
        without.attachs &= ~bit(type.value);
        cases.push_back({type.name, {cmd_prog_load, 0, bit(sched_cls), bit(type.value)}, without, [=](int token) {
                             return try_program(sched_cls, type.value, token);
                         }});
    }
    check_cases(cases);
}

TEST(Masks, EachCommandThatTakesAToken) {
    BW_NEED_TOKENS();
    constexpr std::uint32_t lpm_trie = 11, xdp = 6;
    const auto without = [](std::uint64_t command) {
        Delegation d = everything;
        d.commands &= ~command;
        return d;
    };
    std::vector<Case> cases{
        {"map_create",
         {cmd_map_create, bit(lpm_trie), 0, 0},
         without(cmd_map_create),
         [](int token) { return try_map("lpm_trie", lpm_trie, token, token); }},
        {"prog_load",
         {cmd_prog_load, 0, bit(xdp), bit(37)},
         without(cmd_prog_load),
         [](int token) { return try_program(xdp, 37, token); }},
        {"btf_load",
         {cmd_btf_load, 0, 0, 0},
         without(cmd_btf_load),
         [](int token) {
             const int fd = load_small_btf(token);
             if (fd >= 0) ::close(fd);
             return fd < 0 ? -errno : 0;
         }},
    };
    check_cases(cases);
}

// btf_get_fd_by_id takes a token from 6.15 on (fd_by_id_token_fd); before, its bit changes nothing.
int get_btf_by_id(int token, std::uint32_t id) {
    struct {
        std::uint32_t btf_id, next_id, open_flags;
        std::int32_t token_fd;
        std::uint8_t rest[112];
    } attr{};
    attr.btf_id = id;
    if (token >= 0) {
        attr.open_flags = token_flag;
        attr.token_fd = token;
    }
    const long fd = ::syscall(SYS_bpf, 19 /* BPF_BTF_GET_FD_BY_ID */, &attr, sizeof attr);
    if (fd < 0) return -errno;
    ::close(static_cast<int>(fd));
    return 0;
}

TEST(Masks, BtfGetFdById) {
    BW_NEED_TOKENS();
    std::uint32_t id = 0;
    ASSERT_EQ(::bpf_btf_get_next_id(0, &id), 0);
    const auto attempt = [&](Delegation delegation) {
        return inside(request(delegation, cap_bpf | cap_sys_admin),
                      [&] { return std::vector{get_btf_by_id(own_token(), id)}; });
    };
    Delegation without = everything;
    without.commands &= ~bit(19);
    EXPECT_EQ(get_btf_by_id(-1, id), 0) << "control: root";
    EXPECT_EQ(attempt(without)->front() == 0, false);
    const int with = attempt({bit(19), 0, 0, 0})->front();
    if (with == -EINVAL) GTEST_SKIP() << "this kernel's btf_get_fd_by_id takes no token (needs 6.15)";
    EXPECT_EQ(with, 0);
}

// The rest of bpf(): a delegated bit must not open what needs privilege outside.
TEST(Masks, OtherCommandsBitsChangeNothing) {
    BW_NEED_TOKENS();
    // {start_id or id = 1, …}: well-formed for the commands that look objects up, and close enough for the others.
    const auto call = [](std::uint32_t command) {
        struct {
            std::uint32_t words[32];
        } attr{};
        attr.words[0] = 1;
        const long result = ::syscall(SYS_bpf, command, &attr, 12);
        const int err = result < 0 ? -errno : 0;
        if (result > 2) ::close(static_cast<int>(result));
        return err;
    };
    const std::uint64_t token_commands = cmd_map_create | cmd_prog_load | cmd_btf_load | bit(19);
    std::vector<NamedValue> others;
    for (const auto& command : running().all(NameKind::command))
        if ((token_commands & bit(command.value)) == 0) others.push_back(command);
    const auto results = [&](std::uint64_t commands) {
        return inside(request({commands, all_bits, all_bits, all_bits}), [&] {
            own_token();
            std::vector<int> all;
            for (const auto& command : others) all.push_back(call(command.value));
            return all;
        });
    };
    const auto with = results(all_bits), without = results(token_commands);
    ASSERT_TRUE(with && without);
    unsigned refused = 0;
    for (std::size_t i = 0; i < others.size(); ++i) {
        EXPECT_EQ((*with)[i], (*without)[i]) << others[i].name;
        refused += (*with)[i] == -EPERM;
    }
    // *_get_next_id, *_get_fd_by_id of programs, maps and links at least.
    EXPECT_GE(refused, 6U);
}

}  // namespace
}  // namespace bpfwarden::test
