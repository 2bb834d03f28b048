// SPDX-License-Identifier: Apache-2.0
// What images decide, kind of object by kind: each permission with its refusal.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "policies.hpp"

namespace bpfwarden::policy {

using enum Verdict;

// Every combination of rules that match, modes and defaults: by the order of what wins.
TEST(Evaluate, Precedence) {
    for (unsigned bits = 0; bits < 64; ++bits) {
        const bool allow = bits & 1, deny = bits & 2, warn = bits & 4, audit = bits & 8, default_denies = bits & 16,
                   audit_mode = bits & 32;
        std::string text = fmt::format(
            "format = 1\nmode = 'enforce'\n[[domain]]\nname = 'd'\nenter = [{{ exe = '/x' }}]\ndefault = '{}'\n{}",
            default_denies ? "deny" : "allow", audit_mode ? "mode = 'audit'\n" : "");
        const auto add = [&](const char* effect, const char* mode) {
            text += fmt::format("[[rule]]\n{} = ['read']\npaths = ['/f']\n{}", effect, mode);
        };
        // Rules in this order and the other: it must not matter.
        if (deny) add("deny", "mode = 'enforce'\n");
        if (allow) add("allow", "");
        if (audit) add("audit", "");
        if (warn) add("deny", "mode = 'audit'\n");
        const auto wanted = deny                                               ? denied
                            : default_denies && !allow && !audit_mode          ? denied
                            : warn || (default_denies && !allow && audit_mode) ? would_deny
                            : audit                                            ? audited
                                                                               : allowed;
        EXPECT_EQ(on_path(compiled(text), "read", "/f"), wanted) << text;
        // Another operation, and another file, are the default's.
        const auto other = !default_denies ? allowed : audit_mode ? would_deny : denied;
        EXPECT_EQ(on_path(compiled(text), "write", "/f"), other) << text;
        EXPECT_EQ(on_path(compiled(text), "read", "/g"), other) << text;
    }
}

// A rule's mode over the domain's, the domain's over the policy's.
TEST(Evaluate, WhoseModeCounts) {
    const std::string text =
        "format = 1\n[[domain]]\nname = 'a'\nenter = [{ exe = '/x' }]\n[[domain]]\nname = 'b'\nmode = 'enforce'\n"
        "enter = [{ exe = '/y' }]\n[[rule]]\ndeny = ['read']\npaths = ['/f']\n[[rule]]\ndeny = ['write']\nmode = "
        "'audit'\npaths = ['/f']\n"
        "[[rule]]\ndeny = ['exec']\nmode = 'enforce'\npaths = ['/f']\n";
    const auto image = compiled(text);
    EXPECT_EQ(on_path(image, "read", "/f", 1), would_deny);
    EXPECT_EQ(on_path(image, "read", "/f", 2), denied);
    EXPECT_EQ(on_path(image, "write", "/f", 2), would_deny);
    EXPECT_EQ(on_path(image, "exec", "/f", 1), denied);
    EXPECT_EQ(on_path(image, "read", "/f", 0), allowed);
    EXPECT_TRUE(image.enforces);
    EXPECT_FALSE(compiled("format = 1\n[[domain]]\nname = 'a'\ndefault = 'deny'\n").enforces);
}

TEST(Evaluate, ExceptTakesNamesOutOfOneRule) {
    const auto image =
        compiled(domain_d() +
                 "[[rule]]\nname = 'one'\ndeny = ['read']\npaths = ['/a/**']\nexcept = ['/a/b', '/a/c/**']\n"
                 "[[rule]]\nname = 'two'\ndeny = ['read']\npaths = ['/a/c/d']\n");
    EXPECT_EQ(on_path(image, "read", "/a/x"), denied);
    EXPECT_EQ(on_path(image, "read", "/a/b"), allowed);
    EXPECT_EQ(on_path(image, "read", "/a/b/x"), denied);
    EXPECT_EQ(on_path(image, "read", "/a/c"), denied);
    EXPECT_EQ(on_path(image, "read", "/a/c/e"), allowed);
    EXPECT_EQ(on_path(image, "read", "/a/c/d"), denied);
    EXPECT_EQ(on_path(image, "read", "/a"), allowed);
    // Where the exception is all there is, an edge leads to where nothing matches.
    const auto only = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/*']\nexcept = ['/b', '/c*']\n");
    EXPECT_EQ(on_path(only, "read", "/a"), denied);
    EXPECT_EQ(on_path(only, "read", "/b"), allowed);
    EXPECT_EQ(on_path(only, "read", "/cx"), allowed);
}

TEST(Evaluate, FilesOfNoPlaceAreNamedByTheirType) {
    const auto image = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['tmpfs:/a/**', '/a/**', 'proc:/']\n");
    EXPECT_EQ(on_path(image, "read", "tmpfs:/a/x"), denied);
    EXPECT_EQ(on_path(image, "read", "tmpfs:/b"), allowed);
    EXPECT_EQ(on_path(image, "read", "proc:/"), denied);
    EXPECT_EQ(on_path(image, "read", "proc:/1"), allowed);
    // Nobody speaks of overlay: its files have no name, and what a deny could refuse is refused.
    EXPECT_EQ(on_path(image, "read", "overlay:/b"), denied);
    EXPECT_EQ(on_path(image, "write", "overlay:/b"), allowed);
    EXPECT_TRUE(Image(image).file_decision(1, BW_OP_READ, {"overlay:/b", "", std::nullopt}).blind);
    // What the kernel mounts for itself has no place that a pattern could have meant.
    EXPECT_EQ(on_path(image, "read", "pipefs:/"), allowed);
    const auto neither = compiled(domain_d() + "[[rule]]\ndeny = ['read']\npaths = ['/a/**']\n");
    EXPECT_EQ(on_path(neither, "read", "tmpfs:/a/x"), denied);
    const auto warned = compiled(domain_d() + "[[rule]]\ndeny = ['read']\nmode = 'audit'\npaths = ['/a/**']\n");
    EXPECT_EQ(on_path(warned, "read", "tmpfs:/a/x"), would_deny);
}

TEST(Evaluate, TypesAndIdentities) {
    const auto image =
        compiled(domain_d() +
                 "[[rule]]\nname = 't'\ndeny = ['read']\nfile_systems = ['proc', 'fuse*']\n"
                 "[[rule]]\nname = 'i'\ndeny = ['write']\nidentities = [{ device = '8:1', inode = 5, generation = 2 }, "
                 "{ device = '8:1', inode = 6, generation = 2 }]\n");
    EXPECT_TRUE(image.types && image.identities);
    EXPECT_EQ(on_path(image, "read", "/a", 1, "proc"), denied);
    EXPECT_EQ(on_path(image, "read", "/a", 1, "fuseblk"), denied);
    EXPECT_EQ(on_path(image, "read", "/a", 1, "ext4"), allowed);
    const Image of(image);
    const auto write = [&](std::uint32_t device, std::uint64_t inode, std::uint32_t generation) {
        return of.file_decision(1, BW_OP_WRITE, {"/a", "ext4", Identity{device, inode, generation, {}}});
    };
    EXPECT_EQ(write(8 << 20 | 1, 5, 2).verdict, denied);
    EXPECT_EQ(write(8 << 20 | 1, 5, 2).rule, 2U);
    EXPECT_EQ(write(8 << 20 | 1, 6, 2).verdict, denied);
    EXPECT_EQ(write(8 << 20 | 1, 5, 3).verdict, allowed);
    EXPECT_EQ(write(8 << 20 | 1, 7, 2).verdict, allowed);
    EXPECT_EQ(write(8 << 20 | 2, 5, 2).verdict, allowed);
    EXPECT_EQ(write(0, 0, 0).verdict, allowed);
}

TEST(Evaluate, ManyIdentitiesAreAllFound) {
    std::string text = domain_d() + "[[rule]]\ndeny = ['read']\nidentities = [";
    for (int i = 1; i <= 3000; ++i) text += fmt::format("{{ device = '8:1', inode = {}, generation = 0 }},", i * 7);
    const auto image = compiled(text + "]\n");
    for (std::uint64_t i = 1; i <= 3000 * 7; ++i) {
        const auto verdict =
            Image(image).file_decision(1, BW_OP_READ, {"/a", "", Identity{8 << 20 | 1, i, 0, {}}}).verdict;
        ASSERT_EQ(verdict, i % 7 == 0 ? denied : allowed) << i;
    }
}

TEST(Evaluate, OwnRootNamesEveryFileByItsType) {
    const auto image =
        compiled(domain_d("root = 'own'") + "[[rule]]\ndeny = ['read']\npaths = ['overlay:/etc/**', '/etc/**']\n");
    EXPECT_EQ(on_path(image, "read", "/etc/x", 1, "overlay"), denied);
    EXPECT_EQ(on_path(image, "read", "/var/x", 1, "overlay"), allowed);
    EXPECT_EQ(on_path(image, "read", "/etc/x", 1, "ext4"), denied);  // no pattern speaks of ext4
    EXPECT_TRUE(Image(image).file_decision(1, BW_OP_READ, {"/etc/x", "", std::nullopt}).blind);
}

static Address address(const std::string& text, std::uint16_t port = 0) {
    const auto net = parse_address(text).value();
    return {net.address, *net.family, port};
}

TEST(Evaluate, Addresses) {
    const auto image = compiled(
        "format = 1\nmode = 'enforce'\n[[domain]]\nname = 'd'\nenter = [{ exe = '/x' }]\ndefault = 'deny'\n"
        "[[rule]]\nname = 'web'\nallow = ['socket', 'bind', 'connect']\nnet = [{ address = '10.0.0.0/9', port = [80, "
        "'8000-8099'] }, { family = 'unix' }]\n"
        "[[rule]]\nname = 'six'\nallow = ['connect']\nnet = [{ address = '2001:db8::/33' }]\n"
        "[[rule]]\nname = 'not'\ndeny = ['@net']\nnet = [{ address = '10.0.0.7', port = 80 }]\n");
    const Image of(image);
    const auto verdict = [&](Operations op, const Address& to) { return of.address_decision(1, op, to).verdict; };
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.0.0.1", 80)), allowed);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.0.0.1", 81)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.127.255.255", 8099)), allowed);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.128.0.0", 8099)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.0.0.1", 8100)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("10.0.0.7", 80)), denied);
    EXPECT_EQ(of.address_decision(1, BW_OP_CONNECT, address("10.0.0.7", 80)).rule, 3U);
    EXPECT_EQ(of.address_decision(1, BW_OP_CONNECT, address("10.0.0.7", 80)).matched.size(), 2U);
    EXPECT_EQ(verdict(BW_OP_LISTEN, address("10.0.0.1", 80)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("2001:db8:7fff::1", 9)), allowed);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("2001:db8:8000::1", 9)), denied);
    EXPECT_EQ(verdict(BW_OP_BIND, {{}, AF_UNIX, 0}), allowed);
    EXPECT_EQ(verdict(BW_OP_BIND, {{}, AF_NETLINK, 0}), denied);
    // By family alone; the deny of one address is not one of its family.
    EXPECT_EQ(verdict(BW_OP_SOCKET, {{}, AF_INET, 0}), allowed);
    EXPECT_EQ(verdict(BW_OP_SOCKET, {{}, AF_INET6, 0}), denied);
}

// One address has one form, else a rule about it could be gone around.
TEST(Evaluate, AnAddressHasOneForm) {
    const auto image =
        compiled(domain_d() +
                 "[[rule]]\ndeny = ['connect', 'bind']\nnet = [{ address = '127.0.0.0/8' }, { address = '::1' }]\n");
    const Image of(image);
    const auto mapped = [](std::array<std::uint8_t, 4> v4) {
        Address to{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, AF_INET6, 1};
        std::ranges::copy(v4, to.bytes.begin() + 12);
        return to;
    };
    const auto verdict = [&](Operations op, const Address& to) { return of.address_decision(1, op, to).verdict; };
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("127.0.0.1", 1)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, mapped({127, 0, 0, 1})), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, mapped({128, 0, 0, 1})), allowed);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("0.0.0.0", 1)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, mapped({0, 0, 0, 0})), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("::", 1)), denied);
    EXPECT_EQ(verdict(BW_OP_CONNECT, address("::2", 1)), allowed);
    // To bind to nobody's address is not to bind to loopback.
    EXPECT_EQ(verdict(BW_OP_BIND, address("0.0.0.0", 1)), allowed);
}

TEST(Evaluate, CapabilitiesPeersAndTheRest) {
    const auto image = compiled(
        "format = 1\nmode = 'enforce'\n[[domain]]\nname = 'a'\nenter = [{ exe = '/x' }]\ndefault = "
        "'deny'\n[[domain]]\nname = 'b'\nenter = [{ exe = '/y' }]\n"
        "[[rule]]\nname = 'caps'\ndomains = ['a']\nallow = ['capable']\ncapabilities = ['setuid', "
        "'checkpoint_restore']\n"
        "[[rule]]\nname = 'no'\ndomains = ['a', 'b']\ndeny = ['capable']\ncapabilities = ['sys_admin']\n"
        "[[rule]]\nname = 'self'\ndomains = ['a']\nallow = ['signal']\npeers = ['a', 'unconfined']\n"
        "[[rule]]\nname = 'trace'\ndomains = ['b']\ndeny = ['ptrace', 'bpf', 'module']\n");
    const Image of(image);
    EXPECT_EQ(of.capability_decision(1, *capability_bit("setuid")).verdict, allowed);
    EXPECT_EQ(of.capability_decision(1, *capability_bit("checkpoint_restore")).rule, 1U);
    EXPECT_EQ(of.capability_decision(1, *capability_bit("chown")).verdict, denied);
    EXPECT_EQ(of.capability_decision(1, *capability_bit("chown")).rule, 0U);
    EXPECT_EQ(of.capability_decision(2, *capability_bit("sys_admin")).verdict, denied);
    EXPECT_EQ(of.capability_decision(2, *capability_bit("sys_admin")).rule, 2U);
    EXPECT_EQ(of.capability_decision(2, *capability_bit("chown")).verdict, allowed);
    EXPECT_EQ(of.domain_decision(1, BW_OP_SIGNAL, 1).verdict, allowed);
    EXPECT_EQ(of.domain_decision(1, BW_OP_SIGNAL, 1).rule, 3U);
    EXPECT_EQ(of.domain_decision(1, BW_OP_SIGNAL, 0).verdict, allowed);
    EXPECT_EQ(of.domain_decision(1, BW_OP_SIGNAL, 2).verdict, denied);
    EXPECT_EQ(of.domain_decision(2, BW_OP_PTRACE, 0).rule, 4U);
    EXPECT_EQ(of.domain_decision(2, BW_OP_SIGNAL, 0).verdict, allowed);
    EXPECT_EQ(of.plain_decision(2, BW_OP_BPF).rule, 4U);
    EXPECT_EQ(of.plain_decision(2, BW_OP_PERF).verdict, allowed);
    EXPECT_EQ(of.plain_decision(1, BW_OP_PERF).verdict, denied);
    EXPECT_EQ(of.plain_decision(0, BW_OP_BPF).verdict, allowed);
}

TEST(Evaluate, WaysIntoDomains) {
    const auto image = compiled(R"(
format = 1
[[domain]]
name = "a"
enter = [ { exe = "/usr/bin/a", uid = "1000-1999" }, { exe = "/usr/bin/*", cgroup = "/sys/**", gid = 7 } ]
[[domain]]
name = "b"
enter = [ { exe = "/usr/bin/{a,b}", from = ["unconfined", "a"] }, { cgroup = "/box/*", userns = "other" },
          { identity = { device = "8:1", inode = 5, generation = 0 } } ]
)");
    const Image of(image);
    const auto enters = [&](const Exec& exec) { return of.entry(exec); };
    const auto exec = [](const std::string& path, std::uint32_t uid = 0, const std::string& cgroup = "/",
                         std::uint32_t gid = 0) {
        Exec out;
        out.file.path = path;
        out.uid = uid;
        out.gid = gid;
        out.cgroup = cgroup;
        return out;
    };
    EXPECT_EQ(enters(exec("/usr/bin/a", 1000)), 0U);
    EXPECT_EQ(enters(exec("/usr/bin/a", 1999)), 0U);
    EXPECT_EQ(enters(exec("/usr/bin/a", 2000)), 2U);
    EXPECT_EQ(enters(exec("/usr/bin/b", 1000)), 2U);
    EXPECT_EQ(enters(exec("/usr/bin/c")), std::nullopt);
    EXPECT_EQ(enters(exec("/usr/bin/c", 0, "/sys/x", 7)), 1U);
    EXPECT_EQ(enters(exec("/usr/bin/b", 0, "/sys/x", 7)), 1U);
    EXPECT_EQ(enters(exec("/usr/bin/c", 0, "/sys/x", 8)), std::nullopt);
    EXPECT_EQ(enters(exec("/usr/bin/c", 0, "/sys", 7)), std::nullopt);
    auto other = exec("/bin/sh", 0, "/box/1");
    EXPECT_EQ(enters(other), std::nullopt);
    other.userns_init = false;
    EXPECT_EQ(enters(other), 3U);
    auto from = exec("/usr/bin/b");
    from.domain = 1;
    EXPECT_EQ(enters(from), 2U);
    from.domain = 2;
    EXPECT_EQ(enters(from), std::nullopt);
    auto identity = exec("/anything");
    identity.file.identity = Identity{8 << 20 | 1, 5, 0, {}};
    EXPECT_EQ(enters(identity), 4U);
    identity.file.path = "/usr/bin/a";
    EXPECT_EQ(enters(identity), 2U);
    EXPECT_EQ(image.ways.at(2).domain, 2U);
    EXPECT_TRUE(image.cgroups);
}

TEST(Evaluate, ADirectoryStaysWhereARefusalBelowIsItsPlaces) {
    const auto image = compiled(
        "format = 1\nmode = 'enforce'\n[[domain]]\nname = 'd'\nenter = [{ exe = '/x' }]\n"
        "[[domain]]\nname = 'w'\nmode = 'audit'\nenter = [{ exe = '/y' }]\n[[domain]]\nname = 'deny'\ndefault = "
        "'deny'\nenter = [{ exe = '/z' }]\n"
        "[[rule]]\ndomains = ['d', 'w']\ndeny = ['write']\npaths = ['/srv/*/keys/**']\n"
        "[[rule]]\ndomains = ['deny']\nallow = ['read', 'rename']\npaths = ['/srv/**']\n");
    const Image of(image);
    const auto moves = [&](std::uint32_t domain, const char* from, const char* to) {
        return of.moves(domain, *of.state_of(Start::path, from), *of.state_of(Start::path, to));
    };
    EXPECT_EQ(moves(1, "/srv/a", "/tmp/a"), BW_LIVE_DENY);
    EXPECT_EQ(moves(1, "/srv/a/keys/x", "/tmp/a"), BW_LIVE_DENY);
    EXPECT_EQ(moves(2, "/srv/a", "/tmp/a"), BW_LIVE_WARN);
    EXPECT_EQ(moves(1, "/srv", "/tmp/a"), BW_LIVE_DENY);
    EXPECT_EQ(moves(1, "/srv/a/other", "/tmp/a"), 0);
    EXPECT_EQ(moves(1, "/home/x", "/srv/x"), 0);
    // Where the same rules hold, also below.
    EXPECT_EQ(moves(1, "/srv/a", "/srv/b"), 0);
    EXPECT_EQ(moves(1, "/srv/a/keys/x", "/srv/b/keys/y/z"), 0);
    EXPECT_EQ(moves(3, "/srv/a/b", "/srv/c/d"), 0);
    EXPECT_EQ(moves(3, "/srv/a/b", "/home/c"), BW_LIVE_DENY);
    EXPECT_EQ(moves(0, "/srv/a", "/tmp/a"), 0);
}

TEST(Evaluate, BlindMasksAreWhatCouldHaveBeenRefused) {
    std::string deep;
    for (int i = 0; i < 300; ++i) deep += "/d";
    const auto image = compiled(
        domain_d() + "[[rule]]\ndeny = ['write']\npaths = ['/a']\n[[rule]]\nallow = ['read']\npaths = ['/**']\n");
    EXPECT_EQ(on_path(image, "write", deep), denied);
    EXPECT_EQ(on_path(image, "read", deep), allowed);
    const auto denies = compiled(domain_d("default = 'deny'") + "[[rule]]\nallow = ['read']\npaths = ['/**']\n");
    EXPECT_EQ(on_path(denies, "read", deep), denied);
    EXPECT_EQ(on_path(denies, "read", "/d"), allowed);
}

}  // namespace bpfwarden::policy
