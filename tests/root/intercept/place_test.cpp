// SPDX-License-Identifier: Apache-2.0
// What the supervisor asks the broker for, asked for by a client that makes its own requests: a holder of a session.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "../broker/daemon.hpp"
#include "client/requests.hpp"
#include "wire/bytes.hpp"

#include "raw.hpp"

namespace bpfwarden::test {

namespace {

const std::string rights = allow(
    "program_types = ['socket_filter']\nmap_types = ['array', 'prog_array']\nhelpers = ['map_lookup_elem', "
    "'tail_call']\nverifier = ['any']\ncapabilities = ['bpf']\n");

// A request with these fds: "ok", or the errno that it was answered.
std::string asked(client::Session& session, wire::Type type, const wire::Writer& body, const std::vector<int>& fds) {
    auto exchange = session.ask(type, body.bytes(), fds);
    if (!exchange) return std::string("no answer: ") + ::strerrorname_np(exchange.error().number());
    auto from = exchange->read("a request of the test's own");
    const auto error = from ? -from->number<std::int32_t>() : from.error().number();
    exchange->finish();
    return error == 0 ? "ok" : ::strerrorname_np(error);
}

std::string stored(client::Session& session, int map, int program, std::size_t key, std::size_t value,
                   std::uint32_t at) {
    wire::Writer body;
    body.number(std::uint64_t{0});
    body.block(std::vector<std::byte>(key));
    body.block(std::vector<std::byte>(value));
    body.number(at);
    return asked(session, wire::Type::store_program, body, {map, program});
}

int new_map(bpfw_session* session, std::uint32_t type, std::uint32_t value) {
    bpf_attr attr{};
    attr.map_type = type;
    attr.key_size = 4;
    attr.value_size = value;
    attr.max_entries = 1;
    return ::bpfw_bpf(session, BPF_MAP_CREATE, &attr, sizeof attr);
}

}  // namespace

// The kernel takes as much of a value as the map has: a short one would be followed by what the worker has behind it.
TEST(Places, AShortValueTellsNothingOfTheWorker) {
    Daemon daemon({{"filters", rights}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto* own = ::bpfw_open("filters");
                          if (own == nullptr) return std::string(::bpfw_error());
                          constexpr std::uint32_t large = 32 * 1024;
                          const int array = new_map(own, BPF_MAP_TYPE_ARRAY, large);
                          const int programs = new_map(own, BPF_MAP_TYPE_PROG_ARRAY, 4);
                          const int program = load_program(own, BPF_PROG_TYPE_SOCKET_FILTER);
                          auto session = client::Session::adopt(::bpfw_fd(own), true);
                          if (!session) return std::string(session.error().what());
                          std::string text = stored(**session, programs, program, 4, 4, 0);
                          text += ", " + stored(**session, array, program, 4, 8, 0);
                          text += " " + stored(**session, programs, program, 0, 4, 0);
                          text += " " + stored(**session, programs, program, 4, 8, 4);
                          text += " " + stored(**session, programs, program, 4, 2, 0);
                          text += " " + stored(**session, programs, programs, 4, 4, 0);
                          std::vector<unsigned char> content(large);
                          std::uint32_t key = 0;
                          bpf_attr attr{};
                          attr.map_fd = static_cast<__u32>(array);
                          attr.key = raw::address(&key);
                          attr.value = raw::address(content.data());
                          (void)raw::sys_bpf(BPF_MAP_LOOKUP_ELEM, attr);
                          const auto told = std::ranges::count_if(content, [](unsigned char one) { return one != 0; });
                          text += ", bytes told: " + std::to_string(told);
                          return text + ", no map of programs " + stored(**session, array, program, 4, large, 0);
                      }),
              "ok, EINVAL EINVAL EINVAL EINVAL EPERM, bytes told: 0, no map of programs EINVAL");
}

TEST(Places, OnlyProgramsOfTheSessionGoToSockets) {
    Daemon daemon({{"plain", rights}, {"lasting", rights + "[session]\nnot_revocable = true\n"}});
    const auto attached = [](const char* grant) {
        return as_user(test_user(), [&] {
            auto* own = ::bpfw_open(grant);
            if (own == nullptr) return std::string(::bpfw_error());
            const int map = new_map(own, BPF_MAP_TYPE_ARRAY, 8);
            const int program = load_program(own, BPF_PROG_TYPE_SOCKET_FILTER);
            auto session = client::Session::adopt(::bpfw_fd(own), true);
            if (!session) return std::string(session.error().what());
            int pair[2];
            (void)::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
            const auto at = [&](std::uint32_t option, const std::vector<int>& fds) {
                wire::Writer body;
                body.number(option);
                return asked(**session, wire::Type::attach_socket, body, fds);
            };
            return at(SO_ATTACH_BPF, {program, pair[0]}) + " " + at(SO_ATTACH_BPF, {program, map}) + " " +
                   at(SO_ATTACH_BPF, {map, pair[0]}) + " " + at(SO_ATTACH_BPF, {program}) + " " +
                   at(SO_MARK, {program, pair[0]}) + " " + at(SO_ATTACH_BPF, {pair[0], pair[1]});
        });
    };
    EXPECT_EQ(attached("lasting"), "ok ENOTSOCK EPERM EINVAL EINVAL EPERM");
    EXPECT_EQ(attached("plain"), "EPERM EPERM EPERM EINVAL EINVAL EPERM");
}

// A listener is one of seccomp's, and nothing else is waited for.
TEST(Places, OnlyListenersAreSupervised) {
    Daemon daemon({{"filters", rights}});
    EXPECT_EQ(as_user(test_user(),
                      [] {
                          auto session = client::Session::open("filters");
                          if (!session) return std::string(session.error().what());
                          int pair[2];
                          (void)::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
                          std::string text;
                          for (const int fd : {0, pair[0]}) {
                              const auto done = client::supervise(**session, FdRef(fd));
                              text += done ? "ok " : std::string(::strerrorname_np(done.error().number())) + " ";
                          }
                          // It goes on.
                          return text + (client::catches_map_updates(**session) ? "ok" : "no");
                      }),
              "EINVAL EINVAL ok");
}

}  // namespace bpfwarden::test
