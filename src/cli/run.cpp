// SPDX-License-Identifier: Apache-2.0
// `bpfwarden run`: a command under a grant, by whichever way in.
#include "cli/run.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <exception>

#include "base/text.hpp"
#include "broker/control.hpp"
#include "grant/enforcement.hpp"
#include "grant/load.hpp"
#include "kernel/command.hpp"
#include "kernel/probe.hpp"

namespace bpfwarden::cli {
namespace {

enum class Via { automatic, token, intercept };

Result<Via> via(const Args& args) {
    const std::string text = args.value("--via").value_or("auto");
    if (text == "auto") return Via::automatic;
    if (text == "token") return Via::token;
    if (text == "intercept") return Via::intercept;
    return fail(Error(Code::usage, fmt::format("--via {} is no way in", bpfwarden::quoted(text)))
                    .advise("it is auto (the default), token or intercept"));
}

// For root: the token, unless it cannot hold the grant and there is a daemon that can.
Via choose(const Args& args, const grant::Resolved& grant) {
    const auto because = [&](Via way, std::string_view why) {
        if (args.has("--verbose"))
            say(fmt::format("bpfwarden run: via {}: {}", way == Via::token ? "token" : "intercept", why));
        return way;
    };
    // These are the token's own.
    for (const auto* option : {"--into", "--token-path", "--net", "--dry-run"})
        if (args.has(option)) return because(Via::token, fmt::format("{} is for it alone", option));
    if (args.has("--map-root")) return because(Via::intercept, "--map-root is for it alone");
    const auto held = need_enforced(args, grant, grant::Way::token);
    const bool kernel = token_here().state != kernel::Presence::absent;
    if (held && kernel) return because(Via::token, "it holds every key of the grant");
    if (!broker::Control::connect()) return because(Via::token, "bpfwardend is not running");
    return because(Via::intercept, kernel ? held.error().what() : "this kernel has no BPF token (needs 6.9)");
}

// Of a grant, for one control group.
bool is_socket(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

Result<int> run(const Args& args) {
    const auto way = BW_TRY(via(args));
    const bool into = args.has("--into");
    if (into != args.positional("COMMAND").empty())
        return fail(Error(Code::usage, into ? "--into PID takes no command" : "no command is given")
                        .advise("bpfwarden run --grant GRANT [--user USER] -- COMMAND [ARG…]"));
    const auto grant = args.value("--grant");
    if (!grant)
        return fail(
            Error(Code::usage, "no grant is given").advise("say --grant FILE, or the name of an installed grant"));
    // Which files there are is for the daemon to say to anybody but root.
    if (::geteuid() != 0 && way != Via::token && !into) {
        if (grant->contains('/') && !is_socket(*grant))
            return fail(
                Error(Code::denied, "run --grant FILE is for root")
                    .because("a grant gives what is root's; anybody else runs under one that root has installed")
                    .advise("name an installed grant that names you, or use sudo with --user"));
        if (args.has("--verbose")) say("bpfwarden run: via intercept: a token takes root to make");
        return run_intercepted(args, *grant);
    }
    const auto loaded = BW_TRY(grant::load_file(*grant));
    if (way == Via::token || (way == Via::automatic && choose(args, loaded) == Via::token))
        return run_with_token(args, loaded);
    return run_intercepted(args, loaded);
}

// A caller takes any status but 125 for the command's, so no failure may end in another: dispatch() and main() would
// end with 1 where stderr cannot be written to, or a library throws.
Result<int> run_or_125(const Args& args) {
    try {
        const auto status = run(args);
        if (!status) say(status.error().text("bpfwarden run"));
        return status.value_or(kernel::launch_failed);
    } catch (const std::exception& problem) {
        say(fmt::format("bpfwarden run: internal error: {}", problem.what()));
        return kernel::launch_failed;
    }
}

}  // namespace

std::vector<Command> run_commands() {
    return {{
        .object = "",
        .verb = "run",
        .summary = "run an unmodified BPF program without root, under a grant",
        .details =
            "There are two ways in. By token, for root: the command becomes the asked user in a user, mount and (by "
            "default)\n"
            "network namespace of its own, with only the grant's capabilities inside and none outside, and finds a "
            "bpffs with\n"
            "exactly the grant's delegation at /sys/fs/bpf, where libbpf 1.4 and newer look for a token by "
            "themselves.\n"
            "By intercept, for anybody whom an installed grant names, and root: any program, as it is; the kernel puts "
            "its calls\n"
            "of bpf(2), perf_event_open(2) and what goes with them to the worker of a session of bpfwardend, which "
            "holds the\n"
            "grant's every key and can be revoked (bpfwarden session revoke). Without --via root gets the token where "
            "it holds\n"
            "every key of the grant, and the intercept otherwise. The exit status is the command's own (128 and the "
            "signal's\n"
            "number if one ended it), or 125 (bpfwarden failed), 126 (cannot be executed), 127 (not found).",
        .positionals = {{.name = "COMMAND", .help = "the command and its arguments", .least = 0, .most = many}},
        .options = {{.name = "--grant", .value = "FILE", .help = "the grant: a file, or the name of an installed one"},
                    {.name = "--user", .value = "USER[:GROUP]", .help = "who the command runs as (name or number)"},
                    {.name = "--via",
                     .value = "auto|token|intercept",
                     .help = "the way in: a kernel token, or its system calls answered by a session"},
                    {.name = "--map-root",
                     .value = "",
                     .help = "intercept: show the command uid 0, in a user namespace of that one user"},
                    {.name = "--verbose", .value = "", .help = "say which way in it is, and why"},
                    {.name = "--net",
                     .value = "private|inherit",
                     .help = "token: a network namespace of its own (default), or the caller's"},
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
