// SPDX-License-Identifier: Apache-2.0
#include "guard/seal_state.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/text.hpp"
#include "enforce/guard_lock.hpp"
#include "enforce/places.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::guard {

std::optional<enforce::ShownSeal> read_seal() {
    auto shown = enforce::show_sealed(enforce::sealed_guard);
    if (!shown) return std::nullopt;
    std::ranges::sort(shown->things);
    return std::move(*shown);
}

Result<> require_root() {
    if (::geteuid() == 0) return {};
    return fail(Error(Code::denied, "only root sees what is sealed, and seals")
                    .because("it is by programs and mounts of the kernel")
                    .advise("run it as root"));
}

// Who is not the updater is told that there is no such program.
static bool is_of_a_core(std::uint32_t id) {
    const auto program = enforce::open_thing({BW_SEALED_PROG, id});
    if (!program) return program.error().number() == ENOENT;
    const auto name = enforce::name_in_kernel(*program);
    return name && name->starts_with("core_");
}

Result<bool> has_lost_its_pins() {
    std::error_code ignored;
    // Whoever seals makes them before the core is attached, and whoever unseals removes them after it.
    if (std::filesystem::exists(std::string(enforce::sealed_guard) + "/show", ignored)) return false;
    return std::ranges::any_of(BW_TRY(enforce::attached_to_root(BW_TRY(enforce::cgroup_root()))), is_of_a_core);
}

Failure lost_its_pins() {
    return fail(
        Error(Code::failed, "the guard is in force and cannot be asked")
            .because("its bpffs was unmounted; what the kernel itself holds goes on deciding")
            .advise("as its updater, which ends it and the policy: bpfwarden guard unseal; then apply and seal, or "
                    "start the machine again"));
}

Result<> require_sealed() {
    if (const auto seal = read_seal(); seal && seal->guard.armed) return {};
    if (BW_TRY(has_lost_its_pins())) return lost_its_pins();
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

Result<std::optional<enforce::PolicyForce>> policy_in(const std::string& pins) {
    auto policy = enforce::PolicyForce::adopt(pins);
    if (policy) return std::move(*policy);
    if (policy.error().code() == Code::not_found) return std::nullopt;
    return fail(policy.error());
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
