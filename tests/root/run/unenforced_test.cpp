// SPDX-License-Identifier: Apache-2.0
// A grant with a key that a token cannot hold the command to is refused, unless the caller says that key's name.
#include "refusal.hpp"

namespace bpfwarden::test {
namespace {

struct Case {
    const char* key;  // as --unenforced takes it
    GrantText grant;
};

const std::string xdp = "program_types = [\"xdp\"]\ncapabilities = [\"bpf\", \"net_admin\"]\n";
const std::string digest(64, 'a');

const Case cases[] = {
    {"allow.helpers", {.open = "helpers = [\"map_lookup_elem\"]\nkfuncs = [\"any\"]\nverifier = [\"any\"]\n"}},
    {"allow.kfuncs", {.open = "helpers = [\"any\"]\nkfuncs = []\nverifier = [\"any\"]\n"}},
    {"allow.verifier", {.open = "helpers = [\"any\"]\nkfuncs = [\"any\"]\nverifier = []\n"}},
    {"allow.commands", {.allow = xdp + "commands = [\"prog_load\"]\n"}},
    {"targets.cgroups",
     {.allow = "program_types = [\"cgroup_sock_addr\"]\nattach_types = [\"cgroup_inet4_connect\"]\n",
      .rest = "[targets]\ncgroups = [\"/system.slice/x.service\"]\n"}},
    {"targets.interfaces", {.rest = "[targets]\ninterfaces = [\"eth0\"]\n"}},
    {"identity.sha256", {.rest = "[identity]\nsha256 = [\"" + digest + "\"]\n"}},
    {"limits.programs", {.rest = "[limits]\nprograms = 1\n"}},
    {"limits.maps", {.rest = "[limits]\nmaps = 1\n"}},
    {"limits.links", {.rest = "[limits]\nlinks = 1\n"}},
    {"limits.map_memory", {.rest = "[limits]\nmap_memory = \"1MiB\"\n"}},
    {"limits.instructions", {.rest = "[limits]\ninstructions = 100\n"}},
    {"limits.loads_per_minute", {.rest = "[limits]\nloads_per_minute = 1\n"}},
    {"session.lifetime", {.rest = "[session]\nlifetime = \"1h\"\n"}},
    {"session.on_close", {.rest = "[session]\non_close = \"detach\"\n"}},
    {"session.hand_out", {.rest = "[session]\nhand_out = \"link\"\n"}},
};

std::string short_name(const std::string& key) { return key.substr(key.find('.') + 1); }

TEST(Unenforced, EachKeyIsRefusedByNameAndAcceptedByName) {
    BW_NEED_TOKENS();
    BW_SAME_ON_EVERY_KERNEL();
    for (const auto& one : sampled(cases, 5)) {
        SCOPED_TRACE(one.key);
        const std::string grant = write_grant(one.grant);
        const auto refused = attempt(grant);
        expect_refused(refused, one.key);
        EXPECT_NE(refused.err.find(std::string("--unenforced=") + one.key), std::string::npos) << refused.err;
        EXPECT_EQ(lines_of(refused.err), 3) << refused.err;
        expect_accepted(attempt(grant, {"--unenforced", one.key}));
        expect_accepted(attempt(grant, {std::string("--unenforced=") + short_name(one.key)}));
    }
}

TEST(Unenforced, AnotherKeysNameIsNoHelp) {
    BW_NEED_TOKENS();
    for (const auto& one : sampled(cases, 5)) {
        SCOPED_TRACE(one.key);
        const char* other = std::string(one.key) == "limits.programs" ? "limits.maps" : "limits.programs";
        expect_refused(attempt(write_grant(one.grant), {"--unenforced", other}), one.key);
    }
}

TEST(Unenforced, ANameThatIsNoKeyIsRefusedAtOnce) {
    BW_NEED_TOKENS();
    expect_refused(attempt(plain_grant(), {"--unenforced", "limits.programms"}), "limits.programs");
    expect_refused(attempt(plain_grant(), {"--unenforced", "everything"}), "everything");
    expect_refused(attempt(plain_grant(), {"--unenforced", ""}), "");
    expect_accepted(attempt(plain_grant()));
}

TEST(Unenforced, SeveralKeysMustAllBeNamed) {
    BW_NEED_TOKENS();
    const std::string grant = write_grant({.rest = "[limits]\nprograms = 1\nmaps = 2\n[session]\nlifetime = \"1h\"\n"});
    const auto refused = attempt(grant, {"--unenforced", "limits.maps"});
    expect_refused(refused, "limits.programs, session.lifetime");
    EXPECT_EQ(refused.err.find("limits.maps,"), std::string::npos) << "what is accepted is not complained of";
    expect_accepted(attempt(grant, {"--unenforced", "limits.maps,programs", "--unenforced", "session.lifetime"}));
}

}  // namespace
}  // namespace bpfwarden::test
