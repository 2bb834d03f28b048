// SPDX-License-Identifier: Apache-2.0
#include "policy/evaluate.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "policy/shared_evaluator.hpp"

namespace bpfwarden::policy {

std::string_view name_of(Verdict verdict) {
    static constexpr std::string_view names[] = {"allowed", "audited", "would_deny", "denied"};
    return names[static_cast<std::size_t>(verdict)];
}

SplitPath split_path(std::string_view path) {
    SplitPath out;
    if (!path.starts_with('/')) {
        const auto colon = path.find(":/");
        out.from = Start::detached;
        out.names.push_back(path.substr(0, colon));
        path = colon == std::string_view::npos ? std::string_view("/") : path.substr(colon + 1);
    }
    for (const auto name : split(path, '/'))
        if (!name.empty()) out.names.push_back(name);
    return out;
}

Image::Image(std::span<const Line> lines) : lines_(lines) {
    std::memcpy(&head_, &lines_[0], sizeof head_);
    std::memcpy(&tail_, &lines_[1], sizeof tail_);
    std::memcpy(&pins_, &lines_[2], sizeof pins_);
}

// Both kinds of paths begin with a name more than "/": BW_MAX_DEPTH counts the names of the path itself.
static std::optional<std::uint32_t> walk(bw_image_t image, const bw_image_head& head, std::uint32_t state,
                                         std::span<const std::string_view> names, std::size_t most) {
    if (names.size() > most) return std::nullopt;
    for (const auto name : names) {
        if (name.size() > BW_MAX_NAME) return std::nullopt;
        const NameWords words(name);
        state = bw_step(image, &head, state, words.words(), words.length(), BW_ROOM_LONG);
    }
    return state;
}

// File systems that the kernel mounts for itself and nobody else can: what is in them has no place that a pattern
// could have meant.
static bool is_kernels_own(const SplitPath& path) {
    static constexpr std::string_view types[] = {"anon_inodefs", "bdev",   "dmabuf",    "nsfs",
                                                 "pidfs",        "pipefs", "secretmem", "sockfs"};
    if (std::ranges::find(types, path.names[0]) != std::end(types)) return true;
    return path.names.size() == 2 && path.names[1].starts_with("memfd:");
}

std::optional<std::uint32_t> Image::state_of(Start from, std::string_view path) const {
    const std::uint32_t starts[] = {head_.root, head_.detached, tail_.cgroups, tail_.types};
    auto way = split_path(path);
    if (from == Start::types) way = {from, {path}};
    const std::size_t more = from == Start::detached ? 1 : 0;
    if (more && !walk(lines_, head_, head_.detached, {way.names.data(), 1}, 1).value_or(0) && !is_kernels_own(way))
        return std::nullopt;
    return walk(lines_, head_, starts[static_cast<std::size_t>(from)], way.names, BW_MAX_DEPTH + more);
}

std::uint32_t Image::set_of(std::uint32_t state) const {
    const auto* at = bw_state_at(lines_, &head_, state);
    return at ? at->set : 0;
}

// Sets of rules that say something about a file: by its path, its type, and what it is. 0 says nothing.
struct Image::Sets {
    std::uint32_t path = 0, type = 0, identity = 0;
    std::array<std::uint32_t, BW_PIN_KINDS> labels{};  // of digests there are none
    bool blind = false;

    std::vector<std::uint32_t> all() const {
        std::vector<std::uint32_t> list{path, type, identity};
        list.insert(list.end(), labels.begin(), labels.end());
        return list;
    }
};

// The value as programs find it with a file.
static bw_pin_value value_of(const Pin& pin) {
    bw_pin_value value{};
    value.algorithm = pin.algorithm;
    value.length = static_cast<__u16>(pin.bytes.size());
    std::memcpy(value.words, pin.bytes.data(), std::min(pin.bytes.size(), sizeof value.words));
    return value;
}

const bw_pin* Image::find(const Pin& pin) const {
    if (!pins_.line) return nullptr;
    const auto value = value_of(pin);
    return bw_pin_find(lines_, &pins_, static_cast<__u32>(pin.kind), &value);
}

static const bw_domain* domain_at(bw_image_t image, const bw_image_head& head, std::uint32_t domain) {
    return static_cast<const bw_domain*>(bw_domain_line(image, &head, domain, 0));
}

static Start start_of(std::string_view path) { return path.starts_with('/') ? Start::path : Start::detached; }

static std::string type_of(const std::string& path, const FileName& file) {
    return start_of(path) == Start::detached ? std::string(split_path(path).names[0]) : file.type;
}

// What a domain calls a file: with BW_DOMAIN_OWN_ROOT nothing is mounted, and the path is the one in its file system.
static std::optional<std::string> name_for(const bw_domain& domain, const FileName& file) {
    if (!(domain.flags & BW_DOMAIN_OWN_ROOT) || start_of(file.path) == Start::detached) return file.path;
    if (file.type.empty()) return std::nullopt;
    return file.type + ":" + file.path;
}

std::optional<Image::Sets> Image::sets_of(std::uint32_t domain, const FileName& file) const {
    const auto* lines = domain_at(lines_, head_, domain);
    if (!lines) return std::nullopt;
    Sets sets;
    const auto name = name_for(*lines, file);
    const auto type = name ? type_of(*name, file) : std::string();
    const auto state = name ? state_of(start_of(*name), *name) : std::nullopt;
    if (state)
        sets.path = set_of(*state);
    else
        sets.blind = true;
    if (lines->flags & BW_DOMAIN_BY_TYPE && !type.empty())
        if (const auto of_type = state_of(Start::types, type)) sets.type = set_of(*of_type);
    if (lines->flags & BW_DOMAIN_BY_IDENTITY && file.identity)
        sets.identity =
            bw_identity_set(lines_, &tail_, file.identity->device, file.identity->inode, file.identity->generation);
    for (const auto& pin : file.pins)
        if (const auto* known = lines->flags & BW_DOMAIN_BY_LABEL ? find(pin) : nullptr)
            sets.labels[static_cast<std::size_t>(pin.kind)] = known->set;
    return sets;
}

static Outcome outcome_of(const bw_outcome& from) { return {from.denied, from.warned, from.audited}; }

static Outcome decide(const bw_rights& rights, const bw_domain& domain, Operations ops) {
    return outcome_of(bw_decide(&rights, domain.default_deny, domain.default_warn, domain.default_audit, ops));
}

// What nobody can answer is refused: an image without the line, or without the domain.
static Outcome broken(Operations ops) { return {ops, 0, 0}; }

Outcome Image::on_file(std::uint32_t domain, Operations ops, const FileName& file) const {
    const auto* lines = domain_at(lines_, head_, domain);
    const auto sets = sets_of(domain, file);
    if (!lines || !sets) return broken(ops);
    bw_rights rights{};
    for (const auto set : sets->all()) {
        const auto* cell = bw_cell(lines_, &head_, set, domain);
        if (!cell) return broken(ops);
        bw_add(&rights, cell);
    }
    if (sets->blind) {
        rights.deny |= lines->blind_deny;
        rights.warn |= lines->blind_warn;
    }
    return decide(rights, *lines, ops);
}

static bw_address normal(const Address& from, Operations op) {
    bw_address address{};
    std::memcpy(address.bytes, from.bytes.data(), from.bytes.size());
    address.family = from.family;
    address.port = from.port;
    bw_address_normal(&address, op);
    return address;
}

Outcome Image::on_address(std::uint32_t domain, Operations op, Address address) const {
    const auto* lines = domain_at(lines_, head_, domain);
    bw_rights rights{};
    const auto of = normal(address, op);
    if (!lines || bw_add_net(lines_, &tail_, lines, &of, op, &rights, nullptr) != 0) return broken(op);
    return decide(rights, *lines, op);
}

Outcome Image::on_domain(std::uint32_t domain, Operations ops, std::uint32_t peer) const {
    const auto* lines = domain_at(lines_, head_, domain);
    const auto* cell = bw_peer_cell(lines_, &head_, domain, peer);
    if (!lines || !cell) return broken(ops);
    bw_rights rights{};
    bw_add(&rights, cell);
    return decide(rights, *lines, ops);
}

Outcome Image::on_capability(std::uint32_t domain, unsigned capability) const {
    const auto* lines = domain_at(lines_, head_, domain);
    if (!lines) return broken(BW_OP_CAPABLE);
    bw_rights rights{};
    bw_add_capability(&rights, &lines->capabilities, capability);
    return decide(rights, *lines, BW_OP_CAPABLE);
}

Outcome Image::on_nothing(std::uint32_t domain, Operations ops) const {
    const auto* lines = domain_at(lines_, head_, domain);
    if (!lines) return broken(ops);
    bw_rights rights{};
    bw_add(&rights, &lines->plain);
    return decide(rights, *lines, ops);
}

static Verdict verdict_of(const Outcome& outcome, Operations op) {
    return outcome.denied & op    ? Verdict::denied
           : outcome.warned & op  ? Verdict::would_deny
           : outcome.audited & op ? Verdict::audited
                                  : Verdict::allowed;
}

static constexpr std::uint32_t effect_of(Verdict verdict) {
    constexpr std::uint32_t effects[] = {BW_EFFECT_ALLOW, BW_EFFECT_AUDIT, BW_EFFECT_WARN, BW_EFFECT_DENY};
    return effects[static_cast<std::size_t>(verdict)];
}

static void tidy(std::vector<Mention>& mentions) {
    const auto key = [](const Mention& one) { return std::pair(one.rule, one.effect); };
    std::ranges::sort(mentions, {}, key);
    const auto rest = std::ranges::unique(mentions, {}, key);
    mentions.erase(rest.begin(), rest.end());
}

Decision Image::of_sets(std::span<const std::uint32_t> sets, std::uint32_t domain, Operations op,
                        const Outcome& outcome, unsigned capability) const {
    Decision decision{verdict_of(outcome, op)};
    for (const auto number : sets) {
        if (!decision.rule)
            decision.rule = bw_rule_of(lines_, &tail_, number, domain, op, effect_of(decision.verdict), capability);
        const auto* set = bw_set_at(lines_, &tail_, number);
        for (__u32 i = 0; set && i < set->rule_count; ++i) {
            const auto line = tail_.rule_line + bw_word(lines_, tail_.list_line, set->first_rule + i, 0);
            const auto* rule = static_cast<const bw_rule*>(bw_line(lines_, line));
            if (rule && rule->ops & op && rule->domains[domain / 64] >> domain % 64 & 1 &&
                (op != BW_OP_CAPABLE || rule->capabilities >> capability & 1))
                decision.matched.push_back({rule->number, rule->effect});
        }
    }
    tidy(decision.matched);
    return decision;
}

Decision Image::file_decision(std::uint32_t domain, Operations op, const FileName& file) const {
    const auto sets = sets_of(domain, file);
    if (!sets) return {verdict_of(broken(op), op)};
    auto decision = of_sets(sets->all(), domain, op, on_file(domain, op, file));
    decision.blind = sets->blind;
    return decision;
}

Decision Image::address_decision(std::uint32_t domain, Operations op, Address address) const {
    Decision decision{verdict_of(on_address(domain, op, address), op)};
    const auto* lines = domain_at(lines_, head_, domain);
    const auto of = normal(address, op);
    for (__u32 i = 0; lines && i < lines->net_count; ++i) {
        const auto* rule = static_cast<const bw_net_rule*>(bw_line(lines_, tail_.net_line + lines->net_first + i));
        if (rule && rule->ops & op && bw_net_matches(rule, &of, op))
            decision.matched.push_back({rule->number, rule->effect});
    }
    tidy(decision.matched);
    bw_rights rights{};
    bw_told told{};
    if (lines && bw_add_net(lines_, &tail_, lines, &of, op, &rights, &told) == 0)
        decision.rule = told.rules[effect_of(decision.verdict)];
    return decision;
}

Decision Image::domain_decision(std::uint32_t domain, Operations op, std::uint32_t peer) const {
    const auto outcome = on_domain(domain, op, peer);
    const auto* lines = domain_at(lines_, head_, domain);
    const std::uint32_t set[] = {lines ? bw_word(lines_, tail_.list_line, lines->peer_sets + peer, 0) : 0};
    return of_sets(set, domain, op, outcome);
}

Decision Image::capability_decision(std::uint32_t domain, unsigned capability) const {
    const auto* lines = domain_at(lines_, head_, domain);
    const std::uint32_t set[] = {lines ? lines->capability_set : 0};
    return of_sets(set, domain, BW_OP_CAPABLE, on_capability(domain, capability), capability);
}

Decision Image::plain_decision(std::uint32_t domain, Operations op) const {
    const auto* lines = domain_at(lines_, head_, domain);
    const std::uint32_t set[] = {lines ? lines->plain_set : 0};
    return of_sets(set, domain, op, on_nothing(domain, op));
}

std::optional<std::uint32_t> Image::entry(const Exec& exec) const {
    bw_exec of{};
    of.domain = exec.domain;
    const auto* lines = domain_at(lines_, head_, exec.domain);
    if (!lines) return std::nullopt;
    if (const auto name = name_for(*lines, exec.file))
        if (const auto state = state_of(start_of(*name), *name)) of.file_set = set_of(*state);
    if (exec.file.identity)
        of.identity_set = bw_identity_set(lines_, &tail_, exec.file.identity->device, exec.file.identity->inode,
                                          exec.file.identity->generation);
    if (const auto state = state_of(Start::cgroups, exec.cgroup)) of.cgroup_set = set_of(*state);
    of.uid = exec.uid;
    of.gid = exec.gid;
    of.userns_init = exec.userns_init;
    std::array<__u32, BW_PIN_KINDS> pins{};
    for (const auto& pin : exec.file.pins)
        if (const auto* known = find(pin)) pins[static_cast<std::size_t>(pin.kind)] = known->number;
    const auto way = bw_enter(lines_, &tail_, &of, pins.data());
    if (way == BW_NO_ENTRY) return std::nullopt;
    return way;
}

int Image::moves(std::uint32_t domain, std::uint32_t from_state, std::uint32_t to_state) const {
    return bw_moves(lines_, &head_, &tail_, domain, from_state, to_state);
}

}  // namespace bpfwarden::policy
