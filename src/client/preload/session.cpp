// SPDX-License-Identifier: Apache-2.0
#include "client/preload/session.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "client/last_error.hpp"
#include "client/requests.hpp"
#include "client/session.hpp"
#include "wire/bpf_layout.hpp"

namespace bpfwarden::preload {

namespace {

struct Setting {
    const char* fd = nullptr;
    const char* grant = nullptr;
    const char* signatures = nullptr;  // files, with colons between
    bool verbose = false;
};
// Once, as the program started: programs change their environment.
const Setting& setting() {
    static const Setting read = [] {
        const auto get = [](const char* name) {
            const char* value = ::secure_getenv(name);
            return value == nullptr || *value == '\0' ? nullptr : value;
        };
        const char* fd = get("BPFWARDEN_SESSION_FD");
        const char* grant = get("BPFWARDEN_GRANT");
        // Copies that stay: setenv() may free what getenv() gave.
        const char* signatures = get("BPFWARDEN_SIGNATURES");
        return Setting{fd == nullptr ? nullptr : ::strdup(fd), grant == nullptr ? nullptr : ::strdup(grant),
                       signatures == nullptr ? nullptr : ::strdup(signatures), get("BPFWARDEN_VERBOSE") != nullptr};
    }();
    return read;
}

void say(std::string_view text) {
    const std::string line = "libbpfwarden-preload: " + std::string(text) + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
}

Result<> add_signature(client::Session& session, const std::string& path) {
    // A byte more than the broker takes, so that it is the broker that says it is too much.
    std::vector<std::byte> content(wire::largest_signature + 1);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    const auto size = file ? ::read(file.get(), content.data(), content.size()) : -1;
    if (size < 0) return fail_errno("reading it");
    return client::add_signature(session, std::span(content).first(static_cast<std::size_t>(size)));
}

// A program that needs one of those that fail will be refused, and is told why then; the others may do without.
void add_signatures(client::Session& session) {
    if (setting().signatures == nullptr) return;
    for (const auto path : split(setting().signatures, ':')) {
        if (path.empty()) continue;
        const auto added = add_signature(session, std::string(path));
        if (added) continue;
        client::record(added.error());
        say("BPFWARDEN_SIGNATURES: " + std::string(path) + ": " + bpfw_error());
    }
}

struct Opened {
    client::Session* session = nullptr;
    int number = 0;
};

Opened open_it() {
    const auto& from = setting();
    auto result = [&]() -> Result<std::unique_ptr<client::Session>> {
        if (from.fd == nullptr) return client::Session::open(from.grant);
        int fd = -1;
        const char* end = from.fd + std::strlen(from.fd);
        if (const auto read = std::from_chars(from.fd, end, fd); read.ec != std::errc() || read.ptr != end || fd < 0)
            return fail(Error::from_errno(EBADF, "BPFWARDEN_SESSION_FD is not the number of a file descriptor"));
        // Borrowed: a program that this one starts finds it under the same number.
        return client::Session::adopt(fd, true);
    }();
    if (result) {
        add_signatures(**result);
        return {result->release(), 0};
    }
    // Once, and without being asked: nothing of what the program is about to try can work.
    client::record(result.error());
    say(bpfw_error());
    return {nullptr, errno};
}

const Opened& opened() {
    static const Opened once = open_it();
    return once;
}

// An inherited fd is looked at before the program's own code can close it or put another under its number.
__attribute__((constructor)) void start() {
    const int before = errno;
    if (setting().fd != nullptr) opened();
    errno = before;
}

}  // namespace

bool is_configured() { return setting().fd != nullptr || setting().grant != nullptr; }

bpfw_session* session() {
    const auto& it = opened();
    if (it.session == nullptr) errno = it.number;
    return reinterpret_cast<bpfw_session*>(it.session);
}

void explain() {
    if (!setting().verbose) return;
    const int before = errno;
    say(bpfw_error());
    errno = before;
}

}  // namespace bpfwarden::preload
