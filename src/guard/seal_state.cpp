// SPDX-License-Identifier: Apache-2.0
#include "guard/seal_state.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/guard_lock.hpp"
#include "enforce/places.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::guard {

static std::string text_of(const char* name) {
    return kernel::read_file(fmt::format("{}/{}", enforce::sealed_guard, name)).value_or("");
}

std::optional<SealState> read_state() {
    const auto text = text_of("show_guard");
    SealState state;
    unsigned armed = 0;
    unsigned long long since = 0, attempts = 0, lost = 0;
    if (std::sscanf(text.c_str(), "%u %u %u %u %llu %llu %llu %u %u", &armed, &state.updater, &state.domain,
                    &state.device, &since, &attempts, &lost, &state.changer, &state.guardian) != 9)
        return std::nullopt;
    state.armed = armed;
    state.since = since;
    state.attempts = attempts;
    state.lost = lost;
    return state;
}

std::size_t count_lines(const char* name) {
    const auto text = text_of(name);
    return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

Result<> require_root() {
    if (::geteuid() == 0) return {};
    return fail(Error(Code::denied, "only root sees what is sealed, and seals")
                    .because("it is by programs and mounts of the kernel")
                    .advise("run it as root"));
}

Result<> require_sealed() {
    if (const auto state = read_state(); state && state->armed) return {};
    return fail(Error(Code::not_found, "nothing is sealed").advise("bpfwarden guard seal"));
}

Result<UniqueFd> lock_seals() {
    std::error_code problem;
    std::filesystem::create_directories("/run/bpfwarden", problem);
    UniqueFd fd(::open("/run/bpfwarden/seal.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("cannot open /run/bpfwarden/seal.lock");
    if (::flock(fd.get(), LOCK_EX)) return fail_errno("cannot lock /run/bpfwarden/seal.lock");
    return fd;
}

std::optional<Guardian> running_guardian() {
    const auto pid = enforce::guard_running("/run/bpfwarden");
    if (!pid) return std::nullopt;
    const auto text = kernel::read_file(fmt::format("/proc/{}/stat", *pid));
    if (!text) return std::nullopt;
    // After the name, which may contain anything, the 20th word.
    const auto rest = split(std::string_view(*text).substr(text->rfind(')') + 2), ' ');
    if (rest.size() < 20) return std::nullopt;
    return Guardian{*pid, std::stoull(std::string(rest[19]))};
}

}  // namespace bpfwarden::guard
