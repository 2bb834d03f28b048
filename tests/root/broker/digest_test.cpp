// SPDX-License-Identifier: Apache-2.0
// What `grant digest` says beforehand is what the broker finds when a libbpf program loads the object.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemon.hpp"
#include "signing.hpp"

namespace bpfwarden::test {

namespace {

namespace fs = std::filesystem;

fs::path build() { return fs::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path(); }

const std::string object = build() / "tests/helpers/digest_sample.bpf.o";

// The sample, by a program that knows nothing of bpfwarden, as a plain user.
std::string load_object(const std::string& grant, const std::string& signatures = "") {
    return as_user(test_user(), [&] {
        const auto command = "LD_PRELOAD=" + (build() / "lib/libbpfwarden-preload.so").string() +
                             " BPFWARDEN_VERBOSE=1 BPFWARDEN_GRANT=" + grant + " BPFWARDEN_SIGNATURES='" + signatures +
                             "' " + (build() / "examples/load_object").string() + " -v " + object + " 2>&1";
        std::FILE* from = ::popen(command.c_str(), "r");
        std::string said;
        for (int c; (c = std::fgetc(from)) != EOF;) said += static_cast<char>(c);
        ::pclose(from);
        return said;
    });
}
bool loaded(const std::string& said) { return said.contains("load_object: " + object + ": loaded"); }

std::string tracing(const std::string& identity) {
    return "dangerous = ['kernel_read']\n" +
           allow(
               "program_types = ['tracepoint']\nmap_types = ['array', 'hash']\nhelpers = ['map_lookup_elem', "
               "'get_current_task', 'probe_read_kernel', '@tracing_read']\nverifier = ['any']\n"
               "capabilities = ['bpf', 'perfmon']\n[identity]\n" +
               identity + "\n");
}

// {name, digest} of each program.
std::vector<std::pair<std::string, std::string>> digests_in(const std::string& lines) {
    std::vector<std::pair<std::string, std::string>> found;
    std::istringstream from(lines);
    for (std::string line; std::getline(from, line);) {
        std::istringstream words(line);
        std::string digest, name;
        words >> digest >> name;
        found.emplace_back(name, digest);
    }
    return found;
}

}  // namespace

TEST(Digest, IsTheOneOfTheLoad) {
    Daemon daemon({{"none", tracing("sha256 = []")}});
    const auto as_root = daemon.tool({"grant", "digest", object});
    ASSERT_EQ(as_root.status, 0) << as_root.output;
    // Without any privilege.
    EXPECT_EQ(as_user(test_user(), [&] { return daemon.tool({"grant", "digest", object}).output; }), as_root.output);
    const auto digests = digests_in(as_root.output);
    ASSERT_EQ(digests.size(), 2U);
    EXPECT_EQ(digests[0].first, "count_first");
    EXPECT_EQ(digests[1].first, "count_second");

    EXPECT_FALSE(loaded(load_object("none")));
    const auto known = "sha256 = ['" + digests[0].second + "', '" + digests[1].second + "']";
    daemon.write_grant("both", tracing(known));
    daemon.write_grant("one", tracing("sha256 = ['" + digests[0].second + "']"));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto both = load_object("both");
    EXPECT_TRUE(loaded(both)) << both;
    EXPECT_FALSE(loaded(load_object("one")));
    for (const auto& [name, digest] : digests)
        EXPECT_GE(daemon.audit({"\"name\":\"" + name + "\"", digest, "\"verdict\":\"allowed\""}).size(), 1U) << name;
}

TEST(Digest, ItsOutputIsWhatIsSigned) {
    BW_SAME_ON_EVERY_KERNEL();
    const SigningKey release("release");
    Daemon daemon({{"signed", tracing("signers = ['release']")}});
    daemon.write_key("release", release.pem());
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    std::string signatures;
    for (const std::string name : {"count_first", "count_second"}) {
        const auto stream = daemon.directory() + "/" + name, signature = stream + ".sig";
        const auto shown = daemon.tool({"grant", "digest", object, "--program", name, "--output", stream});
        ASSERT_EQ(shown.status, 0) << shown.output;
        std::ifstream file(stream, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        // The bytes are a stream themselves, of the same digest.
        EXPECT_EQ(digests_in(daemon.tool({"grant", "digest", stream}).output).at(0).second,
                  digests_in(shown.output).at(0).second);
        const auto content = release.sign(std::as_bytes(std::span(bytes)));
        std::ofstream(signature, std::ios::binary)
            .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
        signatures += (signatures.empty() ? "" : ":") + signature;
    }
    const auto all = load_object("signed", signatures);
    EXPECT_TRUE(loaded(all)) << all;
    const auto first_alone = load_object("signed", signatures.substr(0, signatures.find(':')));
    EXPECT_FALSE(loaded(first_alone));
    EXPECT_TRUE(first_alone.contains("the signature by \"release\" is over another program")) << first_alone;
    const auto none = load_object("signed");
    EXPECT_FALSE(loaded(none));
    EXPECT_TRUE(none.contains("the program is not signed")) << none;
    const auto missing = load_object("signed", "/nonexistent:" + signatures);
    EXPECT_TRUE(loaded(missing)) << missing;
    EXPECT_TRUE(missing.contains("BPFWARDEN_SIGNATURES: /nonexistent: ")) << missing;
}

}  // namespace bpfwarden::test
