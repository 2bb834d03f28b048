// SPDX-License-Identifier: Apache-2.0
#include "grant/templates.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/parse.hpp"
#include "grant/print.hpp"

namespace bpfwarden::grant {

static constexpr std::string_view xdp = R"(# A grant for bpfwarden; bpfwarden-grant(5) explains every key.
format = 1
name = "@NAME@"
description = "Load XDP programs and attach them to network interfaces"

@SUBJECT@
# By default `bpfwarden run` gives the program a network of its own. To use this grant in the host's network
# (run --net inherit, or a session), say that you know what that hands over:
#dangerous = ["host_network"]   # see, change and drop packets of the host

[allow]
program_types = ["xdp"]         # the attach type xdp goes with it
map_types = ["@base", "lpm_trie", "devmap", "cpumap", "xskmap", "perf_event_array"]
# bpf: make maps, load programs; net_admin: the kernel wants it for XDP.
capabilities = ["bpf", "net_admin"]
# A kernel token cannot hold back helpers, kernel functions or verifier features, so for `run --via token` these say
# "any". For sessions they can be as narrow as you like: helpers = ["@base", "@net"], verifier = ["@bpf"].
helpers = ["any"]
kfuncs = ["any"]
verifier = ["any"]

# Held by sessions only; `run --via token` refuses a grant with these:
#[targets]
#interfaces = ["veth*"]
#[limits]
#programs = 16
#map_memory = "64MiB"
#[session]
#lifetime = "8h"
)";

static constexpr std::string_view tracing = R"(# A grant for bpfwarden; bpfwarden-grant(5) explains every key.
format = 1
name = "@NAME@"
description = "Watch programs being started, by tracepoints"

@SUBJECT@
# Tracing programs can read all memory of the kernel, and so the secrets of every process: give this only to programs
# that you trust with that.
dangerous = ["kernel_read"]

[allow]
program_types = ["tracepoint"]
map_types = ["@tracing"]
helpers = ["@tracing_read"]     # no helper that writes, sends signals or changes results
verifier = ["@bpf"]             # functions, bounded loops, callbacks, more than 4096 instructions
# bpf: make maps, load programs; perfmon: the kernel wants it for tracing.
capabilities = ["bpf", "perfmon"]

# Events that are not named here cannot be opened by anybody.
[targets]
tracepoints = ["syscalls/sys_*_execve", "syscalls/sys_*_execveat", "sched/sched_process_e*"]

[limits]
programs = 16
maps = 32
map_memory = "64MiB"

[session]
lifetime = "8h"
hand_out = "link"               # never the program, so it cannot be attached anywhere else
on_close = "detach"
)";

static constexpr std::string_view cgroup = R"(# A grant for bpfwarden; bpfwarden-grant(5) explains every key.
format = 1
name = "@NAME@"
description = "Filter the packets and connections of control groups"

@SUBJECT@
# `bpfwarden run` contains these programs in the control group of what it starts. Where they can reach the host's
# control groups (a session without [targets] cgroups), say that you know what that hands over:
#dangerous = ["host_cgroups"]   # act on every process of the host

[allow]
program_types = ["cgroup_skb", "cgroup_sock_addr"]
map_types = ["@base", "lpm_trie", "cgroup_storage", "cgrp_storage", "sk_storage"]
attach_types = ["@cgroup_skb", "@connect", "@bind"]
# bpf: make maps, load programs; net_admin: the kernel wants it for these types.
capabilities = ["bpf", "net_admin"]
# A kernel token cannot hold back helpers, kernel functions or verifier features, so for `run --via token` these say
# "any". For sessions they can be as narrow as you like: helpers = ["@base", "@cgroup"], verifier = ["@bpf"].
helpers = ["any"]
kfuncs = ["any"]
verifier = ["any"]

# Held by sessions only; `run --via token` refuses a grant with these:
#[targets]
#cgroups = ["/user.slice/user-1000.slice/**"]
#[limits]
#links = 16
#[session]
#on_close = "detach"
)";

static constexpr Template templates[] = {
    {"xdp", "packets at network interfaces; fit for run --via token", xdp},
    {"tracing", "tracepoints; for sessions", tracing},
    {"cgroup", "packets and connections of control groups; fit for run --via token", cgroup},
};

std::span<const Template> all_templates() { return templates; }

static void replace(std::string& text, std::string_view from, std::string_view to) {
    if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}

Result<std::string> fill_template(std::string_view name, std::string_view grant_name, std::string_view user) {
    const auto found = std::ranges::find(templates, name, &Template::name);
    if (found == std::end(templates)) {
        std::vector<std::string_view> names;
        for (const auto& one : templates) names.push_back(one.name);
        const auto near = nearest(name, names);
        return fail(Error(Code::usage, fmt::format("there is no template {}", quoted(name)))
                        .because(fmt::format("there are {}", fmt::join(names, ", ")))
                        .advise(near ? fmt::format("did you mean {}?", *near) : ""));
    }
    if (!valid_name(grant_name))
        return fail(
            Error(Code::usage, fmt::format("{} cannot be the name of a grant", quoted(grant_name)))
                .because(
                    "a name is at most 64 of a-z, 0-9, \".\", \"_\" and \"-\", and starts with a letter or digit"));
    if (user.find_first_of(std::string_view(":/\n\r\t \0", 7)) != std::string_view::npos)
        return fail(Code::usage, fmt::format("{} is no user name", quoted(user)));
    std::string text(found->text);
    replace(text, "@NAME@", grant_name);
    replace(text, "@SUBJECT@",
            user.empty() ? "# Root only. To let others in (any line matches; within a line all keys must):\n"
                           "#subject = [ { user = \"alice\" }, { cgroup = \"/system.slice/agent.service\" } ]\n"
                         : fmt::format("# Any line matches; within a line all keys must.\n"
                                       "subject = [ {{ user = {} }} ]\n",
                                       toml_string(user)));
    return text;
}

}  // namespace bpfwarden::grant
