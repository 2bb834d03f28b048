// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy …`: the table entries. Each verb is a file of its own.
#include "cli/policy.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/diagnostics.hpp"

namespace bpfwarden::cli {

static const Positional files{"FILE", "policies that are in force together: files, or - for standard input", 1, many};

std::vector<Command> policy_commands() {
    return {
        {.object = "policy",
         .verb = "check",
         .summary = "say whether policies are right, and what is wrong with them",
         .details = "Several files are one set: their rules count together. Prints every error and warning with its "
                    "line and column, and one line for each FILE. Symbolic links of this machine that a pattern goes "
                    "through are warned of. The exit status is 0 if there is no error, else 1; 5 or 6 if a file cannot "
                    "be read.",
         .positionals = {files},
         .run = policy_check},
        {.object = "policy",
         .verb = "show",
         .summary = "show the domains of policies, who enters them, and what the kernel is given",
         .details = "Domains with their defaults and ways in, how many rules are about each, the operations that "
                    "programs are needed for, and the sizes of the image.",
         .positionals = {files},
         .run = policy_show},
        {.object = "policy",
         .verb = "explain",
         .summary = "say how policies decide an operation, and which rule does",
         .details =
             "With the evaluator that the kernel's programs are compiled with. PATH is the file's real path, or "
             "TYPE:/PATH in a file system that is not mounted where policies are applied. One of --open, --exec, "
             "--capability, --peer and --op says what is asked. The exit status is 0 if it is permitted, 1 if "
             "not.",
         .positionals = {files},
         .options = {{"--domain", "DOMAIN", "the process's domain (default: the only one; for --exec unconfined)"},
                     {"--open", "PATH", "open this file, for reading unless --write or --append is there"},
                     {"--write", "", "with --open: for writing"},
                     {"--append", "", "with --open: for appending"},
                     {"--op", "OP", "an operation by its name in the language", true},
                     {"--path", "PATH", "with --op: on this file"},
                     {"--type", "TYPE", "the type of the file's file system, for rules with file_systems"},
                     {"--identity", "MAJ:MIN,INODE,GENERATION", "what the file is, for rules with identities"},
                     {"--fsverity", "DIGEST", "with --exec: the file's digest by fs-verity"},
                     {"--ima", "DIGEST", "with --exec: the file's digest by IMA, \"sha256:…\""},
                     {"--label", "TEXT", "the file's attribute security.bpf.bpfwarden, for rules with labels"},
                     {"--user-label", "TEXT", "the file's attribute user.bpfwarden"},
                     {"--net", "ADDRESS", "with --op: 192.0.2.1:80, [2001:db8::1]:443, or a family alone: unix"},
                     {"--exec", "PATH", "execute this file: whether it may be, and in which domain it runs"},
                     {"--cgroup", "PATH", "with --exec: the process's control group (default: /)"},
                     {"--uid", "N", "with --exec: the process's real user id (default: 0)"},
                     {"--gid", "N", "with --exec: its real group id (default: 0)"},
                     {"--userns", "init|other", "with --exec: its user namespace (default: init)"},
                     {"--capability", "NAME", "use this capability"},
                     {"--peer", "DOMAIN", "with --op: on a process of this domain"}},
         .run = policy_explain},
        {.object = "policy",
         .verb = "diff",
         .summary = "say what a new version of a policy decides differently",
         .details = "Compares the automata of both, not their texts: each change has an example. The exit status is 0 "
                    "if NEW permits nothing that OLD refuses, 1 if it does.",
         .positionals = {{"OLD", "a policy: a file, or - for standard input"},
                         {"NEW", "the policy to compare it with"}},
         .run = policy_diff},
        {.object = "policy",
         .verb = "identity",
         .summary = "print what a policy can know files by",
         .details =
             "As it is written there: device, inode and generation, the digest by fs-verity if the file has one, "
             "SHA-256 as IMA makes it, and the labels that it has. Links are followed. The exit status is 5 or 6 if "
             "a file is not there or cannot be read.",
         .positionals = {{"FILE", "regular files or directories", 1, many}},
         .run = policy_identity},
        {.object = "policy",
         .verb = "apply",
         .summary = "put policies in force",
         .details =
             "The files are one set, which takes the place of the set in force with one write: no operation is "
             "decided by two, or by none. On an error the old set stays. Processes get their domains at their next "
             "exec. Needs root, kernel 6.1, and bpf in the kernel's lsm= list (exit status 3 without).",
         .positionals = {files},
         .options =
             {{"--confirm-within", "TIME",
               "after TIME (60s, 5m) the set before comes back, unless `policy confirm` came first; the kernel does "
               "that, no process is needed. A set that was itself not confirmed yet is none to come back to: the one "
               "before it is"},
              {"--dry-run", "", "say what would be applied, and change nothing"}},
         .run = policy_apply},
        {.object = "policy",
         .verb = "confirm",
         .summary = "keep what was applied with --confirm-within",
         .details = "The exit status is 1 if nothing waits for it, 5 if no policy is in force.",
         .run = policy_confirm},
        {.object = "policy",
         .verb = "rollback",
         .summary = "put the set before in force again",
         .details = "The two change places: a second rollback goes forward again. Needs root.",
         .run = policy_rollback},
        {.object = "policy",
         .verb = "status",
         .summary = "say which policies are in force, since when, by whom, and which rules decided",
         .details =
             "Counts are of what rules refused, would have refused, or told. The exit status is 1 if programs are "
             "loaded and no policy is in force, 5 if there are none. Needs root.",
         .run = policy_status},
        {.object = "policy",
         .verb = "remove",
         .summary = "take the policies out of force, with their programs",
         .details = "Every process leaves its domain. Needs root.",
         .run = policy_remove},
    };
}

Result<ReadPolicies> read_policies(const std::vector<std::string>& paths) {
    auto loaded = BW_TRY(policy::load(paths));
    std::optional<policy::Compiled> compiled;
    if (loaded.diagnostics.ok()) compiled = policy::compile(loaded.policies, loaded.diagnostics);
    if (compiled) return ReadPolicies{std::move(loaded), std::move(*compiled)};
    // The command cannot do its work; what is wrong goes where errors go.
    print_diagnostics(loaded.diagnostics, paths.front(), stderr);
    return fail(
        Error(Code::bad_input, fmt::format("{} {} errors", join(paths, ", "), paths.size() == 1 ? "has" : "have")));
}

}  // namespace bpfwarden::cli
