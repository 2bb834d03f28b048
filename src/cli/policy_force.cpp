// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy apply|confirm|rollback|status|remove`: what is in force.
#include <cstdio>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "broker/control.hpp"
#include "cli/diagnostics.hpp"
#include "cli/policy.hpp"
#include "enforce/guard_lock.hpp"
#include "enforce/policy_apply.hpp"
#include "enforce/policy_force.hpp"
#include "enforce/policy_record.hpp"

namespace bpfwarden::cli {

using nlohmann::json;

// "90", "60s", "5m", "1h"
static Result<std::chrono::seconds> duration(const std::string& text) {
    const auto wrong = [&] {
        return fail(
            Error(Code::usage, fmt::format("--confirm-within wants a time, and {} is none", bpfwarden::quoted(text)))
                .advise("write seconds, or a number with s, m or h: 60s, 5m; at most 24h"));
    };
    std::size_t used = 0;
    while (used < text.size() && used < 6 && text[used] >= '0' && text[used] <= '9') ++used;
    if (!used) return wrong();
    const auto unit = text.substr(used);
    const int factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
    const std::chrono::seconds time(std::stol(text.substr(0, used)) * factor);
    if (time.count() < 1 || time > std::chrono::hours(24)) return wrong();
    return time;
}

Result<int> policy_apply(const Args& args) {
    const auto& files = args.positional("FILE");
    std::chrono::seconds confirm{};
    if (const auto text = args.value("--confirm-within")) confirm = BW_TRY(duration(*text));
    auto read = BW_TRY(read_policies(files));
    print_diagnostics(read.loaded.diagnostics, files.front(), stderr);
    if (args.has("--dry-run")) {
        if (!args.json)
            fmt::print("would apply {} of {} domains and {} rules\n", join(files, ", "),
                       read.compiled.domains.size() - 1, read.compiled.rules.size());
        else
            fmt::print("{}\n",
                       json{{"schema", "bpfwarden.policy-apply/1"}, {"dry_run", true}, {"digest", read.compiled.digest}}
                           .dump());
        return 0;
    }
    auto force = BW_TRY(enforce::PolicyForce::open());
    // Again, now that nobody else can change what is in force: domains keep the numbers that processes have.
    const auto found = BW_TRY(force.status());
    const auto numbered = BW_TRY(enforce::numbered_domains(found.newest));
    Diagnostics problems;
    auto compiled = policy::compile(read.loaded.policies, problems, numbered);
    if (!compiled) {
        print_diagnostics(problems, files.front(), stderr);
        return fail(Error(Code::bad_input, "the policies do not fit beside those in force"));
    }
    const auto [record, unwritten] = BW_TRY(enforce::apply_policy(force, std::move(*compiled), files, confirm));
    if (unwritten) fmt::print(stderr, "{}\n", unwritten->text("bpfwarden: warning"));
    const auto status = BW_TRY(force.status());
    if (!enforce::guard_running(broker::run_directory()))
        fmt::print(
            stderr,
            "bpfwarden: note: no bpfwarden-guard runs: events wait in the kernel, and file systems mounted from now on "
            "have no names\n");
    if (args.json) {
        fmt::print("{}\n", json{{"schema", "bpfwarden.policy-apply/1"},
                                {"generation", record.generation},
                                {"digest", record.digest},
                                {"confirm_within_s", confirm.count()}}
                               .dump());
        return 0;
    }
    fmt::print("generation {} is in force: {} domains, {} rules, {} programs\n", record.generation,
               record.domains.size() - 1, record.rules.size(), status.programs.size());
    if (confirm.count())
        fmt::print("in {} s {} comes back, unless before: bpfwarden policy confirm\n", confirm.count(),
                   status.before ? fmt::format("generation {}", status.before) : "no policy");
    return 0;
}

Result<int> policy_confirm(const Args&) {
    auto force = BW_TRY(enforce::PolicyForce::adopt());
    BW_TRY(force.confirm());
    return 0;
}

Result<int> policy_rollback(const Args& args) {
    auto force = BW_TRY(enforce::PolicyForce::adopt());
    const auto generation = BW_TRY(force.rollback());
    if (args.json)
        fmt::print("{}\n", json{{"schema", "bpfwarden.policy-rollback/1"}, {"generation", generation}}.dump());
    else
        fmt::print("generation {} is in force again\n", generation);
    return 0;
}

Result<int> policy_remove(const Args&) {
    auto force = BW_TRY(enforce::PolicyForce::adopt());
    BW_TRY(force.remove());
    enforce::remove_records();
    return 0;
}

Result<int> policy_status(const Args& args) {
    auto force = BW_TRY(enforce::PolicyForce::adopt());
    const auto status = BW_TRY(force.status());
    const auto record = enforce::read_record(status.generation);
    const auto hits = BW_TRY(force.hits(status.generation));
    const auto guard = enforce::guard_running(broker::run_directory());
    if (args.json) {
        json counts = json::array();
        for (const auto& [rule, count] : hits) counts.push_back({{"rule", record.rule(rule)}, {"count", count}});
        json out{{"schema", "bpfwarden.policy-status/1"},
                 {"generation", status.generation},
                 {"before", status.before},
                 {"digest", record.digest},
                 {"applied_ns", record.applied_ns},
                 {"uid", record.uid},
                 {"files", record.files},
                 {"programs", status.programs},
                 {"hits", std::move(counts)},
                 {"lost_denials", status.counts.lost_denials},
                 {"lost_others", status.counts.lost_others},
                 {"blind", status.counts.blind},
                 {"guard_pid", guard ? json(*guard) : json()}};
        if (status.rollback_in) out["rollback_in_ns"] = status.rollback_in->count();
        fmt::print("{}\n", out.dump(-1, ' ', false, json::error_handler_t::replace));
        return status.generation ? 0 : 1;
    }
    if (!status.generation) {
        fmt::print("no policy is in force\n");
        return 1;
    }
    fmt::print("generation  {}\n", status.generation);
    if (!record.digest.empty()) {
        const auto seconds = static_cast<std::time_t>(record.applied_ns / 1'000'000'000);
        fmt::print("digest      {}\nsince       {:%Y-%m-%d %H:%M:%S}Z, by uid {}\nfiles       {}\n", record.digest,
                   fmt::gmtime(seconds), record.uid, join(record.files, ", "));
    }
    if (status.rollback_in)
        fmt::print("unconfirmed in {} s {} comes back: bpfwarden policy confirm\n",
                   std::chrono::duration_cast<std::chrono::seconds>(*status.rollback_in).count(),
                   status.before ? fmt::format("generation {}", status.before) : "no policy");
    if (status.before) fmt::print("before      generation {}\n", status.before);
    fmt::print("programs    {}\n", status.programs.size());
    fmt::print("guard       {}\n", guard ? fmt::format("process {} reads events", *guard)
                                         : "none: events wait in the kernel, new file systems have no names");
    fmt::print("events lost {} of refusals, {} of others\n", status.counts.lost_denials, status.counts.lost_others);
    for (const auto& [rule, count] : hits) fmt::print("{:>11} {}\n", count, record.rule(rule));
    return 0;
}

}  // namespace bpfwarden::cli
