// SPDX-License-Identifier: Apache-2.0
// `bpfwarden run`: a command under a grant, by kernel token.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "grant/danger.hpp"
#include "grant/enforcement.hpp"
#include "grant/facts.hpp"
#include "grant/load.hpp"
#include "grant/masks.hpp"
#include "grant/subject.hpp"
#include "kernel/capability.hpp"
#include "kernel/file.hpp"
#include "kernel/names.hpp"
#include "kernel/probe.hpp"
#include "kernel/process.hpp"
#include "kernel/user.hpp"
#include "token/bpffs.hpp"
#include "token/launch.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::cli {
namespace {

// fmt::print() throws when nobody can read what it says.
void say(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

constexpr std::string_view default_token_path = "/sys/fs/bpf";

// ---- what the command line asks for ---------------------------------------------------------------------------

Result<long> number_option(const Args& args, std::string_view option, const std::string& text, long least) {
    long value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    // Both are ints to the kernel: a larger number would be cut to another one.
    if (err == std::errc{} && end == text.data() + text.size() && value >= least && value <= INT_MAX) return value;
    (void)args;
    return fail(Error(Code::usage, fmt::format("{} {} cannot be used", option, bpfwarden::quoted(text)))
                    .because(fmt::format("it must be a number from {} to {}", least, INT_MAX)));
}

Result<bool> wants_private_network(const Args& args) {
    const std::string net = args.value("--net").value_or("private");
    if (net == "private") return true;
    if (net == "inherit") return false;
    return fail(Error(Code::usage, fmt::format("--net {} means nothing", bpfwarden::quoted(net)))
                    .advise("it is private (the default) or inherit"));
}

Result<> check_way(const Args& args) {
    const std::string via = args.value("--via").value_or("token");
    if (via == "token") return {};
    return fail(
        Error(Code::usage, fmt::format("--via {} is not a way in that this release has", bpfwarden::quoted(via)))
            .advise("use --via token, the default"));
}

Result<std::vector<int>> kept_fds(const Args& args) {
    std::vector<int> fds;
    for (const auto& text : args.values("--keep-fd")) {
        const long fd = BW_TRY(number_option(args, "--keep-fd", text, 3));
        if (::fcntl(static_cast<int>(fd), F_GETFD) < 0)
            return fail(Error(Code::usage, fmt::format("--keep-fd {}: no such file descriptor is open", fd))
                            .advise(fmt::format("open it for this command, as a shell does with {}<FILE", fd)));
        fds.push_back(static_cast<int>(fd));
    }
    return fds;
}

Result<std::string> token_path(const Args& args) {
    const std::string path = args.value("--token-path").value_or(std::string(default_token_path));
    // libbpf refuses longer ones (PATH_MAX), and a relative one would mean something else to each program.
    if (path.starts_with('/') && path.size() < 4096 && !(path + "/").contains("/../")) return path;
    return fail(Error(Code::usage, fmt::format("--token-path {} cannot be used", bpfwarden::quoted(path)))
                    .because("it must be an absolute path without \"..\", shorter than 4096 bytes"));
}

// ---- may it? ---------------------------------------------------------------------------------------------------

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
    const auto found = kernel::probe_token();
    if (found.state != kernel::Presence::absent) return {};
    return fail(
        Error(Code::unsupported, "this kernel has no BPF token (needs 6.9)")
            .because(fmt::format("{}: {}", found.how, found.detail))
            .advise("load with privilege and hand the program over by a pin or an fd; `bpfwarden host check` says what "
                    "this kernel has"));
}

Result<> need_acknowledged(const grant::Resolved& grant, const grant::UseContext& context) {
    for (const auto& need : grant::use_time_dangers(grant, context))
        if (!need.acknowledged)
            return fail(Error(Code::denied, fmt::format("this use of the grant {}", need.danger->hands_over))
                            .because(fmt::format("{}: {}: {}", need.at.text(), need.what, need.danger->because))
                            .advise(fmt::format("if that is meant, add {} to dangerous = [...] in the grant",
                                                bpfwarden::quoted(need.danger->name))));
    return {};
}

// Every key that a token does not hold must be in --unenforced, and nothing else may be.
Result<> need_enforced(const Args& args, const grant::Resolved& grant) {
    std::vector<std::string> given;
    for (const auto& list : args.values("--unenforced"))
        for (const auto key : split(list, ',')) given.emplace_back(key);
    const auto keys = grant::enforced_keys();
    const std::vector<std::string_view> known(keys.begin(), keys.end());
    for (const auto& key : given)
        if (std::ranges::none_of(known, [&](auto one) { return grant::names_key(key, one); })) {
            const auto near = nearest(key, known);
            return fail(
                Error(Code::usage, fmt::format("--unenforced: there is no grant key {}", bpfwarden::quoted(key)))
                    .advise(near ? fmt::format("did you mean {}?", *near) : "bpfwarden-grant(5) lists the keys"));
        }
    std::vector<std::string> missing;
    std::string why;
    for (const auto& key : grant::unenforced(grant, grant::Way::token)) {
        if (std::ranges::any_of(given, [&](const auto& one) { return grant::names_key(one, key.key); })) continue;
        if (why.empty()) why = fmt::format("{}: {}: {}", key.at.text(), key.key, key.why);
        missing.push_back(key.key);
    }
    if (missing.empty()) return {};
    return fail(Error(Code::denied, fmt::format("a token cannot hold the command to {}", join(missing, ", ")))
                    .because(std::move(why))
                    .advise(fmt::format("change the grant, or accept that nobody enforces it: --unenforced={}",
                                        join(missing, ","))));
}

// ---- who? ------------------------------------------------------------------------------------------------------

// --user, or the one user that the grant is for, or root.
Result<kernel::User> command_user(const Args& args, const grant::Resolved& grant) {
    if (const auto named = args.value("--user")) return kernel::find_user(*named);
    if (grant.subject && grant.subject->lines.size() == 1)
        for (const auto& condition : grant.subject->lines.front().conditions)
            if (condition.key == grant::SubjectKey::user || condition.key == grant::SubjectKey::uid)
                return kernel::find_user(condition.value);
    if (!grant.subject) return kernel::find_user("0");
    return fail(Error(Code::usage, "which user is the command to run as?")
                    .because("the grant's subject does not name exactly one")
                    .advise("say --user USER"));
}

// Where execvp would find the command, with symbolic links resolved; empty if nowhere.
std::string real_executable(const std::string& command) {
    const char* path = command.contains('/') ? nullptr : std::getenv("PATH");
    std::vector<std::string> tried;
    if (path == nullptr) tried.push_back(command);
    for (const auto folder : path ? split(path, ':') : std::vector<std::string_view>{})
        tried.push_back(fmt::format("{}/{}", folder.empty() ? "." : folder, command));
    for (const auto& candidate : tried) {
        std::error_code problem;
        const auto real = std::filesystem::canonical(candidate, problem);
        if (!problem && ::access(real.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(real, problem))
            return real;
    }
    return "";
}

Result<grant::Opener> opener_of(const grant::Resolved& grant, const kernel::User& user,
                                const std::vector<std::string>& command) {
    grant::Opener opener{.uid = user.uid,
                         .user = user.name,
                         .gids = {user.groups.begin(), user.groups.end()},
                         .groups = user.group_names};
    if (grant::asks_for(grant, grant::SubjectKey::cgroup))
        for (const std::string text = BW_TRY(kernel::read_file("/proc/self/cgroup"));
             const auto line : split(text, '\n'))
            if (line.starts_with("0::")) opener.cgroup = line.substr(3);
    if (command.empty()) return opener;
    opener.exe = real_executable(command.front());
    if (!opener.exe.empty() && grant::asks_for(grant, grant::SubjectKey::exe_sha256)) {
        const UniqueFd file(::open(opener.exe.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file) return fail_errno("opening " + opener.exe);
        opener.exe_sha256 = BW_TRY(trust::sha256_of_file(file));
    }
    return opener;
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
                                          {"uid", request.uid},
                                          {"gid", request.gid},
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
        grant.name, user.name.empty() ? "-" : user.name, request.uid, request.gid,
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
    const auto pid = static_cast<pid_t>(BW_TRY(number_option(args, "--into", *args.value("--into"), 1)));
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

// ---- run ---------------------------------------------------------------------------------------------------------

Result<int> run(const Args& args) {
    BW_TRY(check_way(args));
    const auto& command = args.positional("COMMAND");
    const bool into = args.has("--into");
    if (into != command.empty())
        return fail(Error(Code::usage, into ? "--into PID takes no command" : "no command is given")
                        .advise("bpfwarden run --grant FILE [--user USER] -- COMMAND [ARG…]"));
    const auto file = args.value("--grant");
    if (!file)
        return fail(
            Error(Code::usage, "no grant is given").advise("say --grant FILE, or the name of an installed grant"));
    const auto grant = BW_TRY(grant::load_file(*file));
    BW_TRY(need_root());
    BW_TRY(need_token());
    BW_TRY(need_enforced(args, grant));
    if (into) return give_to_running(args, grant);

    const bool private_network = BW_TRY(wants_private_network(args));
    BW_TRY(need_acknowledged(grant, {.host_network = !private_network}));
    const auto user = BW_TRY(command_user(args, grant));
    if (auto refused = grant::refuses_opener(grant, BW_TRY(opener_of(grant, user, command))))
        return fail(std::move(*refused));
    const auto bits = BW_TRY(bits_of(grant));
    const token::LaunchRequest request{.delegation = bits.delegation,
                                       .capabilities = bits.capabilities,
                                       .uid = user.uid,
                                       .gid = user.gid,
                                       .groups = user.groups,
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

// A caller takes any status but 125 for the command's, so no failure may end in another: dispatch() and main() would
// end with 1 where stderr cannot be written to, or a library throws.
Result<int> run_or_125(const Args& args) {
    try {
        const auto status = run(args);
        if (!status) say(status.error().text("bpfwarden run"));
        return status.value_or(token::launch_failed);
    } catch (const std::exception& problem) {
        say(fmt::format("bpfwarden run: internal error: {}", problem.what()));
        return token::launch_failed;
    }
}

}  // namespace

std::vector<Command> run_commands() {
    return {{
        .object = "",
        .verb = "run",
        .summary = "run an unmodified BPF program without root, under a grant",
        .details =
            "The command becomes the asked user in a user, mount and (by default) network namespace of its own, with "
            "only the\n"
            "grant's capabilities inside and none outside, and finds a bpffs with exactly the grant's delegation at\n"
            "/sys/fs/bpf, where libbpf 1.4 and newer look for a token by themselves. The exit status is the command's "
            "own, or\n"
            "125 (bpfwarden failed), 126 (cannot be executed), 127 (not found).",
        .positionals = {{.name = "COMMAND", .help = "the command and its arguments", .least = 0, .most = many}},
        .options = {{.name = "--grant", .value = "FILE", .help = "the grant: a file, or the name of an installed one"},
                    {.name = "--user", .value = "USER[:GROUP]", .help = "who the command runs as (name or number)"},
                    {.name = "--via", .value = "token", .help = "the way in: a kernel token, the only one so far"},
                    {.name = "--net",
                     .value = "private|inherit",
                     .help = "a network namespace of its own (default), or the caller's"},
                    {.name = "--token-path",
                     .value = "DIR",
                     .help = "mount the bpffs there and set LIBBPF_BPF_TOKEN_PATH"},
                    {.name = "--into", .value = "PID", .help = "give a running process's namespaces the bpffs instead"},
                    {.name = "--unenforced",
                     .value = "KEY,…",
                     .help = "run although nobody enforces these keys of the grant",
                     .repeated = true},
                    {.name = "--keep-fd",
                     .value = "FD",
                     .help = "leave this file descriptor open for the command",
                     .repeated = true},
                    {.name = "--dry-run", .value = "", .help = "say what would be done, and do nothing"}},
        .run = run_or_125,
        .error_status = 125,
        .passes_rest = true,
    }};
}

}  // namespace bpfwarden::cli
