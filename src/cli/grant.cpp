// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant …`: the table entries. Each verb is a file of its own.
#include "cli/grant.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "cli/diagnostics.hpp"
#include "cli/session.hpp"

namespace bpfwarden::cli {

static const Option root_option{"--root", "DIR", "look for installed grants under DIR/etc and DIR/usr/lib"};
static constexpr std::string_view file_help = "a grant: a file, the name of an installed one, or - for standard input";

std::vector<Command> grant_commands() {
    return {
        {"grant",
         "check",
         "say whether grants are right, and what is wrong with them",
         "Prints every error and warning with its line and column, and one line for each FILE. The exit status is 0 if "
         "no file has an error, else 1; 5 or 6 if a file cannot be read.",
         {{"FILE", file_help, 1, many}},
         {root_option},
         grant_check},
        {"grant",
         "show",
         "show everything that a grant allows, and who holds it to that",
         "Groups, `any`, includes and implied values are spelled out, each with where it comes from; then the masks "
         "for a "
         "kernel token, and who enforces each key on each way in.",
         {{"FILE", file_help}},
         {root_option},
         grant_show},
        {"grant",
         "explain",
         "say whether a grant allows an operation, and which line decides",
         "OPERATION is one of: map_create TYPE; prog_load TYPE [attach=TYPE] [helper=NAME]… [kfunc=NAME]… "
         "[feature=NAME]… [instructions=N] [sha256=HEX] [signer=NAME] [function=NAME] [tracepoint=NAME]; btf_load; "
         "attach TYPE [program=TYPE] [cgroup=PATH] [interface=NAME] [tracepoint=NAME] [function=NAME] "
         "[uprobe=PATH:SYMBOL]; perf_event_open tracepoint=NAME|function=NAME|uprobe=PATH:SYMBOL|event=KIND/NAME; "
         "command NAME; helper NAME; kfunc NAME. The exit status is 0 if it is allowed, 1 if not.",
         {{"FILE", file_help}, {"OPERATION", "what to ask about, in words", 1, many}},
         {root_option},
         grant_explain},
        {"grant",
         "diff",
         "say what a new version of a grant widens and narrows",
         "The exit status is 0 if NEW allows nothing that OLD refuses (it is the same, or narrower), 1 if it widens.",
         {{"OLD", file_help}, {"NEW", "the grant to compare it with"}},
         {root_option},
         grant_diff},
        {"grant",
         "list",
         "list the installed grants",
         "From /etc/bpfwarden/grants.d and /usr/lib/bpfwarden/grants.d; a file in /etc hides one of the same name.",
         {},
         {root_option},
         grant_list},
        {"grant",
         "init",
         "write a first grant to start from",
         "The grant goes to standard output, or to a new file with --output; it passes `grant check` as it is.",
         {},
         {{"--template", "xdp|tracing|cgroup", "what kind of programs it is for", false, true},
          {"--name", "NAME", "the name of the grant (default: the template's)"},
          {"--user", "USER", "who may open it (default: root only)"},
          {"--output", "FILE", "write to FILE, which must not exist", false, false, "-o"},
          {"--dry-run", "", "with --output: say what would be written"}},
         grant_init},
        {.object = "grant",
         .verb = "learn",
         .summary = "run a command and write the smallest grant that it needs",
         .details =
             "The command may do all that a grant can allow, while it runs, and what it does is kept: types of "
             "programs "
             "and maps, helpers, features, what is attached to. The grant that comes of it allows that and nothing "
             "else, says of each entry what needed it, marks what is dangerous, and proposes a glob where several "
             "targets have one shape; it passes `grant check` as it is. What the command did not do this time is not "
             "in "
             "it. For root, with bpfwardend; the exit status is the command's own.",
         .positionals = {{"COMMAND", "the command and its arguments", 1, many}},
         .options = {{"--output", "FILE", "write to FILE, which must not exist", false, true, "-o"},
                     {"--name", "NAME", "the name of the grant (default: the command's)"},
                     {"--user", "USER", "who the command runs as, and the grant is for (default: root)"},
                     {"--map-root", "", "show the command uid 0, in a user namespace of that one user"}},
         .run = grant_learn,
         .error_status = 125,
         .passes_rest = true},
        {"grant",
         "digest",
         "say what [identity] sees of the programs in a BPF object",
         "One line for each program that libbpf loads of OBJECT: its SHA-256, as identity.sha256 has it, its name, "
         "type and "
         "length. With --output the bytes that this is the digest of, which are what a signature is over. Nothing is "
         "loaded, "
         "and no privilege is needed: libbpf links and relocates as for a load, for the running kernel. CO-RE can make "
         "another stream on another kernel, and another release of libbpf may link otherwise: what counts is what the "
         "broker is given, and the audit log has the digest of that. A program that changes itself before it loads "
         "(sets "
         "types, attach targets or autoload) does not change its instructions by that, but may leave some out.",
         {{"OBJECT", "a BPF object file (ELF), or a file of nothing but instructions"}},
         {{"--program", "NAME", "this program only"},
          {"--output", "FILE", "write what is to be signed to FILE, which must not exist; for one program", false,
           false, "-o"}},
         grant_digest},
        {"grant",
         "reload",
         "make the daemon read the installed grants again",
         "All or nothing: a grant that is not valid changes nothing, and is shown. Open sessions keep the grant as it "
         "was when they were opened.",
         {},
         {},
         grant_reload},
        {"grant",
         "revoke",
         "end all sessions of a grant, and open no more",
         "Until the next reload. The grant's file is not touched.",
         {{"NAME", "the name of an installed grant"}},
         {{"--dry-run", "", "say how many sessions would end"}},
         grant_revoke},
    };
}

grant::LoadOptions load_options(const Args& args) {
    grant::LoadOptions options;
    if (const auto root = args.value("--root")) options.root = *root;
    return options;
}

Result<grant::Checked> read_valid(const std::string& what, const Args& args) {
    auto checked = BW_TRY(grant::check_file(what, load_options(args)));
    if (checked.grant) return checked;
    // The command cannot do its work; what is wrong goes where errors go.
    print_diagnostics(checked.diagnostics, checked.file, stderr);
    return fail(Error(Code::bad_input, fmt::format("{} has errors", Position{checked.file, 0, 0}.text())));
}

}  // namespace bpfwarden::cli
