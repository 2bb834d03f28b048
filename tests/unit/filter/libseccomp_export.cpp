// SPDX-License-Identifier: Apache-2.0
// libseccomp_export PROFILE LEVEL [ARCH…]: the classic program that libseccomp makes of a profile, on standard output.
// LEVEL is its optimization: 1, as runtimes use it, or 2, a tree.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "filter/source.hpp"
#include "libseccomp.hpp"

int main(int argc, char** argv) {
    using namespace bpfwarden::filter;
    const auto say = [](const char* what) {
        std::fprintf(stderr, "libseccomp_export: %s\n", what);
        return 2;
    };
    if (argc < 3) return say("usage: libseccomp_export PROFILE LEVEL [ARCH…]");
    std::ifstream file(argv[1]);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file || text.empty()) return say("the profile cannot be read");
    std::vector<Abi> abis;
    for (int i = 3; i < argc; ++i) {
        const auto abi = parse_abi(argv[i]);
        if (!abi) return say("an architecture is not known");
        abis.push_back(*abi);
    }
    const auto made =
        libseccomp::build(text, {}, abis.empty() ? abis_of_machine(*native_abi()) : abis, std::atoi(argv[2]));
    if (!made || made->program.empty()) return say("libseccomp refuses the profile");
    const auto written = std::fwrite(made->program.data(), sizeof(sock_filter), made->program.size(), stdout);
    return written == made->program.size() && std::fflush(stdout) == 0 ? 0 : say("cannot write the program");
}
