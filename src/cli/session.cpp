// SPDX-License-Identifier: Apache-2.0
// `bpfwarden session …`: the table entries, and the verbs that ask the daemon.
#include "cli/session.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace bpfwarden::cli {

static const Positional session_id{"ID", "a session's id, or as much of its beginning as only one has"};

std::vector<Command> session_commands() {
    return {
        {"session",
         "list",
         "the sessions that are open",
         "A line for each: its id, its grant, who opened it, what it holds, and how often it was allowed and refused. "
         "A "
         "session that was derived from another stands below it. Asks the daemon, for root.",
         {},
         {},
         session_list},
        {"session", "show", "all that is known of one session", "", {session_id}, {}, session_show},
        {"session",
         "revoke",
         "end a session, and all that were derived from it",
         "At once: its programs stop running and its links are gone, even while its holders keep their file "
         "descriptors. What was handed out for good (maps, and programs where the grant says hand_out = \"program\") "
         "stays with them.",
         {session_id},
         {{"--dry-run", "", "say which sessions would end"}},
         session_revoke},
        {"session",
         "metrics",
         "figures of the daemon, as OpenMetrics text",
         "Sessions, operations by verdict, how long they took, and audit events that were lost; since the daemon's "
         "start. "
         "For a collector that runs a command, or a textfile directory.",
         {},
         {},
         session_metrics},
        {.object = "session",
         .verb = "supervise",
         .summary = "answer the system calls of containers, by a session of a grant",
         .details =
             "For a container runtime's seccomp profile with a listenerPath (OCI runtime-spec 1.0.3): waits at that "
             "path "
             "for listeners, and has the session answer what comes out of them (bpf(2), perf_event_open(2), and the "
             "ioctl(2) and setsockopt(2) calls that name programs; all others go on by themselves), so that unmodified "
             "programs in those containers have the grant. One session serves all of them. The runtime and this "
             "command "
             "must be of one user, whose containers' processes the session's worker can then look into. Ends with a "
             "signal; containers that are supervised stay so. PATH must not be there yet.",
         .positionals = {{"PATH", "the profile's listenerPath: a socket, made here"}},
         .options = {{"--grant", "GRANT", "the name of an installed grant, or a socket's path", false, true},
                     {"--once", "", "end after the first listener, when its last process has ended"}},
         .run = session_supervise},
        {.object = "session",
         .verb = "attach",
         .summary = "run a command with a session of a grant",
         .details =
             "Opens the grant as whoever calls this and runs the command with the session held open. An "
             "unmodified program that uses libbpf (dynamically linked to libc) works over it: its calls of bpf() "
             "and perf_event_open() go through the session (libbpfwarden(3)). The session's number is in "
             "BPFWARDEN_SESSION_FD. GRANT may also be the path of a socket below /run/bpfwarden/cgroup. Returns "
             "the command's own status; 125, 126 and 127 are its own failures, as of env(1).",
         .positionals = {{"COMMAND", "the command and its arguments", 1, many}},
         .options = {{"--grant", "GRANT", "the name of an installed grant, or a socket's path", false, true},
                     {"--no-preload", "", "only hand over the session: the program uses libbpfwarden itself"}},
         .run = session_attach,
         .error_status = 125,
         .passes_rest = true},
    };
}

Result<broker::SessionRecord> find_session(broker::Control& control, const std::string& id) {
    std::vector<broker::SessionRecord> found;
    for (auto& one : BW_TRY(control.sessions()))
        if (!id.empty() && one.id.starts_with(id)) found.push_back(std::move(one));
    if (found.size() == 1) return std::move(found.front());
    if (found.empty())
        return fail(Error(Code::not_found, "there is no session " + bpfwarden::quoted(id))
                        .advise("bpfwarden session list shows those that there are"));
    return fail(Error(Code::usage, fmt::format("{} sessions begin with {}", found.size(), bpfwarden::quoted(id)))
                    .advise("give more of the id"));
}

static nlohmann::ordered_json json_of(const broker::SessionRecord& one) {
    nlohmann::ordered_json json{{"id", one.id}, {"grant", one.grant}, {"revision", one.revision}};
    if (!one.parent.empty()) json["parent"] = one.parent;
    json["derived"] = one.depth;
    if (!one.socket.empty()) json["socket"] = one.socket;
    json["opened"] = fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(one.opened_ns / 1'000'000'000)));
    if (one.left_ms != 0) json["lifetime_left_ms"] = one.left_ms;
    json["opener"] = {{"uid", one.uid}, {"pid", one.pid}, {"exe", one.exe}, {"cgroup", one.cgroup}};
    if (!one.container.empty()) json["opener"]["container"] = one.container;
    if (one.worker != 0) json["worker"] = one.worker;
    json["holds"] = {
        {"programs", one.programs}, {"links", one.links}, {"maps", one.maps}, {"map_memory", one.map_memory}};
    json["operations"] = {{"allowed", one.operations - one.refusals}, {"refused", one.refusals}};
    return json;
}

static void print(const nlohmann::ordered_json& json) {
    // Text that is no UTF-8 (an executable's path can be) is replaced rather than thrown over.
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

Result<int> session_list(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    auto sessions = BW_TRY(control.sessions());
    // Each derived one below its parent.
    std::vector<const broker::SessionRecord*> order;
    const auto add = [&](const auto& self, const std::string& parent) -> void {
        std::vector<const broker::SessionRecord*> of;
        for (const auto& one : sessions)
            if (one.parent == parent) of.push_back(&one);
        std::ranges::sort(of, {}, &broker::SessionRecord::opened_ns);
        for (const auto* one : of) {
            order.push_back(one);
            self(self, one->id);
        }
    };
    add(add, "");
    if (args.json) {
        nlohmann::ordered_json json{{"schema", "bpfwarden.session.list/1"}, {"sessions", nlohmann::json::array()}};
        for (const auto* one : order) json["sessions"].push_back(json_of(*one));
        print(json);
        return 0;
    }
    if (order.empty()) fmt::print(stderr, "no sessions are open\n");
    for (const auto* one : order)
        fmt::print("{:<{}}{}  {}  uid {}  pid {}  {}  {} programs, {} links, {} maps  {} allowed, {} refused\n", "",
                   2 * one->depth, one->id, printable(one->grant), one->uid, one->pid,
                   one->exe.empty() ? "?" : printable(one->exe), one->programs, one->links, one->maps,
                   one->operations - one->refusals, one->refusals);
    return 0;
}

Result<int> session_show(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    const auto one = BW_TRY(find_session(control, args.only("ID")));
    auto json = json_of(one);
    if (args.json) {
        nlohmann::ordered_json document{{"schema", "bpfwarden.session.show/1"}};
        document.update(json);
        print(document);
        return 0;
    }
    const auto line = [](std::string_view name, std::string_view value) {
        if (!value.empty()) fmt::print("{:<12}{}\n", name, printable(value));
    };
    line("session", one.id);
    line("grant", fmt::format("{} (revision {})", one.grant, one.revision));
    line("parent", one.parent);
    line("socket", one.socket);
    line("opened", json["opened"].get<std::string>());
    if (one.left_ms != 0) line("ends in", format_duration_ms(one.left_ms));
    line("opener", fmt::format("uid {}, pid {}", one.uid, one.pid));
    line("executable", one.exe);
    line("cgroup", one.cgroup);
    line("container", one.container);
    line("worker", one.worker == 0 ? "none yet: it was not used" : fmt::format("pid {}", one.worker));
    line("holds", fmt::format("{} programs, {} links, {} maps of {}", one.programs, one.links, one.maps,
                              format_size(one.map_memory)));
    line("operations", fmt::format("{} allowed, {} refused", one.operations - one.refusals, one.refusals));
    return 0;
}

Result<int> session_revoke(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    const auto one = BW_TRY(find_session(control, args.only("ID")));
    if (args.has("--dry-run")) {
        const auto all = BW_TRY(control.sessions());
        std::vector<std::string> ending{one.id};
        for (std::size_t i = 0; i < ending.size(); ++i)
            for (const auto& other : all)
                if (other.parent == ending[i]) ending.push_back(other.id);
        fmt::print("would end: {}\n", fmt::join(ending, ", "));
        return 0;
    }
    BW_TRY(control.revoke_session(one.id));
    if (args.json) print({{"schema", "bpfwarden.session.revoke/1"}, {"revoked", one.id}});
    return 0;
}

Result<int> session_metrics(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    const auto text = BW_TRY(control.metrics());
    if (args.json)
        print({{"schema", "bpfwarden.session.metrics/1"}, {"openmetrics", text}});
    else
        fmt::print("{}", text);
    return 0;
}

Result<int> grant_reload(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    const auto change = BW_TRY(control.reload());
    if (args.json) {
        print({{"schema", "bpfwarden.grant.reload/1"},
               {"added", change.added},
               {"changed", change.changed},
               {"removed", change.removed},
               {"same", change.same}});
        return 0;
    }
    const auto line = [](std::string_view what, const std::vector<std::string>& names) {
        if (!names.empty()) fmt::print("{:<9}{}\n", what, fmt::join(names, ", "));
    };
    line("added", change.added);
    line("changed", change.changed);
    line("removed", change.removed);
    if (change.added.empty() && change.changed.empty() && change.removed.empty())
        fmt::print(stderr, "nothing has changed\n");
    return 0;
}

Result<int> grant_revoke(const Args& args) {
    auto control = BW_TRY(broker::Control::connect());
    const auto& name = args.only("NAME");
    if (args.has("--dry-run")) {
        std::size_t count = 0;
        for (const auto& one : BW_TRY(control.sessions()))
            if (one.grant == name) ++count;
        fmt::print("would end {} sessions of {}\n", count, printable(name));
        return 0;
    }
    const auto ended = BW_TRY(control.revoke_grant(name));
    if (args.json)
        print({{"schema", "bpfwarden.grant.revoke/1"}, {"grant", name}, {"sessions", ended}});
    else
        fmt::print("{}: {} sessions ended; it opens again after `bpfwarden grant reload`\n", printable(name), ended);
    return 0;
}

}  // namespace bpfwarden::cli
