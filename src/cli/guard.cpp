// SPDX-License-Identifier: Apache-2.0
// `bpfwarden guard …`: what root cannot take away.
#include <chrono>
#include <cstdio>
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "guard/seal.hpp"

namespace bpfwarden::cli {

using nlohmann::json;

static Result<guard::Protect> others_of(const Args& args) {
    guard::Protect others{.pins = args.values("--pin"), .mounts = args.values("--mount"), .things = {}};
    for (const auto& text : args.values("--id")) others.things.push_back(BW_TRY(enforce::thing_named(text)));
    return others;
}

static void print(const Args& args, const char* schema, const guard::Sealed& done) {
    if (args.json)
        fmt::print("{}\n", json{{"schema", schema},
                                {"programs", done.programs},
                                {"maps", done.maps},
                                {"links", done.links},
                                {"names", done.names},
                                {"file_systems", done.file_systems}}
                               .dump());
    else
        fmt::print("sealed: {} programs, {} maps, {} links, {} names, {} whole file systems\n", done.programs,
                   done.maps, done.links, done.names, done.file_systems);
}

static Result<int> guard_seal(const Args& args) {
    const auto updater = BW_TRY(guard::updater_named(args.value("--updater").value_or("reboot-only")));
    const auto others = BW_TRY(others_of(args));
    const auto done = BW_TRY(guard::seal(updater, others));
    print(args, "bpfwarden.guard-seal/1", done);
    return 0;
}

static Result<int> guard_protect(const Args& args) {
    const auto others = BW_TRY(others_of(args));
    if (others.empty())
        return fail(Error(Code::usage, "there is nothing to protect").advise("name it: --pin, --mount or --id"));
    const auto done = BW_TRY(guard::protect(others));
    print(args, "bpfwarden.guard-protect/1", done);
    return 0;
}

static Result<int> guard_release(const Args& args) {
    const auto others = BW_TRY(others_of(args));
    if (others.empty())
        return fail(Error(Code::usage, "there is nothing to release").advise("name it: --pin, --mount or --id"));
    BW_TRY(guard::release(others));
    return 0;
}

static Result<int> guard_unseal(const Args&) {
    BW_TRY(guard::unseal());
    return 0;
}

static Result<int> guard_update(const Args&) {
    BW_TRY(guard::update());
    return 0;
}

static json as_json(const guard::Status& status) {
    json things = json::array(), tried = json::array(), ways = json::array(), held = json::array();
    for (const auto& thing : status.held_by_kernel) held.push_back(enforce::name_of(thing));
    for (const auto& thing : status.things) things.push_back(enforce::name_of(thing));
    for (const auto& one : status.tried) tried.push_back({{"what", one.what}, {"refused", one.refused}});
    for (const auto& one : status.ways)
        ways.push_back({{"what", one.what}, {"closed", one.closed}, {"why_not", one.why_not}});
    return {{"schema", "bpfwarden.guard-status/1"},
            {"armed", status.armed},
            {"updater", guard::name_of(status.updater)},
            {"since_boot_ns", status.since_ns},
            {"attempts", status.attempts},
            {"lost", status.lost},
            {"changing", status.changing},
            {"guardian_pid", status.guardian ? json(status.guardian) : json()},
            {"sealed", std::move(things)},
            {"names", status.names},
            {"file_systems", status.file_systems},
            {"core", status.core},
            {"links", status.rest},
            {"held_by_kernel", std::move(held)},
            {"ways", std::move(ways)},
            {"may_change", status.may_change},
            {"tried", std::move(tried)}};
}

static Result<int> guard_status(const Args& args) {
    const auto found = BW_TRY(guard::status());
    const bool whole = found && found->armed;
    if (args.json) {
        fmt::print("{}\n", found ? as_json(*found).dump()
                                 : json{{"schema", "bpfwarden.guard-status/1"}, {"armed", false}}.dump());
        return whole ? 0 : 5;
    }
    if (!whole) {
        fmt::print("nothing is sealed\n");
        return 5;
    }
    timespec up{}, now{};
    ::clock_gettime(CLOCK_BOOTTIME, &up);
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto since = now.tv_sec - up.tv_sec + static_cast<std::time_t>(found->since_ns / 1'000'000'000);
    std::size_t counts[4] = {};
    for (const auto& thing : found->things) ++counts[thing.kind & 3];
    fmt::print("sealed      since {:%Y-%m-%d %H:%M:%S}Z\nupdater     {}\n", fmt::gmtime(since),
               guard::name_of(found->updater));
    fmt::print("objects     {} programs, {} maps, {} links\n", counts[BW_SEALED_PROG], counts[BW_SEALED_MAP],
               counts[BW_SEALED_LINK]);
    fmt::print("names       {}, and all of {} file systems\n", found->names, found->file_systems);
    fmt::print("core        {} programs at the root of cgroup2, held by nothing else\n", found->core.size());
    fmt::print("links       {} of the guard itself\n", found->rest.size());
    fmt::print("held        {} links by threads of the kernel, {} by pins alone\n", found->held_by_kernel.size(),
               counts[BW_SEALED_LINK] - found->held_by_kernel.size());
    fmt::print("guardian    {}\n",
               found->guardian ? fmt::format("process {}", found->guardian) : "none: attempts wait in the kernel");
    fmt::print("attempts    {}, {} of them lost\n", found->attempts, found->lost);
    for (const auto& one : found->ways)
        if (one.closed) fmt::print("closed      {}\n", one.what);
    for (const auto& one : found->ways)
        if (!one.closed) fmt::print("not closed  {} ({})\n", one.what, one.why_not);
    if (found->may_change) fmt::print("tried now   nothing: you are the updater, to whom nothing is refused\n");
    for (const auto& one : found->tried)
        fmt::print("tried now   {}: {}\n", one.what, one.refused ? "refused" : "NOT refused");
    return 0;
}

std::vector<Command> guard_commands() {
    const std::vector<Option> others{
        {"--pin", "PATH", "a pin of somebody else's program, map or link: it, what it decides by, and its name", true},
        {"--mount", "PATH", "all of a bpffs: what is pinned there, its names, and that it is mounted", true},
        {"--id", "KIND:N", "an object without a name: prog:12, map:3, link:7", true}};
    std::vector<Option> seal{
        {"--updater", "WHO", "who may change what is sealed: reboot-only (default), cap:mac_admin, or domain:NAME"}};
    seal.insert(seal.end(), others.begin(), others.end());
    return {
        {.object = "guard",
         .verb = "seal",
         .summary = "seal the policy in force, and what else is named: root cannot take it away",
         .details =
             "The policy's programs, links and maps are pinned on a bpffs of their own, and from then on nobody but "
             "the updater changes, replaces or removes them. From kernel 6.10 threads of the kernel hold the links, "
             "too, so that they need no pin. Nothing is sealed if somebody else holds one of the "
             "policy's maps, or has programs that could overrule the guard. Needs root in the machine's "
             "first namespaces, kernel 6.1, and bpf in the kernel's lsm= list (exit status 3 without).",
         .options = seal,
         .run = guard_seal},
        {.object = "guard",
         .verb = "protect",
         .summary = "seal more: pinned programs, maps and links of others",
         .details =
             "The object stays in the kernel, and in force if it is a link, whatever becomes of its pin and of who "
             "made it. What a link or program decides by is sealed with it: its maps can be opened by nobody but "
             "the updater. Needs root, and to be the updater (exit status 4 otherwise).",
         .options = others,
         .run = guard_protect},
        {.object = "guard",
         .verb = "release",
         .summary = "end the protection of what was named to protect or seal",
         .details =
             "It is its owner's again. A link that nobody else holds ends. Needs root, and to be the updater (exit "
             "status 4 otherwise).",
         .options = others,
         .run = guard_release},
        {.object = "guard",
         .verb = "status",
         .summary =
             "say what is sealed, by what it is held, which ways to end it are closed, and what was refused just now",
         .details = "A way is closed if the programs that close it are attached now. A link is held by threads of the "
                    "kernel, or by its pin alone. Tries harmless acts of an "
                    "attacker, which count as attempts. The exit status is 5 if nothing is "
                    "sealed. Needs root.",
         .run = guard_status},
        {.object = "guard",
         .verb = "update",
         .summary = "put this version's programs in the place of those that are sealed",
         .details =
             "Of the guard and of the policy: the new ones are attached, then the old ones let go, so that at each "
             "moment one of them decides. What is sealed stays sealed. Needs root, and to be the updater (exit status "
             "4 otherwise).",
         .run = guard_update},
        {.object = "guard",
         .verb = "unseal",
         .summary = "end the seal; the policy stays in force",
         .details =
             "From then on root can remove it. If the guard's bpffs is gone, the policy ends with the seal. Needs "
             "root, and to be the updater (exit status 4 otherwise).",
         .run = guard_unseal},
    };
}

}  // namespace bpfwarden::cli
