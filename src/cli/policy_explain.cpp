// SPDX-License-Identifier: Apache-2.0
// `bpfwarden policy explain FILE… …`
#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/policy.hpp"
#include "cli/policy_json.hpp"
#include "shared/policy_image.h"

namespace bpfwarden::cli {

using policy::Decision;
using policy::Operations;

static Failure usage(std::string what, std::string hint = "") {
    return fail(Error(Code::usage, std::move(what)).advise(std::move(hint)));
}

static Result<std::uint64_t> number(const std::string& option, std::string_view text, std::uint64_t most) {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size() || value > most)
        return usage(fmt::format("{} needs a number up to {}, not {}", option, most, quoted(text)));
    return value;
}

namespace {

class Explainer {
  public:
    Explainer(const ReadPolicies& policies, const Args& args)
        : compiled_(policies.compiled), image_(policies.compiled), args_(args) {}

    Result<Explanation> run() {
        static constexpr const char* questions[] = {"--open", "--exec", "--capability", "--op"};
        if (std::ranges::count_if(questions, [&](const char* one) { return args_.has(one); }) != 1)
            return usage("one of --open, --exec, --capability and --op says what to explain",
                         "for example: --domain nginx --open /etc/passwd");
        domain_ = BW_TRY(domain());
        out_.domain = compiled_.domains[domain_];
        if (args_.has("--open"))
            BW_TRY(open());
        else if (args_.has("--exec"))
            BW_TRY(exec());
        else if (args_.has("--capability"))
            BW_TRY(capability());
        else
            BW_TRY(operations());
        return std::move(out_);
    }

  private:
    Result<std::uint32_t> find_domain(const std::string& name) const {
        const auto at = std::ranges::find(compiled_.domains, name);
        if (at != compiled_.domains.end()) return static_cast<std::uint32_t>(at - compiled_.domains.begin());
        const std::vector<std::string_view> known(compiled_.domains.begin(), compiled_.domains.end());
        const auto near = nearest(name, known);
        return fail(Error(Code::not_found, fmt::format("there is no domain {}", quoted(name)))
                        .because(fmt::format("known here: {}", join(compiled_.domains, ", ")))
                        .advise(near ? fmt::format("did you mean {}?", *near) : ""));
    }

    Result<std::uint32_t> domain() const {
        if (const auto name = args_.value("--domain")) return find_domain(*name);
        if (args_.has("--exec")) return 0U;
        if (compiled_.domains.size() == 2) return 1U;
        return usage("--domain is missing", fmt::format("the domains here are {}", join(compiled_.domains, ", ")));
    }

    Result<policy::FileName> file(const std::string& path) const {
        policy::FileName file{path, args_.value("--type").value_or(""), std::nullopt, {}};
        const bool detached = path.find(":/") < path.find('/');
        if (!path.starts_with('/') && !detached)
            return usage(fmt::format("{} is no whole path", quoted(path)), "write /PATH, or TYPE:/PATH");
        if (path.find("//") != std::string::npos || path.find("/./") != std::string::npos ||
            path.find("/../") != std::string::npos || (path.ends_with('/') && path != "/" && !path.ends_with(":/")))
            return usage(fmt::format("{} is no real path", quoted(path)),
                         "without \"//\", \".\", \"..\" and links, as realpath(1) prints it");
        if (const auto text = args_.value("--identity")) {
            const auto parts = split(*text, ',');
            const auto device = split(parts[0], ':');
            if (parts.size() != 3 || device.size() != 2)
                return usage(fmt::format("{} is no identity", quoted(*text)), "it is MAJ:MIN,INODE,GENERATION");
            policy::Identity identity;
            identity.device = static_cast<std::uint32_t>(BW_TRY(number("--identity", device[0], 0xfff)) << 20 |
                                                         BW_TRY(number("--identity", device[1], 0xfffff)));
            identity.inode = BW_TRY(number("--identity", parts[1], UINT64_MAX));
            identity.generation = static_cast<std::uint32_t>(BW_TRY(number("--identity", parts[2], UINT32_MAX)));
            file.identity = identity;
        }
        for (const auto& kind : policy::all_pin_kinds()) {
            std::string option = fmt::format("--{}", kind.key);
            std::ranges::replace(option, '_', '-');
            const auto text = args_.value(option);
            if (!text) continue;
            auto pin = policy::parse_pin(kind.kind, *text);
            if (!pin)
                return fail(
                    Error(Code::usage, pin.error().what()).because(pin.error().why()).advise(pin.error().hint()));
            file.pins.push_back(std::move(*pin));
        }
        return file;
    }

    void add(Operations op, const std::string& object, Decision decision) {
        out_.operations.push_back({policy::names_of(op), object, std::move(decision)});
    }

    Result<> open() {
        const auto path = *args_.value("--open");
        const Operations op = args_.has("--append") ? BW_OP_APPEND : args_.has("--write") ? BW_OP_WRITE : BW_OP_READ;
        add(op, path, image_.file_decision(domain_, op, BW_TRY(file(path))));
        return {};
    }

    Result<> exec() {
        const auto path = *args_.value("--exec");
        policy::Exec exec;
        exec.domain = domain_;
        exec.file = BW_TRY(file(path));
        exec.cgroup = args_.value("--cgroup").value_or("/");
        exec.uid = static_cast<std::uint32_t>(BW_TRY(number("--uid", args_.value("--uid").value_or("0"), UINT32_MAX)));
        exec.gid = static_cast<std::uint32_t>(BW_TRY(number("--gid", args_.value("--gid").value_or("0"), UINT32_MAX)));
        const auto userns = args_.value("--userns").value_or("init");
        if (userns != "init" && userns != "other") return usage("--userns is init or other");
        exec.userns_init = userns == "init";
        add(BW_OP_EXEC, path, image_.file_decision(domain_, BW_OP_EXEC, exec.file));
        const auto way = image_.entry(exec);
        if (way) out_.way = compiled_.ways[*way];
        out_.enters = compiled_.domains[way ? compiled_.ways[*way].domain : domain_];
        return {};
    }

    Result<> capability() {
        const auto name = *args_.value("--capability");
        const auto bit = policy::capability_bit(name);
        const auto names = policy::capability_names();
        if (!bit) {
            const auto near = nearest(name, std::vector<std::string_view>(names.begin(), names.end()));
            return usage(fmt::format("there is no capability {}", quoted(name)),
                         near ? fmt::format("did you mean {}?", *near) : "");
        }
        add(BW_OP_CAPABLE, names[*bit], image_.capability_decision(domain_, *bit));
        return {};
    }

    Result<> operations() {
        for (const auto& name : args_.values("--op")) {
            const auto op = policy::operation_bit(name);
            if (!op) {
                std::vector<std::string_view> known;
                for (const auto& one : policy::all_operations()) known.push_back(one.name);
                const auto near = nearest(name, known);
                return usage(fmt::format("there is no operation {}", quoted(name)),
                             near ? fmt::format("did you mean {}?", *near) : "bpfwarden-policy(5) lists them");
            }
            BW_TRY(operation(name, *op));
        }
        return {};
    }

    Result<> operation(const std::string& name, Operations op) {
        const auto need = [&](const char* option) -> Result<std::string> {
            if (const auto value = args_.value(option)) return *value;
            return usage(fmt::format("--op {} needs {}", name, option));
        };
        switch (policy::object_of(op)) {
            case policy::Object::path: {
                const auto path = BW_TRY(need("--path"));
                add(op, path, image_.file_decision(domain_, op, BW_TRY(file(path))));
                break;
            }
            case policy::Object::address: {
                const auto text = BW_TRY(need("--net"));
                add(op, text, image_.address_decision(domain_, op, BW_TRY(address(text))));
                break;
            }
            case policy::Object::domain: {
                const auto peer = BW_TRY(need("--peer"));
                add(op, peer, image_.domain_decision(domain_, op, BW_TRY(find_domain(peer))));
                break;
            }
            case policy::Object::capability:
                return usage("--op capable needs a capability", "write --capability NAME instead");
            case policy::Object::none:
                add(op, "", image_.plain_decision(domain_, op));
                break;
        }
        return {};
    }

    static Result<policy::Address> address(const std::string& text) {
        policy::Address out;
        for (const auto& family : policy::all_families())
            if (family.name == text) {
                out.family = family.number;
                return out;
            }
        const auto colon = text.rfind(':');
        const bool bracket = text.starts_with('[');
        if (colon == std::string::npos || (bracket && (colon == 0 || text[colon - 1] != ']')))
            return usage(fmt::format("{} is no address with a port", quoted(text)),
                         "write 192.0.2.1:80, [2001:db8::1]:443, or a family");
        const auto host = bracket ? text.substr(1, colon - 2) : text.substr(0, colon);
        const auto net = BW_TRY(policy::parse_address(host));
        out.family = *net.family;
        out.bytes = net.address;
        out.port = static_cast<std::uint16_t>(BW_TRY(number("the port of --net", text.substr(colon + 1), 0xffff)));
        return out;
    }

    const policy::Compiled& compiled_;
    policy::Image image_;
    const Args& args_;
    std::uint32_t domain_ = 0;
    Explanation out_;
};

void print_operation(const ReadPolicies& policies, const std::string& domain, const Explained& explained) {
    const auto& decision = explained.decision;
    static constexpr std::string_view words[] = {"permitted", "permitted, and told",
                                                 "permitted, and told as would_deny", "refused"};
    fmt::print("{}: {}{}{} in the domain {}\n", words[static_cast<std::size_t>(decision.verdict)], explained.operation,
               explained.object.empty() ? "" : " ", printable(explained.object), domain);
    if (decision.blind) fmt::print("  the file's name cannot be told, so every deny of the domain counts\n");
    if (!decision.rule)
        fmt::print("  {}\n", domain == policy::unconfined ? "no policy is about its processes"
                             : decision.blind             ? "see bpfwarden-policy(5), WHAT WINS"
                                                          : "no rule decides it, so the domain's default does");
    const auto mention = [&](const policy::Mention& one, std::string_view more) {
        static constexpr std::string_view verbs[] = {"allows", "denies", "would deny", "audits"};
        const auto& rule = policies.compiled.rules[one.rule - 1];
        fmt::print("  the rule {} {} it{}\n    {}: {}\n", quoted(rule.name), verbs[one.effect], more, rule.at.text(),
                   printable(policies.loaded.line(rule.at)));
    };
    for (const auto& one : decision.matched)
        if (one.rule == decision.rule) mention(one, "");
    const bool overruled =
        decision.verdict == policy::Verdict::denied || decision.verdict == policy::Verdict::would_deny;
    for (const auto& one : decision.matched)
        if (one.rule != decision.rule)
            mention(one,
                    overruled && one.effect == BW_EFFECT_ALLOW ? ", and a deny wins over every allow" : " as well");
}

}  // namespace

Result<int> policy_explain(const Args& args) {
    const auto policies = BW_TRY(read_policies(args.positional("FILE")));
    const auto explanation = BW_TRY(Explainer(policies, args).run());
    const bool refused = std::ranges::any_of(
        explanation.operations, [](const Explained& one) { return one.decision.verdict == policy::Verdict::denied; });
    if (args.json) {
        print_policy_explain_json(policies, explanation);
        return refused ? 1 : 0;
    }
    for (const auto& one : explanation.operations) print_operation(policies, explanation.domain, one);
    if (explanation.enters && !refused) {
        if (explanation.way)
            fmt::print("it enters the domain {}\n    {}: {}\n", *explanation.enters, explanation.way->at.text(),
                       printable(policies.loaded.line(explanation.way->at)));
        else
            fmt::print("no way in fits: it stays in the domain {}\n", *explanation.enters);
    }
    return refused ? 1 : 0;
}

}  // namespace bpfwarden::cli
