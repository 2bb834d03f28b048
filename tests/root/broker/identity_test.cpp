// SPDX-License-Identifier: Apache-2.0
// Programs by who signed them: what loads, what does not, and what a signature is good for besides.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bytecode/relocate.hpp"
#include "daemon.hpp"
#include "service_manager.hpp"
#include "signing.hpp"

namespace bpfwarden::test {

namespace {

using Code = std::vector<bpf_insn>;

// Three instructions, as libbpf's two are nobody's program.
Code program(int value) {
    auto code = return_value(value);
    code.insert(code.begin(), {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .src_reg = 0, .off = 0, .imm = 0});
    return code;
}

Content sign(const SigningKey& key, const Code& code, const SignOptions& options = {}) {
    const auto stream = bytecode::canonical(code);
    return key.sign(std::as_bytes(std::span(stream)), options);
}

// The attributes as Linux 6.18 has them; installed headers may end before the signature.
struct SignedAttr {
    bpf_attr attr;
    char rest[64];
};
static_assert(sizeof(SignedAttr) >= 168);
int load(bpfw_session* session, const Code& code, const Content& signature = {}, std::int32_t keyring = 0) {
    SignedAttr all{};
    all.attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    all.attr.insns = reinterpret_cast<std::uint64_t>(code.data());
    all.attr.insn_cnt = static_cast<std::uint32_t>(code.size());
    all.attr.license = reinterpret_cast<std::uint64_t>("GPL");
    auto* bytes = reinterpret_cast<char*>(&all);
    const auto address = reinterpret_cast<std::uint64_t>(signature.data());
    const auto size = static_cast<std::uint32_t>(signature.size());
    if (size != 0) std::memcpy(bytes + 152, &address, sizeof address);
    std::memcpy(bytes + 160, &size, sizeof size);
    std::memcpy(bytes + 164, &keyring, sizeof keyring);
    return ::bpfw_bpf(session, BPF_PROG_LOAD, &all.attr, 168);
}
int add(bpfw_session* session, const Content& signature) {
    return ::bpfw_add_signature(session, signature.data(), signature.size());
}

std::string signed_by(const std::string& signers) {
    return allow(
        "program_types = ['socket_filter']\nmap_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n"
        "capabilities = ['bpf']\n[identity]\nsigners = [" +
        signers + "]\n");
}

std::string in_session(const std::string& grant, const std::function<std::string(bpfw_session*)>& body) {
    return as_user(test_user(), [&] {
        auto* session = ::bpfw_open(grant.c_str());
        return session == nullptr ? std::string("open: ") + ::bpfw_error() : body(session);
    });
}

constexpr const char* refused = "EKEYREJECTED identity.signers";
const char* parser_name = "bpfwarden-parse";

}  // namespace

TEST(Identity, SignedProgramsLoad) {
    const SigningKey release("release"), other("other"), stranger("stranger");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    daemon.write_key("other", other.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto tries = [&](const Content& signature, bool with_the_call) {
        return in_session("signed", [&](bpfw_session* session) {
            if (with_the_call || signature.empty()) return outcome(load(session, program(0), signature));
            const auto added = outcome(add(session, signature));
            return added + " " + outcome(load(session, program(0)));
        });
    };
    EXPECT_EQ(tries({}, true), refused);
    for (const bool attributes : {true, false}) {
        const SignOptions options{.attributes = attributes};
        EXPECT_EQ(tries(sign(release, program(0), options), true), "ok");
        EXPECT_EQ(tries(sign(release, program(0), options), false), "ok ok");
        for (const auto* key : {&other, &stranger}) {
            EXPECT_EQ(tries(sign(*key, program(0), options), true), refused);
            EXPECT_EQ(tries(sign(*key, program(0), options), false), std::string("ok ") + refused);
        }
        // One instruction is another.
        EXPECT_EQ(tries(sign(release, program(1), options), true), refused);
        EXPECT_EQ(tries(sign(release, program(1), options), false), std::string("ok ") + refused);
    }
    // libbpf's own first probe needs none.
    EXPECT_EQ(
        in_session("signed",
                   [](bpfw_session* session) { return outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)); }),
        "ok");
    EXPECT_EQ(daemon.audit({"\"signer\":\"release\"", "\"verdict\":\"allowed\""}).size(), 4U);
    EXPECT_EQ(daemon.audit({"\"signer\":\"other\"", "\"verdict\":\"refused\""}).size(), 4U);
}

// More than goes into one message between the processes.
TEST(Identity, LargeProgramsAndManySignatures) {
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const Code one(50'000, {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0});
    Code large = one;
    const auto end = return_value(0);
    large.insert(large.end(), end.begin(), end.end());
    EXPECT_EQ(in_session("signed",
                         [&](bpfw_session* session) {
                             std::string said = outcome(load(session, large)) + " ";
                             said += outcome(load(session, large, sign(release, large))) + " ";
                             for (int i = 0; i < 50; ++i) (void)add(session, sign(release, program(i + 1)));
                             said += outcome(load(session, large)) + " ";
                             (void)add(session, sign(release, large, {.attributes = false}));
                             return said + outcome(load(session, large));
                         }),
              std::string(refused) + " ok " + refused + " ok");
}

TEST(Identity, RefusalsSayWhatIsWrongWithTheSignature) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release"), other("other"), stranger("stranger"),
        old("old", {.not_before = -7200, .not_after = -3600}), rsa("rsa", {.rsa_bits = 2048});
    Daemon daemon({{"signed", signed_by("'release', 'old', 'rsa'")}});
    for (const auto& [name, key] : {std::pair("release", &release), {"other", &other}, {"old", &old}, {"rsa", &rsa}})
        daemon.write_key(name, key->pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto says = [&](const Content& signature) {
        return in_session("signed", [&](bpfw_session* session) {
            (void)load(session, program(0), signature);
            const std::string line = ::bpfw_error_line();
            return std::string(::bpfw_error()) + " " + line.substr(line.rfind('/') + 1);
        });
    };
    const auto expect = [&](const Content& signature, const std::string& reason) {
        const auto said = says(signature);
        EXPECT_TRUE(said.contains(reason)) << said;
        EXPECT_TRUE(said.ends_with("signed.toml:10:1")) << said;
    };
    expect({}, "the program is not signed");
    expect(sign(other, program(0)), "\"other\" is not among the signers");
    expect(sign(stranger, program(0)), "the signature is by nobody whose key is installed");
    expect(sign(release, program(1)), "the signature by \"release\" is over another program");
    expect(sign(old, program(0)), "the certificate of \"old\" expired on 20");
    expect(sign(rsa, program(0), {.digest = EVP_sha1()}), "weak digest");
    expect(Content(100), "the signature is no CMS in DER");
}

// The kernel's own keyrings have no say here, and a size without a signature is somebody's mistake.
TEST(Identity, AttributesOfTheCall) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")},
                   {"plain", allow("program_types = ['socket_filter']\ncapabilities = ['bpf']\n")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto signature = sign(release, program(0));
    EXPECT_EQ(in_session("signed",
                         [&](bpfw_session* session) {
                             std::string said;
                             for (const int keyring : {0, -3, 1, 2, -4, 12345})
                                 said += outcome(load(session, program(0), signature, keyring)) + " ";
                             return said + outcome(load(session, program(0), Content(16 * 1024 + 1)));
                         }),
              "ok ok EINVAL EINVAL EINVAL EINVAL EINVAL");
    // Where nobody asks for a signature, nobody reads one.
    EXPECT_EQ(in_session("plain",
                         [&](bpfw_session* session) {
                             const auto with = outcome(load(session, program(0), Content(100)));
                             return with + " " + std::to_string(child_of(daemon.worker(), parser_name));
                         }),
              "ok 0");
}

// A signature for one program is of no use for another, however it is offered.
TEST(Identity, ASignatureForOneProgramDoesNotHelpAnother) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(
        in_session("signed",
                   [&](bpfw_session* session) {
                       const int first = create_map(session), second = create_map(session);
                       // Counts in one map, and then in the other.
                       const auto in_two = [](int one, int two) {
                           auto code = count_in(one, 0);
                           code.resize(code.size() - 2);
                           const auto more = count_in(two, 0);
                           code[6].off = 2;
                           code.insert(code.end(), more.begin(), more.end());
                           return code;
                       };
                       const auto in_one = count_in(first, 0);
                       auto different = in_one;
                       different.front().off = -8;
                       std::string said;
                       said += outcome(add(session, sign(release, in_one))) + " ";
                       said += outcome(add(session, sign(release, in_two(first, second)))) + " ";
                       // The controls: those that were signed, with whatever maps of the session.
                       said += outcome(load(session, in_one)) + " ";
                       said += outcome(load(session, count_in(second, 0))) + " ";
                       said += outcome(load(session, in_two(second, first))) + " | ";
                       // One map twice is another program than two maps, as is one that is altered.
                       said += outcome(load(session, in_two(first, first))) + " ";
                       said += outcome(load(session, count_in(first, 1))) + " ";
                       said += outcome(load(session, program(0))) + " ";
                       said += outcome(load(session, program(0), sign(release, in_one))) + " ";
                       return said + outcome(load(session, in_one, sign(release, program(0))));
                   }),
        std::string("ok ok ok ok ok | ") + refused + " " + refused + " " + refused + " " + refused + " " + refused);
}

TEST(Identity, ADerivedSessionCanHaveFewerSigners) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release"), dev("dev");
    Daemon daemon({{"signed", signed_by("'rel*', 'dev'")}});
    daemon.write_key("release", release.pem());
    daemon.write_key("dev", dev.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto in_derived = [&](const std::string& signers) {
        return in_session("signed", [&](bpfw_session* session) -> std::string {
            auto* derived = ::bpfw_derive(session, ("format = 1\n[allow]\nprogram_types = ['socket_filter']\n"
                                                    "capabilities = ['bpf']\n[identity]\nsigners = [" +
                                                    signers + "]\n")
                                                       .c_str());
            if (derived == nullptr) return outcome(-1);
            // What was left with one session is not another's.
            (void)add(session, sign(dev, program(2)));
            return outcome(load(derived, program(0), sign(dev, program(0)))) + ", " +
                   outcome(load(derived, program(1), sign(release, program(1)))) + ", " +
                   outcome(load(derived, program(2))) + ", " +
                   outcome(load(session, program(1), sign(release, program(1))));
        });
    };
    EXPECT_EQ(in_derived("'dev'"), std::string("ok, ") + refused + ", " + refused + ", ok");
    EXPECT_EQ(in_derived("'release'"), std::string(refused) + ", ok, " + refused + ", ok");
    EXPECT_EQ(in_derived("'stranger'"), "EACCES");
}

TEST(Identity, KeysAreThoseOfTheLastReload) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey first("release"), second("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    const auto by = [&](const SigningKey& key) {
        return in_session(
            "signed", [&](bpfw_session* session) { return outcome(load(session, program(0), sign(key, program(0)))); });
    };
    EXPECT_EQ(by(first), refused) << "no key is installed yet";
    daemon.write_key("release", first.pem());
    EXPECT_EQ(by(first), refused) << "nor was one read";
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("signed");
        for (int i = 0; i < 2; ++i) {
            const auto of_first = outcome(load(session, program(i), sign(first, program(i))));
            actor.say(of_first + " " + outcome(load(session, program(i), sign(second, program(i)))));
            (void)actor.listen();
        }
    });
    EXPECT_EQ(holder.hear(), std::string("ok ") + refused);

    // One that is wrong, and nothing is changed.
    daemon.write_key("release", second.pem());
    daemon.write_key("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const auto refused_reload = daemon.tool({"grant", "reload"});
    EXPECT_NE(refused_reload.status, 0);
    EXPECT_TRUE(refused_reload.output.contains("the key of the signer \"broken\" cannot be used"))
        << refused_reload.output;
    EXPECT_EQ(by(first), "ok");
    EXPECT_EQ(by(second), refused);

    daemon.remove_key("broken");
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(by(first), refused);
    EXPECT_EQ(by(second), "ok");
    holder.tell();
    EXPECT_EQ(holder.hear(), std::string("ok ") + refused) << "a session keeps the keys that it was opened with";
    daemon.remove_key("release");
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(by(second), refused);
}

// /etc wins over /usr/lib, file by file.
// Over a restart as well: a session that was not used yet, and one derived from it afterwards, have the keys of then.
TEST(Identity, KeysStayWithASessionOverARestart) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey before("before"), after("after");
    ServiceManager manager;
    Daemon daemon({{"signed", signed_by("'release'")}}, {"--keep-sessions"}, manager.hand_over());
    daemon.write_key("release", before.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto old_key = sign(before, program(0)), new_key = sign(after, program(0));
    const std::string smaller = "format = 1\n[allow]\nprogram_types = ['socket_filter']\ncapabilities = ['bpf']\n";
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("signed");
        actor.say(session != nullptr ? "open" : ::bpfw_error());
        (void)actor.listen();
        auto* derived = ::bpfw_derive(session, smaller.c_str());
        for (auto* one : {session, derived})
            for (const auto& signature : {old_key, new_key})
                actor.say(one == nullptr ? ::bpfw_error() : outcome(load(one, program(0), signature)));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "open");
    ASSERT_EQ(daemon.stop(), 0);
    daemon.write_key("release", after.pem());
    manager.catch_up();
    daemon.start();
    holder.tell();
    for (const auto* who : {"the session", "derived from it"}) {
        EXPECT_EQ(holder.hear(), "ok") << who;
        EXPECT_EQ(holder.hear(), refused) << who;
    }
    // The control: whoever opens it now has the new key.
    EXPECT_EQ(in_session("signed", [&](bpfw_session* one) { return outcome(load(one, program(0), new_key)); }), "ok");
}

TEST(Identity, TheAdministratorsKeysWin) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey vendor("release"), administrator("release");
    Daemon daemon({{"signed", signed_by("'release', 'vendor'")}});
    const auto keys = daemon.directory() + "/root/usr/lib/bpfwarden/keys/";
    std::filesystem::create_directories(keys);
    for (const auto* name : {"release.pem", "vendor.pem"}) std::ofstream(keys + name) << vendor.pem();
    const auto by = [&](const SigningKey& key) {
        EXPECT_EQ(daemon.tool({"grant", "reload"}).status, 0);
        return in_session(
            "signed", [&](bpfw_session* session) { return outcome(load(session, program(0), sign(key, program(0)))); });
    };
    EXPECT_EQ(by(vendor), "ok");
    std::filesystem::remove(keys + "vendor.pem");
    EXPECT_EQ(by(vendor), "ok");
    daemon.write_key("release", administrator.pem());
    EXPECT_EQ(by(vendor), refused);
    EXPECT_EQ(by(administrator), "ok");
}

TEST(Identity, SignaturesThatASessionKeeps) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(in_session("signed",
                         [&](bpfw_session* session) {
                             const auto good = sign(release, program(0));
                             std::string said = outcome(add(session, {})) + " ";
                             said += outcome(add(session, Content(16 * 1024 + 1))) + " ";
                             for (int i = 1; i < 64; ++i)
                                 if (add(session, Content(16 * 1024, static_cast<std::byte>(i))) != 0)
                                     return std::to_string(i);
                             said += outcome(load(session, program(0))) + " ";
                             said += outcome(add(session, good)) + " " + outcome(add(session, good)) + " ";
                             said += outcome(add(session, Content(1))) + " ";
                             return said + outcome(load(session, program(0)));
                         }),
              std::string("EINVAL E2BIG ") + refused + " ok ok ENOSPC ok");
}

// ---- the process that reads signatures

static std::string status_of(pid_t pid, const std::string& key) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(key + ":")) return line.substr(line.find_last_of("\t ") + 1);
    return "gone";
}

TEST(Parser, HoldsNothingAndEndsWithItsSession) {
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("signed");
        actor.say(outcome(load(session, program(0), sign(release, program(0)))));
        (void)actor.listen();
    });
    ASSERT_EQ(holder.hear(), "ok");
    const pid_t parser = child_of(daemon.worker(), parser_name);
    ASSERT_NE(parser, 0);
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
        EXPECT_EQ(status_of(parser, set), "0000000000000000") << set;
    EXPECT_EQ(status_of(parser, "Seccomp"), "2");
    EXPECT_EQ(status_of(parser, "NoNewPrivs"), "1");
    // Standard input, output and error, and one socket for each that asks.
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(parser) + "/fd"))
        if (std::stoi(entry.path().filename()) > 2) {
            EXPECT_TRUE(std::filesystem::read_symlink(entry.path()).string().starts_with("socket:")) << entry.path();
        }
    holder.tell();
    EXPECT_TRUE(eventually([&] { return status_of(parser, "Pid") == "gone"; }));
}

// Killed, or at something for ever: the operation fails, soon, and later ones do; what needs no parser goes on.
TEST(Parser, ItsEndFailsWhatNeedsIt) {
    const SigningKey release("release");
    Daemon daemon({{"signed", signed_by("'release'")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    for (const int signal : {SIGKILL, SIGSTOP}) {
        Actor holder(test_user(), [&](Actor& actor) {
            auto* session = ::bpfw_open("signed");
            for (int i = 0; i < 3; ++i) {
                actor.say(outcome(load(session, program(i), sign(release, program(i)))) + ", " +
                          outcome(create_map(session)) + ", " +
                          outcome(load_program(session, BPF_PROG_TYPE_SOCKET_FILTER)));
                (void)actor.listen();
            }
        });
        ASSERT_EQ(holder.hear(), "ok, ok, ok");
        ASSERT_TRUE(eventually([&] { return child_of(daemon.worker(), parser_name) != 0; }));
        ASSERT_EQ(::kill(child_of(daemon.worker(), parser_name), signal), 0);
        const auto began = std::chrono::steady_clock::now();
        holder.tell();
        EXPECT_EQ(holder.hear(), "EIO identity.signers, ok, ok") << signal;
        EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
        const auto again = std::chrono::steady_clock::now();
        holder.tell();
        EXPECT_EQ(holder.hear(), "EIO identity.signers, ok, ok") << signal;
        EXPECT_LT(std::chrono::steady_clock::now() - again, std::chrono::seconds(3)) << "it is not asked again";
        holder.tell();
        EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
    }
    // The next session has one of its own.
    EXPECT_EQ(in_session(
                  "signed",
                  [&](bpfw_session* session) { return outcome(load(session, program(0), sign(release, program(0)))); }),
              "ok");
}

}  // namespace bpfwarden::test
