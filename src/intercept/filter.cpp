// SPDX-License-Identifier: Apache-2.0
#include "intercept/filter.hpp"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "intercept/calls.hpp"
#include "kernel/seccomp_filter.hpp"
#include "wire/commands.hpp"

namespace bpfwarden::intercept {

namespace {

// Forward jumps by place, filled in at the end: every test goes to one of three ends.
class Code {
  public:
    void load(std::size_t offset) {
        out_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
    }
    void load_argument(unsigned number) { load(offsetof(seccomp_data, args) + 8 * number); }
    void mask(std::uint32_t bits) { out_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)); }
    void give(std::uint32_t action) { out_.push_back(BPF_STMT(BPF_RET | BPF_K, action)); }
    void if_equal(std::uint32_t value, std::uint32_t action) {
        out_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
        give(action);
    }
    // From `first` to `last`.
    void if_between(std::uint32_t first, std::uint32_t last, std::uint32_t action) {
        if (first == last) return if_equal(first, action);
        out_.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first, 0, 2));
        out_.push_back(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0));
        give(action);
    }
    // What `part` adds is run for this number only, and must end.
    template <class Part>
    void when(std::uint32_t value, Part part) {
        const auto at = out_.size();
        out_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0));
        part();
        out_[at].jf = static_cast<__u8>(out_.size() - at - 1);
    }
    std::vector<sock_filter> take() { return std::move(out_); }

  private:
    std::vector<sock_filter> out_;
};

bool is_caught(std::uint32_t command, Caught caught) {
    switch (wire::route_of(command)) {
        case wire::Route::broker:
        case wire::Route::info:
        case wire::Route::freeze:
            return true;
        case wire::Route::kernel:
            return caught.map_updates && command == BPF_MAP_UPDATE_ELEM;
        case wire::Route::refused:
            return false;
    }
    return false;
}

}  // namespace

std::vector<sock_filter> filter(Caught caught) {
    constexpr std::uint32_t ask = SECCOMP_RET_USER_NOTIF, allow = SECCOMP_RET_ALLOW;
    constexpr std::uint32_t none = SECCOMP_RET_ERRNO | ENOSYS;
    Code code;
    code.load(offsetof(seccomp_data, arch));
    code.if_between(0, kernel::native_architecture - 1, none);
    code.if_between(kernel::native_architecture + 1, ~0U, none);
    code.load(offsetof(seccomp_data, nr));
    code.if_equal(SYS_perf_event_open, ask);
    code.when(SYS_bpf, [&] {
        code.load_argument(0);
        // Asked about as well, so that it is answered as by a kernel without it.
        code.mask(~common_attributes);
        constexpr std::uint32_t most_commands = 64;
        for (std::uint32_t first = 0; first < most_commands; ++first) {
            if (!is_caught(first, caught)) continue;
            auto last = first;
            while (last + 1 < most_commands && is_caught(last + 1, caught)) ++last;
            code.if_between(first, last, ask);
            first = last;
        }
        code.give(allow);
    });
    code.when(SYS_ioctl, [&] {
        code.load_argument(1);
        for (const auto request : event_requests) code.if_equal(request, ask);
        code.give(allow);
    });
    code.when(SYS_setsockopt, [&] {
        code.load_argument(1);
        code.when(SOL_SOCKET, [&] {
            code.load_argument(2);
            for (const auto option : socket_options) code.if_equal(option, ask);
            code.give(allow);
        });
        code.give(allow);
    });
#if defined(__x86_64__)
    // x32, by the bit 30 of the number; -1 is what a tracer writes for "no call".
    code.if_between(0x40000000U, ~0U - 1, none);
#endif
    code.give(allow);
    return code.take();
}

}  // namespace bpfwarden::intercept
