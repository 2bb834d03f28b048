// SPDX-License-Identifier: Apache-2.0
// `bpfwarden run --via token`: a command in a user namespace of its own, with a kernel token.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/run.hpp"
#include "grant/danger.hpp"
#include "grant/facts.hpp"
#include "grant/masks.hpp"
#include "kernel/capability.hpp"
#include "kernel/names.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"
#include "token/bpffs.hpp"
#include "token/launch.hpp"

namespace bpfwarden::cli {
namespace {

constexpr std::string_view default_token_path = "/sys/fs/bpf";

Result<bool> wants_private_network(const Args& args) {
    const std::string net = args.value("--net").value_or("private");
    if (net == "private") return true;
    if (net == "inherit") return false;
    return fail(Error(Code::usage, fmt::format("--net {} means nothing", bpfwarden::quoted(net)))
                    .advise("it is private (the default) or inherit"));
}

Result<std::string> token_path(const Args& args) {
    const std::string path = args.value("--token-path").value_or(std::string(default_token_path));
    // libbpf refuses longer ones (PATH_MAX), and a relative one would mean something else to each program.
    if (path.starts_with('/') && path.size() < 4096 && !(path + "/").contains("/../")) return path;
    return fail(Error(Code::usage, fmt::format("--token-path {} cannot be used", bpfwarden::quoted(path)))
                    .because("it must be an absolute path without \"..\", shorter than 4096 bytes"));
}

Result<> need_root() {
    const auto capabilities = BW_TRY(kernel::effective_capabilities());
    constexpr unsigned sys_admin = 21;
    if (::geteuid() == 0 && (capabilities >> sys_admin & 1) != 0) return {};
    return fail(
        Error(Code::denied, "run --grant FILE is for root")
            .because("the kernel lets only CAP_SYS_ADMIN in the initial user namespace set what a bpffs delegates")
            .advise("use sudo, with --user for the user that the command is to run as"));
}

Result<> need_token() {
    const auto& found = token_here();
    if (found.state != kernel::Presence::absent) return {};
    return fail(
        Error(Code::unsupported, "this kernel has no BPF token (needs 6.9)")
            .because(fmt::format("{}: {}", found.how, found.detail))
            .advise("load with privilege and hand the program over by a pin or an fd; `bpfwarden host check` says what "
                    "this kernel has"));
}

// ---- what it gets ------------------------------------------------------------------------------------------------

struct Bits {
    kernel::Delegation delegation;
    kernel::CapabilityMask capabilities = 0;
    token::Containment containment;
};

Result<Bits> bits_of(const grant::Resolved& grant) {
    Bits bits;
    grant::TokenMasks masks = grant::token_masks(grant);
    if (const auto running = kernel::Names::of_running_kernel()) {
        auto [here, dropped] = grant::token_masks(grant, *running);
        masks = here;
        for (const auto& bit : dropped)
            if (bit.written)
                say(fmt::format("bpfwarden run: note: this kernel has no {} {}; {} gives nothing here",
                                grant::noun_of(bit.dimension), bit.name, bit.at.text()));
    }
    bits.delegation = {masks.commands, masks.maps, masks.programs, masks.attachs};
    if (bits.delegation == kernel::Delegation{})
        return fail(Error(Code::bad_input,
                          fmt::format("{} allows nothing that a token could delegate", bpfwarden::quoted(grant.file)))
                        .advise("give it program_types or map_types in [allow]"));
    for (const auto& [name, origin] : grant.of(grant::Dimension::capabilities).values)
        if (const auto number = kernel::capability_number(name)) bits.capabilities |= 1ULL << *number;
    for (const auto& [type, origin] : grant.of(grant::Dimension::program_types).values) {
        const auto* facts = grant::program_facts(type);
        if (facts == nullptr) continue;
        bits.containment.cgroups |= facts->reach == grant::Reach::cgroup;
        // These two attach to the network namespace whose fd they are given; other network programs to the caller's
        // own.
        bits.containment.network_namespaces |= type == "sk_lookup" || type == "flow_dissector";
    }
    return bits;
}

nlohmann::json delegation_json(const kernel::Delegation& d) {
    return {{"cmds", fmt::format("{:#x}", d.commands)},
            {"maps", fmt::format("{:#x}", d.maps)},
            {"progs", fmt::format("{:#x}", d.programs)},
            {"attachs", fmt::format("{:#x}", d.attachs)}};
}

int print_plan(const Args& args, const grant::Resolved& grant, const kernel::User& user,
               const token::LaunchRequest& request) {
    std::vector<std::string> capabilities, contained;
    for (unsigned number = 0; number < 64; ++number)
        if ((request.capabilities >> number & 1) != 0) capabilities.push_back(kernel::capability_name(number));
    if (request.containment.cgroups) contained.emplace_back("cgroups");
    if (request.containment.network_namespaces) contained.emplace_back("network_namespaces");
    const auto& d = request.delegation;
    if (args.json) {
        fmt::print("{}\n", nlohmann::json{{"schema", "bpfwarden.run.plan/1"},
                                          {"grant", grant.name},
                                          {"user", user.name},
                                          {"uid", request.ids.uid},
                                          {"gid", request.ids.gid},
                                          {"capabilities", capabilities},
                                          {"network", request.private_network ? "private" : "inherit"},
                                          {"contained", contained},
                                          {"token_path", request.token_path},
                                          {"delegate", delegation_json(d)},
                                          {"command", request.command}}
                               .dump());
        return 0;
    }
    fmt::print(
        "grant         {}\nuser          {} (uid {}, gid {})\ncapabilities  {}\nnetwork       {}\ncontained     {}\n",
        grant.name, user.name.empty() ? "-" : user.name, request.ids.uid, request.ids.gid,
        capabilities.empty() ? "none" : join(capabilities, ", "), request.private_network ? "private" : "inherited",
        contained.empty() ? "nothing needs it" : join(contained, ", "));
    fmt::print(
        "bpffs         {}\n              delegate_cmds={:#x} delegate_maps={:#x} delegate_progs={:#x} "
        "delegate_attachs={:#x}\n",
        request.token_path, d.commands, d.maps, d.programs, d.attachs);
    if (!request.command.empty()) fmt::print("command       {}\n", join(request.command, " "));
    return 0;
}

// ---- run --into --------------------------------------------------------------------------------------------------

Result<int> give_to_running(const Args& args, const grant::Resolved& grant) {
    for (const auto* option : {"--user", "--net", "--keep-fd"})
        if (args.has(option))
            return fail(Error(Code::usage, fmt::format("{} does not go with --into", option))
                            .because("the process runs already, with its own user, network and files"));
    const auto pid = static_cast<pid_t>(BW_TRY(number_option("--into", *args.value("--into"), 1)));
    const auto process = BW_TRY(kernel::open_process(pid));
    const auto [uid, gid] = BW_TRY(kernel::owner_of_process(pid));
    if (!kernel::is_alive(process)) return fail(Code::not_found, fmt::format("process {} has ended", pid));
    BW_TRY(need_acknowledged(grant, {.host_cgroups = true}));
    const auto bits = BW_TRY(bits_of(grant));
    token::BpffsRequest request{
        .delegation = bits.delegation, .uid = uid, .gid = gid, .path = BW_TRY(token_path(args))};
    if (args.has("--dry-run")) {
        fmt::print(
            "would mount at {} of process {}: delegate_cmds={:#x} delegate_maps={:#x} delegate_progs={:#x} "
            "delegate_attachs={:#x}\n",
            request.path, pid, bits.delegation.commands, bits.delegation.maps, bits.delegation.programs,
            bits.delegation.attachs);
        return 0;
    }
    BW_TRY_WITHIN(token::mount_delegating_bpffs(process, pid, request), fmt::format("giving process {} a bpffs", pid));
    if (args.json)
        fmt::print("{}\n", nlohmann::json{{"schema", "bpfwarden.run.into/1"},
                                          {"grant", grant.name},
                                          {"pid", pid},
                                          {"path", request.path},
                                          {"delegate", delegation_json(bits.delegation)}}
                               .dump());
    return 0;
}

}  // namespace

Result<int> run_with_token(const Args& args, const grant::Resolved& grant) {
    BW_TRY(need_root());
    BW_TRY(need_token());
    BW_TRY(need_enforced(args, grant, grant::Way::token));
    if (args.has("--into")) return give_to_running(args, grant);

    const auto& command = args.positional("COMMAND");
    const bool private_network = BW_TRY(wants_private_network(args));
    BW_TRY(need_acknowledged(grant, {.host_network = !private_network}));
    const auto user = BW_TRY(command_user(args, grant));
    if (auto refused = grant::refuses_opener(grant, BW_TRY(opener_of(grant, user, command))))
        return fail(std::move(*refused));
    const auto bits = BW_TRY(bits_of(grant));
    const token::LaunchRequest request{.delegation = bits.delegation,
                                       .capabilities = bits.capabilities,
                                       .ids = {user.uid, user.gid, user.groups},
                                       .private_network = private_network,
                                       .containment = bits.containment,
                                       .token_path = BW_TRY(token_path(args)),
                                       .keep_fds = BW_TRY(kept_fds(args)),
                                       .command = command};
    if (args.has("--dry-run")) return print_plan(args, grant, user, request);
    if (args.has("--token-path")) ::setenv("LIBBPF_BPF_TOKEN_PATH", request.token_path.c_str(), 1);

    auto failed = token::launch(request);
    say(failed.error.text("bpfwarden run"));
    return failed.status;
}

}  // namespace bpfwarden::cli
