// SPDX-License-Identifier: Apache-2.0
// `bpfwarden filter …`: the table entries.
#include "cli/filter.hpp"

namespace bpfwarden::cli {

static const Positional source{"SOURCE",
                               "a filter: C (.c), an eBPF object, a container profile (JSON), or classic BPF"};

std::vector<Option> source_options(const std::vector<Option>& more) {
    std::vector<Option> all{
        {"--arch", "ARCH", "x86_64, x32, i386 or aarch64 (default: those of this machine, or of the profile)", true},
        {"--kernel", "VERSION", "whose table says which system calls there are (default: the newest known)"},
        {"--bad-arch", "ACTION",
         "what every other architecture gets (default: KILL_PROCESS, or what the program says)"},
        {"--map", "NAME=FILE", "the numbers of a set that the source leaves open: TOML, `numbers = […]`", true},
        {"--cap", "CAP", "a profile is for a process with this capability", true},
        {"--same-argument", "all|any",
         "what several conditions on one argument of a profile's rule mean (any: as runc)"},
        {"--enosys", "above|unknown",
         "a profile answers numbers that it has no rule for with ENOSYS: above its largest, as "
         "runc, or those that the kernel of --kernel lacks"},
    };
    for (const auto& one : more) all.push_back(one);
    return all;
}

std::vector<Option> build_options(const std::vector<Option>& more) {
    std::vector<Option> all = source_options();
    all.push_back(
        {"--optimize", "WHAT", "usual (default), uniform, or a file of how often calls are made: lines of NAME COUNT"});
    all.push_back({"--for-kernel", "VERSION", "before 5.11 always allowed calls cost as well, and count"});
    all.push_back({"--effort", "quick|normal|high",
                   "how long to search; counted in steps, so that the result is always the same"});
    all.push_back({"--require-proof", "", "fail if it is not proven that the program is the source's function"});
    for (const auto& one : more) all.push_back(one);
    return all;
}

std::vector<Command> filter_commands() {
    return {
        {.object = "filter",
         .verb = "build",
         .summary = "make a classic BPF program of a filter",
         .details =
             "Verifies the source, specialises it for each system call, makes a program of it that any kernel takes "
             "without privilege, and proves that the two are the same function. The program is written as it lies in "
             "memory (struct sock_filter, little-endian), as bwrap --seccomp, crun and minijail take it. C is compiled "
             "with clang. The same source and options give the same bytes.",
         .positionals = {source},
         .options =
             build_options({{"--output", "FILE", "where to write it (default: standard output)", false, false, "-o"}}),
         .run = filter_build},
        {.object = "filter",
         .verb = "check",
         .summary = "say what is wrong with a filter",
         .details = "Reads and verifies it, and says in a few lines what it is. Nothing is built.",
         .positionals = {source},
         .options = source_options(),
         .run = filter_check},
        {.object = "filter",
         .verb = "dump",
         .summary = "show a filter's program",
         .details = "As assembly, as C, as JSON, as a graph for graphviz, or raw.",
         .positionals = {source},
         .options = build_options({{"--format", "asm|c|json|dot|raw", "default: asm"}}),
         .run = filter_dump},
        {.object = "filter",
         .verb = "explain",
         .summary = "show how one system call is decided",
         .details =
             "Runs the program for one system call and shows each instruction on the way, how many they are, and "
             "whether the kernel's cache answers instead (5.11). Several filters stand on each other, the first the "
             "oldest: the kernel runs the newest first, and the smallest action wins. What arguments point to is never "
             "seen by a filter.",
         .positionals = {{"SOURCE", "one or several filters, the oldest first", 1, many}},
         .options = build_options({{"--syscall", "CALL", "by name or number", false, true},
                                   {"--args", "A,B,…", "its arguments (default: all 0)"},
                                   {"--on", "ARCH", "which architecture's call (default: this machine's)"}}),
         .run = filter_explain},
        {.object = "filter",
         .verb = "diff",
         .summary = "decide whether two filters are the same function",
         .details = "Over all 512 bits of struct seccomp_data. Says 'the same', or one system call for which they "
                    "differ (status 1), or that it "
                    "was not decided (status 1 too): that is never taken for yes. The options hold for both.",
         .positionals = {{"SOURCE", "two filters, of any kinds", 2, 2}},
         .options = source_options(),
         .run = filter_diff},
        {.object = "filter",
         .verb = "stats",
         .summary = "what a filter costs",
         .details =
             "Instructions, and of the eBPF that the kernel makes of them; the mean of what is executed over the "
             "system "
             "calls of each architecture, with all arguments 0; which calls the kernel's cache answers without running "
             "it (5.11).",
         .positionals = {source},
         .options = build_options(),
         .run = filter_stats},
        {.object = "filter",
         .verb = "test",
         .summary = "check a filter against a table of expectations",
         .details = "TABLE is TOML: `format = 1` and [[expect]] tables, each with `syscall` (a name or number), "
                    "`action`, and if wanted `args` (a list of "
                    "numbers) and `arch`. All that do not hold are told, and the status is 1.",
         .positionals = {source, {"TABLE", "what is expected"}},
         .options = build_options(),
         .run = filter_test},
        {.object = "filter",
         .verb = "run",
         .summary = "run a command under a filter",
         .details =
             "Sets no_new_privs, installs the filter and becomes the command; no privilege is needed. The filter must "
             "let execve through. Returns the command's own status; 125, 126 and 127 are its own failures, as of "
             "env(1). What a profile asks for by its flags is done as well.",
         .positionals = {source, {"COMMAND", "the command and its arguments", 1, many}},
         .options =
             build_options({{"--log", "", "log every action but ALLOW (kernel.seccomp.actions_logged)"},
                            {"--tsync", "", "for every thread; there is only one here"},
                            {"--spec-allow", "", "without the mitigation of speculative store bypass (before 5.16)"},
                            {"--new-listener", "SOCKET", "send the listener's file descriptor to this Unix socket"}}),
         .run = filter_run,
         .error_status = 125,
         .passes_rest = true},
    };
}

}  // namespace bpfwarden::cli
