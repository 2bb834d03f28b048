// SPDX-License-Identifier: Apache-2.0
// `bpfwarden run --via intercept`: any command, its calls of bpf(2) answered by a session's worker.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "broker/control.hpp"
#include "broker/grant_texts.hpp"
#include "cli/run.hpp"
#include "client/requests.hpp"
#include "intercept/launch.hpp"

namespace bpfwarden::cli {
namespace {

using client::Session;

Result<> need_its_options(const Args& args) {
    for (const auto* option : {"--into", "--token-path", "--net", "--dry-run"})
        if (args.has(option))
            return fail(Error(Code::usage, fmt::format("{} does not go with --via intercept", option))
                            .because("the command stays in its caller's namespaces, and has no bpffs of its own"));
    return {};
}

// The same as the session's, under the names that the command looks for.
Result<std::vector<intercept::EventFile>> events_of(Session& session) {
    std::vector<intercept::EventFile> files;
    auto events = client::event_files(session);
    // A grant without programs for perf events has none.
    if (!events && events.error().code() == Code::denied) return files;
    if (!events) return fail(std::move(events).error());
    std::string all;
    for (auto& event : *events) {
        auto listed = event.tracepoint;
        std::ranges::replace(listed, '/', ':');
        all += listed + "\n";
        files.push_back({fmt::format("events/{}/id", event.tracepoint), std::move(event.id)});
        files.push_back({fmt::format("events/{}/format", event.tracepoint), std::move(event.format)});
    }
    if (!all.empty()) files.push_back({"available_events", std::move(all)});
    return files;
}

// What the command could not be told: an errno has no room for a reason.
void say_refusals(Session& session) {
    const auto refusals = client::refusals(session);
    if (!refusals) {
        say(refusals.error().text("bpfwarden run"));
        return;
    }
    for (const auto& one : refusals->all)
        say(fmt::format("bpfwarden run: refused{}: {}\n  {}{}{}",
                        one.count > 1 ? fmt::format(" {} times", one.count) : std::string(), printable(one.operation),
                        one.line.empty() ? std::string() : one.line + ": ",
                        one.key.empty() ? std::string() : one.key + ": ", one.reason));
    if (refusals->more != 0)
        say(fmt::format("bpfwarden run: and {} other refusals: bpfwarden audit query", refusals->more));
}

}  // namespace

Result<int> run_in_session(const Args& args, Session& session, const kernel::User* user, bool learning) {
    std::optional<kernel::UserIds> become;
    if (user != nullptr && user->uid != 0) become = kernel::UserIds{user->uid, user->gid, user->groups};
    const intercept::LaunchRequest request{
        .become = std::move(become),
        .map_root = args.has("--map-root"),
        .events = BW_TRY(events_of(session)),
        .caught = {.map_updates = BW_TRY(client::catches_map_updates(session))},
        .supervise = [&session](FdRef listener) { return client::supervise(session, listener); },
        .keep_fds = BW_TRY(kept_fds(args)),
        .command = args.positional("COMMAND")};
    const auto ended = BW_TRY(intercept::launch(request));
    if (ended.error) say(ended.error->text("bpfwarden run"));
    say_refusals(session);
    // Where the files of an event are not there, nothing is asked for that could be refused.
    if (ended.status != 0 && !learning && !request.events.empty())
        say(fmt::format("bpfwarden run: of the kernel's events, the command saw the {} that targets.tracepoints has",
                        request.events.size() / 2));
    return ended.status;
}

Result<int> run_intercepted(const Args& args, const grant::Resolved& grant) {
    BW_TRY(need_its_options(args));
    BW_TRY(need_enforced(args, grant, grant::Way::notifier));
    const auto user = BW_TRY(command_user(args, grant));
    if (auto refused = grant::refuses_opener(grant, BW_TRY(opener_of(grant, user, args.positional("COMMAND")))))
        return fail(std::move(*refused));
    auto control = BW_TRY(broker::Control::connect());
    const auto texts = BW_TRY(broker::load_grant(*args.value("--grant"))).texts;
    auto fd = BW_TRY(control.open_session(texts, user.uid, user.gid));
    const auto session = BW_TRY(Session::adopt(fd.get()));
    (void)fd.release();
    return run_in_session(args, *session, &user);
}

Result<int> run_intercepted(const Args& args, const std::string& installed_grant) {
    BW_TRY(need_its_options(args));
    if (args.has("--user"))
        return fail(Error(Code::denied, "--user is for root").because("the command runs as whoever calls this"));
    const auto session = BW_TRY(Session::open(installed_grant));
    return run_in_session(args, *session, nullptr);
}

}  // namespace bpfwarden::cli
