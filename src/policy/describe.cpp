// SPDX-License-Identifier: Apache-2.0
#include "policy/describe.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/shared_evaluator.hpp"

namespace bpfwarden::policy {

std::string_view name_of(Effect effect) {
    static constexpr std::string_view names[] = {"allow", "deny", "audit"};
    return names[static_cast<std::size_t>(effect)];
}

std::string describe(const Identity& identity) {
    return fmt::format("device {}:{} inode {} generation {}", identity.device >> 20, identity.device & 0xfffff,
                       identity.inode, identity.generation);
}

std::string describe(const Linked& linked, const LinkedWay& way) {
    std::vector<std::string> parts;
    const auto ids = [&](const char* what, const IdRange& range) {
        if (range == IdRange{}) return;
        parts.push_back(range.first == range.last ? fmt::format("{} {}", what, range.first)
                                                  : fmt::format("{} {}-{}", what, range.first, range.last));
    };
    const auto& written = *way.written;
    if (written.exe) parts.push_back("exe " + printable(written.exe->text.text));
    if (written.identity) parts.push_back(describe(*written.identity));
    for (const auto& pin : written.pins) parts.push_back(describe(pin));
    if (written.cgroup) parts.push_back("cgroup " + printable(written.cgroup->text.text));
    ids("uid", written.uid);
    ids("gid", written.gid);
    if (written.userns_init) parts.push_back(*written.userns_init ? "userns init" : "userns other");
    std::vector<std::string> from;
    for (std::uint32_t i = 0; i < linked.domains.size(); ++i)
        if (way.from.has(i)) from.push_back(linked.domains[i].name);
    if (from != std::vector{std::string(unconfined)}) parts.push_back("from " + join(from, " or "));
    return join(parts, ", ");
}

std::string describe(const bw_address& address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.family != AF_INET && address.family != AF_INET6) return family_name(address.family);
    ::inet_ntop(address.family, address.bytes, text, sizeof text);
    if (address.family == AF_INET6) return fmt::format("[{}]:{}", text, address.port);
    return fmt::format("{}:{}", text, address.port);
}

}  // namespace bpfwarden::policy
