// SPDX-License-Identifier: Apache-2.0
#include "cli/grant_json.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "cli/json.hpp"
#include "grant/danger.hpp"
#include "grant/enforcement.hpp"
#include "grant/masks.hpp"

namespace bpfwarden::cli {

void print_check_json(std::span<const CheckedFile> files) {
    Json list = Json::array();
    for (const auto& file : files) {
        Json one{{"file", file.asked}};
        if (!file.checked) {
            const auto& error = file.checked.error();
            one["ok"] = false;
            one["unreadable"] = {{"what", error.what()}, {"why", error.why()}, {"hint", error.hint()}};
        } else {
            const auto& diagnostics = file.checked->diagnostics;
            one["ok"] = diagnostics.ok();
            one["errors"] = diagnostics.errors();
            one["warnings"] = diagnostics.warnings();
            one["diagnostics"] = diagnostics_json(diagnostics);
        }
        list.push_back(std::move(one));
    }
    print_json({{"schema", "bpfwarden.grant.check/1"}, {"files", std::move(list)}});
}

static Json allowed_json(const grant::Resolved& grant) {
    Json out = Json::object();
    for (const auto dimension : grant::all_dimensions) {
        const auto& allowed = grant.of(dimension);
        Json values = Json::array();
        for (const auto& [value, origin] : allowed.values) {
            Json one{{"value", value}, {"written", origin.written}, {"at", place_json(origin.at)}};
            if (!origin.via.empty()) one["via"] = origin.via;
            if (!origin.implied.empty()) one["implied"] = origin.implied;
            if (!origin.load_for.empty()) one["load_for"] = origin.load_for;
            if (!origin.attach_for.empty()) one["attach_for"] = origin.attach_for;
            values.push_back(std::move(one));
        }
        out[std::string(key_of(dimension))] = {
            {"present", allowed.key_at.has_value()}, {"any", allowed.any.has_value()}, {"values", std::move(values)}};
    }
    return out;
}

static Json lists_json(const std::vector<grant::List>& lists) {
    Json out = Json::array();
    for (const auto& list : lists) {
        Json entries = Json::array();
        for (const auto& entry : list.entries) entries.push_back(entry.text);
        out.push_back(std::move(entries));
    }
    return out;
}

static Json session_json(const grant::Resolved& grant) {
    Json out = Json::object();
    if (grant.lifetime_ms) out["lifetime_ms"] = grant.lifetime_ms->value;
    if (grant.hand_out) out["hand_out"] = grant.hand_out->value == grant::HandOut::link ? "link" : "program";
    if (grant.on_close) out["on_close"] = grant.on_close->value == grant::OnClose::keep ? "keep" : "detach";
    if (grant.not_revocable) out["not_revocable"] = grant.not_revocable->value;
    return out;
}

static Json enforcement_json(const grant::Resolved& grant) {
    Json keys = Json::object();
    for (const auto& key : grant::enforced_keys()) {
        Json ways = Json::object();
        for (const auto way : grant::all_ways) {
            const auto by = enforced_by(key, way);
            ways[std::string(name_of(way))] = {{"by", name_of(by.by)}, {"note", by.note}};
        }
        keys[key] = std::move(ways);
    }
    Json lost = Json::object();
    for (const auto way : grant::all_ways) {
        Json list = Json::array();
        for (const auto& one : unenforced(grant, way))
            list.push_back({{"key", one.key}, {"why", one.why}, {"at", place_json(one.at)}});
        lost[std::string(name_of(way))] = std::move(list);
    }
    return {{"keys", std::move(keys)}, {"unenforced", std::move(lost)}};
}

void print_show_json(const grant::Resolved& grant) {
    const auto masks = grant::token_masks(grant);
    const auto hex = [](std::uint64_t mask) { return fmt::format("{:#x}", mask); };
    Json subject = nullptr;
    if (grant.subject) {
        subject = Json::array();
        for (const auto& line : grant.subject->lines) {
            Json conditions = Json::object();
            for (const auto& one : line.conditions) conditions[std::string(key_of(one.key))] = one.value;
            subject.push_back({{"conditions", std::move(conditions)}, {"at", place_json(line.at)}});
        }
    }
    Json targets = Json::object();
    for (const auto target : grant::all_targets) {
        Json lists = Json::array();
        for (const auto& list : grant.of(target)) {
            Json patterns = Json::array();
            for (const auto& one : list.patterns) patterns.push_back({{"glob", one.glob}, {"at", place_json(one.at)}});
            lists.push_back(std::move(patterns));
        }
        targets[std::string(key_of(target))] = std::move(lists);
    }
    Json limits = Json::object();
    for (const auto limit : grant::all_limits)
        if (const auto& value = grant.of(limit)) limits[std::string(key_of(limit))] = value->value;
    Json dangers = Json::array();
    for (const auto& need : dangers_of(grant))
        dangers.push_back({{"name", need.danger->name}, {"needed_by", need.what}, {"at", place_json(need.at)}});
    print_json({{"schema", "bpfwarden.grant.show/1"},
                {"file", grant.file},
                {"files", grant.files},
                {"name", grant.name},
                {"description", grant.description},
                {"subject", std::move(subject)},
                {"dangers", std::move(dangers)},
                {"allow", allowed_json(grant)},
                {"targets", std::move(targets)},
                {"identity", {{"sha256", lists_json(grant.digests)}, {"signers", lists_json(grant.signers)}}},
                {"limits", std::move(limits)},
                {"session", session_json(grant)},
                {"token_masks",
                 {{"commands", hex(masks.commands)},
                  {"maps", hex(masks.maps)},
                  {"programs", hex(masks.programs)},
                  {"attachs", hex(masks.attachs)}}},
                {"enforcement", enforcement_json(grant)}});
}

void print_explain_json(const grant::Resolved& grant, const grant::Operation& operation,
                        const grant::Verdict& verdict) {
    Json held = Json::object();
    for (const auto way : grant::all_ways) {
        const auto by = grant::enforced_by(verdict.key, way);
        held[std::string(name_of(way))] = {{"by", name_of(by.by)}, {"note", by.note}};
    }
    print_json({{"schema", "bpfwarden.grant.explain/1"},
                {"grant", grant.name},
                {"operation", describe(operation)},
                {"allowed", verdict.allowed},
                {"errno", verdict.error},
                {"key", verdict.key},
                {"reason", verdict.reason},
                {"at", place_json(verdict.at)},
                {"held_by", std::move(held)}});
}

void print_diff_json(const grant::Resolved& was, const grant::Resolved& is, const grant::Diff& diff) {
    Json changes = Json::array();
    for (const auto& one : diff.changes)
        changes.push_back({{"direction", name_of(one.direction)},
                           {"key", one.key},
                           {"what", one.what},
                           {"implied", one.implied},
                           {"at", place_json(one.at)}});
    print_json({{"schema", "bpfwarden.grant.diff/1"},
                {"old", was.file},
                {"new", is.file},
                {"widens", diff.widens()},
                {"narrows", diff.narrows()},
                {"changes", std::move(changes)}});
}

void print_list_json(std::span<const ListedGrant> grants) {
    Json list = Json::array();
    for (const auto& one : grants)
        list.push_back({{"name", one.installed.name},
                        {"path", one.installed.path},
                        {"overrides", one.installed.overrides},
                        {"valid", one.valid},
                        {"description", one.description},
                        {"problem", one.problem}});
    print_json({{"schema", "bpfwarden.grant.list/1"}, {"grants", std::move(list)}});
}

void print_init_json(const std::string& name, const std::string& text, const std::optional<std::string>& output,
                     bool written) {
    print_json({{"schema", "bpfwarden.grant.init/1"},
                {"name", name},
                {"text", text},
                {"output", output ? Json(*output) : Json(nullptr)},
                {"written", written}});
}

void print_digest_json(const std::string& object, const std::string& kernel, std::span<const ProgramDigest> programs) {
    Json list = Json::array();
    for (const auto& one : programs)
        list.push_back({{"name", one.name},
                        {"section", one.section},
                        {"type", one.type},
                        {"instructions", one.instructions},
                        {"sha256", one.sha256}});
    print_json({{"schema", "bpfwarden.grant.digest/1"},
                {"object", object},
                {"kernel", kernel},
                {"programs", std::move(list)}});
}

}  // namespace bpfwarden::cli
